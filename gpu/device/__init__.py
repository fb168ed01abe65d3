"""Voxel blocks in the memory of a device, whichever backend drives it.

In: a `Backend`, pixels, matrices, voxels. Out: blocks touched, surfaces, rendered views, the same
to the last bit on every device. Threads: none of its own; one thread calls it, the backend's. It
must not know drivers: what a device does is asked of the backend's verbs, by names of kernels.
"""
