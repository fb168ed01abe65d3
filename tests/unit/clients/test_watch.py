from clients.cli.watch import Watched
from mapcast_client import KeyframeRow, KeyframesDelta, Status, StatusDelta
from mapcast_client.delta import DeltaHead


def status(state: str, map_hash: int = 0) -> StatusDelta:
    head = DeltaHead("s", 1, 1, 1, 0.01, map_hash)
    return StatusDelta(head, Status(state, tracking="tracking", map_hash=map_hash), 10)


def test_rate_is_over_the_last_seconds() -> None:
    watched = Watched()
    watched.add_bytes(9_000_000, now_s=0.0)
    watched.add_bytes(3_000_000, now_s=2.0)
    assert watched.bytes_per_s(now_s=2.0) == 4_000_000
    assert watched.bytes_per_s(now_s=4.0) == 1_000_000
    assert watched.bytes_per_s(now_s=9.0) == 0


def test_it_is_over_when_the_session_is_and_the_map_is_the_same() -> None:
    watched = Watched()
    assert not watched.is_over
    watched.followed.apply(status("active"))
    assert not watched.is_over
    watched.followed.apply(status("finished", map_hash=5))
    assert not watched.is_over
    watched.followed.apply(status("failed"))
    assert watched.is_over


def test_the_line_tells_state_and_hash() -> None:
    watched = Watched()
    assert watched.line().plain.startswith("connecting")
    watched.followed.apply(status("active", map_hash=5))
    assert watched.line().plain.startswith("tracking")
    assert "catching up" in watched.line().plain


def test_the_line_tells_keyframes_and_how_far_they_were_corrected() -> None:
    watched = Watched()
    for x_m in (1.0, 1.25):
        row = KeyframeRow(5, (x_m, 0, 0, 0, 0, 0, 1), 1.0, 1)
        watched.take(KeyframesDelta(DeltaHead("s", 1, 1, 1, 0.01, 0), (row,), 300), now_s=0.0)
    assert "1 keyframe (moved 1×, ≤ 25.0 cm)" in watched.line().plain
