"""Refinement in a real worker, beside tracking: it reaches the map, the sender and the metrics."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

pytest.importorskip("pycolmap", reason="refinement needs pycolmap: pip install 'mapcast[refine]'")

from mapcast_client import connect
from mapcast_client.v1 import ingest_pb2
from replay.mcap import McapSequence, offered_intrinsics
from replay.rendered import RenderedSequence, RenderedSettings
from slam.camera import Camera
from stream.config import ServerConfig
from stream.registry import Registry
from stream.sender import Sender
from stream.server import serve

EVERY = 12
"""Frames left out make a short walk of many keyframes."""
TOLERANCE = 0.01
SETTLED_KEYFRAMES = 15


def is_settled(offer: ingest_pb2.CalibrationOffer | None, true: Camera) -> bool:
    """Whether an offer is as good as it is to become, or rests on enough to be."""
    if offer is None:
        return False
    errors = offer.camera.fx_px / true.fx_px - 1, offer.camera.fy_px / true.fy_px - 1
    return max(map(abs, errors)) <= TOLERANCE or offer.keyframes >= SETTLED_KEYFRAMES


@pytest.mark.parametrize(("is_refused", "frames"), [(False, 90), (True, 10)])
async def test_a_session_is_refined_unless_it_refuses(is_refused: bool, frames: int) -> None:
    sequence = RenderedSequence(RenderedSettings(frames=90))
    registry = Registry(ServerConfig(keep_warm_worker=False, refine=True))
    await registry.start()
    try:
        request = ingest_pb2.OpenSession(
            sensor=ingest_pb2.SENSOR_RGBD,
            calibration=sequence.calibration.to_message(),
            policy=ingest_pb2.POLICY_LOSSLESS,
            refine=ingest_pb2.RefineSettings(off=is_refused),
        )
        session = await registry.open(request)
        sender = Sender()
        session.attach(sender)
        for frame in sequence.frames(frames):
            await session.submit(sender, frame)
        await session.finish()

        accepted, rejected = (
            registry.metrics.refinements.labels(result)._value.get()
            for result in ("accepted", "rejected")
        )
        assert accepted + rejected == 0 if is_refused else accepted >= 1
    finally:
        await registry.close()


async def test_a_session_with_a_wrong_focal_length_is_offered_a_better_one(tmp_path: Path) -> None:
    walk = RenderedSequence(RenderedSettings(frames=900))
    true = walk.calibration.camera
    wrong = replace(true, fx_px=0.97 * true.fx_px, fy_px=0.97 * true.fy_px)
    calibration = replace(walk.calibration, camera=wrong, frame_rate_hz=30 / EVERY)
    config = ServerConfig(
        http_port=0, grpc_port=0, keep_warm_worker=False, refine=True, recordings=tmp_path
    )
    async with serve(config) as running, connect(running.grpc_address) as client:
        message = calibration.to_message()
        session = await client.open(message, policy="lossless", free_intrinsics=True)
        for start in range(0, len(walk), EVERY):
            await session.send(next(walk.frames(1, start)))
        async with asyncio.timeout(120):  # refinement has the lowest priority
            while not is_settled(session.calibration_offer, true):
                await asyncio.sleep(0.05)
        await session.finish()
        async with httpx.AsyncClient(base_url=running.http_url, trust_env=False) as http:
            told = (await http.get(f"/v1/sessions/{session.id}")).json()
        offer, listed = session.calibration_offer, await client.session(session.id)

    assert offer is not None
    assert offer.camera.fx_px == pytest.approx(true.fx_px, rel=TOLERANCE)
    assert offer.camera.fy_px == pytest.approx(true.fy_px, rel=TOLERANCE)
    assert (offer.camera.cx_px, offer.camera.cy_px) == (true.cx_px, true.cy_px)
    assert offer.keyframes >= 10
    assert 0 < offer.reprojection_px < 1
    assert listed.calibration_offer == offer
    assert told["calibration_offer"]["camera"]["fx_px"] == offer.camera.fx_px
    recorded = tmp_path / session.id
    again = McapSequence(recorded, offered_intrinsics(recorded)).calibration
    assert again == replace(calibration, camera=Camera.from_message(offer.camera))
