"""Views in memory: bit for bit as they were fused, and no more than fit."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import simplejpeg

from fusion.frame_store import ARRIVED_FRAMES, MemoryFrames
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.images import decode_frame
from slam.rectify import Rectifier

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5, (0.1, -0.05, 0.001, 0.002))
CALIBRATION = Calibration(CAMERA, 0.001, depth_invalid=65535)
RECTIFIER = Rectifier(CAMERA)
LARGE = 1 << 20


def decode(message: ingest_pb2.Frame) -> Frame:
    """As a worker does."""
    return RECTIFIER.rectify(decode_frame(message, CALIBRATION))


def message(capture_ns: int, encoding: str) -> ingest_pb2.Frame:
    """A frame of noise, its depth in some encoding, with holes."""
    rng = np.random.default_rng(capture_ns)
    color = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    depth = rng.integers(500, 3000, (48, 64)).astype("<u2")
    depth[::5] = rng.choice([0, 65535], (10, 64))
    data = depth.tobytes()
    if encoding == "PNG":
        data = cv2.imencode(".png", depth)[1].tobytes()
    elif encoding == "DEPTH_F32":
        metres = (depth / 1000).astype("<f4")
        metres[::7] = np.nan
        data = metres.tobytes()
    return ingest_pb2.Frame(
        index=capture_ns,
        capture_ns=capture_ns,
        color=ingest_pb2.Image(
            encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=simplejpeg.encode_jpeg(color)
        ),
        depth=ingest_pb2.Image(
            encoding=ingest_pb2.ImageEncoding.Value(f"IMAGE_ENCODING_{encoding}"), data=data
        ),
    )


def estimated(capture_ns: int) -> Frame:
    """A view with an estimated depth."""
    rng = np.random.default_rng(capture_ns)
    return Frame(
        capture_ns,
        capture_ns,
        rng.integers(0, 256, (24, 32, 3), dtype=np.uint8),
        rng.random((24, 32)).astype(np.float32),
        1 / 1.03,
        confidence=rng.integers(0, 9, (24, 32), dtype=np.uint8),
    )


def require_equal(got: Frame | None, view: Frame) -> None:
    """The same to the bit, in all that is fused."""
    assert got is not None
    assert got.capture_ns == view.capture_ns
    assert got.depth_scale_m == view.depth_scale_m
    for ours, theirs in ((got.color, view.color), (got.depth, view.depth)):
        assert ours is not None
        assert theirs is not None
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert (got.confidence is None) == (view.confidence is None)
    if got.confidence is not None and view.confidence is not None:
        np.testing.assert_array_equal(got.confidence, view.confidence)


@pytest.mark.parametrize("encoding", ["PNG", "DEPTH_U16", "DEPTH_F32"])
def test_sensor_views_come_back_rectified_to_the_bit(encoding: str) -> None:
    frames = MemoryFrames(LARGE, decode)
    came = message(3, encoding)
    view = decode(came)
    frames.arrived(came)
    frames.put(view)
    require_equal(frames.get(3), view)


@pytest.mark.parametrize("is_sensor_depth", [False, True])
def test_views_without_a_message_come_back_to_the_bit(is_sensor_depth: bool) -> None:
    view = estimated(4)
    if is_sensor_depth:
        assert view.depth is not None
        depth = (1000 * view.depth).astype(np.uint16)
        view = replace(view, depth=depth, depth_scale_m=0.001, confidence=None)
    frames = MemoryFrames(LARGE)
    frames.arrived(message(4, "PNG"))  # what a monocular sender may add is not what was fused
    frames.put(view)
    require_equal(frames.get(4), view)


def test_the_oldest_views_go_when_the_memory_is_full() -> None:
    one = MemoryFrames(LARGE)
    one.put(estimated(0))
    frames = MemoryFrames(int(3.5 * one.size_bytes))
    for capture_ns in range(10):
        frames.put(estimated(capture_ns))
    assert len(frames) == 3
    assert frames.size_bytes <= 3.5 * one.size_bytes
    assert [frames.get(capture_ns) is None for capture_ns in range(10)] == [True] * 7 + [False] * 3
    frames.put(replace(estimated(9), color=estimated(5).color))
    assert len(frames) == 3
    require_equal(frames.get(9), replace(estimated(9), color=estimated(5).color))


def test_frames_that_were_not_fused_are_not_kept() -> None:
    frames = MemoryFrames(LARGE, decode)
    for capture_ns in range(100):
        frames.arrived(message(capture_ns, "DEPTH_U16"))
    assert len(frames) == 0
    assert len(frames._arrived) <= ARRIVED_FRAMES
    assert frames.get(99) is None
