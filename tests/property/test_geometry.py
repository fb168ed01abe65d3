"""Rigid transforms form a group, and their other forms lose nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mapcast_client.errors import InputError
from slam.geometry import (
    Mat4,
    distance,
    from_pose_vector,
    inverse,
    orthonormal,
    pose_vector,
    require_rigid,
    rigid,
)
from slam.trajectory import Trajectory

lengths = st.floats(-1e3, 1e3, allow_nan=False)
angles = st.floats(-4.0, 4.0, allow_nan=False)

untimed = settings(deadline=None)


@st.composite
def transforms(draw: st.DrawFn) -> Mat4:
    rotation = Rotation.from_rotvec([draw(angles), draw(angles), draw(angles)]).as_matrix()
    return rigid(rotation, np.array([draw(lengths), draw(lengths), draw(lengths)]))


def assert_close(a: Mat4, b: Mat4, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(a, b, atol=tolerance, rtol=0)


@untimed
@given(transforms(), transforms(), transforms())
def test_composition_is_associative_and_stays_rigid(a: Mat4, b: Mat4, c: Mat4) -> None:
    assert_close((a @ b) @ c, a @ (b @ c))
    require_rigid(a @ b @ c, "composition", tolerance=1e-12)


@untimed
@given(transforms(), transforms())
def test_inverse_undoes(a: Mat4, b: Mat4) -> None:
    assert_close(a @ inverse(a), np.eye(4))
    assert_close(inverse(a) @ a, np.eye(4))
    assert_close(inverse(a @ b), inverse(b) @ inverse(a))


@untimed
@given(transforms())
def test_pose_vector_round_trip(a: Mat4) -> None:
    vector = pose_vector(a)
    assert vector[6] >= 0
    assert abs(np.linalg.norm(vector[3:]) - 1) < 1e-12
    assert_close(from_pose_vector(vector), a)
    assert_close(from_pose_vector(vector * [1, 1, 1, -1, -1, -1, -1]), a)


@untimed
@given(transforms(), st.integers(0, 2**32))
def test_orthonormal_takes_small_errors_out(a: Mat4, seed: int) -> None:
    noisy = a.copy()
    noisy[:3, :3] += np.random.default_rng(seed).uniform(-1e-4, 1e-4, (3, 3))
    repaired = require_rigid(noisy, "noisy")
    assert np.abs(repaired[:3, :3] @ repaired[:3, :3].T - np.eye(3)).max() < 1e-12
    assert_close(repaired, a, 1e-3)
    assert_close(orthonormal(a), a)


@untimed
@given(transforms(), transforms(), transforms())
def test_distance_is_a_metric_that_does_not_depend_on_the_frame(a: Mat4, b: Mat4, c: Mat4) -> None:
    assert distance(a, a) < 1e-6
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-6)
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-6
    assert distance(c @ a, c @ b) == pytest.approx(distance(a, b), abs=1e-5)


@untimed
@given(st.lists(st.floats(), min_size=16, max_size=16))
def test_require_rigid_refuses_or_returns_a_rigid_transform(entries: list[float]) -> None:
    try:
        accepted = require_rigid(np.array(entries).reshape(4, 4), "matrix")
    except InputError:
        return
    assert np.abs(accepted[:3, :3] @ accepted[:3, :3].T - np.eye(3)).max() < 1e-9


@untimed
@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), transforms()), max_size=5),
)
def test_tum_round_trip_keeps_every_nanosecond(rows: list[tuple[int, Mat4]]) -> None:
    path = Trajectory(
        np.array([capture_ns for capture_ns, _ in rows], np.int64),
        np.array([pose for _, pose in rows]).reshape(-1, 4, 4),
    )
    again = Trajectory.from_tum(path.to_tum())
    np.testing.assert_array_equal(again.capture_ns, path.capture_ns)
    assert_close(again.world_from_camera, path.world_from_camera, 1e-5)
