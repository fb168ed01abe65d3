"""Refinement in a real worker, beside tracking: it reaches the map, the sender and the metrics."""

import pytest

pytest.importorskip("pycolmap", reason="refinement needs pycolmap: pip install 'mapcast[refine]'")

from mapcast_client.v1 import ingest_pb2
from replay.rendered import RenderedSequence, RenderedSettings
from stream.config import ServerConfig
from stream.registry import Registry
from stream.sender import Sender


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
