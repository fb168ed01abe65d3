"""Which views are moved when: frames go before, and pauses are used."""

from itertools import count
from types import SimpleNamespace

from stream.map_follower import LARGE_VOX, MapFollower


class MovingMap:
    """Stands where a `LiveMap` does: notes from which displacement on it was to move views."""

    graph = SimpleNamespace(is_settled=True)

    def __init__(self, moves: bool, is_following: bool = True) -> None:
        self.moves, self.is_following = moves, is_following
        self.least_vox: list[float] = []

    def tick(self, budget_s: float, least_vox: float) -> bool:
        """Move, or not."""
        self.least_vox.append(least_vox)
        return self.moves


def test_in_a_pause_everything_moves_without_waiting() -> None:
    follower, live_map = MapFollower(), MovingMap(moves=True)
    assert [follower.tick(live_map, jobs_wait=False, jobs_come=False) for _ in range(3)] == [
        True
    ] * 3
    assert live_map.least_vox == [0.0] * 3
    assert follower.wait_s(live_map) == 0


def test_while_jobs_wait_only_large_errors_are_put_right() -> None:
    follower, live_map = MapFollower(), MovingMap(moves=True)
    follower.tick(live_map, jobs_wait=True, jobs_come=True)
    assert live_map.least_vox == [LARGE_VOX]


def test_while_a_frame_is_tracked_small_errors_get_a_small_share() -> None:
    live_map = MovingMap(moves=True)
    follower = MapFollower(count(step=0.01).__next__)  # a tick takes 10 ms
    for _ in range(3):
        follower.tick(live_map, jobs_wait=False, jobs_come=True)
    follower.tick(live_map, jobs_wait=False, jobs_come=False)
    assert live_map.least_vox == [0.0, LARGE_VOX, LARGE_VOX, 0.0]


def test_a_map_that_has_nothing_to_move_is_left_alone() -> None:
    follower = MapFollower()
    settled, waiting = MovingMap(False, is_following=False), MovingMap(False)
    follower.tick(settled, jobs_wait=False, jobs_come=False)
    follower.tick(waiting, jobs_wait=False, jobs_come=False)
    assert follower.wait_s(settled) > follower.wait_s(waiting) > 0
