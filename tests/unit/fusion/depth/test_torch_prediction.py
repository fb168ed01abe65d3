"""What torch makes of a network's output, beside what is made of it in main memory."""

import numpy as np
import pytest

from fusion.depth.align import Alignment
from fusion.depth.description import Quantity
from fusion.depth.known import KnownDepth
from fusion.depth.prediction import HostPrediction, Placement
from fusion.depth.torch_prediction import TorchPrediction

torch = pytest.importorskip("torch", reason="torch is not installed (extra `torch`)")

ROUNDED = 1 / 32
"""OpenCV interpolates at so many places between two pixels."""


def output(height_px: int, width_px: int):
    """A slope with a step, as a network might give it."""
    v, u = np.mgrid[:height_px, :width_px] / width_px
    return (1 + u + 0.5 * v + (u > 0.25)).astype(np.float32)


@pytest.mark.parametrize(
    ("sides", "placement"),
    [
        ((48, 64), Placement(320, 240, 1.0, 1.0)),
        ((48, 64), Placement(181, 320, 0.4, 1.0)),
        ((240, 320), Placement(320, 240, 1.0, 1.0)),
        ((96, 96), Placement(64, 36, 1.0, 0.5625)),
    ],
)
@pytest.mark.parametrize("quantity", Quantity)
def test_both_say_the_same(
    sides: tuple[int, int], placement: Placement, quantity: Quantity
) -> None:
    given = output(*sides)
    host = HostPrediction(given, placement)
    there = TorchPrediction(torch, torch.from_numpy(given), placement)
    most = np.abs(np.diff(given, axis=1)).max() * ROUNDED
    assert host.image().shape == there.image().shape == (placement.height_px, placement.width_px)
    np.testing.assert_allclose(there.image(), host.image(), atol=most)
    known = KnownDepth(np.array([0, 7, 60]), np.array([0, 30, 2]), np.ones(3, np.float32))
    np.testing.assert_array_equal(there.at(known), known.of(there.image()))

    alignment = Alignment(quantity, 0.8, 0.1, 0.5, 2.5)
    (host_m, nothing), (there_m, tensor) = host.depth(alignment), there.depth(alignment)
    assert nothing is None
    np.testing.assert_array_equal(tensor.numpy(), there_m)
    differs = (host_m > 0) != (there_m > 0)  # at edges, where rounding decides
    assert 0.05 < (there_m > 0).mean() < 0.99
    assert differs.mean() < 0.02
    np.testing.assert_allclose(there_m[~differs], host_m[~differs], rtol=2 * most)
