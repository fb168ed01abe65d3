"""A sender's frames become the same map at every subscriber, over every transport."""

import asyncio
import io

import httpx
import numpy as np
import pytest
import trimesh

from mapcast_client import AsyncClient, FollowOptions, Map
from mapcast_client.v1 import ingest_pb2
from mapcast_client.websocket import follow_websocket
from replay.sequence import Sequence
from slam.trajectory import Trajectory
from stream.server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]


async def follow_until(deltas, map_: Map, finished: ingest_pb2.Finished, poses: int) -> Map:
    """Apply deltas until the map is the server's final one, with so many poses."""
    async with asyncio.timeout(30):
        async for delta in deltas:
            map_.apply(delta)
            if map_.map_hash == finished.map_hash and len(map_.trajectory) == poses:
                return map_
    raise AssertionError("the stream of deltas ended early")


@pytest.fixture(scope="module")
def streamed() -> dict[str, object]:
    """What the first test leaves for the others."""
    return {}


async def test_every_subscriber_ends_with_the_servers_map(
    server: RunningServer,
    client: AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
    streamed: dict[str, object],
) -> None:
    session = await client.open(
        room.calibration.to_message(), "walk", "lossless", "given", fusion=coarse
    )
    early = Map()
    early_deltas = client.follow(session.id)
    sending = asyncio.create_task(_send_all(session, posed_frames))
    async for delta in early_deltas:  # a subscriber from the beginning, cut off in the middle
        early.apply(delta)
        if early.trajectory:
            break
    await sending
    finished = await session.finish()
    results = [result async for result in session.results()]

    assert [result.index for result in results] == [frame.index for frame in posed_frames]
    assert {result.status for result in results} == {ingest_pb2.FrameResult.STATUS_FUSED}
    assert (finished.frames, finished.fused, finished.dropped) == (len(results), len(results), 0)

    count = len(posed_frames)
    late = await follow_until(client.follow(session.id), Map(), finished, count)
    resumed = FollowOptions(since=early.complete_through, epoch=early.epoch)
    again = await follow_until(client.follow(session.id, resumed), early, finished, count)
    browser = await follow_until(
        follow_websocket(server.http_url, session.id), Map(), finished, count
    )
    narrow = FollowOptions(compression="lz4", viewpoint=(0.0, 0.0, 1.0), max_bytes_per_s=4e5)
    slow = await follow_until(
        follow_websocket(server.http_url, session.id, narrow), Map(), finished, count
    )
    for map_ in (late, again, browser, slow):
        assert map_.is_exact
        assert map_.map_hash == finished.map_hash
        assert len(map_.trajectory) == len(posed_frames)
    assert len(late.mesh().triangles) > 1000
    streamed.update(session=session.id, finished=finished, map=late)


async def _send_all(session, frames: Frames) -> None:
    for frame in frames:
        await session.send(frame)


@pytest.mark.parametrize("mesh_format", ["ply", "obj", "glb"])
async def test_exports_agree_with_the_deltas(
    http: httpx.AsyncClient,
    client: AsyncClient,
    streamed: dict[str, object],
    mesh_format: str,
) -> None:
    session, followed = streamed["session"], streamed["map"]
    response = await http.get(f"/v1/sessions/{session}/map.{mesh_format}")
    assert response.status_code == 200
    assert response.content == await client.export(session, mesh_format)
    loaded = trimesh.load(io.BytesIO(response.content), file_type=mesh_format, force="mesh")
    vertices = np.asarray(loaded.vertices)
    if mesh_format == "glb":  # glTF is Y-up
        vertices = vertices[:, [0, 2, 1]] * [1, -1, 1]
    low, high = (getattr(followed.mesh().vertices_world, side)(axis=0) for side in ("min", "max"))
    assert np.allclose(vertices.min(axis=0), low, atol=0.002)
    assert np.allclose(vertices.max(axis=0), high, atol=0.002)


async def test_the_trajectory_is_the_one_that_was_given(
    http: httpx.AsyncClient, room: Sequence, streamed: dict[str, object]
) -> None:
    response = await http.get(f"/v1/sessions/{streamed['session']}/trajectory.tum")
    path = Trajectory.from_tum(response.text)
    assert room.ground_truth is not None
    assert path.capture_ns.tolist() == room.ground_truth.capture_ns.tolist()
    truth = room.ground_truth.world_from_camera
    assert np.allclose(path.world_from_camera, truth, atol=1e-6)


async def test_a_view_shows_what_the_camera_saw(
    client: AsyncClient, room: Sequence, posed_frames: Frames, streamed: dict[str, object]
) -> None:
    from slam.images import decode_frame

    truth = room.ground_truth
    assert truth is not None
    camera = room.calibration.camera.to_message()
    view = await client.raycast(streamed["session"], camera, truth.world_from_camera[-1])
    frame = decode_frame(posed_frames[-1], room.calibration)
    depth_m = frame.depth * np.float32(frame.depth_scale_m)
    both = (depth_m > 0) & (view.depth > 0)
    assert both.mean() > 0.5
    assert np.median(np.abs(depth_m - view.depth)[both]) < 0.02


async def test_lists_health_and_metrics(
    http: httpx.AsyncClient, client: AsyncClient, streamed: dict[str, object]
) -> None:
    (listed,) = (await http.get("/v1/sessions")).json()["sessions"]
    finished = streamed["finished"]
    assert listed["session"] == streamed["session"]
    assert listed["state"] == "finished"
    assert int(listed["map_hash"]) == finished.map_hash
    assert (await client.session(streamed["session"])).map_hash == finished.map_hash
    assert (await http.get("/healthz")).text == "ok\n"
    assert (await http.get("/readyz")).status_code == 200
    metrics = (await http.get("/metrics")).text
    assert f'mapcast_frames_total{{status="fused"}} {float(finished.fused)}' in metrics
    assert 'mapcast_sessions{state="finished"} 1.0' in metrics


async def test_what_is_not_there_is_said_so(http: httpx.AsyncClient) -> None:
    for path in ("", "/map.glb", "/trajectory.tum"):
        response = await http.get(f"/v1/sessions/nobody{path}")
        assert response.status_code == 404
        assert "nobody" in response.json()["error"]


async def test_an_unknown_format_is_refused(
    http: httpx.AsyncClient, streamed: dict[str, object]
) -> None:
    response = await http.get(f"/v1/sessions/{streamed['session']}/map.stl")
    assert response.status_code == 400
    assert "stl" in response.json()["error"]


async def test_reset_begins_a_new_epoch(
    client: AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    session = await client.open(
        room.calibration.to_message(), "again", "lossless", "given", fusion=coarse
    )
    await _send_all(session, posed_frames[:6])
    await session.reset()
    await _send_all(session, posed_frames[6:12])
    finished = await session.finish()
    assert finished.epoch > session.epoch
    map_ = await follow_until(client.follow(session.id), Map(), finished, 6)
    assert [row.index for row in map_.trajectory] == [frame.index for frame in posed_frames[6:12]]
