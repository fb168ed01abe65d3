import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from videos import quarters

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from replay.images import ImagesSequence
from replay.intrinsics import Intrinsics
from replay.sequence import read_image_file
from replay.upright import orientation_of, upright
from slam.images import decode_picture

ORIENTATION_TAG = 0x0112


def write_picture(path: Path, orientation: int, size_px: tuple[int, int] = (64, 48)) -> Path:
    picture = Image.fromarray(quarters(*size_px))
    exif = picture.getexif()
    exif[ORIENTATION_TAG] = orientation
    picture.save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_others_do(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    path = write_picture(tmp_path / f"a{suffix}", orientation)
    image = read_image_file(path)
    assert orientation_of(image) == orientation
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"), np.int16)
    shown = decode_picture(upright(image))
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 3
    assert (upright(image) == image) == (orientation == 1)


def test_a_folder_of_turned_pictures_comes_upright(tmp_path: Path) -> None:
    for index in range(2):
        write_picture(tmp_path / f"{index}.jpg", orientation=6)
    sequence = ImagesSequence(tmp_path, Intrinsics(60, 60, 23.5, 31.5, size_px=(48, 64)))
    assert sequence.size_px == (48, 64)
    assert sequence.calibration is not None
    assert sequence.calibration.camera.width_px == 48
    frame = next(sequence.frames())
    assert (frame.color.width_px, frame.color.height_px) == (48, 64)
    assert decode_picture(frame.color).shape == (64, 48, 3)


def test_without_orientation_or_with_a_broken_one_nothing_is_turned(tmp_path: Path) -> None:
    plain = io.BytesIO()
    Image.fromarray(quarters(64, 48)).save(plain, "jpeg")
    image = ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=plain.getvalue())
    assert upright(image) is image
    whole = write_picture(tmp_path / "a.jpg", 6).read_bytes()
    assert orientation_of(read_image_file(write_picture(tmp_path / "odd.jpg", 77))) == 1
    for length in range(3, 120):
        image.data = whole[:length]
        assert orientation_of(image) in (1, 6)


def test_a_turned_picture_that_cannot_be_decoded_says_so(tmp_path: Path) -> None:
    whole = write_picture(tmp_path / "a.jpg", 6).read_bytes()
    image = ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=whole[:200])
    assert orientation_of(image) == 6
    with pytest.raises(FrameError, match="not a whole JPEG"):
        upright(image)
