import numpy as np
import pytest

from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.images import decode_frame, decode_picture
from slam.recorded_images import recorded_frame

CALIBRATION = Calibration(Camera(32, 24, 30.0, 30.0, 16.0, 12.0), 0.0002, 65535)
COLOR = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
DEPTH = np.random.default_rng(1).integers(0, 65536, (24, 32), np.uint16)
METRES = np.where(DEPTH > 9000, np.float32(np.nan), DEPTH * np.float32(0.001))


def image(encoding: str, data: bytes, width_px: int = 0, height_px: int = 0) -> ingest_pb2.Image:
    number = ingest_pb2.ImageEncoding.Value(f"IMAGE_ENCODING_{encoding}")
    return ingest_pb2.Image(encoding=number, data=data, width_px=width_px, height_px=height_px)


RGB8 = image("RGB8", COLOR.tobytes(), 32, 24)
RAW_DEPTHS = {
    "u16": image("DEPTH_U16", DEPTH.astype("<u2").tobytes()),
    "f32": image("DEPTH_F32", METRES.astype("<f4").tobytes()),
}


@pytest.mark.parametrize("kind", RAW_DEPTHS)
def test_raw_images_are_packed_and_decode_to_the_same_frame(kind: str) -> None:
    frame = ingest_pb2.Frame(index=4, capture_ns=7, color=RGB8, depth=RAW_DEPTHS[kind])
    frame.world_from_camera.qw = 1.0
    recorded = recorded_frame(frame)
    assert recorded.color.encoding == ingest_pb2.IMAGE_ENCODING_RGB8_ZSTD
    assert len(recorded.depth.data) < 1.2 * len(frame.depth.data)
    before, after = decode_frame(frame, CALIBRATION), decode_frame(recorded, CALIBRATION)
    np.testing.assert_array_equal(after.color, before.color)
    np.testing.assert_array_equal(after.depth, before.depth)
    assert after.depth_scale_m == before.depth_scale_m
    assert (after.index, after.capture_ns) == (4, 7)
    np.testing.assert_array_equal(after.world_from_camera, np.eye(4))


def test_encoded_images_stay_as_they_came() -> None:
    color, depth = image("JPEG", b"a jpeg"), image("PNG", b"a png")
    frame = ingest_pb2.Frame(index=4, color=color, depth=depth)
    assert recorded_frame(frame) is frame


def test_a_frame_without_depth_stays_without() -> None:
    recorded = recorded_frame(ingest_pb2.Frame(color=RGB8))
    assert not recorded.HasField("depth")
    assert not recorded.HasField("world_from_camera")


def test_video_becomes_a_jpeg_of_the_same_colours() -> None:
    gray_with_blue = np.concatenate([np.full(24 * 32, 120), np.full(192, 160), np.full(192, 110)])
    video = image("I420", gray_with_blue.astype(np.uint8).tobytes(), 32, 24)
    recorded = recorded_frame(ingest_pb2.Frame(color=video))
    assert recorded.color.encoding == ingest_pb2.IMAGE_ENCODING_JPEG
    before, after = decode_picture(video), decode_picture(recorded.color)
    assert np.abs(before.astype(int) - after).max() <= 3


def test_video_with_depth_is_kept_to_the_bit() -> None:
    video = image("I420", bytes(range(256)) * 4 + bytes(128), 32, 24)
    frame = ingest_pb2.Frame(color=video, depth=RAW_DEPTHS["u16"])
    assert recorded_frame(frame).color == video


@pytest.mark.parametrize(
    "broken",
    [
        image("RGB8", b"1234"),
        image("I420", b"1234", 32, 24),
        image("I420", b""),
        image("DEPTH_U16", b"123"),
        image("DEPTH_F32", b"12345"),
    ],
)
def test_what_is_not_what_it_says_is_left_to_be_refused(broken: ingest_pb2.Image) -> None:
    assert recorded_frame(ingest_pb2.Frame(color=RGB8, depth=broken)).depth == broken
