"""Frames come out whole and in order, or not at all; a loss costs little time."""

import random
from itertools import pairwise

from stream.webrtc.assembler import (
    GAP_TIMEOUT_S,
    KEYFRAME_REQUEST_PERIOD_S,
    STALL_LIMIT_S,
    Codec,
    EncodedFrame,
    FrameAssembler,
    VideoPacket,
    begins_keyframe,
)

FRAME_S = 1 / 30
TICKS = 3000
PARTS = 4
START = 65_500
"""Sequence numbers wrap around early in every test."""


def packet(frame: int, part: int, is_keyframe: bool = False) -> VideoPacket:
    """Of frame `frame`; its data is its place."""
    return VideoPacket(
        sequence=(START + frame * PARTS + part) & 0xFFFF,
        timestamp=(0xFFFF_0000 + frame * TICKS) & 0xFFFF_FFFF,
        is_last=part == PARTS - 1,
        begins_keyframe=is_keyframe and part == 0,
        data=bytes([frame, part]),
    )


def frame_of(frame: int, is_keyframe: bool = False) -> list[VideoPacket]:
    return [packet(frame, part, is_keyframe) for part in range(PARTS)]


def whole(frame: int) -> bytes:
    return b"".join(bytes([frame, part]) for part in range(PARTS))


def add_all(
    assembler: FrameAssembler, packets: list[VideoPacket], now_s: float
) -> list[EncodedFrame]:
    return [frame for each in packets for frame in assembler.add(each, now_s)]


def test_a_frame_is_released_with_its_last_packet_and_timestamps_do_not_wrap() -> None:
    assembler = FrameAssembler()
    released = []
    for number in range(40):
        *first, last = frame_of(number, is_keyframe=number == 0)
        assert add_all(assembler, first, number * FRAME_S) == []
        released += assembler.add(last, number * FRAME_S)
    assert [frame.data for frame in released] == [whole(number) for number in range(40)]
    steps = {b.timestamp - a.timestamp for a, b in pairwise(released)}
    assert steps == {TICKS}


def test_reordered_packets_are_put_in_order() -> None:
    assembler = FrameAssembler()
    add_all(assembler, frame_of(0, True), 0)
    packets = frame_of(1) + frame_of(2) + frame_of(3)
    random.Random(0).shuffle(packets)
    released = add_all(assembler, packets, FRAME_S)
    assert [frame.data for frame in released] == [whole(1), whole(2), whole(3)]


def test_a_frame_whose_marker_is_missing_ends_where_the_next_begins() -> None:
    assembler = FrameAssembler()
    unmarked = [
        VideoPacket(each.sequence, each.timestamp, False, each.begins_keyframe, each.data)
        for each in frame_of(0, True)
    ]
    assert add_all(assembler, unmarked, 0) == []
    assert [frame.data for frame in add_all(assembler, frame_of(1), 0)] == [whole(0), whole(1)]


def test_padding_between_frames_is_passed_over() -> None:
    assembler = FrameAssembler()
    add_all(assembler, frame_of(0, True), 0)
    padding = [
        VideoPacket(each.sequence, each.timestamp - TICKS, False, False, b"")
        for each in frame_of(1)
    ]
    assert add_all(assembler, padding, 0) == []
    assert [frame.data for frame in add_all(assembler, frame_of(2), 0)] == [whole(2)]


def test_a_retransmitted_packet_completes_all_that_waited_for_it() -> None:
    assembler = FrameAssembler()
    add_all(assembler, frame_of(0, True), 0)
    lost, *others = frame_of(1)
    assert add_all(assembler, others + frame_of(2), FRAME_S) == []
    assert [frame.data for frame in assembler.add(lost, FRAME_S)] == [whole(1), whole(2)]
    assert not assembler.take_keyframe_request(FRAME_S)


def test_what_stays_lost_is_skipped_and_a_keyframe_is_asked_for_until_it_comes() -> None:
    assembler = FrameAssembler()
    add_all(assembler, frame_of(0, True), 0)
    add_all(assembler, frame_of(1)[1:], 0)
    assert not assembler.take_keyframe_request(0)
    late_s = GAP_TIMEOUT_S + 0.01
    assert add_all(assembler, frame_of(2), late_s) == []
    assert assembler.take_keyframe_request(late_s)
    assert not assembler.take_keyframe_request(late_s), "once in a while is enough"
    assert assembler.take_keyframe_request(late_s + KEYFRAME_REQUEST_PERIOD_S)
    assert add_all(assembler, frame_of(3), late_s) == []
    released = add_all(assembler, frame_of(4, True) + frame_of(5), late_s)
    assert [frame.data for frame in released] == [whole(4), whole(5)]
    assert not assembler.take_keyframe_request(late_s + 10)


def test_without_a_keyframe_frames_go_on_all_the_same() -> None:
    assembler = FrameAssembler()
    add_all(assembler, frame_of(0, True), 0)
    released_s = [0.0]
    for number in range(1, 90):
        now_s = number * FRAME_S
        packets = frame_of(number)[1 if number % 20 == 1 else 0 :]
        if add_all(assembler, packets, now_s):
            released_s.append(now_s)
    stalls = [b - a for a, b in pairwise(released_s)]
    assert max(stalls) <= STALL_LIMIT_S + 2 * FRAME_S
    assert released_s[-1] == 89 * FRAME_S


def test_nothing_is_decoded_before_the_first_keyframe() -> None:
    assembler = FrameAssembler()
    assert add_all(assembler, frame_of(0) + frame_of(1), 0) == []
    assert assembler.take_keyframe_request(0)
    assert add_all(assembler, frame_of(2), 10 * STALL_LIMIT_S) == []
    assert [frame.data for frame in add_all(assembler, frame_of(3, True), 11)] == [whole(3)]


def test_another_stream_in_its_place_begins_with_a_keyframe() -> None:
    assembler = FrameAssembler()
    add_all(assembler, frame_of(0, True), 0)
    other = [
        VideoPacket(each.sequence + 30_000, each.timestamp, each.is_last, False, each.data)
        for each in frame_of(1)
    ]
    assert add_all(assembler, other, FRAME_S) == []
    assert assembler.take_keyframe_request(FRAME_S)


def test_random_loss_and_order_release_only_whole_frames_in_order() -> None:
    rng = random.Random(1)
    assembler, released, now_s = FrameAssembler(), [], 0.0
    waiting: list[VideoPacket] = []
    for number in range(200):
        now_s = number * FRAME_S
        waiting += frame_of(number, is_keyframe=number % 30 == 0)
        rng.shuffle(waiting)
        take = len(waiting) * 3 // 4
        arriving, waiting = waiting[:take], waiting[take:]
        kept = [each for each in arriving if rng.random() > 0.02]
        released += add_all(assembler, kept, now_s)
    assert len(released) > 50
    assert all(frame.data == whole(frame.data[0]) for frame in released)
    timestamps = [frame.timestamp for frame in released]
    assert timestamps == sorted(set(timestamps))


def test_it_knows_where_a_keyframe_begins() -> None:
    vp8_key, vp8_delta = b"\x10\x9c", b"\x10\x9d"
    assert begins_keyframe(Codec.VP8, vp8_key, vp8_key[1:])
    assert not begins_keyframe(Codec.VP8, vp8_delta, vp8_delta[1:])
    assert not begins_keyframe(Codec.VP8, b"\x00\x9c", b"\x9c"), "goes on with a partition"
    for unit_type, is_keyframe in ((7, True), (5, False), (1, False), (6, False)):
        data = b"\0\0\0\1" + bytes([0x60 | unit_type, 0])
        assert begins_keyframe(Codec.H264, data[4:], data) is is_keyframe
    assert not begins_keyframe(Codec.H264, b"", b"")
