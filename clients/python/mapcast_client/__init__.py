"""Speak to a mapcast server: stream frames in, follow live maps out.

In: NumPy or encoded frames, a server's address. Out: poses and results per frame, a `Map` kept
equal to the server's. Threads: the synchronous client runs one event-loop thread. It must import
nothing of the server: it is the wire contract and installs alone, under Apache-2.0.
"""
