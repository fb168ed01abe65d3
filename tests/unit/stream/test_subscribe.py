"""What a subscriber may ask for, and when its next message goes."""

import asyncio
import threading

import numpy as np
import pytest

from mapcast_client.errors import InputError
from stream.subscribe import CACHED_DELTAS, DeltaCache, Pace, Subscription


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"layers": ("mesh", "smell")}, "smell"),
        ({"compression": "rar"}, "rar"),
        ({"since": -1}, "since"),
        ({"max_bytes_per_s": float("nan")}, "max_bytes_per_s"),
        ({"viewpoint": np.array([0, np.inf, 0])}, "viewpoint"),
        ({"viewpoint": np.zeros(2)}, "viewpoint"),
    ],
)
def test_a_wish_that_cannot_be_is_named(wish: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Subscription(**wish).check()


def test_without_caps_the_next_message_goes_at_once() -> None:
    pace = Pace(Subscription())
    pace.sent(1 << 30, now_s=5.0)
    assert pace.wait_s(5.0) == 0


def test_the_cap_on_bytes_holds_over_time() -> None:
    pace, now_s, sent = Pace(Subscription(max_bytes_per_s=1000)), 100.0, 0
    for _ in range(50):
        now_s += pace.wait_s(now_s)
        pace.sent(300, now_s)
        sent += 300
    assert sent / (now_s - 100 + 0.3) == pytest.approx(1000)


def test_subscribers_of_one_rate_are_let_go_together() -> None:
    pace = Pace(Subscription(max_messages_per_s=5))
    instants = {round(now_s + pace.wait_s(now_s), 9) for now_s in (7.01, 7.1, 7.19)}
    assert instants == {7.2}


async def test_a_delta_is_encoded_once_for_all_that_wait_for_it() -> None:
    cache, calls, gate = DeltaCache(), [], threading.Event()

    def encode() -> bytes:
        calls.append(1)
        gate.wait(5)
        return b"delta"

    waiting = [asyncio.create_task(cache.get("key", encode)) for _ in range(10)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == [b"delta"] * 10
    assert len(calls) == 1


async def test_the_cache_is_bounded() -> None:
    cache, calls = DeltaCache(), []

    def encode() -> bytes:
        calls.append(1)
        return b""

    for key in [*range(CACHED_DELTAS + 1), 0]:
        await cache.get(key, encode)
    assert len(calls) == CACHED_DELTAS + 2
