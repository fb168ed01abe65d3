"""What a client asks of a new session in JSON or a query string, as the wire's OpenSession."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mapcast_client.errors import InputError
from mapcast_client.settings import DEPTH_SOURCES, POLICIES, SENSORS
from mapcast_client.v1 import ingest_pb2

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0)]


class _Strict(BaseModel):
    """Refuses what it does not know: a misspelt setting must not be a default in silence."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ImuCalibration(_Strict):
    """Extrinsics and noise of an IMU, as Kalibr gives them."""

    camera_from_imu: Annotated[list[Finite], Field(min_length=7, max_length=7)]
    """tx ty tz qx qy qz qw"""
    rate_hz: Positive
    gyroscope_noise: Positive
    accelerometer_noise: Positive
    gyroscope_walk: Positive
    accelerometer_walk: Positive

    def to_message(self) -> ingest_pb2.ImuCalibration:
        """The wire's form."""
        names = ("tx", "ty", "tz", "qx", "qy", "qz", "qw")
        pose = ingest_pb2.Pose(**dict(zip(names, self.camera_from_imu, strict=True)))
        others = self.model_dump(exclude={"camera_from_imu"})
        return ingest_pb2.ImuCalibration(camera_from_imu=pose, **others)


class CameraCalibration(_Strict):
    """A pinhole camera, its depth images where it has any, and its IMU where it has one."""

    width_px: Annotated[int, Field(ge=1, le=8192)]
    height_px: Annotated[int, Field(ge=1, le=8192)]
    fx_px: Positive
    fy_px: Positive
    cx_px: Finite
    cy_px: Finite
    distortion: list[Finite] = []
    """k1 k2 p1 p2 [k3]"""
    frame_rate_hz: Annotated[Finite, Field(ge=0)] = 0.0
    depth_scale_m: Annotated[Finite, Field(ge=0)] = 0.0
    depth_invalid: Annotated[int, Field(ge=0, le=0xFFFF)] = 0
    imu: ImuCalibration | None = None

    def to_message(self) -> ingest_pb2.Calibration:
        """The wire's form."""
        of_depth = self.model_dump(include={"frame_rate_hz", "depth_scale_m", "depth_invalid"})
        of_camera = self.model_dump(exclude={*of_depth, "imu"})
        return ingest_pb2.Calibration(
            camera=ingest_pb2.Camera(**of_camera),
            imu=self.imu.to_message() if self.imu is not None else None,
            **of_depth,
        )


class NewSession(_Strict):
    """A session to be; zeros and empty strings mean the server's defaults."""

    name: str = ""
    sensor: Literal["mono", "mono_imu", "rgbd"] | None = None
    """mono; with a `map`: the one that it was made with."""
    policy: Literal["live", "lossless"] = "live"
    voxel_size_m: Annotated[Finite, Field(ge=0)] = 0.0
    depth: Literal["auto", "motion_stereo", "network", "fused"] = "auto"
    """Where monocular frames get their depth."""
    model: str = ""
    """A depth network's name, one of `/v1/server`'s `depth_models`."""
    scene_depth_m: Annotated[Finite, Field(ge=0)] = 0.0
    """The median depth of the first view, where it is known: it sets a monocular map's scale."""
    calibration: CameraCalibration | None = None
    """Monocular cameras may leave it out: it is guessed."""
    map: str = ""
    """The name of a saved map to go on with; all settings are its own then, if none is given."""
    localization_only: bool = False
    """Find the camera in the map, and leave the map as it is."""
    free_intrinsics: bool = False
    """Estimate the focal lengths, where the server refines, and offer the camera found."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read JSON or a query string. Raises InputError, naming every field that does not do."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(explain(error.errors())) from None

    def to_message(self) -> ingest_pb2.OpenSession:
        """The wire's form."""
        calibration = self.calibration
        return ingest_pb2.OpenSession(
            name=self.name,
            sensor=None if self.sensor is None and self.map else SENSORS[self.sensor or "mono"],
            policy=POLICIES[self.policy],
            calibration=calibration.to_message() if calibration is not None else None,
            fusion=ingest_pb2.FusionSettings(voxel_size_m=self.voxel_size_m),
            depth=ingest_pb2.DepthSettings(source=DEPTH_SOURCES[self.depth], model=self.model),
            scene_depth_m=self.scene_depth_m,
            map=self.map,
            localization_only=self.localization_only,
            refine=ingest_pb2.RefineSettings(free_intrinsics=True)
            if self.free_intrinsics
            else None,
        )


def explain(problems: Iterable[Mapping[str, Any]]) -> str:
    """Pydantic's findings in one line; never what was sent, which may be a token."""
    return "; ".join(f"{_place(problem['loc'])}: {problem['msg']}" for problem in problems)


def _place(location: Iterable[Any]) -> str:
    return ".".join(str(part) for part in location if part != "body") or "the message"
