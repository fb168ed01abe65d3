"""One publisher's WebRTC connection: its first video is received, everything else is declined."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from mapcast_client.errors import InputError
from stream.config import IceServer
from stream.errors import UnsupportedCodec
from stream.metrics import Metrics
from stream.webrtc import adapter
from stream.webrtc.capture_clock import CaptureClock
from stream.webrtc.intake import VideoIntake
from stream.webrtc.latest import LatestFrame
from stream.webrtc.sdp import MALFORMED, check_offer, for_our_agent, parse_fragment, with_bitrates


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What every connection of a server has in common."""

    ice_servers: tuple[IceServer, ...] = ()
    ports: range = range(0)
    """UDP; empty: any."""
    certificate: adapter.Certificate = field(
        default_factory=adapter.Certificate.generateCertificate
    )


class VideoConnection:
    """Answers one offer; then gives the newest frame, and the publisher's data channels."""

    def __init__(self, settings: ConnectionSettings, metrics: Metrics) -> None:
        servers = [_rtc_ice_server(server) for server in settings.ice_servers]
        self._peer = RTCPeerConnection(
            RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        adapter.use_certificate(self._peer, settings.certificate)
        self._settings = settings
        self._intake = VideoIntake(metrics)
        self._receiver: RTCRtpReceiver
        self._heard_s: float | None = None
        self._decoded = LatestFrame(metrics.webrtc_frames.labels("dropped").inc)
        self._ice_username = ""

    @property
    def state(self) -> str:
        """RTCPeerConnection's connectionState."""
        return self._peer.connectionState

    @property
    def silent_s(self) -> float:
        """Since when nothing at all came from the publisher; 0 until it has our answer."""
        return 0.0 if self._heard_s is None else time.monotonic() - self._heard_s

    @property
    def clock(self) -> CaptureClock:
        """When this connection's frames were captured."""
        return self._intake.clock

    def on_channel(self, opened: Callable[[RTCDataChannel], None]) -> None:
        """Have `opened` called for each data channel that the publisher opens."""
        self._peer.on("datachannel", opened)

    async def take_offer(self, offer: str) -> None:
        """Look whether an offer can be taken. Raises InputError, and is of no use then."""
        self._ice_username = check_offer(offer)
        description = RTCSessionDescription(for_our_agent(offer), "offer")
        try:
            await self._peer.setRemoteDescription(description)
        except OperationError:
            raise UnsupportedCodec(
                "the offer's codecs are not of a kind that is taken: VP8, or H264 of baseline "
                "profile with packetization-mode=1; audio: Opus, G.722, PCMU, PCMA"
            ) from None
        except MALFORMED as error:
            raise InputError(f"the offer does not do: {error or type(error).__name__}") from None
        self._decline_all_but_first_video()
        for agent in adapter.ice_agents(self._peer):
            adapter.bind_ports(agent, self._settings.ports)
            adapter.waive_consent(agent)
            adapter.watch_datagrams(agent, self._note_datagram)
        adapter.receive_video(self._receiver, self._intake, self._decoded)

    def _decline_all_but_first_video(self) -> None:
        videos = [at for at in self._peer.getTransceivers() if at.kind == "video"]
        self._receiver = videos[0].receiver
        for transceiver in self._peer.getTransceivers():
            transceiver.direction = "recvonly" if transceiver is videos[0] else "inactive"

    def _note_datagram(self) -> None:
        self._heard_s = time.monotonic()

    async def answer(self) -> str:
        """Begin to connect; returns the answer's SDP, with all our candidates.

        Raises InputError, and ServerFull if no UDP port is free.
        """
        try:
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except MALFORMED as error:
            raise InputError(f"the offer does not do: {error or type(error).__name__}") from None
        self._note_datagram()  # before, it cannot know where to send any
        return with_bitrates(self._peer.localDescription.sdp)

    async def trickle(self, fragment: str) -> bool:
        """Try further addresses of the publisher; False: it wants to restart ICE.

        Raises InputError.
        """
        parsed = parse_fragment(fragment)
        if parsed.username not in ("", self._ice_username):
            return False
        for candidate in parsed.candidates:
            await self._receiver.transport.transport.addRemoteCandidate(candidate)
        return True

    async def next_frame(self) -> VideoFrame | None:
        """Wait for a frame newer than those returned before; None: there will be no more."""
        try:
            frame = await self._receiver.track.recv()
        except MediaStreamError:
            return None
        assert isinstance(frame, VideoFrame)
        return frame

    async def close(self) -> None:
        """End it; the publisher is told."""
        for receiver in self._peer.getReceivers():
            adapter.discard_waiting(receiver)
        await self._peer.close()


def _rtc_ice_server(server: IceServer) -> RTCIceServer:
    if not server.credential:
        return RTCIceServer(server.urls)
    return RTCIceServer(server.urls, server.username, server.credential)
