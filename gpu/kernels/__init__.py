"""Compiled kernels of the CPU backend.

In: pool arrays, pixels, matrices. Out: pool arrays changed in place, or arrays made for the caller.
Threads: kernels with `parallel` use OpenMP, because numba's own layer aborts when two threads call
parallel kernels at once. They must not validate, allocate pools or keep state: callers do.
"""

import os
from typing import Any

import numba

numba.config.THREADING_LAYER = "omp"  # type: ignore[attr-defined] # made when numba loads
# OpenMP threads that spin at the end of a kernel starve whoever has the cores: with one other busy
# process, views took ten times as long. OpenMP reads this when the first kernel runs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No `nnan`/`ninf`: comparisons with a NaN depth must stay false.
JIT: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "boundscheck": False,
    "error_model": "numpy",
    "fastmath": {"nsz", "arcp", "contract", "reassoc"},
}

BLOCK_VOX = 8
BLOCK_VOXELS = 512
"""Voxels of a block, index (z · 8 + y) · 8 + x."""

KEY_BITS = 20
COORDINATE_LIMIT = 1 << (KEY_BITS - 1)
"""Block coordinates lie in [−limit, limit)."""

DISTANCE_STEPS = 32767
"""Quantised signed distance: truncation distance / 32767."""
WEIGHT_LIMIT = 65535
COLOR_COUNT_LIMIT = 8224
"""8224 · 255 is the last sum that 21 bits hold."""
