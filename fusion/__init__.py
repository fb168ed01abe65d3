"""What the world looks like: views fused into a volume, its surface, renderings and exports.

In: frames with poses. Out: changed mesh rows, whole meshes, rendered views, files' bytes.
Threads: kernels use numba's threads; each object belongs to one caller. It must not track, open
sockets or files, or read clocks.
"""
