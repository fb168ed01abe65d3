"""The server: everything with a socket or a process boundary.

In: frames from senders (gRPC, WebRTC, WebSocket), requests of subscribers and REST clients. Out:
frame results, map deltas, exports, metrics. Threads: one event loop; encoding in its default
executor; one child process per session does the work. It must not track, fuse or mesh in the
server's process.
"""
