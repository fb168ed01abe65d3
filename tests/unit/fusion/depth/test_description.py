from pathlib import Path

import pytest

from fusion.depth.description import (
    HubSource,
    Kind,
    Layout,
    NetworkDescription,
    Quantity,
    Resize,
    preset_names,
)
from mapcast_client.errors import InputError

ONNX = """
kind = "onnx"
file = "weights/net.onnx"

[input]
name = "image"
width_px = 256
height_px = 192
layout = "nhwc"
resize = "keep_aspect"
multiple_of_px = 32
scale = 2
mean = [0.1, 0.2, 0.3]
std = [1, 2, 3]

[output]
name = "depth"
quantity = "inverse"
"""
LEAST = """
kind = "torchscript"
file = "net.pt"
[input]
width_px = 8
height_px = 4
[output]
quantity = "metric"
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_every_key_is_read_and_files_are_beside_the_toml(tmp_path: Path) -> None:
    described = NetworkDescription.load(write(tmp_path / "net.toml", ONNX))
    assert described.name == "net"
    assert described.weights.kind is Kind.ONNX
    assert described.weights.file == tmp_path / "weights" / "net.onnx"
    assert described.quantity is Quantity.INVERSE
    assert described.output_name == "depth"
    given = described.input
    assert (given.name, given.width_px, given.height_px) == ("image", 256, 192)
    assert (given.layout, given.resize) == (Layout.NHWC, Resize.KEEP_ASPECT)
    assert (given.multiple_of_px, given.scale) == (32, 2.0)
    assert (given.mean, given.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_the_rest_has_defaults(tmp_path: Path) -> None:
    given = NetworkDescription.load(write(tmp_path / "net.toml", LEAST)).input
    assert (given.layout, given.resize, given.multiple_of_px) == (Layout.NCHW, Resize.STRETCH, 0)
    assert (given.scale, given.mean, given.std) == (1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_local_hub_checkout_is_beside_the_toml(tmp_path: Path) -> None:
    text = LEAST.replace(
        'kind = "torchscript"\nfile = "net.pt"',
        'kind = "torch_hub"\nsource = "local"\nrepo = "MiDaS"\nmodel = "MiDaS_small"',
    )
    weights = NetworkDescription.load(write(tmp_path / "net.toml", text)).weights
    assert (weights.source, weights.model) == (HubSource.LOCAL, "MiDaS_small")
    assert weights.repo == str(tmp_path / "MiDaS")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "onnx"', "", "kind is missing"),
        ('kind = "onnx"', 'kind = "tflite"', "kind is 'tflite', must be one of onnx, torchscript,"),
        ('file = "weights/net.onnx"', "", "file is missing"),
        ('file = "weights/net.onnx"', "file = 7", "file is 7, must be a string"),
        ("width_px = 256", "width_px = 0", "input.width_px is 0, must be a whole number, 1 to"),
        ("width_px = 256", "width_px = true", "input.width_px is True, must be a whole number"),
        ("height_px = 192", "height_px = 1.5", "input.height_px is 1.5, must be a whole number"),
        ("scale = 2", "scale = 0", "input.scale is 0, must be a positive number"),
        ("scale = 2", "scale = nan", "input.scale is nan, must be a positive number"),
        ("[0.1, 0.2, 0.3]", "[0.1, 0.2]", "input.mean is .*, must be three numbers"),
        ("[1, 2, 3]", "[1, 0, 3]", "input.std is .*, must be three positive numbers"),
        ('"nhwc"', '"chw"', "input.layout is 'chw', must be one of nchw, nhwc"),
        ('"keep_aspect"', "[]", r"input.resize is \[\], must be one of stretch, keep_aspect"),
        ('"inverse"', '"depth"', "output.quantity is 'depth', must be one of metric, relative, in"),
        ("scale = 2", "scal = 2", "unknown key input.scal, must be one of input.width_px, "),
        (
            'kind = "onnx"',
            'kind = "onnx"\nrepo = "a/b"',
            "unknown key repo, must be one of kind, f",
        ),
        ("[output]", "[outputs]", "output is missing"),
        ("[input]", "[[input]]", r"input is \[.*\], must be a table"),
        ("[input]", "input", "not TOML"),
    ],
)
def test_an_error_names_file_key_value_and_what_may_be(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path / "net.toml", ONNX.replace(old, new))
    with pytest.raises(InputError, match=f"net.toml: {message}"):
        NetworkDescription.load(path)


def test_a_toml_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.toml: No such file"):
        NetworkDescription.load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("name", preset_names())
def test_presets_can_be_named(name: str) -> None:
    assert NetworkDescription.find(name).name == name


def test_weights_take_the_preset_of_their_name(tmp_path: Path) -> None:
    weights = tmp_path / "depth_anything_v2_small.pt"
    found = NetworkDescription.find(weights)
    assert found.input == NetworkDescription.find("depth_anything_v2_small").input
    assert (found.weights.kind, found.weights.file) == (Kind.TORCHSCRIPT, weights)


def test_a_toml_beside_the_weights_wins_over_a_preset(tmp_path: Path) -> None:
    write(tmp_path / "midas_small.toml", LEAST)
    found = NetworkDescription.find(tmp_path / "midas_small.onnx")
    assert found.input.width_px == 8
    assert found.weights.kind is Kind.ONNX


@pytest.mark.parametrize("model", ["nothing", "folder/midas_small", "net.onnx"])
def test_what_is_not_described_says_what_is(model: str) -> None:
    with pytest.raises(InputError, match=f"depth network {model}: must be .*midas_small"):
        NetworkDescription.find(model)
