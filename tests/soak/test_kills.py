"""Fifty kills −9 of workers and ten of the server, at random moments, lose nothing."""

from pathlib import Path

import pytest

from clients.cli.bench.recover import outcome_of
from replay.opening import open_rgbd_sequence


@pytest.mark.parametrize(("who", "kills"), [("worker", 50), ("server", 10)])
async def test_kills_lose_nothing(who: str, kills: int) -> None:
    room = open_rgbd_sequence(Path("rendered:frames=60"))
    outcome = await outcome_of(room, who, kills, seed=7)
    assert outcome.is_same_map
    assert outcome.lost == 0
    assert outcome.is_followed
