"""What people and robots use: the command line, and beside it the web viewer and the SDK.

In: a server's address or a recording. Out: what a person reads, and files. Threads: none of its
own. It must not hold logic that a server, a replay or the SDK would need too.
"""
