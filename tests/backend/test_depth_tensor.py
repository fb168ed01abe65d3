"""A torch network's depth is fused from where it lies, without a way through main memory."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_cuda_driver import FakeCudaDriver

from fusion.depth.description import Kind, NetworkDescription, NetworkInput, Quantity, Weights
from fusion.depth.network import NetworkDepth
from fusion.depth.source import DepthContext
from fusion.volume import Volume, VolumeSettings
from gpu.backend import Backend, BackendError
from gpu.cuda import CudaBackend
from gpu.memory_limit import MemoryLimit
from slam.camera import Camera
from slam.frame import Frame

CAMERA = Camera(161, 119, 150.0, 150.0, 80.0, 59.0)
POSE = np.eye(4)


class _Brightness(torch.nn.Module):
    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return picture.mean(1, keepdim=True)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkDepth:
    """Sees depth in brightness."""
    file = tmp_path_factory.mktemp("network") / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript's, since torch 2.10
        torch.jit.save(torch.jit.trace(_Brightness(), torch.zeros(1, 3, 119, 161)), file)
    weights = Weights(Kind.TORCHSCRIPT, file)
    given = NetworkInput(161, 119, scale=1.0)
    return NetworkDepth(NetworkDescription("tiny", weights, given, Quantity.METRIC), CAMERA)


@pytest.fixture(scope="module")
def view(network: NetworkDepth) -> Frame:
    """A wall that recedes to the right, estimated from its picture and points on it."""
    depth_m = np.tile(np.linspace(1, 2, 161), (119, 1))
    color = np.repeat(np.round(100 * depth_m).astype(np.uint8)[..., None], 3, axis=2)
    v, u = (each.ravel() for each in np.mgrid[3:119:10, 3:161:10])
    z = depth_m[v, u]
    points = np.stack([(u - CAMERA.cx_px) / 150 * z, (v - CAMERA.cy_px) / 150 * z, z], axis=1)
    frame = Frame(0, 0, color)
    estimated = network.depth(frame, DepthContext(POSE, points.astype(np.float32)))
    assert estimated is not None
    np.testing.assert_allclose(estimated.depth_m, depth_m, rtol=0.02)
    return replace(
        frame,
        depth=estimated.depth_m,
        confidence=estimated.confidence,
        depth_tensor=estimated.depth_tensor,
    )


def fused(view: Frame, backend: Backend) -> Volume:
    volume = Volume(VolumeSettings(voxel_size_m=0.02), CAMERA, backend)
    volume.integrate(view, POSE)
    return volume


@pytest.mark.parametrize("with_filter", [False, True])
def test_the_device_fuses_its_own_copy(view: Frame, host_folder: Path, with_filter: bool) -> None:
    settings = VolumeSettings(voxel_size_m=0.02, depth_filter=with_filter)
    words, uploaded = [], []
    for given in (view, replace(view, depth_tensor=None)):
        driver = FakeCudaDriver(host_folder)
        volume = Volume(settings, CAMERA, CudaBackend(0, MemoryLimit(1 << 30), driver=driver))
        volume.reserve()
        before_bytes = driver.uploaded_bytes
        volume.integrate(given, POSE)
        words.append(volume.voxel_words())
        uploaded.append(driver.uploaded_bytes - before_bytes)
    assert volume.block_count > 100
    np.testing.assert_array_equal(*words)
    assert view.depth is not None
    assert uploaded[1] - uploaded[0] == -(-view.depth.size // 4) * 16


def test_the_copy_in_main_memory_takes_it_out_again(view: Frame, host_folder: Path) -> None:
    backend = CudaBackend(0, MemoryLimit(1 << 30), driver=FakeCudaDriver(host_folder))
    volume = fused(view, backend)
    volume.remove(replace(view, depth_tensor=None), POSE)
    assert not volume.voxel_words().any()


def test_a_tensor_that_is_elsewhere_is_not_asked_for(view: Frame, host_folder: Path) -> None:
    there, elsewhere = FakeCudaDriver(host_folder), FakeCudaDriver(host_folder)
    elsewhere.has_tensors = False
    words = [
        fused(view, CudaBackend(0, MemoryLimit(1 << 30), driver=driver)).voxel_words()
        for driver in (there, elsewhere)
    ]
    np.testing.assert_array_equal(*words)
    assert elsewhere.uploaded_bytes > there.uploaded_bytes


@pytest.mark.parametrize("tensor", [torch.ones(119, 160), torch.ones(119, 161).half()])
def test_a_tensor_of_another_size_is_refused(
    tensor: torch.Tensor, view: Frame, host_folder: Path
) -> None:
    backend = CudaBackend(0, MemoryLimit(1 << 30), driver=FakeCudaDriver(host_folder))
    with pytest.raises(BackendError, match=r"a depth tensor|a tensor is"):
        fused(replace(view, depth_tensor=tensor), backend)
