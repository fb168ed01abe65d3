"""Which instants of two clocks' lists belong together."""

import numpy as np
from numpy.typing import NDArray


def associate(
    first_ns: NDArray[np.int64], second_ns: NDArray[np.int64], limit_ns: int
) -> NDArray[np.int64]:
    """(K, 2) index pairs of instants that belong together, in order; each used at most once.

    Closest pairs first, as the data set's own associate.py does. Both lists are ascending.
    """
    if len(first_ns) == 0 or len(second_ns) == 0:
        return np.zeros((0, 2), np.int64)
    right = np.searchsorted(second_ns, first_ns)
    candidates = [
        (abs(int(second_ns[j] - first_ns[i])), i, j)
        for i, after in enumerate(right)
        for j in range(max(after - 2, 0), min(after + 2, len(second_ns)))
    ]
    used_first, used_second, pairs = set(), set(), []
    for _, i, j in sorted(c for c in candidates if c[0] <= limit_ns):
        if i not in used_first and j not in used_second:
            used_first.add(i)
            used_second.add(j)
            pairs.append((i, j))
    # Strictly increasing in both: a pair that crosses an earlier one goes back in time.
    ordered, last = [], -1
    for i, j in sorted(pairs):
        if j > last:
            ordered.append((i, j))
            last = j
    return np.array(ordered, np.int64).reshape(-1, 2)
