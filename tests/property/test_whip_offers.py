"""Whatever is posted as an offer is answered, or refused as bad input: never a broken server."""

import asyncio
from functools import cache

from aiortc import RTCConfiguration, RTCPeerConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapcast_client.errors import InputError
from stream.metrics import Metrics
from stream.webrtc.connection import ConnectionSettings, VideoConnection
from stream.webrtc.sdp import check_offer, parse_fragment

METRICS = Metrics()


@cache
def good_offer() -> list[str]:
    """The lines of an offer of audio, video and a data channel."""

    async def offer() -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("video", "sendonly")
        peer.addTransceiver("audio", "sendonly")
        peer.createDataChannel("status")
        await peer.setLocalDescription(await peer.createOffer())
        text = peer.localDescription.sdp
        await peer.close()
        return text

    return asyncio.run(offer()).splitlines()


@cache
def connection_settings() -> ConnectionSettings:
    return ConnectionSettings()


@st.composite
def spoilt_offers(draw: st.DrawFn) -> str:
    """An offer with some lines lost, doubled, swapped, cut short or with other values."""
    lines = list(good_offer())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["lose", "double", "swap", "cut", "replace", "insert"]))
        if how == "lose":
            del lines[at]
        elif how == "double":
            lines.insert(at, lines[at])
        elif how == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif how == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif how == "replace":
            name, colon, _ = lines[at].partition(":")
            lines[at] = name + colon + draw(st.text(max_size=12))
        else:
            lines.insert(at, draw(st.text(max_size=20)))
    return "\r\n".join(lines) + "\r\n"


async def negotiate(offer: str) -> None:
    connection = VideoConnection(connection_settings(), METRICS)
    try:
        await connection.take_offer(offer)
        await connection.answer()
    except InputError:
        return
    finally:
        await connection.close()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spoilt_offers())
def test_a_spoilt_offer_is_taken_or_refused(offer: str) -> None:
    asyncio.run(negotiate(offer))


def test_the_offer_itself_is_taken() -> None:
    assert check_offer("\r\n".join(good_offer()) + "\r\n")


@given(st.text() | st.text().map(lambda text: f"a=candidate:{text}\r\n"))
def test_any_text_is_a_fragment_or_refused(text: str) -> None:
    try:
        fragment = parse_fragment(text)
    except InputError:
        return
    assert (
        fragment.username or fragment.candidates or "end-of-candidates" in text or "ufrag" in text
    )
