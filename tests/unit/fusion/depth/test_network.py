"""A network that sees depth in the picture's brightness, on a scene that is known exactly."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import write_channel_mean

from fusion.depth.description import Kind, NetworkDescription, NetworkInput, Quantity, Weights
from fusion.depth.network import AGREED_CONFIDENCE, PLAIN_CONFIDENCE, NetworkDepth
from fusion.depth.source import DepthContext
from mapcast_client.errors import InputError
from replay.opening import open_sequence
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, rigid
from slam.images import decode_frame

CAMERA = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
HALF = Camera(320, 240, 250.0, 250.0, 159.5, 119.5)
WORLD_FROM_CAMERA = rigid(
    np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]), np.array([1.0, -2.0, 0.5])
)
BOX = np.s_[60:180, 100:220]


def slope_m(camera: Camera):
    """A wall that recedes to the right, from 1 to 3 m."""
    return np.tile(np.linspace(1, 3, camera.width_px, dtype=np.float32), (camera.height_px, 1))


def frame_of(gray) -> Frame:
    """A frame of CAMERA that shows (240, 320) gray values."""
    color = cv2.resize(gray, (640, 480), interpolation=cv2.INTER_NEAREST)
    return Frame(0, 0, np.repeat(np.round(color).astype(np.uint8)[..., None], 3, axis=2))


def context_of(depth_m, count: int = 300, world_from_camera: Mat4 = WORLD_FROM_CAMERA):
    """Map points on the surface, spread evenly."""
    index = np.linspace(0, depth_m.size - 1, count).astype(int)
    v, u = np.unravel_index(index, depth_m.shape)
    z = depth_m[v, u]
    points = np.stack([(u - HALF.cx_px) / 250 * z, (v - HALF.cy_px) / 250 * z, z], axis=1)
    world = points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    return DepthContext(world_from_camera, world.astype(np.float32))


@pytest.fixture
def network(tmp_path: Path):
    def make(quantity: Quantity) -> NetworkDepth:
        file = write_channel_mean(tmp_path / "net.onnx")
        given = NetworkInput(320, 240, scale=1.0)
        described = NetworkDescription("tiny", Weights(Kind.ONNX, file), given, quantity)
        return NetworkDepth(described, CAMERA)

    return make


@pytest.mark.parametrize(
    ("quantity", "gray"),
    [
        (Quantity.METRIC, lambda z: 70 * z),
        (Quantity.RELATIVE, lambda z: 80 * z - 30),
        (Quantity.INVERSE, lambda z: 200 / z + 30),
    ],
)
def test_depth_is_brought_into_the_unit_of_the_map(network, quantity, gray) -> None:
    truth_m = slope_m(HALF)
    estimated = network(quantity).depth(frame_of(gray(truth_m)), context_of(truth_m))
    assert estimated is not None
    assert (estimated.depth_m.dtype, estimated.confidence.dtype) == (np.float32, np.uint8)
    assert not estimated.depth_m.flags.writeable
    assert not estimated.confidence.flags.writeable
    np.testing.assert_allclose(estimated.depth_m, truth_m, rtol=0.02)
    assert (estimated.confidence == AGREED_CONFIDENCE).mean() > 0.95


def test_where_the_points_disagree_confidence_is_low(network) -> None:
    truth_m = slope_m(HALF)
    seen_m = truth_m.copy()
    seen_m[120:] *= 1.2
    estimated = network(Quantity.METRIC).depth(frame_of(70 * seen_m), context_of(truth_m, 600))
    assert estimated is not None
    error = np.abs(estimated.depth_m / truth_m - 1)
    wrong, right = error > 0.1, error < 0.05
    assert 0.2 < wrong.mean() < 0.8
    inner = np.ones_like(wrong)
    inner[100:140] = False
    assert (estimated.confidence[wrong & inner] == PLAIN_CONFIDENCE).mean() > 0.95
    assert (estimated.confidence[right & inner] == AGREED_CONFIDENCE).mean() > 0.9


def test_there_is_no_depth_between_two_surfaces(network) -> None:
    truth_m = np.full((240, 320), 3, np.float32)
    truth_m[BOX] = 1
    blurred_m = cv2.GaussianBlur(truth_m, (0, 0), 3)
    estimated = network(Quantity.METRIC).depth(frame_of(80 * blurred_m), context_of(truth_m))
    assert estimated is not None
    there = estimated.depth_m > 0
    between = (blurred_m > 1.3) & (blurred_m < 2.7)
    assert not there[between].any()
    assert there.mean() > 0.9
    np.testing.assert_array_equal(estimated.confidence > 0, there)


def test_without_map_points_there_is_no_depth(network) -> None:
    truth_m = slope_m(HALF)
    assert network(Quantity.METRIC).depth(frame_of(70 * truth_m), context_of(truth_m, 5)) is None


def test_the_guess_of_a_metric_network_is_as_it_says(network) -> None:
    truth_m = slope_m(HALF)
    guess_m = network(Quantity.METRIC).metric_guess(frame_of(70 * truth_m))
    np.testing.assert_allclose(guess_m, 70 * truth_m, atol=0.51)


@pytest.mark.parametrize("quantity", [Quantity.RELATIVE, Quantity.INVERSE])
def test_other_networks_have_no_metric_guess(network, quantity: Quantity) -> None:
    assert network(quantity).metric_guess(frame_of(slope_m(HALF))) is None


def test_a_description_that_does_not_fit_is_refused_at_once(tmp_path: Path) -> None:
    file = write_channel_mean(tmp_path / "net.onnx", shape=(1, 3, 100, 100))
    weights = Weights(Kind.ONNX, file)
    described = NetworkDescription("tiny", weights, NetworkInput(64, 64), Quantity.METRIC)
    with pytest.raises(InputError, match=r"input image is .*100, 100\], its description makes"):
        NetworkDepth(described, CAMERA)


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("MAPCAST_DATA"), reason="MAPCAST_DATA is not set")
def test_a_real_network_on_real_frames() -> None:
    """METER on the kitchen, aligned to 300 sensor depths a frame: half as wrong as a constant."""
    data = Path(os.environ["MAPCAST_DATA"])
    sequence = open_sequence(data / "7scenes-redkitchen")
    camera = sequence.calibration.camera
    network = NetworkDepth(NetworkDescription.find(data / "models" / "meter_nyu_xxs.onnx"), camera)
    errors, constant = [], []
    for start in (0, 200, 400, 600):
        (message,) = sequence.frames(1, start)
        frame = decode_frame(message, sequence.calibration)
        truth_m = frame.depth[::2, ::2].astype(np.float32) * frame.depth_scale_m
        corners = cv2.goodFeaturesToTrack(frame.color[::2, ::2, 1], 300, 0.01, 5)[:, 0]
        u, v = corners.astype(int).T
        z = truth_m[v, u]
        points = np.stack([(u - 159.75) / 292.5 * z, (v - 119.75) / 292.5 * z, z], axis=1)
        estimated = network.depth(frame, DepthContext(np.eye(4), points[z > 0].astype(np.float32)))
        assert estimated is not None
        both = (truth_m > 0) & (estimated.depth_m > 0)
        assert both.sum() > 0.95 * (truth_m > 0).sum()
        errors.append(np.mean(np.abs(estimated.depth_m[both] / truth_m[both] - 1)))
        constant.append(np.mean(np.abs(np.median(truth_m[both]) / truth_m[both] - 1)))
    assert np.mean(errors) < 0.6 * np.mean(constant)
