from pathlib import Path

import numpy as np
import pytest

from slam.geometry import rigid
from slam.orbslam3_map import SessionMap, parse_keyframes


class ActiveMap:
    """Writes keyframes as ORB-SLAM3 does."""

    def __init__(self) -> None:
        self.keyframes: dict[float, float] = {}
        """Seconds → metres along x."""

    def write(self, file: str) -> None:
        lines = [
            f"{seconds:.6f} {x_m:.7f} 0.0000000 0.0000000 0.0 0.0 0.0 1.0\n"
            for seconds, x_m in self.keyframes.items()
        ]
        Path(file).write_text("".join(lines))


@pytest.fixture
def active() -> ActiveMap:
    return ActiveMap()


@pytest.fixture
def session(active: ActiveMap, tmp_path: Path) -> SessionMap:
    return SessionMap(active.write, tmp_path / "keyframes.txt")


def poll(session: SessionMap, active: ActiveMap, keyframes: dict[float, float]) -> bool:
    active.keyframes = keyframes
    session.poll()
    return session.connected


def test_the_first_map_is_the_session_s(session: SessionMap, active: ActiveMap) -> None:
    assert poll(session, active, {})
    assert not session.begun
    assert poll(session, active, {0.0: 0.0})
    assert session.begun
    assert poll(session, active, {0.0: 0.5, 0.3: 1.0})
    assert [pose[0, 3] for pose in session.keyframes.values()] == [0.5, 1.0]
    assert list(session.keyframes) == [0, 300_000]


def test_another_map_is_not_connected_until_it_is_merged(
    session: SessionMap, active: ActiveMap
) -> None:
    poll(session, active, {0.0: 0.0, 0.3: 1.0})
    assert not poll(session, active, {})
    assert not poll(session, active, {5.0: 0.0})
    assert not poll(session, active, {5.0: 0.0, 5.3: 1.0})
    assert session.active_keyframes == 2
    assert list(session.keyframes) == [0, 300_000]
    assert poll(session, active, {0.0: 0.0, 0.3: 1.0, 5.0: 3.0, 5.3: 4.0})
    assert session.keyframes[5_300_000][0, 3] == 4.0


def test_a_third_map_that_merges_with_the_second_is_still_unconnected(
    session: SessionMap, active: ActiveMap
) -> None:
    poll(session, active, {0.0: 0.0})
    poll(session, active, {5.0: 0.0})
    assert not poll(session, active, {9.0: 0.0})
    assert not poll(session, active, {5.0: 0.0, 9.0: 1.0})
    assert poll(session, active, {0.0: 0.0, 5.0: 2.0, 9.0: 3.0})


def test_culled_keyframes_do_not_break_the_connection(
    session: SessionMap, active: ActiveMap
) -> None:
    poll(session, active, {0.0: 0.0, 0.3: 1.0})
    assert poll(session, active, {0.3: 1.0, 0.6: 2.0})
    assert poll(session, active, {0.6: 2.0})


def test_parse_keyframes_reads_rotations_and_rounded_times() -> None:
    half = np.sqrt(0.5)
    poses = parse_keyframes(f"1234567.033333 1.5 0 -2 0 0 {half:.7f} {half:.7f}\n")
    quarter_turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    expected = rigid(quarter_turn, np.array([1.5, 0, -2]))
    assert list(poses) == [1_234_567_033_333]
    np.testing.assert_allclose(poses[1_234_567_033_333], expected, atol=1e-6)
    assert parse_keyframes("") == {}
