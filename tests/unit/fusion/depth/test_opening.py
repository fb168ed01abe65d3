from pathlib import Path

import pytest
from tiny_onnx import write_channel_mean

from fusion.depth.fused import FusedDepth
from fusion.depth.motion_stereo import MotionStereo
from fusion.depth.network import NetworkDepth
from fusion.depth.opening import DepthKind, open_depth_source
from fusion.depth.source import depth_camera
from mapcast_client.errors import InputError
from slam.camera import Camera

CAMERA = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_channel_mean(tmp_path / "net.onnx")
    text = (
        'kind = "onnx"\nfile = "net.onnx"\n[input]\nwidth_px = 32\nheight_px = 24\n'
        '[output]\nquantity = "metric"\n'
    )
    (tmp_path / "net.toml").write_text(text)
    return tmp_path / "net.toml"


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (DepthKind.MOTION_STEREO, MotionStereo),
        ("motion_stereo", MotionStereo),
        ("network", NetworkDepth),
        ("fused", FusedDepth),
    ],
)
def test_a_kind_becomes_its_source(kind: str, source: type, model: Path) -> None:
    opened = open_depth_source(kind, CAMERA, model)
    assert isinstance(opened, source)
    assert opened.camera == depth_camera(CAMERA)


def test_motion_stereo_needs_no_network() -> None:
    assert isinstance(open_depth_source("motion_stereo", CAMERA), MotionStereo)


@pytest.mark.parametrize("kind", ["network", "fused"])
def test_the_others_say_which_networks_there_are(kind: str) -> None:
    with pytest.raises(InputError, match=f"depth source {kind} needs a network: .*midas_small"):
        open_depth_source(kind, CAMERA)


def test_an_unknown_kind_says_which_there_are() -> None:
    with pytest.raises(InputError, match="'sonar', must be one of motion_stereo, network, fused"):
        open_depth_source("sonar", CAMERA)
