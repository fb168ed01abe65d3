"""Encoded frames from RTP packets, with losses: wait for a retransmission, then skip ahead."""

from dataclasses import dataclass
from enum import Enum

from stream.webrtc.unwrap import Unwrapper

GAP_TIMEOUT_S = 0.12
"""A retransmission takes a round trip; what is not there after this is given up."""
STALL_LIMIT_S = 0.3
"""Without a frame for so long no keyframe is waited for: the decoder guesses what is missing."""
KEYFRAME_REQUEST_PERIOD_S = 0.2
MAX_PACKETS = 1024
"""Held at most: a large keyframe is a few hundred."""


class Codec(Enum):
    """The video codecs that are taken."""

    VP8 = "VP8"
    H264 = "H264"


@dataclass(frozen=True, slots=True)
class VideoPacket:
    """An RTP packet of video without its payload header; `data` is empty in padding."""

    sequence: int
    timestamp: int
    """90 kHz, 32 bits."""
    is_last: bool
    """The marker: the last packet of its frame."""
    begins_keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """What a decoder takes at once."""

    timestamp: int
    """90 kHz, continued without wrapping."""
    data: bytes


def begins_keyframe(codec: Codec, payload: bytes, data: bytes) -> bool:
    """Whether a packet begins a picture that needs no other: RFC 7741 and RFC 6184.

    `payload` is the RTP payload, `data` the same without the payload header (VP8), or in Annex B
    form (H.264).
    """
    if not data:
        return False
    if codec is Codec.VP8:
        starts_first_partition = payload[0] & 0x1F == 0x10
        return starts_first_partition and data[0] & 1 == 0
    sequence_parameter_set = 7  # without it the picture after it cannot be decoded, either
    return len(data) > 4 and data[4] & 0x1F == sequence_parameter_set  # after the start code


class FrameAssembler:
    """Orders packets and releases a frame as soon as its last packet is there.

    Time comes as an argument, in seconds. A packet that stays missing is skipped: frames then go on
    with the next keyframe, which `take_keyframe_request` asks for.
    """

    def __init__(self) -> None:
        self._sequences = Unwrapper(16)
        self._timestamps = Unwrapper(32)
        self._packets: dict[int, VideoPacket] = {}
        self._next: int | None = None
        self._gap_at: int | None = None
        self._gap_since_s = 0.0
        self._has_keyframe = False
        self._awaits_keyframe = True
        self._released_s = float("-inf")
        self._requested_s = float("-inf")

    def add(self, packet: VideoPacket, now_s: float) -> list[EncodedFrame]:
        """Take a packet; returns the frames that are complete now, in order."""
        sequence = self._sequences.next(packet.sequence)
        if self._next is None:
            self._next = sequence
        elif abs(sequence - self._next) > MAX_PACKETS:
            self.skip()  # another stream took its place, or nothing came for long
            self._packets.clear()
        elif sequence < self._next:
            return []  # too late
        self._packets[sequence] = packet
        if self._awaits_keyframe and not self._resume(now_s):
            return []
        frames = self._release()
        if frames:
            self._released_s = now_s
        self._look_for_gap(now_s)
        return frames

    def skip(self) -> None:
        """Give up what is missing: go on with the next keyframe."""
        self._awaits_keyframe = True
        self._gap_at = None

    def take_keyframe_request(self, now_s: float) -> bool:
        """Whether a keyframe is to be asked for now; repeated until one comes."""
        if not self._awaits_keyframe:
            return False
        if now_s - self._requested_s < KEYFRAME_REQUEST_PERIOD_S:
            return False
        self._requested_s = now_s
        return True

    def continued_timestamp(self, timestamp: int) -> int:
        """An RTP timestamp of this stream on the scale of its frames, which does not wrap."""
        return self._timestamps.near(timestamp)

    def _resume(self, now_s: float) -> bool:
        """Find where to go on after a skip; while there is no such packet, hold the others."""
        start = self._keyframe_start()
        if start is not None:
            self._has_keyframe = True
        elif self._has_keyframe and now_s - self._released_s > STALL_LIMIT_S:
            start = self._frame_start()
        if start is None:
            self._hold()
            return False
        self._next, self._awaits_keyframe = start, False
        self._packets = {at: packet for at, packet in self._packets.items() if at >= start}
        return True

    def _keyframe_start(self) -> int | None:
        """The first packet of the newest keyframe."""
        keyframes = {at: p.timestamp for at, p in self._packets.items() if p.begins_keyframe}
        if not keyframes:
            return None
        newest = keyframes[max(keyframes)]
        return min(at for at, timestamp in keyframes.items() if timestamp == newest)

    def _frame_start(self) -> int | None:
        """The first packet after a frame's last, in the newest run without a gap."""
        at, start = max(self._packets), None
        while (packet := self._packets.get(at)) is not None:
            if packet.is_last:
                start = at + 1
            at -= 1
        return start

    def _hold(self) -> None:
        """Keep the packets of late, as much as a keyframe may have."""
        newest = max(self._packets)
        held = {at: each for at, each in self._packets.items() if at > newest - MAX_PACKETS // 2}
        self._packets, self._next = held, min(held)

    def _release(self) -> list[EncodedFrame]:
        """Take the complete frames off the front."""
        assert self._next is not None
        frames = []
        at = self._next
        parts: list[VideoPacket] = []
        while (packet := self._packets.get(at)) is not None:
            if parts and packet.timestamp != parts[0].timestamp:  # its last packet had no marker
                frames.append(self._frame(parts))
                self._discard_until(at)
                parts = []
            at += 1
            if not packet.data:
                continue
            parts.append(packet)
            if packet.is_last:
                frames.append(self._frame(parts))
                self._discard_until(at)
                parts = []
        if not parts:
            self._discard_until(at)
        return frames

    def _frame(self, parts: list[VideoPacket]) -> EncodedFrame:
        timestamp = self._timestamps.next(parts[0].timestamp)
        return EncodedFrame(timestamp, b"".join(part.data for part in parts))

    def _discard_until(self, sequence: int) -> None:
        assert self._next is not None
        for at in range(self._next, sequence):
            del self._packets[at]
        self._next = sequence

    def _look_for_gap(self, now_s: float) -> None:
        """Note a missing packet, and give it up when it is missing for long."""
        assert self._next is not None
        missing = self._next
        while missing in self._packets:
            missing += 1
        if missing - self._next == len(self._packets):
            self._gap_at = None
        elif self._gap_at != missing:
            self._gap_at, self._gap_since_s = missing, now_s
        elif now_s - self._gap_since_s > GAP_TIMEOUT_S or len(self._packets) > MAX_PACKETS:
            self.skip()
            self._packets = {at: part for at, part in self._packets.items() if at > missing}
