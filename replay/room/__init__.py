"""A procedural, furnished room, ray-cast on the CPU.

In: a seed, a camera, poses.
Out: exact colour and depth views, a depth sensor's errors, a walk, distances to the surfaces.
Threads: numba's, inside one call; nothing stays running.
Must not: read files, clocks or global random state: one seed gives the same bytes everywhere.
"""
