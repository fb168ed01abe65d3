"""Sessions made and steered over REST, for senders that come later."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from mapcast_client import AsyncClient
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.config import IceServer, ServerConfig
from stream.server import RunningServer, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
CAMERA = {"width_px": 640, "height_px": 480, "fx_px": 500, "fy_px": 500, "cx_px": 320, "cy_px": 240}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    """A server with a depth network, and little patience with those who never come."""
    models = tmp_path_factory.mktemp("models")
    (models / "small.toml").touch()
    config = ServerConfig(
        http_port=0,
        grpc_port=0,
        keep_warm_worker=False,
        first_sender_timeout_s=1.0,
        depth_models=models,
        ice_servers=(IceServer("stun:stun.example:3478"), IceServer("turn:turn.example", "u", "c")),
    )
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    """Its HTTP side, with the patience that a worker's start needs."""
    async with httpx.AsyncClient(
        base_url=server.http_url, trust_env=False, timeout=60
    ) as connected:
        yield connected


def rgbd_session(room: Sequence, voxel_size_m: float) -> dict[str, Any]:
    """JSON that asks for a session of the room's camera."""
    calibration = room.calibration.to_message()
    camera = calibration.camera
    names = ("width_px", "height_px", "fx_px", "fy_px", "cx_px", "cy_px")
    return {
        "name": "for later",
        "sensor": "rgbd",
        "policy": "lossless",
        "voxel_size_m": voxel_size_m,
        "calibration": {name: getattr(camera, name) for name in names}
        | {"depth_scale_m": calibration.depth_scale_m},
    }


async def state(http: httpx.AsyncClient, session: str) -> str:
    info: dict[str, Any] = (await http.get(f"/v1/sessions/{session}")).json()
    return str(info["state"])


async def test_a_session_waits_for_its_sender_who_is_steered_over_rest(
    http: httpx.AsyncClient, client: AsyncClient, room: Sequence, posed_frames: Frames
) -> None:
    created = await http.post("/v1/sessions", json=rgbd_session(room, 0.05))
    assert created.status_code == 201
    told = created.json()
    session = told.pop("session")
    path = f"/v1/sessions/{session}"
    assert created.headers["location"] == path
    assert told == {
        "publish_token": "",
        "watch_token": "",
        "whip_path": f"{path}/whip",
        "viewer_path": f"/?session={session}",
        "camera_path": f"/camera.html?session={session}",
    }
    info = (await http.get(path)).json()
    assert (info["state"], info["name"], info["sensor"]) == ("waiting", "for later", "rgbd")
    assert info["voxel_size_m"] == 0.05

    sender = await client.open(room.calibration.to_message(), policy="lossless", session=session)
    results = sender.results()
    assert (await http.post(f"{path}/pause")).json()["state"] == "paused"
    await sender.send(posed_frames[0])
    assert (await anext(results)).status == ingest_pb2.FrameResult.STATUS_DROPPED
    assert (await http.post(f"{path}/resume")).json()["state"] == "active"
    await sender.send(posed_frames[1])
    assert (await anext(results)).status != ingest_pb2.FrameResult.STATUS_DROPPED
    assert (await http.post(f"{path}/reset")).status_code == 200
    assert (await http.post(f"{path}/finish")).json()["state"] == "finished"
    late = await http.post(f"{path}/reset")
    assert (late.status_code, "finished" in late.json()["error"]) == (409, True)
    assert (await http.delete(path)).status_code == 204
    assert (await http.get(path)).status_code == 404


async def test_a_session_whose_sender_never_comes_is_finished(http: httpx.AsyncClient) -> None:
    session = (await http.post("/v1/sessions", json={})).json()["session"]
    async with asyncio.timeout(30):
        while await state(http, session) != "finished":
            await asyncio.sleep(0.05)
    assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"voxel_size": 0.02}, 422, "voxel_size"),
        ({"sensor": "lidar"}, 422, "sensor"),
        ([1], 422, "the message"),
        ({"sensor": "rgbd"}, 400, "calibration"),
        ({"sensor": "mono_imu"}, 400, "calibration.imu"),
        ({"name": "x" * 300}, 400, "300 characters"),
        ({"model": "../small"}, 400, "small"),
        ({"depth": "network"}, 400, "needs a model"),
        ({"scene_depth_m": 1e6}, 400, "scene_depth_m"),
        ({"sensor": "rgbd", "calibration": CAMERA, "scene_depth_m": 2}, 400, "by its sensor"),
        ({"voxel_size_m": 7}, 400, "voxel_size_m"),
    ],
)
async def test_what_cannot_be_opened_is_refused_with_the_reason(
    http: httpx.AsyncClient, asked: object, status: int, words: str
) -> None:
    answer = await http.post("/v1/sessions", json=asked)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert words in answer.json()["error"]
    assert (await http.get("/v1/sessions")).json()["sessions"] == []


async def test_what_is_no_json_and_what_is_no_route_has_the_same_form(
    http: httpx.AsyncClient,
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await http.post("/v1/sessions", content=b"{", headers=headers)
    assert (answer.status_code, list(answer.json())) == (422, ["error"])
    assert (await http.get("/nowhere")).json() == {"error": "Not Found"}
    assert (await http.put("/v1/sessions")).json() == {"error": "Method Not Allowed"}


async def test_the_server_tells_what_it_can(http: httpx.AsyncClient) -> None:
    told = (await http.get("/v1/server")).json()
    assert told["access"] == "open"
    assert told["depth_models"] == ["small"]
    assert told["public_urls"] == []
    assert told["ice_servers"] == [
        {"urls": "stun:stun.example:3478"},
        {"urls": "turn:turn.example", "username": "u", "credential": "c"},
    ]
    assert told["version"]


async def test_pages_of_the_bundle_need_no_token(tmp_path: Path) -> None:
    (tmp_path / "camera.html").write_text("<title>camera</title>")
    config = ServerConfig(
        http_port=0,
        grpc_port=0,
        access="closed",
        keep_warm_worker=False,
        web_dir=tmp_path,
        ice_servers=(IceServer("turn:turn.example", "u", "c-secret"),),
    )
    async with (
        serve(config) as running,
        httpx.AsyncClient(base_url=running.http_url, trust_env=False) as http,
    ):
        assert "camera" in (await http.get("/camera.html")).text
        assert (await http.get("/v1/server")).json()["ice_servers"] == []
        trusted = {"Authorization": f"Bearer {running.api_token}"}
        (turn,) = (await http.get("/v1/server", headers=trusted)).json()["ice_servers"]
        assert turn["credential"] == "c-secret"
