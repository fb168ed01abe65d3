import numpy as np
import pytest

from mapcast_client import (
    calibration_message,
    encoded_frame_message,
    frame_message,
    i420_frame_message,
    imu_message,
)
from mapcast_client.errors import FrameError, InputError
from mapcast_client.v1 import ingest_pb2

COLOR = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
DEPTH = np.arange(12, dtype=np.uint16).reshape(3, 4)
PNG = b"\x89PNG\r\n\x1a\n...."
JPEG = b"\xff\xd8\xff...."


def test_raw_images_travel_row_major() -> None:
    message = frame_message(7, 9, COLOR, DEPTH)
    assert (message.index, message.capture_ns) == (7, 9)
    assert message.color.encoding == ingest_pb2.IMAGE_ENCODING_RGB8
    assert (message.color.width_px, message.color.height_px) == (4, 3)
    assert message.color.data == bytes(range(36))
    assert message.depth.encoding == ingest_pb2.IMAGE_ENCODING_DEPTH_U16
    assert np.frombuffer(message.depth.data, "<u2").tolist() == list(range(12))
    assert not message.HasField("world_from_camera")


def test_views_and_foreign_byte_orders_are_sent_as_the_wire_wants() -> None:
    message = frame_message(0, 0, COLOR[:, ::-1], DEPTH.astype(">u2")[:, ::-1])
    assert message.color.data == COLOR[:, ::-1].tobytes()
    assert np.frombuffer(message.depth.data, "<u2").tolist() == DEPTH[:, ::-1].ravel().tolist()


def test_float_depth_is_metres() -> None:
    message = frame_message(0, 0, COLOR, DEPTH.astype(np.float32) / 1000)
    assert message.depth.encoding == ingest_pb2.IMAGE_ENCODING_DEPTH_F32
    assert np.frombuffer(message.depth.data, "<f4")[11] == pytest.approx(0.011)


def test_jpeg_color_decodes_to_nearly_the_same() -> None:
    simplejpeg = pytest.importorskip("simplejpeg")
    rows = np.linspace(0, 255, 32).astype(np.uint8)
    color = np.repeat(np.tile(rows[:, None], (1, 32))[..., None], 3, axis=2)
    message = frame_message(0, 0, color, np.zeros((32, 32), np.uint16), jpeg_quality=95)
    assert message.color.encoding == ingest_pb2.IMAGE_ENCODING_JPEG
    decoded = simplejpeg.decode_jpeg(message.color.data)
    assert np.abs(decoded.astype(int) - color).max() <= 4


def test_given_pose_travels() -> None:
    world_from_camera = np.eye(4)
    world_from_camera[:3, 3] = 1, 2, 3
    pose = frame_message(0, 0, COLOR, DEPTH, world_from_camera).world_from_camera
    assert (pose.tx, pose.ty, pose.tz, pose.qw) == (1, 2, 3, 1)


@pytest.mark.parametrize(
    ("color", "depth", "message"),
    [
        (COLOR.astype(np.float32), DEPTH, "color is float32"),
        (COLOR[..., 0], DEPTH, r"must be uint8 \(H, W, 3\)"),
        (COLOR, DEPTH[:2], r"depth is \(2, 4\), must be \(3, 4\)"),
        (COLOR, DEPTH.astype(np.int32), "depth is int32, must be uint16 or float32"),
    ],
)
def test_wrong_arrays_are_frame_errors(color: np.ndarray, depth: np.ndarray, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        frame_message(0, 0, color, depth)


@pytest.mark.parametrize("quality", [0, 101])
def test_impossible_jpeg_quality_is_a_frame_error(quality: int) -> None:
    with pytest.raises(FrameError, match="must be 1 to 100"):
        frame_message(0, 0, COLOR, DEPTH, jpeg_quality=quality)


def test_a_pose_that_is_not_rigid_is_an_input_error() -> None:
    with pytest.raises(InputError, match="not rigid"):
        frame_message(0, 0, COLOR, DEPTH, np.diag([1.0, 1, -1, 1]))


def test_encoded_images_are_recognised() -> None:
    message = encoded_frame_message(1, 2, JPEG, PNG, 640, 480)
    assert message.color.encoding == ingest_pb2.IMAGE_ENCODING_JPEG
    assert message.depth.encoding == ingest_pb2.IMAGE_ENCODING_PNG
    assert (message.depth.width_px, message.depth.height_px) == (640, 480)
    as_png = encoded_frame_message(1, 2, PNG, PNG, 640, 480)
    assert as_png.color.encoding == ingest_pb2.IMAGE_ENCODING_PNG


def test_webp_is_an_encoding_and_depth_may_be_missing() -> None:
    webp = b"RIFF\x24\0\0\0WEBPVP8 "
    message = encoded_frame_message(1, 2, webp, None, 640, 480)
    assert message.color.encoding == ingest_pb2.IMAGE_ENCODING_WEBP
    assert not message.HasField("depth")
    with pytest.raises(FrameError, match="JPEG, PNG or WebP"):
        encoded_frame_message(1, 2, b"RIFF\x24\0\0\0WAVEfmt ", None, 640, 480)


def test_a_monocular_frame_has_no_depth() -> None:
    message = frame_message(7, 9, COLOR)
    assert message.color.data == bytes(range(36))
    assert not message.HasField("depth")


def test_decoded_video_travels_as_its_planes() -> None:
    planes = np.arange(6 * 2, dtype=np.uint8).reshape(6, 2)
    message = i420_frame_message(3, 4, planes)
    assert (message.index, message.capture_ns) == (3, 4)
    assert message.color.encoding == ingest_pb2.IMAGE_ENCODING_I420
    assert (message.color.width_px, message.color.height_px) == (2, 4)
    assert message.color.data == bytes(range(12))


@pytest.mark.parametrize(
    "planes",
    [
        np.zeros((6, 2), np.float32),
        np.zeros((6, 2, 3), np.uint8),
        np.zeros((0, 2), np.uint8),
        np.zeros((4, 2), np.uint8),
        np.zeros((6, 3), np.uint8),
    ],
)
def test_other_planes_are_frame_errors(planes: np.ndarray) -> None:
    with pytest.raises(FrameError, match=r"must be .*\(H \* 3/2, W\)"):
        i420_frame_message(0, 0, planes)


def test_imu_samples_travel_in_their_order() -> None:
    rates = np.array([[1.0, 2, 3], [4, 5, 6]])
    batch = imu_message(np.array([10, 20]), rates, 10 * rates)
    assert [sample.capture_ns for sample in batch.samples] == [10, 20]
    second = batch.samples[1]
    assert (second.gx, second.gy, second.gz) == (4, 5, 6)
    assert (second.ax, second.ay, second.az) == (40, 50, 60)


@pytest.mark.parametrize(
    ("instants", "rates", "message"),
    [
        ([10, 20], np.zeros((1, 3)), r"angular_velocity is \(1, 3\), must be \(2, 3\)"),
        ([10, 20], np.full((2, 3), np.nan), "finite"),
        ([10, 10], np.zeros((2, 3)), "does not increase"),
    ],
)
def test_imu_samples_that_cannot_be(instants: list[int], rates: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imu_message(np.array(instants), rates, np.zeros((2, 3)))


@pytest.mark.parametrize(("color", "depth"), [(b"GIF89a", PNG), (JPEG, b"II*\0"), (b"", PNG)])
def test_other_encodings_are_frame_errors(color: bytes, depth: bytes) -> None:
    with pytest.raises(FrameError, match="image"):
        encoded_frame_message(1, 2, color, depth, 640, 480)


def test_calibration_carries_every_value() -> None:
    message = calibration_message(640, 480, 585, 586, 320, 240, 0.0002, [1, 2, 3, 4], 65535, 15)
    assert message.camera.fy_px == 586
    assert list(message.camera.distortion) == [1, 2, 3, 4]
    assert (message.depth_scale_m, message.depth_invalid) == (0.0002, 65535)
    assert message.frame_rate_hz == 15
