import socket

import numpy as np
import pytest
from scripted_peer import Peer, keyframes_message, mesh_message, status_message, trajectory_message

from mapcast_client import FollowOptions, Map, MeshDelta, connect
from mapcast_client.errors import (
    ConnectionLost,
    InputError,
    ProtocolError,
    SessionError,
    StateError,
)
from mapcast_client.v1 import ingest_pb2

CAMERA = ingest_pb2.Camera(width_px=4, height_px=3, fx_px=4, fy_px=4, cx_px=2, cy_px=1)


async def test_sessions_are_listed_and_described(peer: Peer) -> None:
    async with connect(peer.address) as client:
        assert [info.session for info in await client.sessions()] == ["s1"]
        assert (await client.session("s1")).state == "active"


async def test_an_unknown_session_is_not_found(peer: Peer) -> None:
    async with connect(peer.address) as client:
        with pytest.raises(SessionError, match="no session 'ghost'") as raised:
            await client.session("ghost")
        assert raised.value.code == "not_found"


async def test_export_joins_the_chunks(peer: Peer) -> None:
    async with connect(peer.address) as client:
        assert await client.export("s1", "glb") == b"glTF" + bytes(100)


async def test_an_unknown_format_is_an_input_error(peer: Peer) -> None:
    async with connect(peer.address) as client:
        with pytest.raises(InputError, match="format is 'stl'"):
            await client.export("s1", "stl")


async def test_raycast_gives_images_of_the_cameras_size(peer: Peer) -> None:
    async with connect(peer.address) as client:
        view = await client.raycast("s1", CAMERA, np.eye(4))
        assert view.color.shape == (3, 4, 3)
        assert view.depth.shape == (3, 4)
        assert view.normals_world.shape == (3, 4, 3)
        with pytest.raises(ProtocolError, match="color has 35 bytes, must have 36"):
            await client.raycast("short", CAMERA, np.eye(4))
        with pytest.raises(InputError, match="not rigid"):
            await client.raycast("s1", CAMERA, np.diag([2.0, 1, 1, 1]))


async def test_a_refused_connection_says_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionLost, match=f"no mapcast server at 127.0.0.1:{port}.*serve"):
        async with connect(f"127.0.0.1:{port}"):
            pass


async def test_a_port_that_does_not_answer_is_a_lost_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ConnectionLost, match=f"127.0.0.1:{port}"):
            async with connect(f"127.0.0.1:{port}", timeout_s=0.2):
                pass


async def test_a_client_that_is_not_entered_is_a_state_error(peer: Peer) -> None:
    with pytest.raises(StateError, match="not connected"):
        await connect(peer.address).sessions()


async def test_follow_keeps_a_map_exact(peer: Peer) -> None:
    peer.connections = [
        [status_message(), mesh_message(1, 1), keyframes_message(1), trajectory_message(1)]
    ]
    followed = Map()
    async with connect(peer.address) as client:
        async for delta in client.follow("s1"):
            followed.apply(delta)
            if followed.complete_through == 1:
                break
    assert followed.is_exact
    assert followed.status is not None
    assert followed.status.state == "active"
    assert peer.subscribes[0].compression == "zstd"


async def test_follow_yields_only_the_wanted_layers(peer: Peer) -> None:
    peer.connections = [[status_message(), trajectory_message(1), mesh_message(1, 1)]]
    async with connect(peer.address) as client:
        options = FollowOptions(layers=["mesh"], viewpoint=(1.0, 2.0, 3.0), since=4, epoch=1)
        first = await anext(client.follow("s1", options))
    assert isinstance(first, MeshDelta)
    assert list(peer.subscribes[0].layers) == ["mesh", "status"]
    assert peer.subscribes[0].viewpoint.z == 3.0
    assert (peer.subscribes[0].since, peer.subscribes[0].epoch) == (4, 1)


async def test_follow_reconnects_where_it_was(peer: Peer) -> None:
    peer.connections = [
        [mesh_message(5, 3, 9), keyframes_message(4, 9), trajectory_message(4, 9)],
        [mesh_message(6, 6, 9), keyframes_message(6, 9), trajectory_message(6, 9)],
    ]
    followed = Map()
    async with connect(peer.address) as client:
        async for delta in client.follow("s1", FollowOptions(reconnect=1)):
            followed.apply(delta)
            if followed.complete_through == 6:
                break
    assert followed.is_exact
    assert [(request.since, request.epoch) for request in peer.subscribes] == [(0, 0), (3, 9)]


async def test_follow_without_reconnect_raises_the_loss(peer: Peer) -> None:
    peer.connections = [[mesh_message(5, 3)], []]
    async with connect(peer.address) as client:
        deltas = client.follow("s1")
        assert isinstance(await anext(deltas), MeshDelta)
        with pytest.raises(ConnectionLost, match=f"{peer.address}: lost"):
            await anext(deltas)


async def test_follow_of_a_silent_server_is_a_lost_connection(peer: Peer) -> None:
    peer.connections = [[]]
    async with connect(peer.address) as client:
        with pytest.raises(ConnectionLost, match=r"silent for 0\.1 s"):
            await anext(client.follow("s1", FollowOptions(timeout_s=0.1)))


async def test_follow_of_an_unknown_session_is_not_found(peer: Peer) -> None:
    async with connect(peer.address) as client:
        with pytest.raises(SessionError, match="no session 'ghost'"):
            await anext(client.follow("ghost", FollowOptions(reconnect=5)))


async def test_follow_of_broken_deltas_is_a_protocol_error(peer: Peer) -> None:
    peer.connections = [[b"not arrow"]]
    async with connect(peer.address) as client:
        with pytest.raises(ProtocolError, match="not a sound Arrow stream"):
            await anext(client.follow("s1"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"compression": "gzip"}, "compression is 'gzip'"),
        ({"layers": []}, "layers is empty"),
        ({"since": -1}, "since is -1"),
        ({"max_bytes_per_s": -1.0}, "max_bytes_per_s is -1.0"),
    ],
)
def test_impossible_follow_options_are_input_errors(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        FollowOptions(**values)  # type: ignore[arg-type]
