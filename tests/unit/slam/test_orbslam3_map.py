from pathlib import Path

import numpy as np
import pytest

from slam.geometry import rigid
from slam.orbslam3_map import MapWatch, SessionMap, parse_keyframes, scale_between


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


MATURE = {0.1 * number: 0.1 * number for number in range(11)}
"""So many keyframes that ORB-SLAM3 keeps the map when it loses track."""


def test_another_map_is_not_connected_until_it_is_merged(
    session: SessionMap, active: ActiveMap
) -> None:
    poll(session, active, MATURE)
    assert not session.is_young
    assert not poll(session, active, {})
    assert not poll(session, active, {5.0: 0.0})
    assert not poll(session, active, {5.0: 0.0, 5.3: 1.0})
    assert session.active_keyframes == 2
    assert len(session.keyframes) == 11
    assert poll(session, active, MATURE | {5.0: 3.0, 5.3: 4.0})
    assert session.keyframes[5_300_000][0, 3] == 4.0
    assert session.number == 0


def test_a_third_map_that_merges_with_the_second_is_still_unconnected(
    session: SessionMap, active: ActiveMap
) -> None:
    poll(session, active, MATURE)
    poll(session, active, {5.0: 0.0})
    assert not poll(session, active, {9.0: 0.0})
    assert not poll(session, active, {5.0: 0.0, 9.0: 1.0})
    assert poll(session, active, MATURE | {5.0: 2.0, 9.0: 3.0})


def test_the_map_after_a_young_one_is_the_session_s(session: SessionMap, active: ActiveMap) -> None:
    poll(session, active, {0.0: 0.0, 0.3: 1.0})
    assert session.is_young
    assert not poll(session, active, {})
    assert session.number == 0
    assert list(session.keyframes) == [0, 300_000]
    assert poll(session, active, {5.0: 0.0})
    assert session.number == 1
    assert list(session.keyframes) == [5_000_000]
    assert poll(session, active, {5.0: 0.0, 5.3: 1.0})
    assert session.number == 1


def test_a_merge_into_a_map_that_was_given_up_is_another_map(
    session: SessionMap, active: ActiveMap
) -> None:
    poll(session, active, {0.0: 0.0, 0.3: 1.0})
    poll(session, active, {5.0: 0.0})
    assert poll(session, active, {0.0: 0.0, 5.0: 7.0, 5.5: 8.0})
    assert session.number == 2
    assert poll(session, active, {0.0: 0.0, 5.5: 8.0})
    assert session.number == 2


def test_a_map_that_is_not_fit_does_not_begin(session: SessionMap, active: ActiveMap) -> None:
    active.keyframes = {0.0: 0.0, 0.3: 1.0}
    session.poll(may_begin=False)
    assert not session.begun
    session.poll(may_begin=True)
    assert session.begun
    active.keyframes = {5.0: 0.0}
    session.poll(may_begin=False)
    assert (session.connected, session.number) == (False, 0)


def test_a_short_map_may_be_young_whatever_its_keyframes(active: ActiveMap, tmp_path: Path) -> None:
    session = SessionMap(active.write, tmp_path / "keyframes.txt", young_s=20.0)
    poll(session, active, MATURE)
    assert session.is_young
    poll(session, active, MATURE | {20.0: 1.0})
    assert not session.is_young


def test_the_number_grows_on_demand(session: SessionMap) -> None:
    session.renumber()
    assert session.number == 1


def keyframes(*x_m: float) -> dict[int, np.ndarray]:
    return {key: rigid(np.eye(3), np.array([x, 5.0, 0.0])) for key, x in enumerate(x_m)}


def test_scale_is_that_of_the_keyframes_in_both_polls() -> None:
    assert scale_between(keyframes(1, 2, 4), keyframes(2, 4, 8, 99)) == pytest.approx(2.0)
    assert scale_between(keyframes(1, 2), keyframes(2, 4)) == 1.0, "two are too few"
    assert scale_between(keyframes(1, 1, 1), keyframes(2, 4, 5)) == 1.0, "in one place"


def test_a_scale_that_changes_in_steps_is_noticed() -> None:
    watch = MapWatch()
    watch.restart(keyframes(0, 1, 2))
    sizes = [1.0, 1.02, 1.04]
    assert [watch.is_rescaled(keyframes(0, size, 2 * size)) for size in sizes] == [0, 0, 1]
    watch.restart(keyframes(0, 1.04, 2.08))
    assert not watch.is_rescaled(keyframes(0, 1.06, 2.12))


def test_a_map_is_moved_when_most_of_it_is() -> None:
    watch = MapWatch()
    watch.restart(keyframes(0, 1))
    assert not watch.is_rescaled(keyframes(0, 1, 2, 3, 4)), "the new ones are seen as they are"
    assert not watch.is_moved(keyframes(0.1, 1.1, 2, 3, 4)), "a part of it moved"
    assert not watch.is_moved(keyframes(0.04, 1.04, 2.04, 3.04, 4.04)), "not far enough"
    assert watch.is_moved(keyframes(0.1, 1.1, 2.1, 3.1, 4))


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
