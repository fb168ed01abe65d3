"""How the dense map follows a correction: exactly, in what time, and at what cost.

A camera walks round the rendered room and a seventh further, with drift: the room gets double
walls. Then the loop is closed.
"""

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from clients.cli.bench import correct_live
from clients.cli.bench.figure import Figure
from fusion.frame_store import MEMORY_BYTES, MemoryFrames
from fusion.live_map import LiveMap
from fusion.mesh import Mesher
from fusion.monocular import Scale
from fusion.reintegrate import Reintegrator
from fusion.volume import Volume, VolumeSettings
from fusion.warm_up import warm_up
from mapcast_client.errors import InputError
from mapcast_client.poses import pose_message
from mapcast_client.rows import MeshRows
from mapcast_client.v1 import ingest_pb2
from replay.drift import DriftingTracker
from replay.evaluate_mesh import mesh_quality
from replay.laps import SecondLap
from replay.opening import open_rgbd_sequence
from replay.rendered import RenderedSequence
from slam.frame import Frame
from slam.geometry import Mat4
from slam.given import GivenPoseTracker
from slam.images import decode_frame
from stream.config import user_cache

AGAIN_FRAMES = 120
FINE_M = 0.01
LOOKS_FROM_FRAME = 60
FEW, MANY = 60, 240
"""Views, of which the cost of moving is compared."""


def run(data: Path) -> list[Figure]:
    """Measure in the rendered room, `rendered` with or without settings.

    Raises InputError for another recording.
    """
    lap = open_rgbd_sequence(data, user_cache())
    if not isinstance(lap, RenderedSequence):
        raise InputError(f"{data}: corrections are measured in the rendered room only")
    warm_up()
    return [
        *_exactness(lap),
        *_cost(lap),
        *asyncio.run(correct_live.measure(lap)),
    ]


def _exactness(lap: RenderedSequence) -> list[Figure]:
    """Close the loop, and compare with fusing from scratch and with the room."""
    walk = SecondLap(lap, AGAIN_FRAMES)
    frames = MemoryFrames(MEMORY_BYTES, partial(decode_frame, calibration=walk.calibration))
    closes_at_ns = int(walk.ground_truth.capture_ns[-1])
    tracker = DriftingTracker(GivenPoseTracker(walk.calibration), closes_at_ns)
    camera, settings = walk.calibration.camera, VolumeSettings(FINE_M)
    live_map = LiveMap(camera, settings, tracker, Scale("given"), frames=frames)
    shown: dict[tuple[int, int, int], int] = {}
    for message in _posed(walk):
        if message.capture_ns == closes_at_ns:
            before = _accuracy_m(live_map, lap)
            _save_picture(live_map, lap, "before")
        frames.arrived(message)
        live_map.push(decode_frame(message, walk.calibration))
        _follow(shown, live_map.changed())
    live_map.settle()
    _follow(shown, live_map.flush())
    after = _accuracy_m(live_map, lap)
    _save_picture(live_map, lap, "after")

    poses = live_map.fused_poses()
    scratch = Volume(settings, camera)
    mesher = Mesher(scratch)
    expected: dict[tuple[int, int, int], int] = {}
    for message in walk.frames():
        view = decode_frame(message, walk.calibration)
        mesher.mark(scratch.integrate(view, poses[message.capture_ns]))
    _follow(expected, mesher.flush())
    truly_placed = _accuracy_at_truth_m(walk, lap, settings)
    differing = len(set(shown.items()) ^ set(expected.items()))
    return [
        Figure("correct: views moved by the closure", live_map.moved_views, "views"),
        _zero("correct: blocks whose rows differ from a fusion from scratch", differing),
        Figure("correct: mesh to room, 95 %, before the closure", 1e3 * before, "mm"),
        Figure("correct: the same with true poses from the start", 1e3 * truly_placed, "mm"),
        Figure(
            "correct: the same after the closure",
            1e3 * after,
            "mm",
            target=1e3 * truly_placed * 1.1,
            holds=after <= truly_placed * 1.1,
        ),
    ]


def _posed(walk: SecondLap) -> Iterable[ingest_pb2.Frame]:
    poses = walk.ground_truth.world_from_camera
    for message, world_from_camera in zip(walk.frames(), poses, strict=True):
        message.world_from_camera.CopyFrom(pose_message(world_from_camera))
        yield message


def _follow(shown: dict[tuple[int, int, int], int], rows: MeshRows) -> None:
    """Keep the content of each block that has triangles, as a subscriber does."""
    for row in rows.split():
        if row.triangles:
            shown[row.block] = row.content_hash()
        else:
            shown.pop(row.block, None)


def _accuracy_m(live_map: LiveMap, lap: RenderedSequence) -> float:
    return mesh_quality(live_map.mesh(), lap.surface()).accuracy.p95_m


def _accuracy_at_truth_m(walk: SecondLap, lap: RenderedSequence, settings: VolumeSettings) -> float:
    """Of a map whose poses were never wrong."""
    tracker = GivenPoseTracker(walk.calibration)
    live_map = LiveMap(walk.calibration.camera, settings, tracker, Scale("given"))
    for message in _posed(walk):
        live_map.push(decode_frame(message, walk.calibration))
    return _accuracy_m(live_map, lap)


def _save_picture(live_map: LiveMap, lap: RenderedSequence, name: str) -> None:
    """What the map looks like from where the walk came by twice: for people."""
    pose = lap.ground_truth.world_from_camera[LOOKS_FROM_FRAME]
    view = live_map.view(lap.calibration.camera, pose)
    light = np.abs(view.normals_world @ np.array([0.35, 0.5, 0.79]))[..., None]
    picture = np.hstack([view.color, (255 * light).astype(np.uint8).repeat(3, axis=2)])
    folder = user_cache() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"correct-{name}.png"), picture[..., ::-1])


class _Shifted:
    """Poses that are wrong for some views until they are corrected. Implements `Poses`."""

    def __init__(self, views: dict[int, Mat4]) -> None:
        self.revision = 0
        self._poses = dict(views)

    def shift(self, instants: Iterable[int], by_m: float) -> None:
        self.revision += 1
        for instant in instants:
            self._poses[instant] = self._poses[instant].copy()
            self._poses[instant][:3, 3] += by_m

    def world_from_cameras(
        self, capture_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        poses = [self._poses[instant] for instant in capture_ns.tolist()]
        return np.array(poses).reshape(-1, 4, 4), np.ones(len(poses))


def _cost(lap: RenderedSequence) -> list[Figure]:
    """CPU time to move views: few and many of a large map, and few in a small one."""
    messages = list(lap.frames(MANY))
    views = {message.capture_ns: decode_frame(message, lap.calibration) for message in messages}
    large = _placed(lap, views, lap.frames())
    small = _placed(lap, views, messages[:FEW])
    instants = list(views)
    few_s = _moving_s(*large, instants[:FEW])
    many_s = _moving_s(*large, instants)
    in_small_s = _moving_s(*small, instants[:FEW])
    per_view = many_s / MANY / (few_s / FEW)
    by_map = few_s / in_small_s
    return [
        Figure("correct: CPU time to move a view, 1 cm", 1e3 * many_s / MANY, "ms"),
        _at_most(f"correct: per view, {MANY} moved in place of {FEW}", per_view, "×", 1.3),
        _at_most("correct: in a map of all views in place of these", by_map, "×", 1.5),
    ]


def _placed(
    lap: RenderedSequence, stored: dict[int, Frame], messages: Iterable[ingest_pb2.Frame]
) -> tuple[Reintegrator, _Shifted]:
    """A map of some frames at their true poses, of which those of `stored` can move."""

    class Stored:
        def put(self, view: Frame) -> None:
            """Keep nothing more."""

        def get(self, capture_ns: int) -> Frame | None:
            return stored.get(capture_ns)

    truth = lap.ground_truth
    poses = _Shifted(dict(zip(truth.capture_ns.tolist(), truth.world_from_camera, strict=True)))
    volume = Volume(VolumeSettings(FINE_M), lap.calibration.camera)
    views = Reintegrator(volume, Mesher(volume), poses, Stored())
    for message in messages:
        world_from_camera = truth.world_from_camera[message.index]
        views.add(decode_frame(message, lap.calibration), world_from_camera)
    return views, poses


def _moving_s(views: Reintegrator, poses: _Shifted, instants: list[int]) -> float:
    """CPU seconds to move views, there and back."""
    start_s = time.process_time()
    for by_m in (0.05, -0.05):
        poses.shift(instants, by_m)
        views.settle()
    return (time.process_time() - start_s) / 2


def _zero(name: str, count: int) -> Figure:
    return Figure(name, float(count), "blocks", target=0.0, holds=count == 0)


def _at_most(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, target=target, holds=value <= target)
