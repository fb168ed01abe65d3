"""The best disparity of each pixel of a rectified pair: on the CPU, or on a device, the same."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, Buffer
from gpu.kernels.semi_global import aggregate_paths
from gpu.kernels.stereo import choose_disparities, match_costs, stereo_words
from mapcast_client.errors import InputError

_COST_BITS = 64
_PATHS = 8
_LARGEST_PENALTY = 0xFFFF // _PATHS - _COST_BITS
_WALKS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Steps u, v of the eight paths."""
_ITEMS = 64
"""Of a group, in the kernels that have one item per pixel."""
_LINES = 4
"""That a group of `stereo_path` walks."""


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """How a pair is searched and what is believed."""

    disparities: int = 64
    """Searched from 0 px on."""
    small_penalty: int = 12
    """Cost of a surface that slopes by one pixel of disparity per pixel, in bits of 64."""
    large_penalty: int = 100
    """Cost of a jump, lower where the picture has an edge."""
    edge_levels: int = 8
    """Gray levels of a step in the picture from which on a jump gets cheaper."""
    tolerance_px: int = 2
    """By how much the disparity seen from the right may differ, and that of the neighbours."""
    speckle_px: int = 60
    """Smaller islands are dropped."""

    def __post_init__(self) -> None:
        if not 16 <= self.disparities <= 256 or self.disparities % 4:
            raise InputError(
                f"disparities is {self.disparities}, must be 16 to 256 and a multiple of 4"
            )
        if not 0 < self.small_penalty <= self.large_penalty <= _LARGEST_PENALTY:
            raise InputError(
                f"small_penalty is {self.small_penalty} and large_penalty {self.large_penalty}, "
                f"must be 0 < small ≤ large ≤ {_LARGEST_PENALTY}"
            )
        for name, least in (("edge_levels", 1), ("tolerance_px", 0), ("speckle_px", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, must be at least {least}")

    @property
    def penalties(self) -> NDArray[np.uint16]:
        """(256,) the cost of a jump by the step in gray levels that goes with it."""
        steps = np.maximum(np.arange(256) / self.edge_levels, 1)
        penalties = np.maximum(self.large_penalty / steps, self.small_penalty)
        return penalties.astype(np.uint16)


@dataclass(frozen=True, slots=True, eq=False)
class RawMatch:
    """The best disparity of every pixel of the left image, believed or not."""

    disparity: NDArray[np.int32]
    """(H, W) in 1/256 px."""
    least: NDArray[np.uint16]
    """(H, W) what its eight paths cost."""
    margin: NDArray[np.uint16]
    """(H, W) how much more the next best costs that is no neighbour."""
    difference_px: NDArray[np.int32]
    """(H, W) by how much the right image's own best differs there; `disparities`: outside of it."""


class StereoSearch(Protocol):
    """Finds the best disparity of every pixel, for pairs that `StereoMatcher` has checked."""

    def run(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> RawMatch:
        """Search a pair of contiguous images of one size."""

    def close(self) -> None:
        """Give back the device's memory."""


class CpuSearch:
    """On the CPU; it keeps room for pairs of one size. One thread calls it."""

    def __init__(self, settings: MatchSettings) -> None:
        self._settings = settings
        self._costs = np.empty((0, 0, settings.disparities), np.uint8)
        self._totals = np.empty((0, 0, settings.disparities), np.uint16)

    def run(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> RawMatch:
        """Search a pair of contiguous images of one size."""
        if self._costs.shape[:2] != left.shape:
            shape = (*left.shape, self._settings.disparities)
            self._costs, self._totals = np.empty(shape, np.uint8), np.empty(shape, np.uint16)
        match_costs(stereo_words(left), stereo_words(right), self._costs)
        self._totals[:] = 0
        penalties, small = self._settings.penalties, self._settings.small_penalty
        for step in (1, -1):
            aggregate_paths(self._costs, left, small, penalties, step, self._totals)
        disparity, difference = np.empty((2, *left.shape), np.int32)
        least, margin = np.empty((2, *left.shape), np.uint16)
        choose_disparities(self._totals, disparity, least, margin, difference)
        return RawMatch(disparity, least, margin, difference)

    def close(self) -> None:
        """Nothing is held that others want."""


class DeviceSearch:
    """On a device; it keeps room for pairs of one size. The backend's thread calls it."""

    def __init__(self, settings: MatchSettings, backend: Backend) -> None:
        self._settings = settings
        self._backend = backend
        self._shape = (0, 0)
        self._buffers: dict[str, Buffer] = {}

    def run(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> RawMatch:
        """Search a pair of contiguous images of one size. Raises DeviceMemoryError."""
        if self._shape != left.shape:
            self._make_room(*left.shape)
        backend, buffers = self._backend, self._buffers
        backend.upload(buffers["left"], _words(left))
        backend.upload(buffers["right"], _words(right))
        backend.fill(buffers["totals"], 0)
        self._launch()
        shape, pixels = self._shape, left.size
        disparity = backend.download(buffers["disparity"], np.int32, pixels).reshape(shape)
        worth = backend.download(buffers["worth"], np.uint32, pixels).reshape(shape)
        difference = backend.download(buffers["difference"], np.int32, pixels).reshape(shape)
        least, margin = (worth & 0xFFFF).astype(np.uint16), (worth >> 16).astype(np.uint16)
        return RawMatch(disparity, least, margin, difference)

    def close(self) -> None:
        """Give back the device's memory."""
        for buffer in self._buffers.values():
            self._backend.free(buffer)
        self._buffers = {}
        self._shape = (0, 0)

    def _launch(self) -> None:
        height, width = self._shape
        buffers, disparities = self._buffers, self._settings.disparities
        size = {"width": width, "height": height}
        volume = {**size, "disparities": disparities}
        pixel_groups = -(-width * height // _ITEMS)
        cost_groups = -(-width * height * disparities // 4 // _ITEMS)
        launch = self._backend.launch
        for side in ("left", "right"):
            words = buffers[f"{side}_words"]
            launch("stereo_census", pixel_groups, gray=buffers[side], words=words, **size)
        launch(
            "stereo_costs",
            cost_groups,
            left=buffers["left_words"],
            right=buffers["right_words"],
            costs=buffers["costs"],
            **volume,
        )
        for step_u, step_v in _WALKS:
            launch(
                "stereo_path",
                -(-_lines(height, width, step_u, step_v) // _LINES),
                costs=buffers["costs"],
                gray=buffers["left"],
                penalties=buffers["penalties"],
                totals=buffers["totals"],
                step_u=step_u,
                step_v=step_v,
                small_penalty=self._settings.small_penalty,
                **volume,
            )
        seen = {"totals": buffers["totals"], "winners": buffers["winners"]}
        launch("stereo_right", pixel_groups, **seen, **volume)
        results = {name: buffers[name] for name in ("disparity", "worth", "difference")}
        launch("stereo_choose", pixel_groups, **seen, **results, **volume)

    def _make_room(self, height: int, width: int) -> None:
        self.close()
        pixels = height * width
        costs = pixels * self._settings.disparities
        sizes_bytes = {
            "left": pixels,
            "right": pixels,
            "left_words": 8 * pixels,
            "right_words": 8 * pixels,
            "costs": costs,
            "totals": 2 * costs,
            "penalties": 4 * 256,
            "winners": 4 * pixels,
            "disparity": 4 * pixels,
            "worth": 4 * pixels,
            "difference": 4 * pixels,
        }
        for name, size_bytes in sizes_bytes.items():
            self._buffers[name] = self._backend.alloc(size_bytes)
        self._backend.upload(self._buffers["penalties"], self._settings.penalties.astype(np.uint32))
        self._shape = (height, width)


def _lines(height: int, width: int, step_u: int, step_v: int) -> int:
    """How many lines of pixels cover an image along a walk."""
    if step_v == 0:
        return height
    return width if step_u == 0 else width + height - 1


def _words(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """An image's bytes, four to a word, the last one filled up."""
    padded = np.zeros(-(-image.size // 4) * 4, np.uint8)
    padded[: image.size] = image.ravel()
    return padded.view(np.uint32)
