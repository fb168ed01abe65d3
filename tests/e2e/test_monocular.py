"""Colour alone becomes a dense map: tracked or posed, unscaled or scaled, with a guessed camera."""

import httpx
import numpy as np
import pytest

from mapcast_client import AsyncClient, Map
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
    early = await http.get(f"/v1/sessions/{session.id}/map.ply")
    assert early.status_code == 400
    assert "no frame" in early.json()["error"]
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
