"""The camera that refinement found for a session, in words and as `--camera` takes it."""

from dataclasses import dataclass
from typing import Self

from mapcast_client.v1 import ingest_pb2, maps_pb2


@dataclass(frozen=True, slots=True)
class OfferedCamera:
    """The newest offer of a session; also part of `--json`."""

    camera: str
    """fx,fy,cx,cy[,k1,k2,p1,p2[,k3]] in pixels."""
    keyframes: int
    """That it rests on."""
    reprojection_px: float
    """Median over what they see."""

    @classmethod
    def of(cls, info: maps_pb2.SessionInfo) -> Self | None:
        """Read it from a session's info; None: no camera was offered."""
        if not info.HasField("calibration_offer"):
            return None
        offer = info.calibration_offer
        return cls(camera_option(offer.camera), offer.keyframes, round(offer.reprojection_px, 3))

    @property
    def words(self) -> str:
        """What it is, and what it rests on."""
        return (
            f"{self.camera} fits better ({self.keyframes} keyframes, {self.reprojection_px:.2f} px)"
        )


def camera_option(camera: ingest_pb2.Camera) -> str:
    """A camera as `--camera` takes it."""
    numbers = (camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px, *camera.distortion)
    return ",".join(f"{number:.7g}" for number in numbers)
