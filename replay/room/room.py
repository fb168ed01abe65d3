"""The room as one object: built once, rendered from anywhere, measured exactly."""

from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from replay.room.bake import Atlas, bake
from replay.room.furniture import furnished_room, lights
from replay.room.scene import Solids
from replay.room.sensor import FARTHEST_M, NEAREST_M
from replay.room.surface import surface_distances
from replay.room.view import View, render
from slam.camera import Camera
from slam.geometry import Mat4


class Room:
    """A furnished room with baked light. Immutable; any thread may use it."""

    def __init__(self, solids: Solids, atlas: Atlas) -> None:
        self._solids, self._atlas = solids, atlas

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, seed: int) -> Self:
        """Build the room of a seed, or return the one built before."""
        solids = furnished_room(seed)
        return cls(Solids.of(solids), bake(solids, lights(), seed))

    def render(self, camera: Camera, world_from_camera: Mat4) -> View:
        """Render the exact view from a pose in free space; distortion is not modelled."""
        return render(self._solids, self._atlas, camera, world_from_camera)

    def visible_points(
        self, camera: Camera, world_from_camera: Mat4, stride_px: int
    ) -> NDArray[np.float64]:
        """(N, 3) world points seen at every `stride_px`-th pixel within the sensor's range."""
        z = self.render(camera, world_from_camera).depth_m[::stride_px, ::stride_px]
        v, u = np.mgrid[0 : camera.height_px : stride_px, 0 : camera.width_px : stride_px]
        rays = np.stack(
            [
                (u - camera.cx_px) / camera.fx_px,
                (v - camera.cy_px) / camera.fy_px,
                np.ones(z.shape),
            ],
            axis=-1,
        )
        points_camera = (rays * z[..., None])[(z >= NEAREST_M) & (z <= FARTHEST_M)]
        rotated: NDArray[np.float64] = points_camera @ world_from_camera[:3, :3].T
        return rotated + world_from_camera[:3, 3]

    def surface_distance(self, points_world: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N,) metres from each of (N, 3) points to the nearest surface of any solid.

        Exact for boxes and cylinders; for the plants' ellipsoids first-order, exact on them.
        """
        solids = self._solids
        points = np.ascontiguousarray(points_world, np.float64)
        return surface_distances(points, solids.kind, solids.center, solids.half, solids.turn)
