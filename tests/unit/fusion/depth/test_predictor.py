from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import write_channel_mean

from fusion.depth.description import (
    Kind,
    Layout,
    NetworkDescription,
    NetworkInput,
    Quantity,
    Resize,
    Weights,
)
from fusion.depth.predictor import Predictor, input_tensor, picture_size
from mapcast_client.errors import InputError


def described(file: Path, network_input: NetworkInput, **others) -> NetworkDescription:
    return NetworkDescription(
        "tiny", Weights(Kind.ONNX, file), network_input, Quantity.METRIC, **others
    )


def ramp(width_px: int, height_px: int):
    """A picture whose every channel is u + v, and that as the network shall see it."""
    v, u = np.mgrid[:height_px, :width_px]
    gray = (u + v).astype(np.float32)
    return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8), gray


@pytest.mark.parametrize(
    ("given", "picture", "size"),
    [
        (NetworkInput(256, 192), (640, 480), (256, 192)),
        (NetworkInput(256, 192), (364, 674), (256, 192)),
        (NetworkInput(256, 192, resize=Resize.KEEP_ASPECT), (364, 674), (103, 192)),
        (NetworkInput(256, 192, resize=Resize.KEEP_ASPECT), (1920, 1080), (256, 144)),
        (
            NetworkInput(256, 256, resize=Resize.KEEP_ASPECT, multiple_of_px=32),
            (640, 480),
            (256, 192),
        ),
        (
            NetworkInput(256, 256, resize=Resize.KEEP_ASPECT, multiple_of_px=32),
            (480, 640),
            (192, 256),
        ),
        (
            NetworkInput(64, 64, resize=Resize.KEEP_ASPECT, multiple_of_px=32),
            (4000, 100),
            (64, 32),
        ),
    ],
)
def test_pictures_are_brought_to_size(
    given: NetworkInput, picture: tuple[int, int], size: tuple[int, int]
) -> None:
    assert picture_size(given, *picture) == size


def test_colours_are_normalised_channel_by_channel() -> None:
    given = NetworkInput(4, 4, scale=0.5, mean=(1, 2, 3), std=(1, 2, 4))
    color = np.full((4, 4, 3), (10, 20, 30), np.uint8)
    tensor = input_tensor(given, color, (4, 4))
    assert (tensor.shape, tensor.dtype) == ((1, 3, 4, 4), np.float32)
    assert tensor[0, :, 1, 2].tolist() == [4, 4, 3]


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize(
    "network_input",
    [
        NetworkInput(64, 48, scale=1.0),
        NetworkInput(128, 192, scale=1.0),
        NetworkInput(64, 64, resize=Resize.KEEP_ASPECT, scale=1.0),
        NetworkInput(64, 64, resize=Resize.KEEP_ASPECT, multiple_of_px=16, scale=1.0),
    ],
)
def test_pixels_come_back_to_where_they_were(
    tmp_path: Path, network_input: NetworkInput, stride: int
) -> None:
    color, gray = ramp(128, 96)
    file = write_channel_mean(tmp_path / "net.onnx", stride=stride)
    predictor = Predictor(described(file, network_input))
    same = predictor.predict(color, 128, 96).image()
    assert (same.shape, same.dtype) == ((96, 128), np.float32)
    inner = np.s_[12:-12, 12:-12]
    np.testing.assert_allclose(same[inner], gray[inner], atol=0.6)
    half = predictor.predict(color, 64, 48).image()
    centres = (gray[::2, ::2] + gray[1::2, 1::2]) / 2
    np.testing.assert_allclose(half[6:-6, 6:-6], centres[6:-6, 6:-6], atol=0.6)


def test_a_network_of_a_fixed_size_sees_the_padded_picture(tmp_path: Path) -> None:
    color, gray = ramp(40, 80)
    file = write_channel_mean(tmp_path / "net.onnx", shape=(1, 3, 80, 100))
    given = NetworkInput(100, 80, resize=Resize.KEEP_ASPECT, scale=1.0)
    np.testing.assert_allclose(
        Predictor(described(file, given)).predict(color, 40, 80).image(), gray, atol=1e-3
    )


def test_channels_may_come_last(tmp_path: Path) -> None:
    color, gray = ramp(32, 24)
    file = write_channel_mean(tmp_path / "net.onnx", shape=(1, 24, 32, 3), axis=3)
    given = NetworkInput(32, 24, layout=Layout.NHWC, scale=1.0)
    np.testing.assert_allclose(
        Predictor(described(file, given)).predict(color, 32, 24).image(), gray, atol=1e-3
    )


def test_a_network_that_gives_no_image_is_refused(tmp_path: Path) -> None:
    file = write_channel_mean(tmp_path / "net.onnx", axis=2)  # leaves three channels
    predictor = Predictor(described(file, NetworkInput(32, 24)))
    with pytest.raises(InputError, match=r"tiny .*gives an array of shape \(1, 3, 1, 32\)"):
        predictor.predict(np.zeros((24, 32, 3), np.uint8), 32, 24)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tiny: no weights at .*net.onnx"):
        Predictor(described(tmp_path / "net.onnx", NetworkInput(32, 24)))
