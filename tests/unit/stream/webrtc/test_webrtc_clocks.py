"""Capture times: exact with sender reports and an offset, plausible without, increasing always."""

import random

import numpy as np

from stream.webrtc.capture_clock import CLOCK_RATE_HZ, NTP_EPOCH_S, CaptureClock, ntp_to_unix_ns
from stream.webrtc.motion import MAX_WAITING, Motion
from stream.webrtc.unwrap import Unwrapper

START_NS = 1_795_000_000_000_000_000
FRAME_NS = 33_333_333
MS_NS = 1_000_000
SENDER_BEHIND_NS = 7 * 60 * 1_000_000_000
"""The sender's clock is seven minutes slow."""


def timestamp(capture_ns: int) -> int:
    return 12345 + (capture_ns - START_NS) * CLOCK_RATE_HZ // 1_000_000_000


def ntp(unix_ns: int) -> int:
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    return (seconds + NTP_EPOCH_S) << 32 | (rest_ns << 32) // 1_000_000_000


def errors_ms(clock: CaptureClock, frames: int, seed: int = 0) -> list[float]:
    """Of frames that take 10 to 50 ms."""
    rng = random.Random(seed)
    errors = []
    for number in range(frames):
        capture_ns = START_NS + number * FRAME_NS
        clock.arrived(timestamp(capture_ns), capture_ns + rng.randint(10, 50) * MS_NS)
        errors.append((clock.capture_ns(timestamp(capture_ns)) - capture_ns) / MS_NS)
    return errors


def test_ntp_instants_are_read() -> None:
    assert abs(ntp_to_unix_ns(ntp(START_NS + 123_456_789)) - START_NS - 123_456_789) < 2


def test_without_reports_the_fastest_frame_sets_the_clock() -> None:
    errors = errors_ms(CaptureClock(), 300)
    assert all(9.9 <= error <= 50 for error in errors)
    assert max(errors[100:]) < 13, "the transit of the fastest, for all"


def test_with_reports_and_offset_it_is_exact() -> None:
    clock = CaptureClock()
    errors_ms(clock, 30)
    for late_ms in (-4, 0, 5, 1, -3):
        instant_ns = START_NS + 30 * FRAME_NS
        sender_ns = instant_ns - SENDER_BEHIND_NS + late_ms * MS_NS
        clock.reported(ntp(sender_ns), timestamp(instant_ns))
    clock.measured(SENDER_BEHIND_NS)
    capture_ns = START_NS + 40 * FRAME_NS
    assert abs(clock.capture_ns(timestamp(capture_ns)) - capture_ns) < 1 * MS_NS


def test_reports_of_a_clock_that_is_none_are_not_believed() -> None:
    clock = CaptureClock()
    errors_ms(clock, 30)
    clock.reported(ntp(START_NS) // 2, timestamp(START_NS))
    clock.measured(0)
    capture_ns = START_NS + 40 * FRAME_NS
    assert abs(clock.capture_ns(timestamp(capture_ns)) - capture_ns) < 50 * MS_NS


def test_capture_times_always_increase() -> None:
    clock = CaptureClock()
    clock.arrived(1000, START_NS)
    first = clock.capture_ns(1000)
    clock.arrived(1000, START_NS - 50 * MS_NS)
    assert clock.capture_ns(1000) == first + 1


def test_timestamps_of_another_stream_set_the_clock_anew() -> None:
    clock = CaptureClock()
    errors_ms(clock, 30)
    later_ns = START_NS + 60_000_000_000
    clock.arrived(5, later_ns)
    assert clock.capture_ns(5) == later_ns


def test_counters_are_continued_in_both_directions() -> None:
    counter = Unwrapper(16)
    assert [counter.next(value) for value in (65_534, 65_535, 0, 65_535, 2)] == [
        65_534,
        65_535,
        65_536,
        65_535,
        65_538,
    ]
    assert counter.near(65_530) == 65_530
    assert counter.next(3) == 65_539


def rows(*times_ms: float) -> np.ndarray:
    return np.array([[time_ms, 1, 2, 3, 4, 5, 6] for time_ms in times_ms])


def test_motion_is_in_the_servers_clock_and_in_order() -> None:
    motion = Motion()
    motion.measured(SENDER_BEHIND_NS)
    start_ms = (START_NS - SENDER_BEHIND_NS) / MS_NS
    motion.arrived(rows(start_ms, start_ms + 5), START_NS + 20 * MS_NS)
    motion.arrived(rows(start_ms + 2, start_ms + 10), START_NS + 20 * MS_NS)
    samples = motion.take().samples
    since_ms = [round((sample.capture_ns - START_NS) / MS_NS) for sample in samples]
    assert since_ms == [0, 5, 10], "what comes too late is left out"
    assert (samples[0].ax, samples[0].gz) == (1, 6)
    assert not motion.take().samples


def test_motion_of_an_unmeasured_clock_is_as_late_as_it_arrives() -> None:
    motion = Motion()
    motion.arrived(rows(1000.0), START_NS)
    assert motion.take().samples[0].capture_ns == START_NS


def test_motion_that_nobody_takes_is_bounded_and_absurd_times_are_left_out() -> None:
    motion = Motion()
    motion.measured(0)
    for sample in range(MAX_WAITING + 100):
        motion.arrived(rows(START_NS / MS_NS + sample), START_NS + (sample + 1) * MS_NS)
    motion.arrived(rows(9e14), START_NS)
    samples = motion.take().samples
    assert len(samples) == MAX_WAITING
    assert samples[-1].capture_ns < START_NS + 10_000 * MS_NS
