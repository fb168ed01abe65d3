"""Background refinement beside live tracking: what it gains, how late it comes, what it costs."""

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from clients.cli.bench.figure import Figure
from fusion.frame_store import MEMORY_BYTES, MemoryFrames
from fusion.live_map import LiveMap
from fusion.monocular import Scale
from fusion.refinement import MapRefinement
from fusion.volume import VolumeSettings
from fusion.warm_up import warm_up
from mapcast_client.errors import DependencyError
from mapcast_client.v1 import ingest_pb2
from replay.evaluate import ate_rmse_m
from replay.opening import open_rgbd_sequence
from replay.rendered import RenderedSequence, RenderedSettings
from replay.sequence import RgbdSequence
from slam.geometry import Mat4
from slam.images import decode_frame
from slam.refine import Refiner, why_unavailable
from slam.refine_messages import RefineResult
from slam.trackers import open_tracker
from slam.trajectory import Trajectory
from slam.vocabulary import default_vocabulary
from stream.config import user_cache
from stream.refinements import finish_refinement

RUNS_VARIABLE = "MAPCAST_BENCH_RUNS"
RUNS = 5
VOXEL_M = 0.02
TICK_S = 0.005
MIN_GAIN = 0.2
MAX_LATENCY_S = 30.0


def run(data: Path) -> list[Figure]:
    """Measure on a recording with ground truth, and in the rendered room; medians of five runs.

    Frames come at the camera's rate, as long as one core keeps up. Raises InputError for a
    recording without ground truth, DependencyError without pycolmap.
    """
    if reason := why_unavailable():
        raise DependencyError(reason)
    warm_up()
    runs = int(os.environ.get(RUNS_VARIABLE, RUNS))
    recorded = open_rgbd_sequence(data, user_cache())
    rendered = RenderedSequence(RenderedSettings(), user_cache())
    return [
        *_figures("recording", [_run(recorded) for _ in range(runs)], 0.0),
        *_figures("rendered room", [_run(rendered) for _ in range(runs)], MIN_GAIN),
    ]


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A result, and when it was in the pose graph."""

    result: RefineResult
    after_s: float


@dataclass(frozen=True, slots=True)
class _Run:
    """One pass over a recording."""

    tracker_ate_m: float
    """Of the refined keyframes, as the tracker has them in the end."""
    refined_ate_m: float
    latency_s: float
    """From the worst keyframe's frame to its first constraint, while frames came."""
    arrived: list[_Arrived]

    @property
    def gain(self) -> float:
        """How much of the error is gone."""
        return 1 - self.refined_ate_m / self.tracker_ate_m


def _run(sequence: RgbdSequence) -> _Run:
    tracker = open_tracker(
        ingest_pb2.SENSOR_RGBD,
        ingest_pb2.POSE_SOURCE_TRACKED,
        sequence.calibration,
        default_vocabulary(user_cache()),
    )
    camera = sequence.calibration.camera
    frames = MemoryFrames(MEMORY_BYTES, partial(decode_frame, calibration=sequence.calibration))
    refinement = MapRefinement(Refiner(camera), frames)
    settings = VolumeSettings(VOXEL_M)
    live_map = LiveMap(
        camera, settings, tracker, Scale("sensor"), frames=frames, refinement=refinement
    )
    began_s = time.monotonic()
    seen_s: dict[int, float] = {}
    arrived: list[_Arrived] = []
    keyframes: Mapping[int, Mat4] = {}

    def follow() -> None:
        live_map.tick(TICK_S)
        after_s = time.monotonic() - began_s
        arrived.extend(_Arrived(result, after_s) for result in live_map.take_refinements())

    for message in sequence.frames():
        due_s = len(seen_s) / sequence.frame_rate_hz
        seen_s[message.capture_ns] = max(due_s, time.monotonic() - began_s)
        frames.arrived(message)
        fused = live_map.push(decode_frame(message, sequence.calibration))
        keyframes = fused.tracked.keyframes or keyframes
        follow()
        while time.monotonic() - began_s < due_s:
            follow()
            time.sleep(TICK_S)
    live = len(arrived)
    finish_refinement(live_map, follow)
    live_map.settle()
    live_map.close()
    return _summary(sequence, live_map, keyframes, seen_s, arrived, live)


def _summary(
    sequence: RgbdSequence,
    live_map: LiveMap,
    keyframes: Mapping[int, Mat4],
    seen_s: Mapping[int, float],
    arrived: list[_Arrived],
    live: int,
) -> _Run:
    refined = {key for each in arrived if each.result.accepted for key in each.result.keyframes}
    judged = sorted(refined & keyframes.keys())
    poses = live_map.graph.keyframes()
    latencies_s = {
        key: each.after_s - seen_s[key]
        for each in reversed(arrived[:live])
        if each.result.accepted
        for key in each.result.keyframes
    }
    return _Run(
        _ate_m(sequence, {key: keyframes[key] for key in judged}),
        _ate_m(sequence, {key: poses[key].world_from_keyframe for key in judged}),
        max(latencies_s.values(), default=float("inf")),
        arrived,
    )


def _ate_m(sequence: RgbdSequence, keyframes: Mapping[int, Mat4]) -> float:
    truth = sequence.ground_truth
    assert truth is not None
    path = Trajectory(np.array(list(keyframes), np.int64), np.array(list(keyframes.values())))
    return ate_rmse_m(path, truth)


def _figures(what: str, runs: list[_Run], min_gain: float) -> list[Figure]:
    results = [each.result for run in runs for each in run.arrived]
    accepted = sum(result.accepted for result in results)
    batches = [result for result in results if result.new_keyframes]
    tracker_m = statistics.median(run.tracker_ate_m for run in runs)
    refined_m = statistics.median(run.refined_ate_m for run in runs)
    gain = statistics.median(run.gain for run in runs)
    latency_s = statistics.median(run.latency_s for run in runs)
    return [
        Figure(f"{what}: ATE of refined keyframes", refined_m, "m", "ORB-SLAM3", tracker_m),
        Figure(
            f"{what}: error gone", gain, "of ORB-SLAM3's", target=min_gain, holds=gain >= min_gain
        ),
        Figure(
            f"{what}: worst keyframe to its constraint",
            latency_s,
            "s",
            target=MAX_LATENCY_S,
            holds=latency_s <= MAX_LATENCY_S,
        ),
        Figure(f"{what}: runs accepted", accepted / max(len(results), 1), f"of {len(results)}"),
        Figure(f"{what}: loops found", float(sum(result.loops for result in results)), "pairs"),
        Figure(f"{what}: CPU time per new keyframe", _slope_s(batches), "s"),
    ]


def _slope_s(batches: list[RefineResult]) -> float:
    """Seconds for one more new keyframe, over the runs with any."""
    new = sum(result.new_keyframes for result in batches)
    return sum(result.seconds for result in batches) / max(new, 1)
