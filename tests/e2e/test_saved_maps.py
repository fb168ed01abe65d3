"""Save a session's map, and go on with it: find the camera in it, and fuse more."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
import pytest_asyncio

from mapcast_client import AsyncClient, AsyncSession, connect
from mapcast_client.errors import SessionError
from mapcast_client.poses import pose_matrix
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.opening import open_sequence
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeping(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    """A server that records, and keeps maps."""
    folder = tmp_path_factory.mktemp("keeping")
    config = ServerConfig(
        http_port=0,
        grpc_port=0,
        recordings=folder / "recordings",
        maps=folder / "maps",
        keep_warm_worker=False,
    )
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeper(keeping: RunningServer) -> AsyncIterator[AsyncClient]:
    async with connect(keeping.grpc_address) as connected:
        yield connected


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(keeping: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=keeping.http_url, trust_env=False, timeout=60
    ) as connected:
        yield connected


async def sent(session: AsyncSession, frames: Frames) -> list[FrameResult]:
    """Send frames and finish; their results."""

    async def take() -> list[FrameResult]:
        return [result async for result in session.results()]

    async with asyncio.TaskGroup() as tasks:
        results = tasks.create_task(take())
        for frame in frames:
            await session.send(frame)
        await session.finish()
    return results.result()


async def test_the_camera_is_found_in_a_saved_map_and_the_map_goes_on(
    keeper: AsyncClient, rest: httpx.AsyncClient, coarse: ingest_pb2.FusionSettings
) -> None:
    walk = open_sequence("rendered:frames=60")
    calibration, frames = walk.calibration.to_message(), list(walk.frames())
    first = await keeper.open(calibration, "first", "lossless", "tracked", fusion=coarse)
    poses = {result.index: result.world_from_camera for result in await sent(first, frames)}
    saved = await rest.post(f"/v1/sessions/{first.id}/save", json={"name": "room"})
    assert saved.status_code == 201
    info = await keeper.session(first.id)
    assert saved.json()["blocks"] >= info.blocks

    middle = frames[20:40]  # another camera that comes by; its clock is not the first one's
    found = await keeper.open(
        calibration, "found", "lossless", saved_map="room", localization_only=True
    )
    results = await sent(found, middle)
    located = [result for result in results if result.status == FrameResult.STATUS_TRACKED]
    assert len(located) >= len(middle) - 2
    for result in located:
        offset_m = pose_matrix(result.world_from_camera) - pose_matrix(poses[result.index])
        assert np.linalg.norm(offset_m[:3, 3]) < 0.02
    assert (await keeper.session(found.id)).map_hash == info.map_hash  # as it was

    more = await keeper.open(calibration, "more", "lossless", saved_map="room")
    results = await sent(more, middle)
    assert sum(result.status == FrameResult.STATUS_FUSED for result in results) >= len(middle) - 2
    grown = await keeper.session(more.id)
    assert grown.map_hash != info.map_hash
    assert grown.blocks >= info.blocks
    assert grown.voxel_size_m == coarse.voxel_size_m


async def test_a_map_has_the_settings_of_its_session(
    keeper: AsyncClient,
    rest: httpx.AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    calibration = room.calibration.to_message()
    first = await keeper.open(calibration, "posed", "lossless", "given", fusion=coarse)
    await sent(first, posed_frames)
    assert (await rest.post(f"/v1/sessions/{first.id}/save", json={"name": "posed"})).is_success
    opened = await rest.post("/v1/sessions", json={"map": "posed", "policy": "lossless"})
    again = await keeper.open(session=opened.json()["session"], policy="lossless")
    results = await sent(again, posed_frames)
    assert {result.status for result in results} == {FrameResult.STATUS_FUSED}

    finer = ingest_pb2.FusionSettings(voxel_size_m=0.01)
    with pytest.raises(SessionError, match=r"voxel_size_m is 0\.01"):
        await keeper.open(calibration, pose_source="given", fusion=finer, saved_map="posed")
    smaller = ingest_pb2.Calibration()
    smaller.CopyFrom(calibration)
    smaller.camera.fx_px *= 1.1
    with pytest.raises(SessionError, match="camera"):
        await keeper.open(smaller, pose_source="given", saved_map="posed")


async def test_maps_are_named_listed_and_deleted(
    keeping: RunningServer, keeper: AsyncClient, rest: httpx.AsyncClient, room: Sequence
) -> None:
    calibration = room.calibration.to_message()
    session = await keeper.open(calibration, pose_source="given")
    for name in ("../room", "", ".hidden", "a/b", "a" * 65, "a\n"):
        refused = await rest.post(f"/v1/sessions/{session.id}/save", json={"name": name})
        assert refused.status_code == 400
        assert "map name" in refused.json()["error"]
    for name in ("b", "a"):
        assert (await rest.post(f"/v1/sessions/{session.id}/save", json={"name": name})).is_success
    assert keeping.registry.config.maps is not None
    manifest = keeping.registry.config.maps / "b" / "000001" / "map.json"
    manifest.write_text(manifest.read_text().replace("0.01", "0.02", 1))
    maps = {row["name"]: row for row in (await rest.get("/v1/maps")).json()["maps"]}
    assert maps["a"]["voxel_size_m"] == 0.01
    assert "map.json" in maps["b"]["error"]
    with pytest.raises(SessionError, match=r"map\.json"):
        await keeper.open(calibration, pose_source="given", saved_map="b")
    assert (await rest.delete("/v1/maps/b")).status_code == 204
    assert (await rest.delete("/v1/maps/b")).status_code == 404
    assert (await rest.get("/v1/maps/b")).status_code == 404
    with pytest.raises(SessionError, match="no saved map"):
        await keeper.open(calibration, pose_source="given", saved_map="b")
