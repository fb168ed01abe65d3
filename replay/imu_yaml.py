"""A file that says how an IMU is calibrated: Kalibr's results, or EuRoC's sensor.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mapcast_client.errors import DependencyError, InputError
from slam.geometry import Mat4, require_rigid

NAME = "imu.yaml"
_DENSITIES = (
    "gyroscope_noise_density",
    "accelerometer_noise_density",
    "gyroscope_random_walk",
    "accelerometer_random_walk",
)
"""As Kalibr and EuRoC name them, in the order of `ImuNoise`."""


@dataclass(frozen=True, slots=True)
class ImuNoise:
    """Densities in continuous time."""

    gyroscope: float
    """rad/s/√Hz"""
    accelerometer: float
    """m/s²/√Hz"""
    gyroscope_walk: float
    """rad/s²/√Hz"""
    accelerometer_walk: float
    """m/s³/√Hz"""

    def __post_init__(self) -> None:
        """Raises InputError for what no sensor has."""
        for name in self.__slots__:
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"IMU noise: {name} is {value}, must be positive")


GUESSED_NOISE = ImuNoise(1e-3, 1e-2, 1e-5, 1e-3)
"""Several times what data sheets of small MEMS IMUs say: too much only gives an IMU less weight."""


@dataclass(frozen=True, slots=True, eq=False)
class ImuYaml:
    """What a file says of an IMU; None or empty is what it does not."""

    path: Path
    noise: ImuNoise | None
    camera_from_imu: Mat4 | None
    topic: str = ""
    """The ROS topic of its samples."""
    late_s: float = 0.0
    """The IMU's clock minus the camera's."""

    @staticmethod
    def beside(bag: Path) -> Path | None:
        """The file that belongs to a bag: walk.imu.yaml, or imu.yaml of all bags in the folder.

        What lies beside a link comes before what lies beside the bag that it stands for.
        """
        places = [place for path in (bag.absolute(), bag.resolve()) for place in _places(path)]
        return next((place for place in places if place.is_file()), None)

    @classmethod
    def read(cls, path: Path, color_topic: str = "") -> Self:
        """Read Kalibr's imu.yaml, its camchain-imucam.yaml, or both one after the other.

        Of several cameras the one of `color_topic` counts. EuRoC's T_BS is of a body that is not
        the camera and is not read. Raises InputError that names the file.
        """
        values = _mapping(path)
        imu = values.get("imu0", values)
        if not isinstance(imu, Mapping):
            raise InputError(f"IMU calibration {path}: imu0 is {imu!r}, must be a mapping")
        camera = _camera(path, values, color_topic)
        noise = _noise(path, imu)
        matrix = camera.get("T_cam_imu")
        if noise is None and matrix is None:
            raise InputError(
                f"IMU calibration {path}: has neither {', '.join(_DENSITIES)} nor T_cam_imu"
            )
        return cls(
            path,
            noise,
            None if matrix is None else _transform(path, matrix),
            str(imu.get("rostopic", "")),
            _number(path, "timeshift_cam_imu", camera.get("timeshift_cam_imu", 0.0)),
        )


def _places(bag: Path) -> list[Path]:
    """Where a bag's file may be, the closest first."""
    name = bag.stem if bag.is_file() else bag.name
    inside = [bag / NAME] if bag.is_dir() else []
    return [*inside, bag.with_name(f"{name}.{NAME}"), bag.with_name(NAME)]


def _mapping(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise DependencyError(f"no PyYAML ({error}): pip install pyyaml") from None
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"IMU calibration {path}: {error}") from None
    if not isinstance(values, Mapping):
        raise InputError(f"IMU calibration {path}: is no mapping of names to values")
    return values


def _camera(path: Path, values: Mapping[str, Any], color_topic: str) -> Mapping[str, Any]:
    """The part of Kalibr's camera; the whole file where it has none."""
    cameras = [
        part
        for name, part in values.items()
        if str(name).startswith("cam") and isinstance(part, Mapping)
    ]
    if len(cameras) > 1:
        topics = [str(camera.get("rostopic", "")) for camera in cameras]
        cameras = [camera for camera in cameras if camera.get("rostopic") == color_topic]
        if len(cameras) != 1:
            raise InputError(
                f"IMU calibration {path}: has cameras of {', '.join(topics)}, and the colour is "
                f"{color_topic or 'of no topic'}: leave only its own"
            )
    return cameras[0] if cameras else values


def _noise(path: Path, imu: Mapping[str, Any]) -> ImuNoise | None:
    given = [name for name in _DENSITIES if name in imu]
    if not given:
        return None
    if missing := [name for name in _DENSITIES if name not in imu]:
        raise InputError(f"IMU calibration {path}: has no {', '.join(missing)}")
    try:
        return ImuNoise(*(_number(path, name, imu[name]) for name in _DENSITIES))
    except InputError as error:
        raise InputError(f"IMU calibration {path}: {error}") from None


def _number(path: Path, name: str, value: Any) -> float:
    try:
        number = float(value)  # YAML takes 1e-3 for text
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"IMU calibration {path}: {name} is {value!r}, must be a number")
    return number


def _transform(path: Path, matrix: Any) -> Mat4:
    """Four rows, or OpenCV's {rows, cols, data}."""
    name = f"IMU calibration {path}: T_cam_imu"
    numbers = matrix.get("data") if isinstance(matrix, Mapping) else matrix
    try:
        values = np.array(numbers, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {matrix!r}, must be 4x4 numbers") from None
    return require_rigid(values.reshape(4, 4) if values.size == 16 else values, name)
