"""Alignment to the surface on against off, with one tracker's answers, on a recording and the room.

ORB-SLAM3 does not answer twice the same: each round tracks anew, and both maps of a round are made
of the same answers.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clients.cli.bench.figure import Figure
from fusion.align import Aligner
from fusion.live_map import LiveMap
from fusion.volume import Volume, VolumeSettings
from fusion.warm_up import warm_up
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.evaluate import ate_rmse_m, truth_from_estimated
from replay.evaluate_mesh import mesh_quality
from replay.opening import open_rgbd_sequence
from replay.rendered import RenderedSequence
from replay.sequence import RgbdSequence
from slam.frame import Frame
from slam.geometry import Mat4
from slam.images import decode_frame
from slam.imu import ImuSamples
from slam.tracker import TrackedFrame
from slam.trajectory import Trajectory
from slam.vocabulary import default_vocabulary
from stream.config import user_cache
from stream.map_builder import MapBuilder

ROUNDS = 5
RECORDING_GAIN, ROOM_GAIN, MESH_GAIN = 1 / 0.85, 1 / 0.7, 1.5
"""15 % and 30 % less ATE, and a third less of the mesh's p95."""
TICK_S = 0.01
"""For moving views, after each frame."""
COST_FRAMES, COST_FROM, MAX_MS = 120, 30, 3.0


def run(data: Path) -> list[Figure]:
    """Measure on a recording, and on the rendered room with its sensor's noise.

    Raises InputError if the recording has no ground truth.
    """
    recording, room = open_rgbd_sequence(data), open_rgbd_sequence("rendered", user_cache())
    warm_up()
    return [
        _cost(recording),
        *_compared(recording, RECORDING_GAIN),
        *_compared(room, ROOM_GAIN),
    ]


@dataclass(frozen=True, slots=True)
class _Accuracy:
    """How far one map is from the truth."""

    ate_m: float
    frames: int
    """That have a pose in the final map."""
    mesh_p95_m: float | None
    """None: there is no true surface."""


class _Answers:
    """What a tracker answered to a sequence, again. Implements `Tracker`."""

    def __init__(self, world_from_tracker: Mat4, answers: list[TrackedFrame]) -> None:
        self.world_from_tracker = world_from_tracker
        self._answers = iter(answers)

    def track(self, frame: Frame) -> TrackedFrame:
        """The next answer."""
        return next(self._answers)

    def add_imu(self, samples: ImuSamples) -> None:
        """They are in the answers."""

    def close(self) -> None:
        """There is nothing to release."""


def _compared(sequence: RgbdSequence, gain: float) -> Iterator[Figure]:
    """The medians over all rounds: the path's error, and the mesh's where there is a surface."""
    on, off = [], []
    for _ in range(ROUNDS):
        world_from_tracker, answers = _tracked(sequence)
        on.append(_accuracy(sequence, _Answers(world_from_tracker, answers), no_alignment=False))
        off.append(_accuracy(sequence, _Answers(world_from_tracker, answers), no_alignment=True))
    name = f"align: {sequence.name}, {len(sequence)} frames, median of {ROUNDS}"
    # A starved tracker loses its map: what was compared then is not alignment.
    for what, rounds in (("on", on), ("off", off)):
        worst_m = max(each.ate_m for each in rounds)
        yield Figure(f"{name}, {what}: worst ATE", worst_m, "m")
        fewest = min(each.frames for each in rounds)
        yield Figure(f"{name}, {what}: fewest frames with a pose", fewest, "frames")
    yield _figure(
        f"{name}, ATE", [each.ate_m for each in on], [each.ate_m for each in off], gain, "m"
    )
    meshes_on = [each.mesh_p95_m for each in on if each.mesh_p95_m is not None]
    meshes_off = [each.mesh_p95_m for each in off if each.mesh_p95_m is not None]
    if meshes_on:
        yield _figure(f"{name}, mesh p95", meshes_on, meshes_off, MESH_GAIN, "m")


def _figure(name: str, on: list[float], off: list[float], target: float, unit: str) -> Figure:
    value, peer_value = statistics.median(on), statistics.median(off)
    ratio = peer_value / value
    return Figure(name, value, unit, "off", peer_value, ratio, target, ratio >= target)


def _tracked(sequence: RgbdSequence) -> tuple[Mat4, list[TrackedFrame]]:
    """Track all frames; where the tracker's coordinates lie, and its answers."""
    builder = _builder(sequence, no_alignment=True)
    tracker = builder.open_tracker(sequence.calibration)
    try:
        answers = [
            tracker.track(decode_frame(message, sequence.calibration))
            for message in sequence.frames()
        ]
        return tracker.world_from_tracker, answers
    finally:
        tracker.close()


def _builder(sequence: RgbdSequence, no_alignment: bool) -> MapBuilder:
    settings = ingest_pb2.OpenSession(
        sensor=ingest_pb2.SENSOR_RGBD,
        calibration=sequence.calibration.to_message(),
        pose_source=ingest_pb2.POSE_SOURCE_TRACKED,
        fusion=ingest_pb2.FusionSettings(no_alignment=no_alignment),
    )
    return MapBuilder(settings, default_vocabulary(user_cache()))


def _accuracy(sequence: RgbdSequence, answers: _Answers, no_alignment: bool) -> _Accuracy:
    """Fuse a sequence, follow all corrections to the end, and compare with the truth."""
    builder = _builder(sequence, no_alignment)
    live_map = builder.build(sequence.calibration, answers)
    for message in sequence.frames():
        live_map.push(builder.decode(message))
        live_map.tick(TICK_S)
    live_map.settle()
    path, truth = live_map.trajectory(), _truth(sequence)
    return _Accuracy(ate_rmse_m(path, truth), len(path), _mesh_p95_m(sequence, live_map, path))


def _mesh_p95_m(sequence: RgbdSequence, live_map: LiveMap, path: Trajectory) -> float | None:
    if not isinstance(sequence, RenderedSequence):
        return None
    reference_from_map = truth_from_estimated(path, _truth(sequence))
    return mesh_quality(live_map.mesh(), sequence.surface(), reference_from_map).accuracy.p95_m


def _truth(sequence: RgbdSequence) -> Trajectory:
    if sequence.ground_truth is None:
        raise InputError(f"{sequence.name} has no ground truth to compare paths with")
    return sequence.ground_truth


def _cost(sequence: RgbdSequence) -> Figure:
    """CPU time of aligning a frame to the map of those before, at their true poses."""
    volume = Volume(VolumeSettings(), sequence.calibration.camera)
    aligner, times_ms = Aligner(volume), []
    poses = _truth(sequence).world_from_camera
    for message, world_from_camera in zip(sequence.frames(COST_FRAMES), poses, strict=False):
        frame = decode_frame(message, sequence.calibration)
        start_s = time.thread_time()
        aligner.align(frame, world_from_camera)
        times_ms.append(1e3 * (time.thread_time() - start_s))
        volume.integrate(frame, world_from_camera)
    median_ms = statistics.median(times_ms[COST_FROM:])
    return Figure(
        "align: one frame, CPU of one core, median",
        median_ms,
        "ms",
        target=MAX_MS,
        holds=median_ms <= MAX_MS,
    )
