"""Each patch of aiortc's private parts still applies, and does what it is for."""

import asyncio
import importlib.metadata
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aioice import stun
from aioice.ice import Connection
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdtlstransport import SRTP_PROFILES
from listening_session import whip_server
from OpenSSL import SSL
from webrtc_client import Pictures, WhipClient, until

from stream.config import IceServer, ServerConfig
from stream.errors import ServerFull
from stream.metrics import Metrics
from stream.webrtc import adapter, publisher
from stream.webrtc.intake import VideoIntake
from stream.webrtc.latest import LatestFrame


@pytest_asyncio.fixture
async def offered() -> AsyncIterator[RTCPeerConnection]:
    """A connection that has taken an offer of video."""
    sender = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender.addTrack(Pictures())
    await sender.setLocalDescription(await sender.createOffer())
    receiver = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    offer = RTCSessionDescription(sender.localDescription.sdp, "offer")
    await receiver.setRemoteDescription(offer)
    yield receiver
    await receiver.close()
    await sender.close()


@pytest.fixture
def agent(offered: RTCPeerConnection) -> Connection:
    """Its ICE agent."""
    (only,) = adapter.ice_agents(offered)
    return only


def test_the_library_is_the_one_that_the_adapter_was_written_for() -> None:
    assert importlib.metadata.version("aiortc").startswith("1.16.")


def test_peers_with_an_rsa_certificate_can_shake_hands(offered: RTCPeerConnection) -> None:
    certificate = adapter.Certificate.generateCertificate()
    fresh = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    adapter.use_certificate(fresh, certificate)
    fresh.addTransceiver("video")
    transport = fresh.getTransceivers()[0].receiver.transport
    assert transport.getLocalParameters().fingerprints == certificate.getFingerprints()
    ciphers = SSL.Connection(certificate._create_ssl_context(SRTP_PROFILES)).get_cipher_list()
    assert "ECDHE-RSA-AES128-GCM-SHA256" in ciphers


async def test_candidates_are_of_the_port_range_and_of_the_loopback_device(
    agent: Connection,
) -> None:
    adapter.bind_ports(agent, range(40_400, 40_500))
    await agent.gather_candidates()
    candidates = agent.local_candidates
    assert adapter.LOOPBACK in {candidate.host for candidate in candidates}
    assert all(40_400 <= candidate.port < 40_500 for candidate in candidates)


async def test_a_range_without_a_free_port_is_an_error(agent: Connection) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taken.bind(("::", 0))
        port = taken.getsockname()[1]
        adapter.bind_ports(agent, range(port, port + 1))
        with pytest.raises(ServerFull, match=str(port)):
            await agent.gather_candidates()


async def test_a_stun_server_that_does_not_answer_is_left_out(
    agent: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "GATHERING_TIMEOUT_S", 0.01)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        agent.stun_server = silent.getsockname()
        adapter.bind_ports(agent, range(0))
        await agent.gather_candidates()
    assert {candidate.type for candidate in agent.local_candidates} == {"host"}


async def test_stun_and_turn_servers_are_asked_at_once(
    agent: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "GATHERING_TIMEOUT_S", 60)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        agent.stun_server = agent.turn_server = silent.getsockname()
        agent.turn_transport, agent.turn_ssl = "udp", False
        adapter.bind_ports(agent, range(0))
        gathering = asyncio.create_task(agent.gather_candidates())
        methods: set[stun.Method] = set()
        async with asyncio.timeout(20):  # less than the patience with either
            while methods != {stun.Method.BINDING, stun.Method.ALLOCATE}:
                data = await asyncio.get_running_loop().sock_recv(silent, 2048)
                methods.add(stun.parse_message(data).message_method)
        gathering.cancel()
        await asyncio.wait([gathering])


async def test_a_server_that_does_not_answer_is_no_silence_of_the_publisher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter, "GATHERING_TIMEOUT_S", 1)
    monkeypatch.setattr(publisher, "SILENCE_S", 0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        host, port = silent.getsockname()
        turn = IceServer(f"turn:{host}:{port}", "ann", "secret")
        async with whip_server(
            ServerConfig(http_port=0, grpc_port=0, ice_servers=(turn,))
        ) as server:
            session = await server.open()
            client = WhipClient(server.http, session.whip_path, Pictures())
            await client.publish()
            await until(lambda: len(session.frames) > 3)
            await client.stop()


async def test_datagrams_are_noted(agent: Connection) -> None:
    heard: list[None] = []
    adapter.watch_datagrams(agent, lambda: heard.append(None))
    agent.data_received(b"rtp", 1)
    assert len(heard) == 1
    assert agent._queue.get_nowait() == (b"rtp", 1)


async def test_consent_is_not_asked_for(agent: Connection) -> None:
    adapter.waive_consent(agent)
    async with asyncio.timeout(1):
        await agent.query_consent()


async def test_every_replaced_part_of_a_receiver_is_there(offered: RTCPeerConnection) -> None:
    receiver = offered.getTransceivers()[0].receiver
    metrics = Metrics()
    decoded = LatestFrame(lambda: None)
    adapter.receive_video(receiver, VideoIntake(metrics), decoded)
    await decoded.put(None)
    assert receiver.track._queue is decoded
    for name in ("jitter_buffer", "nack_generator", "remote_bitrate_estimator"):
        part = getattr(receiver, f"_RTCRtpReceiver__{name}")
        assert not type(part).__module__.startswith("aiortc"), name


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(AssertionError, match="RTCRtpReceiver of this aiortc has no private"):
        adapter.receive_video(object(), VideoIntake(Metrics()), LatestFrame(lambda: None))
