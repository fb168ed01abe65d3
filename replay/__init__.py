"""Recorded input: sequences to stream, and how good what came out of them is.

In: folders of 7-Scenes or TUM RGB-D, or the name of the built-in rendered room.
Out: encoded wire frames, calibration, ground truth; trajectory and mesh errors.
Threads: one bounded read-ahead thread per open iterator; the room renders on numba's threads.
Must not: decode frames, open sockets, pace frames in time, or know the server. Writes files only
into the cache folder that it is given.
"""

from replay.opening import open_sequence
from replay.sequence import Sequence

__all__ = ["Sequence", "open_sequence"]
