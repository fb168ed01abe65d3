"""Where kernels run: voxel blocks and the compiled code that works on them.

In: pixels, matrices, plain numbers. Out: blocks touched, surfaces, rendered views. Threads: the
CPU's verbs use OpenMP's and return when they are done, a device's may go on; one caller at a time.
It must not know sessions, trackers, frames or files, nor check what users hand in.
"""
