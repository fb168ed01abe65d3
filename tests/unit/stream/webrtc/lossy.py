"""Packets get lost on the way to a server in this process."""

import random
from dataclasses import dataclass

import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket


@dataclass
class Dropped:
    """How many."""

    count: int = 0


def drop_packets(monkeypatch: pytest.MonkeyPatch, fraction: float, seed: int = 0) -> Dropped:
    """Drop a fraction of all RTP packets that come in, retransmissions among them."""
    rng, dropped = random.Random(seed), Dropped()
    handle = RTCRtpReceiver._handle_rtp_packet

    async def handle_some(
        receiver: RTCRtpReceiver, packet: RtpPacket, arrival_time_ms: int
    ) -> None:
        if rng.random() < fraction:
            dropped.count += 1
        else:
            await handle(receiver, packet, arrival_time_ms)

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", handle_some)
    return dropped
