"""A picture of a map from any pose."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import ProtocolError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2, maps_pb2


@dataclass(frozen=True, slots=True)
class View:
    """What a camera would see of a map; the arrays are read-only."""

    color: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    depth: NDArray[np.float32]
    """(H, W) metres along +Z, 0: nothing hit."""
    normals_world: NDArray[np.float32]
    """(H, W, 3)"""

    @classmethod
    def from_message(cls, message: maps_pb2.RaycastView, camera: ingest_pb2.Camera) -> Self:
        """Read a server's answer. Raises ProtocolError when its sizes are not the camera's."""
        shape = (camera.height_px, camera.width_px)
        return cls(
            _image("color", message.color, "u1", (*shape, 3)),
            _image("depth", message.depth, "<f4", shape),
            _image("normals", message.normals, "<f4", (*shape, 3)),
        )


def raycast_request(
    session: str, camera: ingest_pb2.Camera, world_from_camera: NDArray[np.float64]
) -> maps_pb2.RaycastRequest:
    """Ask for a view. Raises InputError when the (4, 4) pose is not rigid."""
    return maps_pb2.RaycastRequest(
        session=session, camera=camera, world_from_camera=pose_message(world_from_camera)
    )


def _image(name: str, data: bytes, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    expected = np.dtype(kind).itemsize * int(np.prod(shape))
    if len(data) != expected:
        raise ProtocolError(f"raycast: {name} has {len(data)} bytes, must have {expected}")
    return np.frombuffer(data, kind).reshape(shape)
