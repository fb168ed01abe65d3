"""A camera's calibration as people give it: numbers, or a file of TOML or YAML."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mapcast_client.errors import DependencyError, InputError
from slam.camera import Camera

_ASPECT_TOLERANCE = 0.01
_NUMBERS = ("fx_px", "fy_px", "cx_px", "cy_px")
_YAML_SUFFIXES = (".yaml", ".yml")
_MODELS = {
    "camera_model": ("pinhole",),
    "distortion_model": ("plumb_bob", "radtan", "radial-tangential", "none"),
}
"""What YAML files may say: all of these names mean a pinhole with Brown-Conrady distortion."""


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole with Brown-Conrady distortion, and the size of pictures that it was found with."""

    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, ...] = ()
    """k1 k2 p1 p2 [k3]; empty: none."""
    size_px: tuple[int, int] | None = None
    """Width and height; None: that of the recording."""

    def __post_init__(self) -> None:
        """Raises InputError for numbers that no camera has."""
        if self.size_px is not None and min(self.size_px) < 1:
            raise InputError(
                f"picture size is {self.size_px[0]}x{self.size_px[1]} px, must be 1x1 or more"
            )
        Camera(1, 1, self.fx_px, self.fy_px, self.cx_px, self.cy_px, self.distortion)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `fx,fy,cx,cy[,k1,k2,p1,p2[,k3]]`, or the file of that name. Raises InputError.

        A TOML file has width_px, height_px, fx_px, fy_px, cx_px, cy_px and, where there is any,
        distortion; a YAML file is ROS's camera_info or EuRoC's sensor.yaml, of a pinhole with
        Brown-Conrady distortion (plumb_bob, radtan): a fisheye's terms mean something else.
        """
        path = Path(text)
        if path.suffix == ".toml":
            return cls._from_toml(path)
        if path.suffix in _YAML_SUFFIXES:
            return cls._from_yaml(path)
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in (4, 8, 9):
            raise InputError(
                f"camera is {text!r}, must be fx,fy,cx,cy[,k1,k2,p1,p2[,k3]] in pixels, "
                "or a file that ends in .toml, .yaml or .yml"
            )
        fx_px, fy_px, cx_px, cy_px, *distortion = numbers
        return cls(fx_px, fy_px, cx_px, cy_px, tuple(distortion))

    def camera(self, recorded_px: tuple[int, int], sent_px: tuple[int, int]) -> Camera:
        """The camera of pictures that were `recorded_px` and are sent as `sent_px`.

        Raises InputError when the picture's shape is not the one of the calibration.
        """
        own_px = self.size_px or recorded_px
        own_aspect, aspect = own_px[0] / own_px[1], recorded_px[0] / recorded_px[1]
        if abs(own_aspect / aspect - 1) > _ASPECT_TOLERANCE:
            raise InputError(
                f"the calibration is for {own_px[0]}x{own_px[1]} px, the recording has "
                f"{recorded_px[0]}x{recorded_px[1]} px: another shape"
            )
        # An edge of one pixel may have been cut off: only the larger side tells the scale.
        scale = max(sent_px) / max(own_px) if max(own_px) - max(sent_px) > 1 else 1.0
        # The first pixel's corner, not its centre, stays where it is.
        cx_px, cy_px = ((centre + 0.5) * scale - 0.5 for centre in (self.cx_px, self.cy_px))
        return Camera(
            *sent_px, self.fx_px * scale, self.fy_px * scale, cx_px, cy_px, self.distortion
        )

    @classmethod
    def _from_toml(cls, path: Path) -> Self:
        try:
            values = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"calibration {path}: {error}") from None
        known = {*_NUMBERS, "distortion", "width_px", "height_px"}
        if unknown := sorted(set(values) - known):
            raise InputError(f"calibration {path}: unknown {unknown}, known are {sorted(known)}")
        size = [values.get("width_px"), values.get("height_px")]
        pinhole = [values.get(name) for name in _NUMBERS]
        return cls._checked(path, pinhole, values.get("distortion", []), size)

    @classmethod
    def _from_yaml(cls, path: Path) -> Self:
        try:
            import yaml
        except ImportError as error:
            raise DependencyError(f"no PyYAML ({error}): pip install pyyaml") from None
        try:
            values = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"calibration {path}: {error}") from None
        if isinstance(values, Mapping):
            _require_known_models(path, values)
        if isinstance(values, Mapping) and "camera_matrix" in values:
            k = _data_of(values["camera_matrix"])
            pinhole = [k[0], k[4], k[2], k[5]] if len(k) == 9 else k
            size = [values.get("image_width"), values.get("image_height")]
            distortion = _data_of(values.get("distortion_coefficients"))
            return cls._checked(path, pinhole, distortion, size)
        if isinstance(values, Mapping) and "intrinsics" in values:
            return cls._checked(
                path,
                values["intrinsics"],
                values.get("distortion_coefficients", []),
                values.get("resolution", [None, None]),
            )
        raise InputError(
            f"calibration {path}: neither ROS's camera_info (camera_matrix) nor EuRoC's "
            "sensor.yaml (intrinsics)"
        )

    @classmethod
    def _checked(cls, path: Path, pinhole: Any, distortion: Any, size: Any) -> Self:
        """Build it of numbers from a file. Raises InputError that names the file."""
        try:
            fx_px, fy_px, cx_px, cy_px = map(float, pinhole)
            terms = tuple(float(term) for term in distortion)
            width_px, height_px = (None, None) if size == [None, None] else map(int, size)
        except (TypeError, ValueError):
            raise InputError(
                f"calibration {path}: needs fx, fy, cx, cy, and numbers for distortion and size; "
                f"has {pinhole}, {distortion}, {size}"
            ) from None
        own_px = None if width_px is None or height_px is None else (width_px, height_px)
        try:
            return cls(fx_px, fy_px, cx_px, cy_px, terms if any(terms) else (), own_px)
        except InputError as error:
            raise InputError(f"calibration {path}: {error}") from None


def _require_known_models(path: Path, values: Mapping[str, Any]) -> None:
    for key, known in _MODELS.items():
        model = values.get(key)
        if model and str(model).lower() not in known:
            raise InputError(
                f"calibration {path}: {key} is {model}, must be {' or '.join(known)} (or left out)"
            )


def _data_of(matrix: Any) -> list[Any]:
    """The numbers of a matrix as ROS writes it: {rows, cols, data}."""
    data = matrix.get("data") if isinstance(matrix, Mapping) else None
    return data if isinstance(data, list) else []
