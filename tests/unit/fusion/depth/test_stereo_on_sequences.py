"""Motion stereo on a walk through the rendered room, and on real frames, with known poses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.depth.motion_stereo import MotionStereo
from fusion.depth.source import EstimatedDepth, View, depth_camera
from fusion.depth.views import RecentViews
from fusion.mesh import extract_mesh
from fusion.volume import Volume, VolumeSettings
from replay.opening import open_sequence
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4

FOCAL_PX = 550.0
"""Of the colour camera; the depth camera's is 585."""

Pictures = Iterator[tuple[int, NDArray[np.uint8], NDArray[np.float32]]]
"""Index, colour (H, W, 3), and (N, 3) map points in the world."""


def sensor_depth_m(folder: Path, index: int) -> NDArray[np.float32]:
    """(240, 320) what the depth camera sees at the pixels of the colour camera."""
    sensor = cv2.imread(str(folder / f"frame-{index:06d}.depth.png"), cv2.IMREAD_UNCHANGED)
    sensor_m = np.where(sensor == 65535, 0, sensor).astype(np.float32) / 1000
    zoom = 585 / FOCAL_PX
    matrix = np.array([[2 * zoom, 0, 320 - 319.5 * zoom], [0, 2 * zoom, 240 - 239.5 * zoom]])
    return cv2.warpAffine(
        sensor_m, matrix, (320, 240), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )


def estimates(
    camera: Camera, pictures: Pictures, pose_of: Callable[[int], Mat4]
) -> list[tuple[Frame, EstimatedDepth]]:
    """The depth of the frames that are worth one."""
    views, source, estimated = RecentViews(camera), MotionStereo(camera), []
    for index, color, points_world in pictures:
        frame = Frame(index, index, color)
        view = View(index, cv2.cvtColor(color, cv2.COLOR_RGB2GRAY), pose_of(index))
        context = views.context(view, points_world, pose_of)
        views.add(view)
        if context is not None:
            estimated.append((frame, source.depth(frame, context)))
    return estimated


def some_points(
    camera: Camera, depth_m: NDArray[np.float32], world_from_camera: Mat4
) -> NDArray[np.float32]:
    """A few points of the scene, as a tracker has them."""
    v, u = np.mgrid[: camera.height_px : 17, : camera.width_px : 17]
    z = depth_m[v, u]
    rays = np.stack([u, v, np.ones_like(u)], -1)[z > 0] @ np.linalg.inv(camera.matrix).T
    points = rays * z[z > 0, None] @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    return points.astype(np.float32)


def test_rendered_room_is_measured_and_fused():
    sequence = open_sequence("rendered")
    camera = depth_camera(sequence.calibration.camera)
    poses = sequence.ground_truth.world_from_camera
    seen = {index: sequence.room.render(camera, poses[index]) for index in range(400, 520, 3)}
    pictures = (
        (index, view.color, some_points(camera, view.depth_m, poses[index]))
        for index, view in seen.items()
    )
    estimated = estimates(camera, pictures, poses.__getitem__)
    assert len(estimated) > 8

    later = estimated[4:]
    coverage = np.mean([depth.depth_m > 0 for _, depth in later])
    error = {
        confidence: np.concatenate(
            [
                np.abs(depth.depth_m / seen[frame.index].depth_m - 1)[
                    depth.confidence >= confidence
                ]
                for frame, depth in later
            ]
        )
        for confidence in (1, 6)
    }
    assert coverage > 0.75
    assert error[1].mean() < 0.02
    assert np.median(error[1]) < 0.01
    assert (error[6] > 0.05).mean() < 0.75 * (error[1] > 0.05).mean()

    volume = Volume(VolumeSettings(voxel_size_m=0.02, max_blocks=8192), camera)
    for frame, depth in estimated:
        fused = Frame(
            *(frame.index, frame.capture_ns, frame.color, depth.depth_m),
            confidence=depth.confidence,
        )
        volume.integrate(fused, poses[frame.index])
    vertices = extract_mesh(volume).vertices_world.astype(np.float64)
    distance_m = sequence.room.surface_distance(vertices[::7])
    assert len(vertices) > 30_000
    assert np.median(distance_m) < 0.012
    assert (distance_m > 0.05).mean() < 0.15


@pytest.mark.data
def test_red_kitchen_is_measured(red_kitchen: Path):
    """A sanity check: the poses are the depth camera's, and colour is not registered to depth."""
    poses = open_sequence(red_kitchen).ground_truth.world_from_camera
    camera = depth_camera(Camera(640, 480, FOCAL_PX, FOCAL_PX, 319.5, 239.5))
    truth = {index: sensor_depth_m(red_kitchen, index) for index in range(0, 100, 2)}

    def pictures() -> Pictures:
        for index, depth_m in truth.items():
            color = cv2.imread(str(red_kitchen / f"frame-{index:06d}.color.jpg"))[..., ::-1]
            color = cv2.resize(color, (320, 240), interpolation=cv2.INTER_AREA)
            yield index, color, some_points(camera, depth_m, poses[index])

    estimated = estimates(camera, pictures(), poses.__getitem__)[2:]
    ratios = np.concatenate(
        [
            (depth.depth_m / np.where(truth[frame.index] > 0, truth[frame.index], np.nan))[
                depth.depth_m > 0
            ]
            for frame, depth in estimated
        ]
    )
    ratios = ratios[np.isfinite(ratios)]
    error = np.abs(ratios / np.median(ratios) - 1)
    coverage = np.mean([depth.depth_m > 0 for _, depth in estimated])
    assert coverage > 0.3
    assert error.mean() < 0.15
