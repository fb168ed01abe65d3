"""Depth for frames that bring none.

Inputs: frames, their poses, the tracker's map points, earlier views. Outputs: depth images with a
confidence per pixel. Threads: one calls a source. Must not: know about voxels, sockets or files
other than a network's weights.
"""
