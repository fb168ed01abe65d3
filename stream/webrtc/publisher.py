"""One WebRTC publisher: its frames go to a session, what comes of them goes back to its person."""

import asyncio
import json
import logging
import secrets
import time
from collections import deque

from aiortc import RTCDataChannel

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from stream.errors import ServerError
from stream.metrics import Metrics
from stream.sender import Sender
from stream.session import Session
from stream.webrtc.channels import ClockQuestion, read_imu, read_status
from stream.webrtc.connection import VideoConnection
from stream.webrtc.guidance import guidance
from stream.webrtc.motion import Motion
from stream.webrtc.picture import shows_nothing, to_i420

logger = logging.getLogger(__name__)

SILENCE_S = 8.0
"""A publisher of which nothing at all is heard for so long is gone."""
CONNECT_S = 20.0
"""From the offer to a connection."""
WATCH_PERIOD_S = 0.25
STATUS_PERIOD_S = 0.2
BLIND_S = 1.0
"""Pictures that show nothing for so long are a covered lens, and no blink."""
RESULTS_FOR_GUIDANCE = 30
MAX_BUFFERED_BYTES = 64 << 10
"""A status channel that is read this slowly skips some."""
NS_PER_MS = 1_000_000


class PublisherGone(ServerError):
    """Why a publisher's connection ended."""


class Publisher:
    """Runs one connection until its publisher, the session or the server ends it."""

    def __init__(
        self, session: Session, connection: VideoConnection, owns_session: bool, metrics: Metrics
    ) -> None:
        self.session = session
        self.connection = connection
        self.owns_session = owns_session
        """It came to `/whip`: the session is finished when it says that it leaves."""
        self.resource = secrets.token_urlsafe(12)
        self.etag = f'"{secrets.token_hex(8)}"'
        self.frames = 0
        self.since_s = time.monotonic()
        self._metrics = metrics
        self._sender = Sender()
        self._motion = Motion()
        self._results: deque[FrameResult] = deque(maxlen=RESULTS_FOR_GUIDANCE)
        self._status_channels: list[RTCDataChannel] = []
        self._blind_since_s: float | None = None
        self._size_px = (0, 0)
        self._stop = asyncio.Event()
        self._stop_reason = ""
        session.attach(self._sender)
        connection.on_channel(self._open_channel)

    def stop(self, reason: str) -> None:
        """End it soon."""
        self._stop_reason = self._stop_reason or reason
        self._stop.set()

    async def run(self) -> None:
        """Serve the publisher until it ends."""
        reason = "it was cancelled"
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._watch, self._take_frames, self._take_results, self._tell):
                    tasks.create_task(work())
        except* MapcastError as group:
            reason = str(group.exceptions[0])
        finally:
            self.session.detach(self._sender)
            self._sender.close()
            await self.connection.close()
            logger.info("session %s: the WebRTC publisher left: %s", self.session.id, reason)

    # --- frames ---

    async def _take_frames(self) -> None:
        while (frame := await self.connection.next_frame()) is not None:
            if frame.pts is None:
                continue
            self._metrics.webrtc_frames.labels("received").inc()
            self._note_blindness(shows_nothing(frame))
            self._size_px = (frame.width, frame.height)
            await self._submit_motion()
            message = ingest_pb2.Frame(
                index=self.frames,
                capture_ns=self.connection.clock.capture_ns(frame.pts),
                color=to_i420(frame),
            )
            self.frames += 1
            await self.session.submit(self._sender, message)
        raise PublisherGone("its video ended")

    async def _submit_motion(self) -> None:
        batch = self._motion.take()
        if not batch.samples:
            return
        try:
            await self.session.submit_imu(self._sender, batch)
        except InputError as error:  # one glitch of a sensor is no reason to end its video
            self._metrics.webrtc_imu.labels("refused").inc(len(batch.samples))
            self._send({"type": "error", "error": str(error)})

    def _note_blindness(self, is_blind: bool) -> None:
        if not is_blind:
            self._blind_since_s = None
        elif self._blind_since_s is None:
            self._blind_since_s = time.monotonic()

    @property
    def _is_blind(self) -> bool:
        since_s = self._blind_since_s
        return since_s is not None and time.monotonic() - since_s > BLIND_S

    @property
    def _is_resized(self) -> bool:
        """Whether the session's camera is known and the picture has another size."""
        camera = self.session.map_frame.camera
        return camera.width_px > 0 and self._size_px != (camera.width_px, camera.height_px)

    async def _take_results(self) -> None:
        while (message := await self._sender.next_message()) is not None:
            if message.HasField("result"):
                self._results.append(message.result)
            elif message.HasField("error"):
                self._send({"type": "error", "error": message.error.message})
                if message.error.fatal:
                    raise PublisherGone(message.error.message)

    # --- its end ---

    async def _watch(self) -> None:
        while not self._stop.is_set():
            self._look()
            try:
                async with asyncio.timeout(WATCH_PERIOD_S):
                    await self._stop.wait()
            except TimeoutError:
                continue
        raise PublisherGone(self._stop_reason)

    def _look(self) -> None:
        """Raise PublisherGone when there is no point in going on."""
        connection, session = self.connection, self.session
        if session.is_over or session.is_closed:
            raise PublisherGone(f"the session is {session.state.value}")
        if connection.state in ("failed", "closed"):
            raise PublisherGone(f"its connection {connection.state}")
        if connection.silent_s > SILENCE_S:
            raise PublisherGone(f"nothing was heard of it for {connection.silent_s:.0f} s")
        if connection.state != "connected" and time.monotonic() - self.since_s > CONNECT_S:
            raise PublisherGone(f"it did not connect within {CONNECT_S:.0f} s")

    # --- data channels ---

    def _open_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == "imu":
            channel.on("message", self._hear_motion)
        elif channel.label == "status":
            self._status_channels.append(channel)
            channel.on("message", self._hear_status)
            channel.on("close", lambda: self._status_channels.remove(channel))
        else:
            channel.close()

    def _hear_motion(self, message: str | bytes) -> None:
        if self.session.sensor != ingest_pb2.SENSOR_MONO_IMU:
            self._metrics.webrtc_imu.labels("ignored").inc()
            return
        try:
            rows = read_imu(message)
        except InputError as error:
            self._metrics.webrtc_imu.labels("refused").inc()
            self._send({"type": "error", "error": str(error)})
            return
        self._metrics.webrtc_imu.labels("taken").inc(len(rows))
        self._motion.arrived(rows, time.time_ns())

    def _hear_status(self, message: str | bytes) -> None:
        now_ns = time.time_ns()
        try:
            heard = read_status(message)
        except InputError as error:
            self._send({"type": "error", "error": str(error)})
            return
        if isinstance(heard, ClockQuestion):
            server_ms = now_ns / NS_PER_MS
            self._send({"type": "clock", "sent_ms": heard.sent_ms, "server_ms": server_ms})
        else:
            offset_ns = int(heard.offset_ms * NS_PER_MS)
            self.connection.clock.measured(offset_ns)
            self._motion.measured(offset_ns)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(STATUS_PERIOD_S)
            if self._status_channels:
                self._send(self._status())

    def _status(self) -> dict[str, object]:
        status = self.session.status()
        return {
            "type": "status",
            "session": self.session.id,
            "state": status.state,
            "reason": "the picture is of one shade all over" if self._is_blind else status.reason,
            "tracking": status.tracking,
            "guidance": guidance(self._results, self._is_blind, self._is_resized),
            "frames": status.frames,
            "fused": status.fused,
            "dropped": status.dropped,
            "fps": round(status.frames_per_s, 1),
            "latency_ms": round(status.latency_ms, 1),
        }

    def _send(self, values: dict[str, object]) -> None:
        text = json.dumps(values)
        for channel in self._status_channels:
            if channel.readyState == "open" and channel.bufferedAmount < MAX_BUFFERED_BYTES:
                channel.send(text)
