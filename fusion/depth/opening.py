"""Which depth source a session gets."""

import math
from enum import StrEnum
from pathlib import Path

from fusion.depth.description import NetworkDescription, preset_names
from fusion.depth.fused import FusedDepth
from fusion.depth.motion_stereo import MotionStereo, StereoSettings
from fusion.depth.network import NetworkDepth
from fusion.depth.source import DepthSource
from mapcast_client.errors import InputError
from slam.camera import Camera


class DepthKind(StrEnum):
    """The depth sources that there are."""

    MOTION_STEREO = "motion_stereo"
    NETWORK = "network"
    FUSED = "fused"


def open_depth_source(
    kind: DepthKind | str,
    camera: Camera,
    model: Path | str | None = None,
    error_max: float = math.inf,
) -> DepthSource:
    """Make a depth source for frames of a pinhole camera.

    `model` names a network as `NetworkDescription.find` takes it. Stereo whose error would be
    larger than `error_max`, in the unit of the map, is left out. Raises InputError if the kind is
    unknown or its network is missing, DependencyError if what runs it is not installed.
    """
    if kind not in list(DepthKind):
        raise InputError(f"depth source is {kind!r}, must be one of {', '.join(DepthKind)}")
    stereo = MotionStereo(camera, StereoSettings(error_max=error_max))
    if kind == DepthKind.MOTION_STEREO:
        return stereo
    if model is None:
        raise InputError(
            f"depth source {kind} needs a network: name a TOML file, weights, or one of "
            f"{', '.join(preset_names())}"
        )
    network = NetworkDepth(NetworkDescription.find(model), camera)
    return network if kind == DepthKind.NETWORK else FusedDepth(stereo, network)
