"""Brings what a network says into the map's unit: scale and shift, from known depths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.depth.description import Quantity

FEWEST_POINTS = 12
FEWEST_INLIERS = 0.5
"""Of the points, or the network says nothing about this frame."""
LEAST_SPREAD = 1.15
"""Of the depths, far over near: below, they say nothing about the shift."""

_PAIRINGS = 7
_MOST_LINES = 200
_ITERATIONS = 10
_HUBER = 1.345
_OUTLIER_SIGMAS = 3.0
_OUTLIER = 0.7
"""A point this far off (in ln y), beyond the sigmas, counts for nothing."""
_INLIER = 0.5
_SHIFT_PRIOR = 0.003
_LEAST_SHARE = 0.05
_BEYOND = 4.0
"""Depths so many times nearer or farther than all points are not believed."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """y = scale · p + shift of a prediction p, where y is depth, or 1 / depth for `inverse`."""

    quantity: Quantity
    scale: float
    shift: float
    nearest_m: float
    farthest_m: float
    """Bounds of what is believed."""

    def depth_m(self, prediction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth in the map's unit, of the prediction's shape; 0 where it cannot be believed."""
        aligned = self.scale * prediction + self.shift
        if self.quantity is Quantity.INVERSE:
            with np.errstate(divide="ignore"):
                aligned = 1 / aligned
        believed = (aligned >= self.nearest_m) & (aligned <= self.farthest_m)
        return np.where(believed, aligned, 0).astype(np.float32)


def align(
    prediction: NDArray[np.float32], depth_m: NDArray[np.float32], quantity: Quantity
) -> Alignment | None:
    """Fit (N,) predictions to (N,) known depths, a third of which may be wrong.

    The least median over lines through pairs of points (Rousseeuw 1984) begins, Huber's loss
    (1964) refines. Residuals are |ln y' − ln y|: a depth network errs by per cent, not by
    centimetres, and a point that is wrong by a factor weighs the same either way.

    A metric network's shift stays zero where the depths hardly differ. None if there are too few
    points, too few agree, or a shift is needed and cannot be known.
    """
    usable = np.isfinite(prediction) & np.isfinite(depth_m) & (depth_m > 0)
    p, depth = prediction[usable].astype(np.float64), depth_m[usable].astype(np.float64)
    if len(p) < FEWEST_POINTS:
        return None
    y = 1 / depth if quantity is Quantity.INVERSE else depth
    is_metric = quantity is Quantity.METRIC
    near, far = np.percentile(depth, (5, 95))
    fit = scale_only = _scale_only(p, y) if is_metric else None
    if far > LEAST_SPREAD * near:
        start = _best(p, y, [scale_only, _least_median(p, y)])
        refined = start and _refined(p, y, start, _SHIFT_PRIOR if is_metric else 0.0)
        fit = refined or scale_only
    if fit is None or np.mean(_residuals(p, y, fit) < _INLIER) < FEWEST_INLIERS:
        return None
    return Alignment(quantity, *fit, float(near / _BEYOND), float(far * _BEYOND))


_Values = NDArray[np.float64]
_Fit = tuple[float, float]
_Fits = tuple[_Values, _Values]


def _fitted(p: _Values, y: _Values, fit: _Fit | _Fits) -> _Values:
    """Give scale · p + shift, kept positive so that it has a logarithm."""
    return np.maximum(fit[0] * p + fit[1], _LEAST_SHARE * y)


def _residuals(p: _Values, y: _Values, fit: _Fit | _Fits) -> _Values:
    return np.abs(np.log(_fitted(p, y, fit) / y))


def _scale_only(p: _Values, y: _Values) -> _Fit | None:
    positive = p > 0
    return (float(np.median(y[positive] / p[positive])), 0.0) if positive.any() else None


def _least_median(p: _Values, y: _Values) -> _Fit | None:
    """The line through two points that is nearest to most others; None if none rises.

    Pairs lie far apart in p, so that noise turns their line little: rank i with rank i + h for
    several h.
    """
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
    apart = np.unique(np.linspace(len(p) / 4, len(p) * 0.9, _PAIRINGS).astype(int))
    first = np.concatenate([np.arange(len(p) - h) for h in apart])
    second = np.concatenate([np.arange(h, len(p)) for h in apart])
    rises = (p[second] > p[first]) & (y[second] > y[first])
    first, second = first[rises], second[rises]
    if not len(first):
        return None
    step = -(-len(first) // _MOST_LINES)
    first, second = first[::step], second[::step]
    scale = (y[second] - y[first]) / (p[second] - p[first])
    shift = y[first] - scale * p[first]
    medians = np.median(_residuals(p, y, (scale[:, None], shift[:, None])), axis=1)
    best = int(medians.argmin())
    return float(scale[best]), float(shift[best])


def _best(p: _Values, y: _Values, fits: list[_Fit | None]) -> _Fit | None:
    """The fit with the least median residual."""
    found = [fit for fit in fits if fit is not None]
    return min(found, key=lambda fit: float(np.median(_residuals(p, y, fit))), default=None)


def _refined(p: _Values, y: _Values, fit: _Fit, shift_prior: float) -> _Fit | None:
    """Gauss-Newton on Huber's loss from a first fit; None if the line falls.

    With ln y' ≈ ln y'₀ + (y' − y'₀) / y'₀, each step is least squares with rows (p, 1) / y'₀.
    """
    for _ in range(_ITERATIONS):
        fitted = _fitted(p, y, fit)
        residuals = np.log(fitted / y)
        sigma = max(1.4826 * float(np.median(np.abs(residuals))), 1e-6)
        weights = 1 / np.maximum(np.abs(residuals) / (_HUBER * sigma), 1)
        weights[np.abs(residuals) > max(_OUTLIER_SIGMAS * sigma, _OUTLIER)] = 0
        rows = np.stack([p, np.ones_like(p)], axis=1) / fitted[:, None]
        normal = (rows * weights[:, None]).T @ rows
        normal[1, 1] += shift_prior * weights.sum()
        solution = np.linalg.lstsq(normal, (rows * weights[:, None]).T @ (1 - residuals))[0]
        fit = (float(solution[0]), float(solution[1]))
    return fit if fit[0] > 0 else None
