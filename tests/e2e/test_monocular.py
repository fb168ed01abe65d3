"""Colour alone becomes a dense map: tracked or posed, unscaled or scaled, with a guessed camera."""

import asyncio
import itertools

import httpx
import numpy as np
import pytest

from mapcast_client import AsyncClient, Map
from mapcast_client.errors import SessionError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from replay.opening import open_sequence
from replay.sequence import Sequence

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
Result = ingest_pb2.FrameResult
FRAMES = 120


@pytest.fixture(scope="module")
def walk() -> Sequence:
    """A walk through the rendered room that is long enough for parallax."""
    return open_sequence(f"rendered:frames={FRAMES}")


@pytest.fixture(scope="module")
def colour_frames(walk: Sequence) -> Frames:
    frames = list(walk.frames())
    for frame in frames:
        frame.ClearField("depth")
    return frames


async def followed(client: AsyncClient, session: str) -> Map:
    """The finished map, as a late joiner gets it."""
    followed = Map()
    async for delta in client.follow(session):
        followed.apply(delta)
        if followed.is_exact and followed.status is not None:
            break
    return followed


async def test_tracked_colour_becomes_an_unscaled_map(
    client: AsyncClient, walk: Sequence, colour_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    session = await client.open(
        walk.calibration.to_message(), "mono", "lossless", fusion=coarse, sensor="mono"
    )
    for frame in colour_frames:
        await session.send(frame)
    finished = await session.finish()
    results = [result async for result in session.results()]
    posed = [r for r in results if r.status in (Result.STATUS_FUSED, Result.STATUS_TRACKED)]
    assert len(posed) > FRAMES / 2
    assert 0 < finished.fused < len(posed)  # a depth image is estimated for some of them
    info = await client.session(session.id)
    assert (info.units, info.scale_source) == ("unscaled", "none")
    assert info.depth_source == "motion_stereo"
    assert not info.camera_guessed
    mesh = await followed(client, session.id)
    assert mesh.map_hash == finished.map_hash
    assert len(mesh.mesh().triangles) > 1000


async def test_a_declared_scene_depth_gives_metres(
    client: AsyncClient, walk: Sequence, colour_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    assert walk.ground_truth is not None
    session = await client.open(
        walk.calibration.to_message(),
        "declared",
        "lossless",
        fusion=coarse,
        sensor="mono",
        scene_depth_m=2.5,
    )
    for frame in colour_frames:
        await session.send(frame)
    await session.finish()
    info = await client.session(session.id)
    assert (info.units, info.scale_source) == ("m", "declared")
    poses = {
        r.capture_ns: np.array([getattr(r.world_from_camera, a) for a in ("tx", "ty", "tz")])
        async for r in session.results()
        if r.status in (Result.STATUS_FUSED, Result.STATUS_TRACKED)
    }
    truth = dict(
        zip(
            walk.ground_truth.capture_ns.tolist(),
            walk.ground_truth.world_from_camera[:, :3, 3],
            strict=True,
        )
    )
    times = sorted(poses)
    moved = np.linalg.norm(poses[times[-1]] - poses[times[0]])
    moved_true = np.linalg.norm(truth[times[-1]] - truth[times[0]])
    assert 0.5 < moved / moved_true < 2  # the declared depth is a guess itself


async def test_a_camera_that_nobody_calibrated_is_guessed_from_the_first_frame(
    client: AsyncClient, http: httpx.AsyncClient, colour_frames: Frames
) -> None:
    session = await client.open(None, "guessed", "lossless", sensor="mono")
    assert not (await client.session(session.id)).HasField("camera")
    for file in ("map.ply", "trajectory.tum", "frame.jpg"):
        early = await http.get(f"/v1/sessions/{session.id}/{file}")
        assert early.status_code == 404, file
        assert "no frame" in early.json()["error"]
    with pytest.raises(SessionError, match="no frame") as refusal:
        await client.export(session.id, "ply")
    assert refusal.value.code == "not_found"
    await session.send(colour_frames[0])
    result = await anext(session.results())
    assert result.tracking == ingest_pb2.TRACKING_STATE_INITIALIZING
    info = await client.session(session.id)
    assert info.camera_guessed
    assert (info.camera.width_px, info.camera.height_px) == (640, 480)
    picture = await http.get(f"/v1/sessions/{session.id}/frame.jpg")
    assert picture.content.startswith(b"\xff\xd8\xff")


async def test_another_size_is_refused_until_a_reset(
    client: AsyncClient, colour_frames: Frames
) -> None:
    session = await client.open(None, "turned", "lossless", sensor="mono")
    await session.send(colour_frames[0])
    turned = ingest_pb2.Frame(index=1, capture_ns=colour_frames[1].capture_ns)
    turned.color.encoding = ingest_pb2.IMAGE_ENCODING_RGB8
    turned.color.width_px, turned.color.height_px = 480, 640
    turned.color.data = bytes(480 * 640 * 3)
    await session.send(turned)
    await session.reset()
    turned.index = 2
    await session.send(turned)
    await session.finish()
    results = [result async for result in session.results()]
    assert results[1].status == Result.STATUS_REJECTED
    assert "480x640" in results[1].reason
    assert "640x480" in results[1].reason
    assert results[2].status == Result.STATUS_NOT_FUSED


async def test_given_poses_need_no_tracker(
    client: AsyncClient, walk: Sequence, colour_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    assert walk.ground_truth is not None
    session = await client.open(
        walk.calibration.to_message(), "posed", "lossless", "given", fusion=coarse, sensor="mono"
    )
    poses = walk.ground_truth.world_from_camera
    for frame, world_from_camera in zip(colour_frames, poses, strict=True):
        posed = ingest_pb2.Frame(world_from_camera=pose_message(world_from_camera))
        posed.MergeFrom(frame)
        await session.send(posed)
    finished = await session.finish()
    assert finished.fused > 0
    assert (await client.session(session.id)).units == "m"


async def test_refused_frames_leave_the_map_as_it_is(
    client: AsyncClient, colour_frames: Frames
) -> None:
    session = await client.open(None, "refusing", "lossless", sensor="mono")
    await session.send(colour_frames[0])
    for frame in colour_frames[1:4]:
        broken = ingest_pb2.Frame()
        broken.CopyFrom(frame)
        broken.color.data = broken.color.data[:100]
        await session.send(broken)
    await session.finish()
    statuses = [result.status async for result in session.results()]
    assert statuses == [Result.STATUS_NOT_FUSED] + 3 * [Result.STATUS_REJECTED]
    info = await client.session(session.id)
    assert info.camera_guessed
    assert (info.camera.width_px, info.camera.height_px) == (640, 480)


async def test_resets_that_overtake_each_other_cost_no_session(
    client: AsyncClient, colour_frames: Frames
) -> None:
    session = await client.open(None, "impatient", "lossless", sensor="mono")
    for frame in colour_frames[:3]:
        await session.send(frame)
        await session.reset()
        await session.reset()
    await session.send(colour_frames[3])
    finished = await session.finish()
    results = [result async for result in session.results()]
    assert len(results) == 4
    assert results[-1].epoch == finished.epoch


async def test_a_live_session_estimates_depth_beside_its_frames(
    client: AsyncClient, walk: Sequence, colour_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    assert walk.ground_truth is not None
    session = await client.open(
        walk.calibration.to_message(), "beside", "live", "given", fusion=coarse, sensor="mono"
    )
    results = session.results()
    poses = walk.ground_truth.world_from_camera
    there_and_back = itertools.cycle([*range(FRAMES), *reversed(range(FRAMES))])
    async with asyncio.timeout(120):
        for count, index in enumerate(there_and_back):
            frame = ingest_pb2.Frame(world_from_camera=pose_message(poses[index]))
            frame.MergeFrom(colour_frames[index])
            frame.index, frame.capture_ns = count, 33_000_000 * (count + 1)
            await session.send(frame)
            assert (await anext(results)).status in (Result.STATUS_FUSED, Result.STATUS_TRACKED)
            if (await client.session(session.id)).triangles > 1000:
                break
    finished = await session.finish()
    assert (await followed(client, session.id)).map_hash == finished.map_hash
