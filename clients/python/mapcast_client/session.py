"""The sender's side of one session: frames and controls out, results in."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

import grpc

from mapcast_client.corrections import GatheredCorrections
from mapcast_client.errors import (
    ConnectionLost,
    InputError,
    MapcastError,
    ProtocolError,
    SessionError,
    StateError,
)
from mapcast_client.settings import DEPTH_SOURCES, POLICIES, POSE_SOURCES, SENSORS, wire_value
from mapcast_client.transport import END_OF_STREAM, OPEN_TIMEOUT_S, error_of, translated
from mapcast_client.v1 import ingest_pb2

RESULTS_KEPT = 4096
ERRORS_KEPT = 256


def open_message(
    calibration: ingest_pb2.Calibration | None,
    name: str = "",
    policy: str = "live",
    pose_source: str = "tracked",
    fusion: ingest_pb2.FusionSettings | None = None,
    session: str = "",
    *,
    sensor: str = "rgbd",
    depth: str = "auto",
    model: str = "",
    scene_depth_m: float = 0.0,
    saved_map: str = "",
    localization_only: bool = False,
    free_intrinsics: bool = False,
) -> ingest_pb2.OpenSession:
    """Ask for a session; a given `session` re-joins that one, as it is. Raises InputError."""
    if calibration is None and sensor != "mono" and not session:
        raise InputError(f"sensor {sensor!r} needs a calibration; only 'mono' goes without")
    if not (math.isfinite(scene_depth_m) and scene_depth_m >= 0):
        raise InputError(f"scene_depth_m is {scene_depth_m}, must be 0 (not known) or more")
    return ingest_pb2.OpenSession(
        session=session,
        name=name,
        sensor=wire_value("sensor", sensor, SENSORS),
        calibration=calibration,
        policy=wire_value("policy", policy, POLICIES),
        pose_source=wire_value("pose_source", pose_source, POSE_SOURCES),
        fusion=fusion,
        depth=ingest_pb2.DepthSettings(
            source=wire_value("depth", depth, DEPTH_SOURCES), model=model
        ),
        scene_depth_m=scene_depth_m,
        map=saved_map,
        localization_only=localization_only,
        refine=ingest_pb2.RefineSettings(free_intrinsics=True) if free_intrinsics else None,
    )


class AsyncSession:
    """An open session that frames are sent to; one event loop uses it.

    A task of its own reads what the server sends. It keeps the newest RESULTS_KEPT results that
    nobody has taken yet, and counts the ones it had to give up.
    """

    def __init__(
        self, call: Any, opened: ingest_pb2.Opened, is_lossless: bool, address: str, wait_s: float
    ) -> None:
        """`call` is the open stream; `AsyncClient.open` makes it."""
        self._call = call
        self._opened = opened
        self._is_lossless = is_lossless
        self._address = address
        self._timeout_s = wait_s
        self._window = opened.window
        self._unanswered = 0
        self._results: deque[ingest_pb2.FrameResult] = deque(maxlen=RESULTS_KEPT)
        self._corrections = GatheredCorrections()
        self._calibration_offer: ingest_pb2.CalibrationOffer | None = None
        self._finishing = False
        self._finished: ingest_pb2.Finished | None = None
        self._failure: MapcastError | None = None
        self._news = asyncio.Event()
        self._quiet_since_s = asyncio.get_running_loop().time()
        self._writing = asyncio.Lock()
        self._reader = asyncio.create_task(self._read(), name=f"mapcast session {opened.session}")
        self.results_dropped = 0
        """Results that were given up because nobody took them."""
        self.errors: deque[ingest_pb2.Error] = deque(maxlen=ERRORS_KEPT)
        """The newest errors after which the session went on."""

    @classmethod
    async def start(
        cls, call: Any, request: ingest_pb2.OpenSession, address: str, timeout_s: float
    ) -> Self:
        """Open a session on a fresh stream. Raises SessionError when the server refuses it."""
        async with translated(address, max(timeout_s, OPEN_TIMEOUT_S)):
            await call.write(ingest_pb2.ClientMessage(open=request))
            answer = await call.read()
        if answer is END_OF_STREAM:
            raise ConnectionLost(f"{address} ended the stream without an answer")
        if answer.HasField("error"):
            raise _session_error(answer.error)
        if not answer.HasField("opened"):
            raise ProtocolError(f"{address} answered {answer.WhichOneof('message')}, not opened")
        is_lossless = request.policy == ingest_pb2.POLICY_LOSSLESS
        return cls(call, answer.opened, is_lossless, address, timeout_s)

    @property
    def id(self) -> str:
        """The session's id on its server."""
        return self._opened.session

    @property
    def epoch(self) -> int:
        """The map's epoch when the session was opened."""
        return self._opened.epoch

    @property
    def viewer_path(self) -> str:
        """Where the server's HTTP port shows this map."""
        return self._opened.viewer_path

    @property
    def publish_token(self) -> str:
        """What allows to re-join, and to watch; empty on an open server."""
        return self._opened.publish_token

    @property
    def watch_token(self) -> str:
        """What allows to watch; empty on an open server."""
        return self._opened.watch_token

    @property
    def calibration_offer(self) -> ingest_pb2.CalibrationOffer | None:
        """The newest camera that fits better than the session's own: for the next session.

        None: none was found yet, or `free_intrinsics` was not asked for.
        """
        return self._calibration_offer

    @property
    def unanswered(self) -> int:
        """How many frames were sent whose results have not come."""
        return self._unanswered

    async def send(self, frame: ingest_pb2.Frame) -> None:
        """Send a frame; a lossless session waits here until the server's window has room.

        Raises SessionError when the session has failed, ConnectionLost when the server is gone or
        silent, StateError after `finish`.
        """
        self._require_open()
        if self._is_lossless:
            await self._until(lambda: self._unanswered < max(self._window, 1))
        if not self._is_owed:
            self._quiet_since_s = asyncio.get_running_loop().time()
        self._unanswered += 1
        await self._write(ingest_pb2.ClientMessage(frame=frame))

    async def send_imu(self, batch: ingest_pb2.ImuBatch) -> None:
        """Send IMU samples: those up to a frame's instant before the frame.

        Raises as `send` does.
        """
        self._require_open()
        await self._write(ingest_pb2.ClientMessage(imu=batch))

    async def results(self) -> AsyncIterator[ingest_pb2.FrameResult]:
        """Yield each frame's result once, until the session is finished or closed.

        Raises what ended the session, after the last result.
        """
        while True:
            while self._results:
                yield self._results.popleft()
            if self._finished is not None:
                return
            await self._until(lambda: bool(self._results) or self._finished is not None)

    async def corrections(self) -> AsyncIterator[ingest_pb2.Corrections]:
        """Yield which keyframes moved, until the session is finished or closed.

        What came since the last one is one message: each keyframe's newest pose, and each frame
        that hangs on another keyframe now. Raises what ended the session, after the last of them.
        """
        while True:
            if (corrections := self._corrections.take()) is not None:
                yield corrections
            elif self._finished is not None:
                return
            else:
                await self._until(lambda: bool(self._corrections) or self._finished is not None)

    async def pause(self) -> None:
        """Have frames dropped until `resume`."""
        await self.control(ingest_pb2.Control.ACTION_PAUSE)

    async def resume(self) -> None:
        """End a pause."""
        await self.control(ingest_pb2.Control.ACTION_RESUME)

    async def reset(self) -> None:
        """Start over: an empty map of a new epoch, a new tracker."""
        await self.control(ingest_pb2.Control.ACTION_RESET)

    async def control(self, action: ingest_pb2.Control.Action) -> None:
        """Send a control message. Raises as `send` does."""
        self._require_open()
        await self._write(ingest_pb2.ClientMessage(control=ingest_pb2.Control(action=action)))

    async def finish(self) -> ingest_pb2.Finished:
        """Say that no more frames come, and wait until the map is final.

        Raises as `send` does.
        """
        if self._finished is None:
            await self.control(ingest_pb2.Control.ACTION_FINISH)
            self._finishing = True
            self._quiet_since_s = asyncio.get_running_loop().time()
            await self._until(lambda: self._finished is not None)
        assert self._finished is not None
        return self._finished

    async def close(self) -> None:
        """End the stream; the map stays on the server. Closing twice is fine."""
        self._failure = self._failure or StateError(f"session {self.id} is closed")
        self._call.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])
        self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def _is_owed(self) -> bool:
        return self._unanswered > 0 or self._finishing

    def _require_open(self) -> None:
        if self._finishing or self._finished is not None:
            raise StateError(f"session {self.id} is finished")
        if self._failure is not None:
            raise self._failure

    async def _write(self, message: ingest_pb2.ClientMessage) -> None:
        try:
            async with self._writing, translated(self._address, self._timeout_s):
                await self._call.write(message)
        except (ConnectionLost, asyncio.InvalidStateError):
            # The stream is over; the reader knows why.
            await asyncio.wait([self._reader], timeout=self._timeout_s)
            raise self._failure or self._lost("ended the stream") from None

    async def _read(self) -> None:
        """Take messages until the stream ends, then note why it did."""
        failure: MapcastError = self._lost("ended the stream")
        try:
            while (message := await self._call.read()) is not END_OF_STREAM:
                self._take(message)
                self._wake()
        except grpc.aio.AioRpcError as error:
            failure = error_of(error, self._address)
        finally:
            self._failure = self._failure or failure
            self._wake()

    def _take(self, message: ingest_pb2.ServerMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "result":
            self._unanswered = max(self._unanswered - 1, 0)
            self.results_dropped += len(self._results) == RESULTS_KEPT
            self._results.append(message.result)
        elif kind == "corrections":
            self._corrections.add(message.corrections)
        elif kind == "calibration_offer":
            self._calibration_offer = message.calibration_offer
        elif kind == "flow":
            self._window = message.flow.window
        elif kind == "finished":
            self._finished = message.finished
        elif kind == "error" and message.error.fatal:
            self._failure = _session_error(message.error)
        elif kind == "error":
            self.errors.append(message.error)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the reader brings.

        Raises ConnectionLost when the server owes an answer and is silent for too long.
        """
        while not condition():
            if self._failure is not None:
                raise self._failure
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._news.wait()
            except TimeoutError:
                quiet_s = asyncio.get_running_loop().time() - self._quiet_since_s
                if self._is_owed and quiet_s >= self._timeout_s:
                    raise self._lost(f"has not answered for {quiet_s:.0f} s") from None

    def _wake(self) -> None:
        self._quiet_since_s = asyncio.get_running_loop().time()
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _lost(self, what: str) -> ConnectionLost:
        return ConnectionLost(f"session {self.id}: {self._address} {what}")


def _session_error(error: ingest_pb2.Error) -> SessionError:
    known = error.code in ingest_pb2.Error.Code.values()
    name = ingest_pb2.Error.Code.Name(error.code) if known else "CODE_UNKNOWN"
    return SessionError(name.removeprefix("CODE_").lower(), error.message)
