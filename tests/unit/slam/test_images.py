import struct
import zlib

import cv2
import numpy as np
import plane_scene
import pytest
import simplejpeg

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.images import color_size, decode_frame, decode_monocular_frame

CALIBRATION = Calibration(Camera(320, 240, 300.0, 300.0, 160.0, 120.0), 0.0002, 65535)
COLOR = plane_scene.WALL[:, :320].copy()
DEPTH = np.arange(240 * 320, dtype=np.uint16).reshape(240, 320)
DEPTH[0, :2] = 65535

JPEG = simplejpeg.encode_jpeg(COLOR, quality=95)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


COLOR_PNG = png(COLOR[:, :, ::-1])
DEPTH_PNG = png(DEPTH)


def with_size(png_bytes: bytes, width_px: int, height_px: int) -> bytes:
    """The same PNG, declaring another size in a header that is sound in itself."""
    header = b"IHDR" + struct.pack(">II", width_px, height_px) + png_bytes[24:29]
    return png_bytes[:12] + header + struct.pack(">I", zlib.crc32(header)) + png_bytes[33:]


def jpeg_with_size(width_px: int, height_px: int) -> bytes:
    start = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:start] + struct.pack(">HH", height_px, width_px) + JPEG[start + 4 :]


def image(encoding: str, data: bytes, width_px: int = 0, height_px: int = 0) -> ingest_pb2.Image:
    number = ingest_pb2.ImageEncoding.Value(f"IMAGE_ENCODING_{encoding}")
    return ingest_pb2.Image(encoding=number, data=data, width_px=width_px, height_px=height_px)


JPEG_IMAGE = image("JPEG", JPEG, 320, 240)
U16_IMAGE = image("DEPTH_U16", DEPTH.tobytes())


def message(
    color: ingest_pb2.Image = JPEG_IMAGE, depth: ingest_pb2.Image = U16_IMAGE
) -> ingest_pb2.Frame:
    return ingest_pb2.Frame(index=12, capture_ns=34, color=color, depth=depth)


def test_jpeg_is_decoded_as_rgb() -> None:
    frame = decode_frame(message(), CALIBRATION)
    assert (frame.index, frame.capture_ns, frame.world_from_camera) == (12, 34, None)
    error = np.abs(frame.color.astype(int) - COLOR)
    assert error.mean() < 12
    assert np.abs(frame.color.mean((0, 1)) - COLOR.mean((0, 1))).max() < 2


@pytest.mark.parametrize(
    "color", [image("PNG", COLOR_PNG), image("RGB8", COLOR.tobytes(), 320, 240)]
)
def test_lossless_colour_is_exact(color: ingest_pb2.Image) -> None:
    np.testing.assert_array_equal(decode_frame(message(color), CALIBRATION).color, COLOR)


@pytest.mark.parametrize("depth", [U16_IMAGE, image("PNG", DEPTH_PNG, 320, 240)])
def test_sixteen_bit_depth_is_exact_and_its_invalid_value_becomes_0(
    depth: ingest_pb2.Image,
) -> None:
    frame = decode_frame(message(depth=depth), CALIBRATION)
    assert frame.depth.dtype == np.uint16
    assert frame.depth_scale_m == 0.0002
    np.testing.assert_array_equal(frame.depth, np.where(DEPTH == 65535, 0, DEPTH))


def test_float_depth_is_metres_and_what_is_no_distance_becomes_0() -> None:
    metres = np.full((240, 320), 2.5, np.float32)
    metres[0, :4] = [np.nan, np.inf, -np.inf, -1]
    depth = image("DEPTH_F32", metres.tobytes())
    frame = decode_frame(message(depth=depth), CALIBRATION)
    assert frame.depth.dtype == np.float32
    assert frame.depth_scale_m == 1.0
    assert frame.depth[0, :5].tolist() == [0, 0, 0, 0, 2.5]


@pytest.mark.parametrize("color", [JPEG_IMAGE, image("RGB8", COLOR.tobytes())])
@pytest.mark.parametrize("depth", [U16_IMAGE, image("PNG", DEPTH_PNG)])
def test_arrays_are_read_only_and_contiguous(
    color: ingest_pb2.Image, depth: ingest_pb2.Image
) -> None:
    frame = decode_frame(message(color, depth), CALIBRATION)
    for array in (frame.color, frame.depth):
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def webp(*options: int) -> bytes:
    return cv2.imencode(".webp", COLOR[:, :, ::-1], options)[1].tobytes()


LOSSLESS_WEBP = webp(cv2.IMWRITE_WEBP_QUALITY, 101)
LOSSY_WEBP = webp(cv2.IMWRITE_WEBP_QUALITY, 95)


def with_canvas(width_px: int, height_px: int) -> bytes:
    """The extended form of the lossless WebP: a canvas of some size before the image."""
    canvas = (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
    chunks = b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas + LOSSLESS_WEBP[12:]
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize("data", [LOSSLESS_WEBP, with_canvas(320, 240)])
def test_lossless_webp_is_exact(data: bytes) -> None:
    frame = decode_monocular_frame(message(image("WEBP", data)), CALIBRATION.camera)
    np.testing.assert_array_equal(frame.color, COLOR)


def test_lossy_webp_is_decoded_as_rgb() -> None:
    frame = decode_monocular_frame(message(image("WEBP", LOSSY_WEBP)), CALIBRATION.camera)
    assert np.abs(frame.color.mean((0, 1)) - COLOR.mean((0, 1))).max() < 2


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [((255, 255, 255), (235, 128, 128)), ((0, 0, 0), (16, 128, 128)), ((255, 0, 0), (81, 90, 240))],
)
def test_i420_is_bt_601_of_limited_range(rgb: tuple[int, ...], yuv: tuple[int, ...]) -> None:
    sizes = (320 * 240, 160 * 120, 160 * 120)
    data = b"".join(bytes([value]) * size for value, size in zip(yuv, sizes, strict=True))
    frame = decode_monocular_frame(message(image("I420", data, 320, 240)), CALIBRATION.camera)
    assert frame.color.shape == (240, 320, 3)
    assert np.abs(frame.color.astype(int) - rgb).max() <= 2


def test_i420_planes_are_half_size_in_both_directions() -> None:
    planes = cv2.cvtColor(np.repeat(COLOR[::2, ::2], 2, 0).repeat(2, 1), cv2.COLOR_RGB2YUV_I420)
    frame = decode_monocular_frame(message(image("I420", planes.tobytes())), CALIBRATION.camera)
    error = np.abs(frame.color.astype(int) - COLOR[::2, ::2].repeat(2, 0).repeat(2, 1))
    assert np.quantile(error, 0.99) <= 4


def test_a_monocular_frame_has_no_depth_even_if_one_is_sent() -> None:
    for depth in (ingest_pb2.Image(), U16_IMAGE, image("PNG", b"no depth at all")):
        frame = decode_monocular_frame(message(depth=depth), CALIBRATION.camera)
        assert frame.depth is None
        assert frame.color.shape == (240, 320, 3)
        assert not frame.color.flags.writeable


@pytest.mark.parametrize(
    "color",
    [
        JPEG_IMAGE,
        image("JPEG", JPEG, 9, 9),
        image("PNG", COLOR_PNG),
        image("WEBP", LOSSLESS_WEBP),
        image("WEBP", LOSSY_WEBP),
        image("WEBP", with_canvas(320, 240)),
        image("I420", b"?", 320, 240),
        image("RGB8", b"?", 320, 240),
    ],
)
def test_an_image_tells_its_size_before_there_is_a_camera(color: ingest_pb2.Image) -> None:
    assert color_size(message(color)) == (320, 240)


@pytest.mark.parametrize(
    ("color", "said"),
    [
        (image("I420", b"?"), "does not tell its size: width_px and height_px are needed"),
        (image("RGB8", b"?", 320), "does not tell its size"),
        (image("JPEG", b"no"), "not a whole JPEG"),
        (image("DEPTH_U16", b"no"), "encoding DEPTH_U16"),
        (ingest_pb2.Image(), "is missing"),
    ],
)
def test_what_has_no_size_says_so(color: ingest_pb2.Image, said: str) -> None:
    with pytest.raises(FrameError, match=f"^frame 12: colour image.*{said}"):
        color_size(message(color))


@pytest.mark.parametrize(
    ("color", "said"),
    [
        (ingest_pb2.Image(), "is missing"),
        (image("JPEG", b""), "is missing"),
        (image("UNSPECIFIED", JPEG), "encoding UNSPECIFIED, must be one of JPEG, PNG, RGB8"),
        (image("DEPTH_U16", DEPTH.tobytes()), "encoding DEPTH_U16, must be"),
        (ingest_pb2.Image(encoding=99, data=JPEG), "encoding 99, must be"),
        (image("JPEG", JPEG, 640, 480), "is 640x480 px, must be 320x240 px"),
        (image("JPEG", JPEG[:-2]), "not a whole JPEG.*Premature end"),
        (image("JPEG", JPEG[: len(JPEG) // 2]), "not a whole JPEG"),
        (image("JPEG", JPEG[:50]), "not a whole JPEG of 50 bytes"),
        (image("JPEG", b"\xff\xd8 this is no image"), "not a whole JPEG"),
        (image("JPEG", COLOR_PNG), "not a whole JPEG"),
        (image("JPEG", jpeg_with_size(65_000, 65_000)), "is 65000x65000 px, must be 320x240"),
        (image("JPEG", simplejpeg.encode_jpeg(COLOR[:120].copy())), "is 320x120 px"),
        (image("PNG", JPEG), "is not a PNG: it begins with"),
        (image("PNG", COLOR_PNG[:20]), "is not a PNG"),
        (image("PNG", COLOR_PNG[:12] + b"IDAT" + COLOR_PNG[16:]), "first chunk is b'IDAT'"),
        (image("PNG", COLOR_PNG[:-20]), "truncated PNG"),
        (image("PNG", with_size(COLOR_PNG, 100_000, 100_000)), "is 100000x100000 px"),
        (image("PNG", with_size(COLOR_PNG, 2**32 - 1, 1)), "is 4294967295x1 px"),
        (image("PNG", png(COLOR.astype(np.uint16))), "PNG of 16 bits a channel, must be 8"),
        (image("RGB8", COLOR.tobytes()[:-1]), "has 230399 bytes, must be 230400 as raw uint8"),
        (image("RGB8", COLOR.tobytes() * 2), "has 460800 bytes"),
        (image("WEBP", JPEG), "is not a WebP: it begins with"),
        (image("WEBP", LOSSY_WEBP[:20]), "is not a WebP"),
        (image("WEBP", LOSSY_WEBP[:-30]), "truncated WebP"),
        (image("WEBP", LOSSY_WEBP[:12] + b"ANIM" + LOSSY_WEBP[16:]), "first chunk is b'ANIM'"),
        (image("WEBP", with_canvas(16_000, 16_000)), "is 16000x16000 px, must be 320x240"),
        (image("WEBP", LOSSLESS_WEBP[:40] + bytes(len(LOSSLESS_WEBP) - 40)), "corrupt WebP"),
        (image("I420", bytes(320 * 240)), "has 76800 bytes, must be 115200 as raw uint8"),
    ],
)
def test_bad_colour_is_refused_by_name(color: ingest_pb2.Image, said: str) -> None:
    with pytest.raises(FrameError, match=f"^frame 12: colour image.*{said}"):
        decode_frame(message(color), CALIBRATION)


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (ingest_pb2.Image(), "is missing"),
        (JPEG_IMAGE, "encoding JPEG, must be one of PNG, DEPTH_U16, DEPTH_F32"),
        (image("PNG", COLOR_PNG), "8-bit colour PNG, must be 16-bit gray"),
        (image("PNG", png(COLOR[:, :, 0])), "8-bit gray PNG, must be 16-bit gray"),
        (image("PNG", DEPTH_PNG[:-12]), "truncated PNG"),
        (image("PNG", with_size(DEPTH_PNG, 100_000, 100_000)), "is 100000x100000 px"),
        (image("PNG", png(DEPTH[:100])), "is 320x100 px"),
        (image("DEPTH_U16", DEPTH.tobytes()[2:]), "has 153598 bytes, must be 153600 as raw uint16"),
        (image("DEPTH_F32", DEPTH.tobytes()), "must be 307200 as raw float32"),
    ],
)
def test_bad_depth_is_refused_by_name(depth: ingest_pb2.Image, said: str) -> None:
    with pytest.raises(FrameError, match=f"^frame 12: depth image.*{said}"):
        decode_frame(message(depth=depth), CALIBRATION)


@pytest.mark.parametrize("data", [COLOR_PNG, DEPTH_PNG])
@pytest.mark.parametrize("where", [0.3, 0.6, 0.9])
def test_a_corrupt_png_is_refused(data: bytes, where: float) -> None:
    corrupt = bytearray(data)
    corrupt[int(where * len(data))] ^= 0xFF
    picture = image("PNG", bytes(corrupt))
    bad = message(picture) if data is COLOR_PNG else message(depth=picture)
    with pytest.raises(FrameError, match="corrupt PNG"):
        decode_frame(bad, CALIBRATION)


def test_the_sender_s_pose_becomes_a_transform() -> None:
    bringing = message()
    bringing.world_from_camera.MergeFrom(ingest_pb2.Pose(tx=1, ty=2, tz=3, qz=1.005))
    frame = decode_frame(bringing, CALIBRATION)
    assert frame.world_from_camera is not None
    np.testing.assert_allclose(
        frame.world_from_camera,
        [[-1, 0, 0, 1], [0, -1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]],
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("pose", "said"),
    [
        (ingest_pb2.Pose(), "quaternion of length 0, must be 1"),
        (ingest_pb2.Pose(qw=1.02), "quaternion of length 1.02"),
        (ingest_pb2.Pose(tx=float("nan"), qw=1), "not finite"),
        (ingest_pb2.Pose(qw=float("inf")), "not finite"),
    ],
)
def test_a_bad_pose_is_refused_by_name(pose: ingest_pb2.Pose, said: str) -> None:
    bad = message()
    bad.world_from_camera.CopyFrom(pose)
    with pytest.raises(FrameError, match=f"^frame 12: world_from_camera.*{said}"):
        decode_frame(bad, CALIBRATION)


def test_i420_of_an_odd_size_is_refused() -> None:
    camera = Camera(321, 240, 300.0, 300.0, 160.0, 120.0)
    odd = message(image("I420", bytes(321 * 240 * 3 // 2)))
    with pytest.raises(FrameError, match="is 321x240 px, I420 needs even sides"):
        decode_monocular_frame(odd, camera)
