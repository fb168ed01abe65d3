import asyncio
from typing import Any

import pytest
from scripted_peer import Peer

from mapcast_client import calibration_message, connect
from mapcast_client.errors import ConnectionLost, InputError, SessionError, StateError
from mapcast_client.v1 import ingest_pb2

CALIBRATION = calibration_message(640, 480, 585, 585, 320, 240)


def frame(index: int) -> ingest_pb2.Frame:
    return ingest_pb2.Frame(index=index, capture_ns=index)


async def test_every_frame_gets_its_result(peer: Peer) -> None:
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION, name="desk", policy="lossless")
        for index in range(5):
            await session.send(frame(index))
        finished = await session.finish()
        assert [result.index async for result in session.results()] == list(range(5))
        assert (session.id, finished.frames, finished.map_hash) == ("s1", 5, 7)
        assert session.unanswered == 0
    assert peer.opens[0].name == "desk"
    assert peer.opens[0].policy == ingest_pb2.POLICY_LOSSLESS
    assert peer.opens[0].pose_source == ingest_pb2.POSE_SOURCE_TRACKED


async def test_a_monocular_session_needs_no_calibration(peer: Peer) -> None:
    async with connect(peer.address) as client:
        await client.open(
            sensor="mono", depth="motion_stereo", model="desk", scene_depth_m=1.5, name="phone"
        )
    (request,) = peer.opens
    assert request.sensor == ingest_pb2.SENSOR_MONO
    assert not request.HasField("calibration")
    assert request.depth.source == ingest_pb2.DepthSettings.SOURCE_MOTION_STEREO
    assert (request.depth.model, request.scene_depth_m) == ("desk", 1.5)


async def test_a_session_is_rejoined_without_a_calibration(peer: Peer) -> None:
    async with connect(peer.address) as client:
        await client.open(session="s1")
    (request,) = peer.opens
    assert request.session == "s1"
    assert not request.HasField("calibration")


async def test_a_camera_that_fits_better_is_kept_for_the_next_session(peer: Peer) -> None:
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION, policy="lossless", free_intrinsics=True)
        assert session.calibration_offer is None
        await session.send(frame(55))
        await session.finish()
        offer = session.calibration_offer
        assert offer is not None
        assert (offer.camera.fx_px, offer.keyframes) == (525, 12)
        await client.open(CALIBRATION)
    assert peer.opens[0].refine == ingest_pb2.RefineSettings(free_intrinsics=True)
    assert not peer.opens[1].HasField("refine")


async def test_what_a_later_server_tells_besides_is_ignored(peer: Peer) -> None:
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION, policy="lossless")
        await session.send(frame(44))
        await session.finish()
        assert [result.index async for result in session.results()] == [44]
        assert not session.errors


async def test_imu_samples_go_between_frames(peer: Peer) -> None:
    batch = ingest_pb2.ImuBatch(samples=[ingest_pb2.ImuSample(capture_ns=5, gx=0.25)])
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION, sensor="mono_imu", policy="lossless")
        await session.send_imu(batch)
        await session.send(frame(0))
        await session.finish()
        assert peer.samples == list(batch.samples)
        with pytest.raises(StateError):
            await session.send_imu(batch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "sensor 'rgbd' needs a calibration; only 'mono' goes without"),
        ({"sensor": "mono_imu"}, "sensor 'mono_imu' needs a calibration"),
        ({"sensor": "mono", "depth": "stereo"}, "depth is 'stereo', must be one of auto, motion"),
        ({"calibration": CALIBRATION, "sensor": "lidar"}, "sensor is 'lidar', must be one of rgbd"),
        ({"sensor": "mono", "scene_depth_m": -1.0}, r"scene_depth_m is -1\.0, must be 0"),
        ({"sensor": "mono", "scene_depth_m": float("nan")}, "scene_depth_m is nan"),
    ],
)
async def test_settings_that_cannot_be_are_refused_here(
    peer: Peer, settings: dict[str, Any], message: str
) -> None:
    async with connect(peer.address) as client:
        with pytest.raises(InputError, match=message):
            await client.open(**settings)
    assert not peer.opens


async def test_lossless_waits_for_the_window(peer: Peer) -> None:
    peer.answering.clear()
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION, policy="lossless")
        for index in range(2):
            await session.send(frame(index))
        third = asyncio.create_task(session.send(frame(2)))
        await peer.until_frames(1)
        done, _ = await asyncio.wait([third], timeout=0.05)
        assert not done
        assert session.unanswered == 2
        peer.answering.set()
        await third
        await peer.until_frames(3)


async def test_live_does_not_wait_for_the_window(peer: Peer) -> None:
    peer.answering.clear()
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION)
        for index in range(10):
            await session.send(frame(index))
        assert session.unanswered == 10


async def test_results_can_be_taken_while_sending(peer: Peer) -> None:
    async with connect(peer.address) as client, await client.open(CALIBRATION) as session:
        results = session.results()
        for index in range(3):
            await session.send(frame(index))
            assert (await anext(results)).index == index


async def test_corrections_are_the_newest_of_each_keyframe(peer: Peer) -> None:
    peer.corrects = {0: [10], 1: [10, 20], 2: [20]}
    async with connect(peer.address) as client, await client.open(CALIBRATION) as session:
        corrections = session.corrections()
        await session.send(frame(0))
        first = await anext(corrections)
        await session.send(frame(1))
        await session.send(frame(2))
        await session.finish()
        (rest,) = [each async for each in corrections]
    assert [(row.capture_ns, row.scale) for row in first.keyframes] == [(10, 1)]
    assert [(row.capture_ns, row.scale) for row in rest.keyframes] == [(10, 2), (20, 3)]


async def test_corrections_end_with_what_ended_the_session(peer: Peer) -> None:
    peer.corrects = {66: [10]}
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION)
        await session.send(frame(66))
        corrections = session.corrections()
        assert (await anext(corrections)).keyframes[0].capture_ns == 10
        with pytest.raises(SessionError, match="the worker died"):
            await anext(corrections)


async def test_controls_arrive(peer: Peer) -> None:
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION)
        await session.pause()
        await session.resume()
        await session.reset()
        await session.finish()
    control = ingest_pb2.Control
    assert peer.controls == [
        control.ACTION_PAUSE,
        control.ACTION_RESUME,
        control.ACTION_RESET,
        control.ACTION_FINISH,
    ]


async def test_a_refused_session_raises_with_its_code(peer: Peer) -> None:
    async with connect(peer.address) as client:
        with pytest.raises(SessionError, match="width_px is 0") as raised:
            await client.open(ingest_pb2.Calibration())
    assert raised.value.code == "invalid_argument"


async def test_an_error_that_is_not_fatal_is_kept_and_the_session_goes_on(peer: Peer) -> None:
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION)
        await session.send(frame(13))
        await session.send(frame(14))
        await session.finish()
        assert [error.message for error in session.errors] == ["no block is left"]


async def test_a_fatal_error_raises_everywhere(peer: Peer) -> None:
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION, policy="lossless")
        await session.send(frame(1))
        await session.send(frame(66))
        results = session.results()
        assert (await anext(results)).index == 1
        with pytest.raises(SessionError, match="the worker died"):
            await anext(results)
        with pytest.raises(SessionError, match="the worker died"):
            await session.send(frame(2))
        with pytest.raises(SessionError, match="the worker died"):
            await session.finish()


@pytest.mark.parametrize(("index", "message"), [(77, "going down"), (88, "ended the stream")])
async def test_a_server_that_goes_is_a_lost_connection(
    peer: Peer, index: int, message: str
) -> None:
    async with connect(peer.address) as client:
        session = await client.open(CALIBRATION)
        await session.send(frame(index))
        with pytest.raises(ConnectionLost, match=message):
            await anext(session.results())
        with pytest.raises(ConnectionLost, match=message):
            await session.send(frame(1))


async def test_a_server_that_owes_an_answer_and_is_silent_is_lost(peer: Peer) -> None:
    peer.answering.clear()
    async with connect(peer.address, timeout_s=0.2) as client:
        session = await client.open(CALIBRATION)
        await session.send(frame(1))
        with pytest.raises(ConnectionLost, match="has not answered for"):
            await anext(session.results())


async def test_silence_without_a_debt_is_no_loss(peer: Peer) -> None:
    async with connect(peer.address, timeout_s=0.05) as client:
        session = await client.open(CALIBRATION)
        waiting = asyncio.create_task(anext(session.results()))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        await session.send(frame(4))
        assert (await waiting).index == 4


async def test_a_finished_or_closed_session_takes_no_frames(peer: Peer) -> None:
    async with connect(peer.address) as client:
        finished = await client.open(CALIBRATION)
        await finished.finish()
        with pytest.raises(StateError, match="session s1 is finished"):
            await finished.send(frame(1))
        closed = await client.open(CALIBRATION)
        await closed.close()
        await closed.close()
        with pytest.raises(StateError, match="session s1 is closed"):
            await closed.send(frame(1))


async def test_unknown_words_are_input_errors(peer: Peer) -> None:
    async with connect(peer.address) as client:
        with pytest.raises(InputError, match="policy is 'fast', must be one of live, lossless"):
            await client.open(CALIBRATION, policy="fast")
        with pytest.raises(InputError, match="pose_source is 'imu'"):
            await client.open(CALIBRATION, pose_source="imu")
