"""The refining process: `python -m slam.refine_process FD`, started by `slam.refine.Refiner`."""

import ctypes
import os
import signal
import sys
from multiprocessing.connection import Connection

_PR_SET_PDEATHSIG = 1
_NICENESS = 15


def main() -> None:
    """Answer requests until the worker closes its end."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICENESS)
    if os.getppid() != parent:  # it was gone before it could matter
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as pipe:
        try:
            _serve(pipe)
        except (EOFError, ConnectionError):
            return


def _serve(pipe: Connection) -> None:
    import pycolmap

    from slam.refine_run import Refinement

    pycolmap.logging.minloglevel = pycolmap.logging.Level.ERROR.value
    refinement = Refinement(pipe.recv())
    while True:
        pipe.send(refinement.run(pipe.recv()))


if __name__ == "__main__":
    main()
