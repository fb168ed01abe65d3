"""The refinement of a session's keyframes: what is known of them, and one run after the other."""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from slam.constraint import Constraint
from slam.geometry import Mat4, inverse
from slam.refine_camera import is_news
from slam.refine_device import MatchingDevice
from slam.refine_features import FeatureExtractor, Features
from slam.refine_gate import Adjustment, errors_px, why_not_offered, why_rejected
from slam.refine_loops import LoopFinder
from slam.refine_matching import (
    CONSISTENT_PX,
    MIN_MATCHES,
    Matches,
    epipolar_errors_px,
    guided,
    match,
    retrieved,
    verified,
)
from slam.refine_messages import CameraOffer, RefineRequest, RefineResult, RefineStart
from slam.refine_model import Model, Pair, colmap_camera

_WINDOW = 16
"""Keyframes around the new ones that are adjusted with them, beside two for each new one."""
_MOST_KEYFRAMES = 150
"""That are adjusted together at all."""
_FEWEST_SHARED = 6
"""Points that a relative pose can be told from."""
_PARTNERS = 4
"""Of each keyframe in the constraints: those with most points in common, and the next in time."""
_STEP_OF_DEPTH = 0.1
"""What two neighbouring keyframes' distance is of the scene's depth, before this is known."""
_MIN_SIGMA_M, _MIN_SIGMA_RAD = 1.5e-3, 1e-3
"""What windows that overlap disagree by, however many points they see."""


class Refinement:
    """Everything the refining process knows. Work grows with the new keyframes, not with all."""

    def __init__(self, start: RefineStart) -> None:
        self._camera = start.camera
        self._free_intrinsics = start.free_intrinsics
        self._known = CameraOffer(start.camera, keyframes=0, reprojection_px=0.0)
        """The camera as offered last; before, as given."""
        self._colmap_camera = colmap_camera(start.camera)
        self._extractor = FeatureExtractor()
        self._device = MatchingDevice(start.backend)
        self._features: dict[int, Features] = {}
        self._matches: dict[Pair, Matches] = {}
        self._loops = LoopFinder(self._colmap_camera)
        self._told: set[Pair] = set()
        self._scene_depth = 0.0

    def run(self, request: RefineRequest) -> RefineResult:
        """Take in new keyframes and adjust them with those around them, or all of them."""
        start = time.process_time()
        new = self._take_in(request)
        poses = {key: request.world_from_keyframe[key] for key in self._features}
        around = self._window(new, request.is_whole)
        consistent = self._consistent(poses, around)
        window = sorted({key for pair in consistent if around.issuperset(pair) for key in pair})
        loops = self._loops.take(poses, self._depth_of(poses))
        self._told.update((loop.first_ns, loop.second_ns) for loop in loops)
        found = self._adjust(window, poses, consistent)
        return replace(
            found,
            constraints=found.constraints + loops,
            new_keyframes=len(new),
            loops=len(loops),
            seconds=time.process_time() - start,
        )

    def _take_in(self, request: RefineRequest) -> list[int]:
        """Forget keyframes that are gone; find the new ones' features and match them."""
        poses = request.world_from_keyframe
        self._features = {key: kept for key, kept in self._features.items() if key in poses}
        self._matches = {
            pair: kept for pair, kept in self._matches.items() if set(pair) <= poses.keys()
        }
        new = []
        for picture in request.pictures:
            key = picture.capture_ns
            if key in poses:
                self._features[key] = self._extractor.extract(picture)
                self._match(key, {other: poses[other] for other in self._features})
                new.append(key)
        return new

    def _match(self, key: int, poses: Mapping[int, Mat4]) -> None:
        near = guided(key, poses, self._depth_of(poses))
        for other in near + retrieved(key, self._features, near):
            pair = (min(key, other), max(key, other))
            first, second = (self._features[member] for member in pair)
            found = verified(
                self._colmap_camera,
                first,
                second,
                match(first, second, self._device),
                inverse(poses[pair[1]]) @ poses[pair[0]],
            )
            if len(found):
                self._matches[pair] = found

    def _depth_of(self, poses: Mapping[int, Mat4]) -> float:
        """The scene's depth, as far as it is known by now."""
        if self._scene_depth:
            return self._scene_depth
        sensed_m = np.concatenate([np.empty(0), *(f.sensed_m for f in self._features.values())])
        if (sensed_m > 0).any():
            return float(np.median(sensed_m[sensed_m > 0]))
        centres = np.array([poses[key][:3, 3] for key in sorted(poses)]).reshape(-1, 3)
        steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        return float(np.median(steps)) / _STEP_OF_DEPTH if len(steps) else 1.0

    def _consistent(self, poses: Mapping[int, Mat4], window: set[int]) -> dict[Pair, Matches]:
        """A window's matches that agree with the poses; the others may be of loops."""
        consistent = {}
        for (first, second), matches in self._matches.items():
            if window.isdisjoint((first, second)):
                continue
            features = self._features[first], self._features[second]
            errors_px = epipolar_errors_px(
                self._colmap_camera, *features, matches, inverse(poses[second]) @ poses[first]
            )
            if np.median(errors_px) <= CONSISTENT_PX:
                consistent[first, second] = matches
            else:
                self._loops.add((first, second), *features, matches)
        return consistent

    def _window(self, new: list[int], is_whole: bool) -> set[int]:
        """The new keyframes and those that share most with them, or as many as can be."""
        size = _MOST_KEYFRAMES if is_whole else len(new) + _WINDOW + 2 * len(new)
        window = set(new or [max(self._features, default=0)]) & self._features.keys()
        while len(window) < min(size, len(self._features)):
            shared: dict[int, int] = {}
            for pair, matches in self._matches.items():
                inside = [key for key in pair if key in window]
                if len(inside) == 1:
                    outside = pair[1 - pair.index(inside[0])]
                    shared[outside] = shared.get(outside, 0) + len(matches)
            if not shared:
                break
            nearest = sorted(shared, key=shared.__getitem__, reverse=True)
            window.update(nearest[: min(size - len(window), max(len(nearest) // 2, 1))])
        return window

    def _adjust(
        self, window: list[int], poses: Mapping[int, Mat4], matches: Mapping[Pair, Matches]
    ) -> RefineResult:
        """Triangulate and adjust a window of keyframes; constraints, if it is believed."""
        result = RefineResult(False, "", (), tuple(window), 0, 0, (0.0, 0.0), 0.0)
        if len(window) < 2:
            return replace(result, reason=f"{len(window)} keyframes have no points in common")
        before = {key: poses[key] for key in window}
        model = Model(self._camera, {key: self._features[key] for key in window}, before, matches)
        if not model.observation_count:
            return replace(result, reason=f"{len(window)} keyframes have no points in common")
        adjustment = _adjusted(model, before, free_intrinsics=False)
        result = replace(result, reprojection_px=adjustment.reprojection_px)
        if reason := why_rejected(adjustment):
            return replace(result, reason=reason)
        self._learn(model, window)
        constraints = self._constraints(model, adjustment.after)
        if self._free_intrinsics:
            result = self._with_offer(result, model, adjustment.after)
        return replace(result, accepted=True, constraints=constraints)

    def _with_offer(
        self, result: RefineResult, model: Model, before: Mapping[int, Mat4]
    ) -> RefineResult:
        """Free the focal lengths of an adjusted model: its camera, or why it is none to offer.

        The constraints are those of the session's own camera, as is all that is fused.
        """
        adjustment = _adjusted(model, before, free_intrinsics=True)
        offer = CameraOffer(model.camera, len(result.keyframes), _median_px(model))
        if not is_news(offer.camera, self._known.camera):
            return result
        fewest = min(self._known.keyframes, len(self._features))
        if reason := why_not_offered(offer, self._camera, adjustment, fewest):
            return replace(result, why_no_offer=reason)
        self._known = offer
        return replace(result, offer=offer)

    def _constraints(
        self, model: Model, world_from_keyframe: Mapping[int, Mat4]
    ) -> tuple[Constraint, ...]:
        """Relative poses between keyframes that share points, as surely as these tell them.

        Those told before are told anew, so that what was found with fewer keyframes is forgotten.
        """
        shared = model.shared()
        known = {pair for pair in self._told if shared.get(pair, 0) >= _FEWEST_SHARED}
        constraints = []
        for first, second in sorted(known | _neighbours(shared)):
            sigma_rad, sigma_m = model.precision(first, second)
            relative = inverse(world_from_keyframe[first]) @ world_from_keyframe[second]
            constraints.append(
                Constraint(
                    "refinement",
                    first,
                    second,
                    relative,
                    max(sigma_m, _MIN_SIGMA_M),
                    max(sigma_rad, _MIN_SIGMA_RAD),
                )
            )
            self._told.add((first, second))
        return tuple(constraints)

    def _learn(self, model: Model, window: list[int]) -> None:
        """Keep what later runs need of an adjusted model: how far away things are."""
        self._scene_depth = model.scene_depth()
        for key in window:
            if not self._features[key].is_sensed:
                self._features[key] = replace(self._features[key], depths=model.depths(key))


def _adjusted(model: Model, before: Mapping[int, Mat4], *, free_intrinsics: bool) -> Adjustment:
    """Adjust a model whose keyframes are at `before`."""
    error_before_px = float(errors_px(model.residuals_px()).mean())
    model.adjust(free_intrinsics)
    return Adjustment(
        before,
        model.world_from_keyframe(),
        (error_before_px, float(errors_px(model.residuals_px()).mean())),
        model.observation_count,
        model.depth_error(),
        model.scene_depth(),
    )


def _median_px(model: Model) -> float:
    return float(np.median(errors_px(model.residuals_px())))


def _neighbours(shared: Mapping[Pair, int]) -> set[Pair]:
    """The pairs that are strong for one of the two."""
    chosen: set[Pair] = set()
    for key in {key for pair in shared for key in pair}:
        pairs = [pair for pair in shared if key in pair and shared[pair] >= MIN_MATCHES]
        chosen.update(sorted(pairs, key=shared.__getitem__, reverse=True)[:_PARTNERS])
    return chosen
