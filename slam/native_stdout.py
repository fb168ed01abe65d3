"""Keep what native libraries print out of the process's standard output."""

import os
import sys

_STDOUT_FD = 1


def divert_native_stdout() -> None:
    """Send file descriptor 1 to the null device; Python's `sys.stdout` goes where it went before.

    For the whole process and for good; calling it again does nothing. ORB-SLAM3 prints its
    progress from C++, which would end up between the lines that a command writes on purpose.
    """
    null_fd = os.open(os.devnull, os.O_WRONLY)
    try:
        if not os.path.samestat(os.fstat(null_fd), os.fstat(_STDOUT_FD)):
            _move_python_stdout()
            os.dup2(null_fd, _STDOUT_FD)
    finally:
        os.close(null_fd)


def _move_python_stdout() -> None:
    """Give `sys.stdout` a descriptor of its own, if it writes to the one that is diverted.

    A replaced `sys.stdout` (a notebook's, pytest's) does not, and stays.
    """
    stream = sys.__stdout__
    if stream is None or sys.stdout is not stream or stream.fileno() != _STDOUT_FD:
        return
    stream.flush()
    sys.stdout = os.fdopen(
        os.dup(_STDOUT_FD),
        "w",
        buffering=1 if stream.line_buffering else -1,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
    )
