"""All that is done to the private parts of aiortc 1.16 and aioice.

Each function changes the objects of one connection, nothing for other users of the libraries in
this process. It raises `AssertionError` when a part that it replaces is not there: another version
needs another adapter.
"""

import asyncio
import queue
import random
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol, get_host_addresses, server_reflexive_candidate
from aioice.stun import TransactionError
from aiortc import RTCCertificate, RTCPeerConnection, RTCRtpCodecParameters, RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket
from OpenSSL import SSL

from stream.errors import ServerFull
from stream.webrtc.assembler import Codec, EncodedFrame, VideoPacket, begins_keyframe
from stream.webrtc.bitrate import BitrateCap
from stream.webrtc.latest import LatestFrame
from stream.webrtc.retransmission import Retransmissions

CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
LOOPBACK = "127.0.0.1"
RECEIVE_BUFFER_BYTES = 1 << 20
"""A keyframe of a large picture arrives at once."""
MAX_ENCODED_WAITING = 30
"""A second of video before a decoder that does not keep up."""
GATHERING_TIMEOUT_S = 3
"""For STUN and TURN servers to answer; the publisher waits."""
RTP_COMPONENT = 1


# --- DTLS ---


class Certificate(RTCCertificate):
    """Shakes hands with peers whose certificate is RSA, too (GStreamer before 1.24)."""

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(CIPHERS)
        return context


def use_certificate(peer: RTCPeerConnection, certificate: Certificate) -> None:
    """Have a connection that has no transports yet use this certificate."""
    _replace_private(peer, RTCPeerConnection, "certificates", [certificate])


# --- ICE ---


def ice_agents(peer: RTCPeerConnection) -> list[Connection]:
    """The ICE agents of a connection that knows its remote description."""
    transports = _private(peer, RTCPeerConnection, "iceTransports")
    return [transport._connection for transport in transports]


def bind_ports(agent: Connection, ports: range) -> None:
    """Have an ICE agent gather on UDP ports of a range (empty: any), on the loopback device, too.

    A browser on this machine may have no other; aioice leaves it out, and knows no range. Gathering
    raises ServerFull when no port is free.
    """

    async def gather_candidates() -> None:
        agent._local_candidates_start = True
        addresses = dict.fromkeys([LOOPBACK, *get_host_addresses(use_ipv4=True, use_ipv6=True)])
        bound = [at for address in addresses if (at := await _bind(agent, address, ports))]
        if not bound:
            raise ServerFull(f"none of the UDP ports {ports.start} to {ports.stop - 1} is free")
        agent._protocols += bound
        agent._local_candidates += [protocol.local_candidate for protocol in bound]
        turn_only: list[str] = []
        reflexive, relayed = await asyncio.gather(
            _reflexive(bound, agent.stun_server),
            agent.get_component_candidates(RTP_COMPONENT, turn_only, GATHERING_TIMEOUT_S),
        )
        agent._local_candidates += reflexive + relayed
        agent._local_candidates_end = True

    _override(agent, "gather_candidates", gather_candidates)


async def _bind(agent: Connection, address: str, ports: range) -> StunProtocol | None:
    """A socket on a free port of the range; None if there is none, or no such device any more."""
    loop = asyncio.get_running_loop()
    for port in random.sample(ports, len(ports)) if ports else [0]:
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: StunProtocol(agent), local_addr=(address, port)
            )
        except OSError:
            continue
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        host, bound_port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=RTP_COMPONENT,
            transport="udp",
            priority=candidate_priority(RTP_COMPONENT, "host"),
            host=host,
            port=bound_port,
            type="host",
        )
        return protocol
    return None


async def _reflexive(
    protocols: list[StunProtocol], stun_server: tuple[str, int] | None
) -> list[Candidate]:
    """What a STUN server says of the sockets that can reach it."""
    if stun_server is None:
        return []
    hosts = [at for at in protocols if ":" not in at.local_candidate.host]
    outside = [at for at in hosts if at.local_candidate.host != LOOPBACK]
    asking = [server_reflexive_candidate(at, stun_server) for at in outside]
    answers = await asyncio.gather(
        *(asyncio.wait_for(question, GATHERING_TIMEOUT_S) for question in asking),
        return_exceptions=True,
    )
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(
            answer, (OSError, TransactionError, TimeoutError)
        ):
            raise answer
    return [answer[0] for answer in answers if not isinstance(answer, BaseException)]


def waive_consent(agent: Connection) -> None:
    """Have an ICE agent not ask whether its peer still wants what it sends (RFC 7675).

    ffmpeg does not answer, and would be let go after half a minute. All we send is feedback to what
    was just received; who is silent is noticed by `watch_datagrams`.
    """

    async def query_consent() -> None:
        return

    _override(agent, "query_consent", query_consent)


def watch_datagrams(agent: Connection, heard: Callable[[], None]) -> None:
    """Have `heard` called for each datagram that an ICE agent takes from its peer."""
    for name in ("data_received", "request_received"):
        original = getattr(agent, name)

        def pass_on(*args: Any, original: Callable[..., None] = original) -> None:
            heard()
            original(*args)

        _override(agent, name, pass_on)


# --- RTP ---


class VideoSink(Protocol):
    """Who orders the packets of a video stream."""

    def take(self, packet: VideoPacket, now_ns: int) -> list[EncodedFrame]:
        """Take a packet; returns the frames to decode now."""

    def skip(self) -> None:
        """The frames returned last are not decoded: go on with a keyframe."""

    def wants_keyframe(self) -> bool:
        """Whether to ask the sender for one now."""

    def take_report(self, ntp: int, timestamp: int) -> None:
        """Take a sender report: its wall clock at an RTP timestamp."""


def receive_video(receiver: RTCRtpReceiver, sink: VideoSink, decoded: LatestFrame) -> None:
    """Have a receiver that has not started yet order its packets in `sink`.

    It decodes them in its thread, puts the frames into `decoded`, whose `pts` is the frame's RTP
    timestamp as `sink` tells it, and asks for lost packets and keyframes by our rules.
    """
    _replace_private(receiver, RTCRtpReceiver, "jitter_buffer", _Intake(receiver, sink))
    _replace_private(receiver, RTCRtpReceiver, "nack_generator", _Nacks())
    _replace_private(receiver, RTCRtpReceiver, "remote_bitrate_estimator", BitrateCap())
    assert receiver.track is not None
    _override(receiver.track, "_queue", decoded)
    handle_rtcp = receiver._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            sink.take_report(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
        await handle_rtcp(packet)

    _override(receiver, "_handle_rtcp_packet", handle_rtcp_packet)


def discard_waiting(receiver: RTCRtpReceiver) -> None:
    """Drop what the decoder has yet to do: to close, the event loop waits for its thread."""
    waiting: queue.Queue[Any] = _private(receiver, RTCRtpReceiver, "decoder_queue")
    while not waiting.empty():
        waiting.get_nowait()


class _Intake:
    """Stands where aiortc has its jitter buffer; feeds the decoder itself.

    The buffer releases a frame when the next one begins, one per packet, and waits for a lost
    packet until the buffer is full.
    """

    def __init__(self, receiver: RTCRtpReceiver, sink: VideoSink) -> None:
        self._sink = sink
        self._codecs: dict[int, RTCRtpCodecParameters] = _private(
            receiver, RTCRtpReceiver, "codecs"
        )
        self._decoder: queue.Queue[Any] = _private(receiver, RTCRtpReceiver, "decoder_queue")

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Take a packet; returns whether to send a picture loss indication, and no frame."""
        codec = self._codecs[packet.payload_type]
        data: bytes = getattr(packet, "_data")  # noqa: B009 (aiortc sets it in passing)
        video_packet = VideoPacket(
            sequence=packet.sequence_number,
            timestamp=packet.timestamp,
            is_last=bool(packet.marker),
            begins_keyframe=begins_keyframe(Codec(codec.name.upper()), packet.payload, data),
            data=data,
        )
        for frame in self._sink.take(video_packet, time.time_ns()):
            if self._decoder.qsize() >= MAX_ENCODED_WAITING:
                self._sink.skip()
                break
            self._decoder.put((codec, JitterFrame(frame.data, frame.timestamp)))
        return self._sink.wants_keyframe(), None


class _Nacks:
    """Stands where aiortc has its NACK generator, which asks once, and for what is too late."""

    def __init__(self) -> None:
        self._retransmissions = Retransmissions()
        self.missing: list[int] = []

    def add(self, packet: RtpPacket) -> bool:
        """Note a packet; returns whether `missing` is to be asked for."""
        self.missing = self._retransmissions.due(packet.sequence_number, time.monotonic())
        return bool(self.missing)


# --- how ---


def _private(owner: object, of: type, name: str) -> Any:
    """An attribute that Python hides by its class's name."""
    mangled = f"_{of.__name__}__{name}"
    assert hasattr(owner, mangled), f"{of.__name__} of this aiortc has no private {name}"
    return getattr(owner, mangled)


def _replace_private(owner: object, of: type, name: str, value: object) -> None:
    assert _private(owner, of, name) is not None
    setattr(owner, f"_{of.__name__}__{name}", value)


def _override(owner: object, name: str, value: object) -> None:
    assert hasattr(owner, name), f"{type(owner).__name__} of this aiortc has no {name}"
    setattr(owner, name, value)
