"""Bad input of every kind: a clear answer to its sender, and the stream or the map goes on."""

import asyncio
import struct

import grpc
import numpy as np
import pytest

from mapcast_client import AsyncClient
from mapcast_client.errors import InputError, MapcastError, SessionError
from mapcast_client.v1 import ingest_pb2, ingest_pb2_grpc
from replay.sequence import Sequence
from stream.server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
Result = ingest_pb2.FrameResult
U16, F32 = ingest_pb2.IMAGE_ENCODING_DEPTH_U16, ingest_pb2.IMAGE_ENCODING_DEPTH_F32


def changed(frame: ingest_pb2.Frame, **changes) -> ingest_pb2.Frame:
    """A copy of a frame; an attribute path such as `color__data` names what changes."""
    copy = ingest_pb2.Frame()
    copy.CopyFrom(frame)
    for path, value in changes.items():
        *parents, leaf = path.split("__")
        target = copy
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, leaf, value)
    return copy


def giant_png() -> bytes:
    """A PNG header that declares 100,000 × 100,000 pixels (10 GB) with nothing behind it."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + bytes(4)


def bad_frames(good: ingest_pb2.Frame) -> dict[str, tuple[ingest_pb2.Frame, str]]:
    """Each with the words that its answer must contain."""
    quarter = np.zeros((240, 320), np.uint16).tobytes()
    return {
        "truncated JPEG": (changed(good, color__data=good.color.data[:2000]), "colour"),
        "corrupt JPEG": (changed(good, color__data=b"\xff\xd8\xff" + bytes(500)), "colour"),
        "no colour": (changed(good, color__data=b""), "missing"),
        "no depth": (changed(good, depth__data=b""), "missing"),
        "giant PNG": (
            changed(
                good,
                color__data=giant_png(),
                color__encoding=ingest_pb2.IMAGE_ENCODING_PNG,
            ),
            "100000x100000",
        ),
        "giant declared size": (
            changed(good, color__width_px=100_000, color__height_px=100_000),
            "100000x100000",
        ),
        "wrong size": (changed(good, depth__data=quarter, depth__encoding=U16), "bytes"),
        "wrong depth type": (
            changed(good, depth__encoding=ingest_pb2.IMAGE_ENCODING_JPEG),
            "encoding",
        ),
        "float bytes of half an image": (
            changed(good, depth__data=bytes(4 * 640 * 240), depth__encoding=F32),
            "bytes",
        ),
        "NaN pose": (changed(good, world_from_camera__tx=float("nan")), "finite"),
        "non-rigid pose": (changed(good, world_from_camera__qw=5.0), "quaternion"),
        "pose on the moon": (changed(good, world_from_camera__tx=3.8e8), "100000 m"),
    }


async def test_each_bad_frame_is_answered_and_the_session_goes_on(
    client: AsyncClient, room: Sequence, posed_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    session = await client.open(
        room.calibration.to_message(), "bad", "lossless", "given", fusion=coarse
    )
    bad = bad_frames(posed_frames[1])
    backwards = changed(posed_frames[1], capture_ns=posed_frames[0].capture_ns)
    bad["time going backwards"] = (backwards, "time")
    await session.send(posed_frames[0])
    for frame, _ in bad.values():
        await session.send(frame)
    for frame in posed_frames[2:5]:
        await session.send(frame)
    finished = await session.finish()
    first, *answers, _, _, last = [result async for result in session.results()]
    for (name, (_, words)), answer in zip(bad.items(), answers, strict=True):
        assert answer.status == Result.STATUS_REJECTED, name
        assert words in answer.reason, f"{name}: {answer.reason}"
        assert "frame 1" in answer.reason, f"{name}: {answer.reason}"
    assert first.status == last.status == Result.STATUS_FUSED
    assert finished.fused == 4
    assert finished.map_hash != 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"calibration": None}, "calibration"),
        ({"calibration": ingest_pb2.Calibration()}, "camera"),
        ({"fusion": ingest_pb2.FusionSettings(voxel_size_m=-1)}, "voxel_size_m"),
        ({"fusion": ingest_pb2.FusionSettings(voxel_size_m=1e-6)}, "voxel_size_m"),
        ({"fusion": ingest_pb2.FusionSettings(max_blocks=1 << 31)}, "max_blocks"),
    ],
)
async def test_a_session_that_cannot_be_is_refused(
    client: AsyncClient, room: Sequence, change: dict[str, object], words: str
) -> None:
    settings = {"calibration": room.calibration.to_message()} | change
    with pytest.raises((SessionError, InputError), match=words):
        await client.open(pose_source="given", **settings)


async def test_an_unknown_session_is_refused(client: AsyncClient, room: Sequence) -> None:
    with pytest.raises(SessionError, match="nobody") as refusal:
        await client.open(room.calibration.to_message(), session="nobody")
    assert refusal.value.code == "not_found"


async def raw_stream(server: RunningServer, *messages: ingest_pb2.ClientMessage):
    """What the server answers to messages that no honest SDK sends."""
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        call = ingest_pb2_grpc.IngestStub(channel).Stream(iter(messages))
        return [answer async for answer in call]


async def test_the_first_message_must_open(server: RunningServer) -> None:
    for message in (ingest_pb2.ClientMessage(frame=ingest_pb2.Frame()), ingest_pb2.ClientMessage()):
        (answer,) = await raw_stream(server, message)
        assert answer.error.fatal
        assert "open" in answer.error.message


async def test_unknown_messages_are_answered_and_ignored(
    server: RunningServer, room: Sequence, coarse: ingest_pb2.FusionSettings
) -> None:
    opening = ingest_pb2.OpenSession(
        sensor=ingest_pb2.SENSOR_RGBD,
        calibration=room.calibration.to_message(),
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
        fusion=coarse,
    )
    of_the_future = ingest_pb2.ClientMessage()
    of_the_future.MergeFromString(b"\xfa\x3e\x01x")  # field 1007, which this server does not know
    finish = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_FINISH)
    answers = await raw_stream(
        server,
        ingest_pb2.ClientMessage(open=opening),
        of_the_future,
        ingest_pb2.ClientMessage(open=opening),
        ingest_pb2.ClientMessage(control=ingest_pb2.Control(action=77)),
        ingest_pb2.ClientMessage(control=finish),
    )
    kinds = [answer.WhichOneof("message") for answer in answers]
    assert kinds == ["opened", "error", "error", "error", "finished"]
    codes = [answer.error.code for answer in answers[1:4]]
    assert codes == [
        ingest_pb2.Error.CODE_UNKNOWN_MESSAGE,
        ingest_pb2.Error.CODE_INVALID_ARGUMENT,
        ingest_pb2.Error.CODE_UNKNOWN_MESSAGE,
    ]
    assert not any(answer.error.fatal for answer in answers[1:4])


async def test_a_message_of_more_than_the_limit_ends_only_its_stream(
    client: AsyncClient, room: Sequence, posed_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    huge = changed(posed_frames[0], color__data=bytes(65 << 20))
    session = await client.open(
        room.calibration.to_message(), "huge", "live", "given", fusion=coarse
    )
    with pytest.raises(MapcastError):
        async with asyncio.timeout(20):
            await session.send(huge)
            await session.finish()
    again = await client.open(room.calibration.to_message(), session=session.id)
    await again.send(posed_frames[0])
    assert (await again.finish()).fused == 1


async def test_only_one_sender_at_a_time(
    client: AsyncClient, room: Sequence, coarse: ingest_pb2.FusionSettings
) -> None:
    calibration = room.calibration.to_message()
    session = await client.open(calibration, "mine", "live", "given", fusion=coarse)
    with pytest.raises(SessionError, match="sender already") as refusal:
        await client.open(calibration, session=session.id)
    assert refusal.value.code == "busy"
    await session.finish()
    with pytest.raises(SessionError, match="finished"):
        await client.open(calibration, session=session.id)
