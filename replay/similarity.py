"""Similarities [s·R | t] as (4, 4) matrices: what monocular maps are known up to."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mapcast_client.errors import InputError
from slam.geometry import Mat4

_ICP_POINTS = 20_000
_ICP_ROUNDS = 40
_ICP_SETTLED = 1e-5
_TRIM = 2.5
"""Pairs further apart than so many medians are of surfaces that the other side lacks."""


def moved(points: NDArray[np.float64], target_from_source: Mat4) -> NDArray[np.float64]:
    """(N, 3) points by a rigid transform or a similarity."""
    return points @ target_from_source[:3, :3].T + target_from_source[:3, 3]


def scale_of(similarity: Mat4) -> float:
    """The s of [s·R | t]."""
    return float(np.cbrt(np.linalg.det(similarity[:3, :3])))


def fit_rotation(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) that takes centred points or directions (K, 3) `a` best to `b` (Umeyama, eq. 40)."""
    u, _, vt = np.linalg.svd(b.T @ a)
    u[:, 2] *= np.linalg.det(u @ vt)
    rotation: NDArray[np.float64] = u @ vt
    return rotation


def fit_similarity(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    rotation: NDArray[np.float64] | None = None,
) -> Mat4:
    """target_from_source for paired points (K, 3) (Umeyama 1991, eq. 40-42).

    A `rotation` that is known from elsewhere is kept. Raises InputError if all `source` points are
    one.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    if rotation is None:
        rotation = fit_rotation(a, b)
    turned = a @ rotation.T
    square = np.vdot(turned, turned)
    if not square > 0:
        raise InputError("the points to align are all in one place: they have no scale")
    similarity = np.eye(4)
    similarity[:3, :3] = np.vdot(turned, b) / square * rotation
    similarity[:3, 3] = target_mean - similarity[:3, :3] @ source_mean
    return similarity


def closest_point_similarity(
    source: NDArray[np.float64], target: NDArray[np.float64], initial: Mat4
) -> Mat4:
    """Improve target_from_source of two surfaces' points (N, 3), (M, 3) by their closest points.

    Pairs both ways, or a shrinking scale would be the best, the far ones left out (Besl and McKay
    1992; Chetverikov et al. 2002).
    """
    rng = np.random.default_rng(0)
    source, target = (
        points[rng.permutation(len(points))[:_ICP_POINTS]] for points in (source, target)
    )
    source_tree, target_tree = cKDTree(source), cKDTree(target)
    found, change = initial, np.inf
    for _ in range(_ICP_ROUNDS):
        if change < _ICP_SETTLED:
            break
        to_target, nearest_target = target_tree.query(moved(source, found), workers=-1)
        source_from_target = np.asarray(np.linalg.inv(found), np.float64)
        to_source, nearest_source = source_tree.query(moved(target, source_from_target), workers=-1)
        near_target = to_target <= _TRIM * np.median(to_target)
        near_source = to_source <= _TRIM * np.median(to_source)
        better = fit_similarity(
            np.concatenate([source[near_target], source[nearest_source[near_source]]]),
            np.concatenate([target[nearest_target[near_target]], target[near_source]]),
        )
        change, found = float(np.abs(better - found).max()), better
    return found
