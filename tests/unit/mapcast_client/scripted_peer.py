"""A small real server on real sockets that speaks the contract, as scripted by each test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc

from mapcast_client.delta import (
    DeltaHead,
    encode_keyframes,
    encode_mesh,
    encode_status,
    encode_trajectory,
)
from mapcast_client.delta import Status as SessionStatus
from mapcast_client.rows import MeshRow
from mapcast_client.v1 import ingest_pb2, ingest_pb2_grpc, maps_pb2, maps_pb2_grpc

Error = ingest_pb2.Error
LATER_KIND = ingest_pb2.ServerMessage.FromString(b"\xca\x3e\x00")
"""Field 1001: a message of a kind that servers to come may send."""
ROW = MeshRow((1, 2, 3), bytes(9), bytes(9), b"\0\0\1\0\2\0")


def error(code: Error.Code, message: str, fatal: bool) -> ingest_pb2.ServerMessage:
    return ingest_pb2.ServerMessage(error=Error(code=code, message=message, fatal=fatal))


def mesh_message(revision: int, complete_through: int, epoch: int = 1) -> bytes:
    head = DeltaHead("s1", epoch, revision, complete_through, 0.01, ROW.content_hash())
    return encode_mesh([ROW], [revision], head)


def trajectory_message(revision: int, epoch: int = 1) -> bytes:
    return encode_trajectory([], DeltaHead("s1", epoch, revision, revision, 0.01, 0))


def keyframes_message(revision: int, epoch: int = 1) -> bytes:
    return encode_keyframes([], DeltaHead("s1", epoch, revision, revision, 0.01, 0))


def status_message(epoch: int = 1) -> bytes:
    return encode_status(SessionStatus("active"), DeltaHead("s1", epoch, 1, 0, 0.01, 0))


@dataclass
class Peer(ingest_pb2_grpc.IngestServicer, maps_pb2_grpc.MapsServicer):
    """Answers frames while `answering` is set; what happens else hangs on the frame's index."""

    address: str = ""
    frames: list[ingest_pb2.Frame] = field(default_factory=list)
    opens: list[ingest_pb2.OpenSession] = field(default_factory=list)
    controls: list[ingest_pb2.Control.Action] = field(default_factory=list)
    subscribes: list[maps_pb2.SubscribeRequest] = field(default_factory=list)
    connections: Sequence[Sequence[bytes]] = ()
    """The messages of each connection to Subscribe; after the last one they stay open."""
    corrects: dict[int, Sequence[int]] = field(default_factory=dict)
    """Keyframes that move at a frame's index."""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    samples: list[ingest_pb2.ImuSample] = field(default_factory=list)
    received: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_frames(self, count: int) -> None:
        async with asyncio.timeout(5), self.received:
            await self.received.wait_for(lambda: len(self.frames) >= count)

    async def Stream(
        self,
        request_iterator: AsyncIterator[ingest_pb2.ClientMessage],
        context: grpc.aio.ServicerContext,
    ) -> AsyncIterator[ingest_pb2.ServerMessage]:
        async for message in request_iterator:
            if message.HasField("open"):
                self.opens.append(message.open)
                is_mono = message.open.sensor == ingest_pb2.SENSOR_MONO
                joins = bool(message.open.session)
                if not (joins or is_mono or message.open.calibration.camera.width_px):
                    yield error(Error.CODE_INVALID_ARGUMENT, "camera width_px is 0", True)
                    return
                yield ingest_pb2.ServerMessage(opened=ingest_pb2.Opened(session="s1", window=2))
            elif message.HasField("imu"):
                self.samples += message.imu.samples
            elif message.HasField("frame"):
                async with self.received:
                    self.frames.append(message.frame)
                    self.received.notify_all()
                await self.answering.wait()
                for keyframe_ns in self.corrects.get(message.frame.index, ()):
                    keyframe = ingest_pb2.KeyframePose(
                        capture_ns=keyframe_ns, scale=1 + message.frame.index
                    )
                    corrections = ingest_pb2.Corrections(epoch=1, keyframes=[keyframe])
                    yield ingest_pb2.ServerMessage(corrections=corrections)
                if message.frame.index == 88:
                    return
                if message.frame.index == 77:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
                if message.frame.index == 66:
                    yield error(Error.CODE_SESSION_FAILED, "the worker died", True)
                    return
                if message.frame.index == 55:
                    camera = ingest_pb2.Camera(fx_px=525)
                    offer = ingest_pb2.CalibrationOffer(camera=camera, keyframes=12)
                    yield ingest_pb2.ServerMessage(calibration_offer=offer)
                if message.frame.index == 44:
                    yield LATER_KIND
                if message.frame.index == 13:
                    yield error(Error.CODE_MAP_FULL, "no block is left", False)
                yield ingest_pb2.ServerMessage(
                    result=ingest_pb2.FrameResult(index=message.frame.index)
                )
            elif message.HasField("control"):
                self.controls.append(message.control.action)
                if message.control.action == ingest_pb2.Control.ACTION_FINISH:
                    finished = ingest_pb2.Finished(frames=len(self.frames), map_hash=7)
                    yield ingest_pb2.ServerMessage(finished=finished)
                    return

    async def ListSessions(
        self, request: maps_pb2.ListSessionsRequest, context: grpc.aio.ServicerContext
    ) -> maps_pb2.ListSessionsResponse:
        return maps_pb2.ListSessionsResponse(sessions=[maps_pb2.SessionInfo(session="s1")])

    async def GetSession(
        self, request: maps_pb2.GetSessionRequest, context: grpc.aio.ServicerContext
    ) -> maps_pb2.SessionInfo:
        if request.session != "s1":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no session {request.session!r}")
        return maps_pb2.SessionInfo(session="s1", state="active")

    async def Export(
        self, request: maps_pb2.ExportRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[maps_pb2.Chunk]:
        if request.format not in ("ply", "obj", "glb"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"format is {request.format!r}")
        yield maps_pb2.Chunk(data=b"glTF")
        yield maps_pb2.Chunk(data=bytes(100))

    async def Raycast(
        self, request: maps_pb2.RaycastRequest, context: grpc.aio.ServicerContext
    ) -> maps_pb2.RaycastView:
        pixels = request.camera.width_px * request.camera.height_px
        short = request.session == "short"
        return maps_pb2.RaycastView(
            color=bytes(3 * pixels - short), depth=bytes(4 * pixels), normals=bytes(12 * pixels)
        )

    async def Subscribe(
        self,
        request_iterator: AsyncIterator[maps_pb2.SubscribeRequest],
        context: grpc.aio.ServicerContext,
    ) -> AsyncIterator[maps_pb2.MapDelta]:
        request = await anext(request_iterator)
        self.subscribes.append(request)
        if request.session != "s1":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no session {request.session!r}")
        attempt = len(self.subscribes) - 1
        for arrow in self.connections[min(attempt, len(self.connections) - 1)]:
            yield maps_pb2.MapDelta(arrow=arrow)
        if attempt < len(self.connections) - 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        await asyncio.Event().wait()
