"""A frame is where its keyframe has it: a similarity applied to a relative pose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapcast_client.pose_rows import IDENTITY, KeyframeRow, PoseVector, TrajectoryRow, hung, placed
from mapcast_client.poses import pose_matrix
from mapcast_client.v1.ingest_pb2 import Pose

lengths = st.floats(-50, 50)
parts = st.floats(-1, 1)


@st.composite
def pose_vectors(draw: st.DrawFn) -> PoseVector:
    quat_xyzw = np.array(draw(st.tuples(parts, parts, parts, parts)))
    if np.linalg.norm(quat_xyzw) < 0.1:
        quat_xyzw = np.array([0.0, 0, 0, 1])
    quat_xyzw /= np.linalg.norm(quat_xyzw) * (-1 if quat_xyzw[3] < 0 else 1)
    return (*draw(st.tuples(lengths, lengths, lengths)), *quat_xyzw.tolist())


def matrix(pose: PoseVector) -> np.ndarray:
    return pose_matrix(
        Pose(**dict(zip(("tx", "ty", "tz", "qx", "qy", "qz", "qw"), pose, strict=True)))
    )


@given(pose_vectors(), pose_vectors(), st.floats(0.01, 100))
def test_it_is_the_product_of_a_similarity_and_a_rigid_transform(
    world_from_keyframe: PoseVector, keyframe_from_camera: PoseVector, scale: float
) -> None:
    found = hung(KeyframeRow(1, world_from_keyframe, scale, 1), keyframe_from_camera)
    similarity = matrix(world_from_keyframe)
    similarity[:3, :3] *= scale
    expected = similarity @ matrix(keyframe_from_camera)
    expected[:3, :3] /= scale
    np.testing.assert_allclose(matrix(found), expected, atol=1e-9, rtol=1e-9)
    assert found[6] >= 0


def test_a_frame_without_a_known_keyframe_stays_as_told() -> None:
    told = (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0)
    row = TrajectoryRow(0, 10, told, "tracking", False, 1, 10, IDENTITY)
    assert placed(row, {}) == row
    moved = placed(row, {10: KeyframeRow(10, IDENTITY, 1.0, 2)})
    assert moved.world_from_camera == pytest.approx(IDENTITY)
