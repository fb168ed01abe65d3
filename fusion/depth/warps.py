"""From pixels of one camera position to those of another, as kernels take it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.depth.source import View
from slam.camera import Camera
from slam.geometry import Mat4, inverse

_FINE_FROM_PIXEL = np.array([[2, 0, 1], [0, 2, 1], [0, 0, 1]], np.float64)
"""Elements of a fine census are half a pixel and lie a quarter off, i = 2u + ½; and ½ to round."""
_ROUNDED_FROM_PIXEL = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
_STRIDE_PX = 8


def sweep_warps(
    camera: Camera, world_from_camera: Mat4, views: Sequence[View]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The rotations (V, 3, 3) and epipoles (V, 3) that `sweep_planes` takes for V views."""
    rotations, epipoles = [], []
    for view in views:
        view_from_camera = inverse(view.world_from_camera) @ world_from_camera
        fine_from_camera = _FINE_FROM_PIXEL @ camera.matrix @ view_from_camera[:3]
        rotations.append(fine_from_camera[:, :3] @ np.linalg.inv(camera.matrix))
        epipoles.append(fine_from_camera[:, 3])
    return np.array(rotations, np.float32), np.array(epipoles, np.float32)


def image_from_pixels(camera: Camera, other_from_camera: Mat4) -> NDArray[np.float32]:
    """The (3, 4) matrix that `compare_depths` takes: (u·z, v·z, z, 1) to the other image."""
    matrix = _ROUNDED_FROM_PIXEL @ camera.matrix @ other_from_camera[:3]
    matrix[:, :3] = matrix[:, :3] @ np.linalg.inv(camera.matrix)
    return matrix.astype(np.float32)


def depths_seen(
    camera: Camera, camera_from_other: Mat4, depth: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(N,) depths here of the points of another position's (H, W) depth that are in the image.

    Of every eighth pixel along both axes.
    """
    z = depth[::_STRIDE_PX, ::_STRIDE_PX].astype(np.float64)
    v, u = np.mgrid[: z.shape[0], : z.shape[1]] * _STRIDE_PX
    rays = np.stack([u * z, v * z, z], -1)[z > 0] @ np.linalg.inv(camera.matrix).T
    points = rays @ camera_from_other[:3, :3].T + camera_from_other[:3, 3]
    image = points @ camera.matrix.T
    inside = (image[:, 2] > 0) & (image[:, :2] >= 0).all(1)
    inside &= (image[:, :2] < image[:, 2:] * (camera.width_px, camera.height_px)).all(1)
    return np.asarray(points[inside, 2], np.float64)
