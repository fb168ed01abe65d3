"""How far a path is from the true one."""

import numpy as np

from slam.trajectory import Trajectory

_FEWEST_POSES = 3


def ate_rmse_m(estimate: Trajectory, truth: Trajectory | None) -> float | None:
    if truth is None:
        return None
    common, at, of = np.intersect1d(estimate.capture_ns, truth.capture_ns, return_indices=True)
    if len(common) < _FEWEST_POSES:
        return None
    a = estimate.world_from_camera[at, :3, 3]
    b = truth.world_from_camera[of, :3, 3]
    ma, mb = a.mean(0), b.mean(0)
    u, _, vt = np.linalg.svd((b - mb).T @ (a - ma))
    d = np.diag([1, 1, np.linalg.det(u @ vt)])
    r = u @ d @ vt
    return float(np.sqrt((((a - ma) @ r.T - (b - mb)) ** 2).sum(1).mean()))
