"""A worker whose driver hangs: it notes its start where the vocabulary would be."""

import signal
import sys
from pathlib import Path

with Path(sys.argv[2]).open("a") as starts:
    starts.write("start\n")
signal.pause()
