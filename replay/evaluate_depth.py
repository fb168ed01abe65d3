"""How good estimated depth is: against the depth that a recording's sensor measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_DELTA = 1.25


@dataclass(frozen=True, slots=True)
class DepthQuality:
    """Errors over pixels with both an estimate and a truth (Eigen et al. 2014), and their share."""

    abs_rel: float
    """Mean of |estimate − truth| / truth; NaN without pixels, as the other errors."""
    rmse_log: float
    """Root mean square of ln estimate − ln truth."""
    delta1: float
    """Share with max(estimate / truth, truth / estimate) < 1.25."""
    coverage: float
    """Share of the pixels with a truth that have an estimate."""

    @classmethod
    def of(
        cls,
        estimate_m: NDArray[np.float32],
        truth_m: NDArray[np.float32],
        where: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Compare (h, w) depth images, 0 = none; only `where` is true, if that is given."""
        has_truth = truth_m > 0 if where is None else (truth_m > 0) & where
        both = has_truth & (estimate_m > 0)
        if not both.any():
            return cls(np.nan, np.nan, np.nan, 0.0)
        ratio = estimate_m[both].astype(np.float64) / truth_m[both]
        return cls(
            float(np.abs(ratio - 1).mean()),
            float(np.sqrt(np.square(np.log(ratio)).mean())),
            float((np.maximum(ratio, 1 / ratio) < _DELTA).mean()),
            float(both.sum() / has_truth.sum()),
        )

    @classmethod
    def mean(cls, qualities: Sequence[Self]) -> Self:
        """The mean over images, each counting the same; errors over those that have any."""
        table = np.array([(q.abs_rel, q.rmse_log, q.delta1) for q in qualities]).reshape(-1, 3)
        known = table[~np.isnan(table[:, 0])]
        abs_rel, rmse_log, delta1 = known.mean(axis=0) if len(known) else np.full(3, np.nan)
        coverage = float(np.mean([q.coverage for q in qualities])) if qualities else 0.0
        return cls(float(abs_rel), float(rmse_log), float(delta1), coverage)


@dataclass(frozen=True, slots=True)
class DepthTrial:
    """One frame's estimates by several sources."""

    truth_m: NDArray[np.float32]
    """(h, w) of the sources' camera, 0 = none."""
    estimates: Mapping[str, NDArray[np.float32]]
    """By source, (h, w) in the map's unit, 0 = none; without the sources that said nothing."""

    def quality(
        self, source: str, metres_per_unit: float, where: NDArray[np.bool_] | None = None
    ) -> DepthQuality:
        """How good a source's answer is, on the pixels `where` is true; no answer covers none."""
        return DepthQuality.of(
            self._estimate(source) * np.float32(metres_per_unit), self.truth_m, where
        )

    def answered(self, source: str) -> NDArray[np.bool_]:
        """(h, w) where a source gave a depth."""
        return self._estimate(source) > 0

    def _estimate(self, source: str) -> NDArray[np.float32]:
        return self.estimates.get(source, np.zeros_like(self.truth_m))
