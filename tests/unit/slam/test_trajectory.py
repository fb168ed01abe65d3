import numpy as np
import pytest

from mapcast_client.errors import InputError
from slam.geometry import rigid
from slam.trajectory import Trajectory


def test_to_tum_writes_seconds_translation_and_xyzw() -> None:
    path = Trajectory(
        np.array([1_305_031_102_175_304_001]), rigid(np.eye(3), np.array([1.5, 0, -2]))[None]
    )
    assert path.to_tum() == "1305031102.175304001 1.5 0 -2 0 0 0 1\n"


def test_from_tum_skips_comments_and_normalises() -> None:
    text = (
        "# ground truth\n\n1.5 1 2 3 0 0 0 2 # twice the unit\n-0.25 0 0 0 0 0 0 1\n7 0 0 0 1 0 0 0"
    )
    path = Trajectory.from_tum(text)
    assert path.capture_ns.tolist() == [1_500_000_000, -250_000_000, 7_000_000_000]
    np.testing.assert_array_equal(path.world_from_camera[0], rigid(np.eye(3), np.array([1, 2, 3])))
    np.testing.assert_allclose(path.world_from_camera[2], np.diag([1, -1, -1, 1]), atol=1e-12)


def test_an_empty_path_stays_one() -> None:
    path = Trajectory.from_tum("")
    assert len(path) == 0
    assert path.world_from_camera.shape == (0, 4, 4)
    assert path.to_tum() == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1.0 1 2 3", "has 4 fields"),
        ("1.0 1 2 3 0 0 0 1 9", "has 9 fields"),
        ("1.0 1 2 3 0 0 0 0", "needs time"),
        ("1.0 1 2 nan 0 0 0 1", "needs time"),
        ("1.0 1 2 x 0 0 0 1", "not numbers"),
        ("1e9 1 2 3 0 0 0 1", "not numbers"),
        ("-- 1 2 3 0 0 0 1", "not numbers"),
        ("99999999999999999999 1 2 3 0 0 0 1", "not numbers"),
    ],
)
def test_from_tum_names_the_bad_line(line: str, message: str) -> None:
    with pytest.raises(InputError, match=f"truth.txt, line 2: .*{message}"):
        Trajectory.from_tum(f"0.5 0 0 0 0 0 0 1\n{line}\n", "truth.txt")
