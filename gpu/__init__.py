"""Where kernels run: voxel blocks and the compiled code that works on them.

In: pixels, matrices, plain numbers. Out: blocks touched, surfaces, rendered views. Threads: each
verb uses the backend's own threads and returns when they are done; one caller at a time. It must
not know sessions, trackers, frames or files, nor check what users hand in.
"""
