import asyncio
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
from scripted_peer import Peer, keyframes_message, mesh_message, status_message, trajectory_message

from mapcast_client import Client, Map, calibration_message, frame_message, imu_message
from mapcast_client.errors import ConnectionLost, SessionError, StateError

Result = TypeVar("Result")
CALIBRATION = calibration_message(4, 3, 4, 4, 2, 1)


async def in_thread(function: Callable[[], Result]) -> Result:
    """Run the synchronous client beside the peer's loop."""
    async with asyncio.timeout(10):
        return await asyncio.to_thread(function)


async def test_frames_go_and_results_come(peer: Peer) -> None:
    def stream() -> list[int]:
        color, depth = np.zeros((3, 4, 3), np.uint8), np.ones((3, 4), np.uint16)
        with Client(peer.address) as client, client.open(CALIBRATION, policy="lossless") as session:
            for index in range(4):
                session.send(frame_message(index, index, color, depth))
            assert session.finish().frames == 4
            return [result.index for result in session.results()]

    assert await in_thread(stream) == [0, 1, 2, 3]


async def test_corrections_come_beside_the_results(peer: Peer) -> None:
    peer.corrects = {1: [10]}

    def stream() -> list[int]:
        with Client(peer.address) as client, client.open(CALIBRATION) as session:
            for index in range(2):
                session.send(frame_message(index, index, np.zeros((3, 4, 3), np.uint8)))
            session.finish()
            return [row.capture_ns for each in session.corrections() for row in each.keyframes]

    assert await in_thread(stream) == [10]


async def test_a_monocular_session_with_an_imu(peer: Peer) -> None:
    batch = imu_message(np.array([5]), np.ones((1, 3)), np.ones((1, 3)))

    def stream() -> None:
        with Client(peer.address) as client:
            session = client.open(sensor="mono", depth="network", model="desk", scene_depth_m=2.0)
            session.send_imu(batch)
            session.send(frame_message(0, 9, np.zeros((3, 4, 3), np.uint8)))
            session.finish()

    await in_thread(stream)
    assert (peer.opens[0].depth.model, peer.opens[0].scene_depth_m) == ("desk", 2.0)
    assert peer.samples == list(batch.samples)
    assert not peer.frames[0].HasField("depth")


async def test_follow_and_queries(peer: Peer) -> None:
    peer.connections = [
        [status_message(), mesh_message(1, 1), keyframes_message(1), trajectory_message(1)]
    ]

    def follow() -> Map:
        followed = Map()
        with Client(peer.address) as client:
            assert [info.session for info in client.sessions()] == ["s1"]
            assert client.session("s1").state == "active"
            assert client.export("s1").startswith(b"glTF")
            assert client.raycast("s1", CALIBRATION.camera, np.eye(4)).depth.shape == (3, 4)
            for delta in client.follow("s1"):
                followed.apply(delta)
                if followed.complete_through == 1:
                    return followed
        raise AssertionError("the subscription ended")

    assert (await in_thread(follow)).is_exact


async def test_errors_come_through(peer: Peer) -> None:
    def ask() -> None:
        with Client(peer.address) as client, pytest.raises(SessionError, match="ghost"):
            client.session("ghost")
        with pytest.raises(StateError, match="not connected"):
            client.sessions()

    await in_thread(ask)


def test_a_refused_connection_leaves_no_thread_behind() -> None:
    client = Client("127.0.0.1:1")
    with pytest.raises(ConnectionLost, match=r"no mapcast server at 127\.0\.0\.1:1"):
        client.__enter__()
    with pytest.raises(StateError, match="not connected"):
        client.sessions()
