import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from replay.ros_frames import StaticFrames
from slam.geometry import inverse, rigid


def pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rigid(Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3))


BODY_FROM_MAST, MAST_FROM_CAMERA, BODY_FROM_IMU = pose(1), pose(2), pose(3)
TREE = StaticFrames(
    [
        ("body", "mast", BODY_FROM_MAST),
        ("mast", "camera", pose(4)),
        ("mast", "camera", MAST_FROM_CAMERA),
        ("body", "imu", BODY_FROM_IMU),
        ("elsewhere", "other", pose(5)),
    ]
)


@pytest.mark.parametrize(
    ("target", "source", "expected"),
    [
        ("body", "mast", BODY_FROM_MAST),
        ("mast", "body", inverse(BODY_FROM_MAST)),
        ("body", "camera", BODY_FROM_MAST @ MAST_FROM_CAMERA),
        ("camera", "imu", inverse(BODY_FROM_MAST @ MAST_FROM_CAMERA) @ BODY_FROM_IMU),
        ("/camera", "mast", inverse(MAST_FROM_CAMERA)),
        ("other", "other", np.eye(4)),
    ],
)
def test_chains(target: str, source: str, expected: np.ndarray) -> None:
    found = TREE.between(target, source)
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("source", ["other", "nowhere"])
def test_frames_of_another_tree(source: str) -> None:
    assert TREE.between("camera", source) is None


def test_a_loop_ends() -> None:
    loop = StaticFrames([("a", "b", pose(1)), ("b", "a", pose(2))])
    assert loop.between("a", "c") is None
