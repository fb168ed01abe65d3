"""Recorded input: sequences to stream, and how good what came out of them is.

In: folders of 7-Scenes or TUM RGB-D, videos, folders of pictures, recorded sessions (MCAP), HDF5,
ROS bags, or the name of the built-in room; what the server has to record.
Out: wire frames, encoded or a video's raw planes, calibration, ground truth; path and mesh errors;
recordings.
Threads: one bounded read-ahead thread per open iterator; the room renders on numba's threads.
Must not: decode pictures other than videos', open sockets, pace frames in time, or know the server.
Writes files only into the cache folder and the recordings that it is given.
"""

from replay.opening import open_sequence
from replay.sequence import Sequence

__all__ = ["Sequence", "open_sequence"]
