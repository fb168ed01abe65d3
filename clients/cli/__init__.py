"""The `mapcast` command: serve, demo, replay, watch, export, eval, bench, doctor, vocabulary.

In: arguments, a recording or a server's address. Out: tables and progress for people, JSON and
map files for machines; exit code 1 and one line on errors. Threads: none of its own.
It must not track, fuse or encode: everything goes through a server's sockets.
"""
