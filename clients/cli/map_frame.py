"""What a map's coordinates mean, and the camera they rest on, in words for people."""

import math
from dataclasses import dataclass
from typing import Self

from mapcast_client.v1 import maps_pb2

_SCALE_WORDS = {
    "sensor": "metres, from the depth sensor",
    "given": "metres, from the given poses",
    "imu": "metres, from the IMU",
    "network": "metres, guessed by the depth network",
    "declared": "metres, from the declared depth of the scene",
}
_DEPTH_WORDS = {"motion_stereo": "motion stereo", "network": "depth network"}


@dataclass(frozen=True, slots=True)
class MapFrame:
    """Of a session, as its info says at the end; also part of `--json`."""

    units: str = "m"
    """m, or unscaled: in the map's own unit."""
    scale_source: str = "sensor"
    """sensor, given, imu, network, declared or none."""
    depth_source: str = "sensor"
    """sensor, motion_stereo, network or fused."""
    camera_guessed: bool = False
    width_px: int = 0
    """0: the camera is not known."""
    height_px: int = 0
    field_of_view_deg: float = 0.0
    """Across the longer side."""

    @classmethod
    def of(cls, info: maps_pb2.SessionInfo) -> Self:
        """Read it from a session's info."""
        camera = info.camera
        focal_px = camera.fx_px if camera.width_px >= camera.height_px else camera.fy_px
        half = max(camera.width_px, camera.height_px) / 2
        return cls(
            units=info.units or "m",
            scale_source=info.scale_source or "sensor",
            depth_source=info.depth_source or "sensor",
            camera_guessed=info.camera_guessed,
            width_px=camera.width_px,
            height_px=camera.height_px,
            field_of_view_deg=math.degrees(2 * math.atan2(half, focal_px)) if focal_px else 0.0,
        )

    @property
    def calibration_words(self) -> str:
        """Where the camera's model comes from."""
        if not self.width_px:
            return "not known: no frame was tracked"
        size = f"{self.width_px}×{self.height_px}"
        if not self.camera_guessed:
            return f"{size}, as given"
        degrees = f"{self.field_of_view_deg:.0f}° across the longer side"
        return f"guessed from {size} (field of view {degrees}); --camera gives a better one"

    @property
    def scale_words(self) -> str:
        """What a unit of length is, and who says so."""
        if self.units != "m":
            return "unknown: map units; --scene-depth or a metric --model gives metres"
        return _SCALE_WORDS.get(self.scale_source, f"metres ({self.scale_source})")

    @property
    def depth_words(self) -> str:
        """Where depth comes from."""
        return _DEPTH_WORDS.get(self.depth_source, self.depth_source)
