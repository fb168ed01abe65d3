"""Views of a sphere in front of a wall."""

from collections.abc import Callable

import pytest
from sphere_and_wall import render, turned

from fusion.volume import VolumeSettings
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4


@pytest.fixture
def camera() -> Camera:
    return Camera(160, 120, 150.0, 150.0, 79.5, 59.5)


@pytest.fixture
def settings() -> VolumeSettings:
    return VolumeSettings(voxel_size_m=0.02, max_blocks=4096)


@pytest.fixture
def views(camera: Camera) -> list[tuple[Frame, Mat4]]:
    """Twelve views from a slow swing around the sphere."""
    poses = [turned(0.02 * i - 0.1, 0.05 * i - 0.25) for i in range(12)]
    return [(render(camera, pose, index), pose) for index, pose in enumerate(poses)]


@pytest.fixture
def scene() -> Callable[[Camera, Mat4], Frame]:
    return render
