"""The devices' backends beside the CPU's: fusion and meshing, then matching and stereo.

All fuse the same decoded frames, in alternating rounds of all of them, and wait for the device
after each. Backends on this machine's processor, PoCL and lavapipe, are there to prove the kernels
and only must not be toys; the figures of a GPU hold where there is one.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from clients.cli.bench import matching, stereo_pairs
from clients.cli.bench.devices import RELAXED, open_devices
from clients.cli.bench.figure import Figure
from clients.cli.bench.tsdf import Views, differing_words, load_views
from fusion.mesh import Mesher, extract_mesh
from fusion.volume import Volume, VolumeSettings
from fusion.warm_up import warm_up
from gpu.backend import Backend
from mapcast_client.mesh import TriangleMesh
from replay.opening import open_rgbd_sequence
from slam.camera import Camera

FRAMES = 60
ROUNDS = 3
MESH_EVERY = 3
"""Frames between updates of the mesh."""
COARSE = VolumeSettings(voxel_size_m=0.02, truncation_vox=4, min_weight=4, max_blocks=16384)
FINE = VolumeSettings(voxel_size_m=0.01, truncation_vox=4, min_weight=4, max_blocks=16384)
TIMES_SLOWER = {"opencl": 6.0, "webgpu": 30.0}
"""What is allowed on this machine's processor, at 2 cm."""
GPU_INTEGRATE_MS, GPU_MESH_MS = 0.5, 1.0
NEAR_VOX, NEAR_SHARE = 0.1, 0.999
PEER = "CPU, numba"


@dataclass(slots=True)
class Way:
    """A backend, None the CPU's, and what it made in how long."""

    backend: Backend | None
    integrate_s: list[float] = field(default_factory=list)
    mesh_s: list[float] = field(default_factory=list)
    volume: Volume | None = None

    def fuse(self, settings: VolumeSettings, camera: Camera, views: Views) -> None:
        """Fuse all views into a new volume, and mesh what changed every few of them."""
        if self.volume is not None:
            self.volume.close()
        self.volume = volume = Volume(settings, camera, self.backend)
        mesher = Mesher(volume)
        for index, (frame, pose) in enumerate(views):
            start_s = time.perf_counter()
            touched = volume.integrate(frame, pose)
            self._wait()
            self.integrate_s.append(time.perf_counter() - start_s)
            mesher.mark(touched)
            self._wait()
            if index % MESH_EVERY == MESH_EVERY - 1:
                self.mesh_s.append(_seconds(mesher.changed))
        mesher.flush()

    def _wait(self) -> None:
        if self.backend is not None:
            self.backend.synchronise()


def run(data: Path) -> list[Figure]:
    """Measure on the first frames of a recording with known poses.

    Raises InputError if there are none, or the stereo scenes are missing.
    """
    devices = open_devices()
    warm_up()
    for backend in devices.values():
        warm_up(backend)
    camera, views = load_views(data, FRAMES)
    figures = []
    for settings in (COARSE, FINE):
        ways = {PEER: Way(None), **{name: Way(each) for name, each in devices.items()}}
        for _ in range(ROUNDS):
            for way in ways.values():
                way.fuse(settings, camera, views)
        figures += _speed(ways, settings) + _agreement(ways, settings)
        for way in ways.values():
            assert way.volume is not None
            way.volume.close()
    sequence = open_rgbd_sequence(data)
    return (
        figures + matching.measure(sequence, devices) + stereo_pairs.measure(data.parent, devices)
    )


def _speed(ways: Mapping[str, Way], settings: VolumeSettings) -> list[Figure]:
    """Medians of each device, beside the CPU's in the same run."""
    figures, peer = [], ways[PEER]
    for name, way in ways.items():
        if way.backend is not None:
            at = f"{100 * settings.voxel_size_m:g} cm, {name}"
            info, is_fine = way.backend.info, settings is FINE
            share = None if is_fine else 1 / TIMES_SLOWER.get(info.backend, 1.0)
            most_ms = (GPU_INTEGRATE_MS, GPU_MESH_MS)
            if info.is_software:
                most_ms = (np.inf, np.inf)
            figures += [
                _beside(f"gpu: integrate a frame, {at}", way.integrate_s, peer.integrate_s,
                        share if info.is_software else None, most_ms[0] if is_fine else np.inf),
                _beside(f"gpu: mesh what changed, {at}", way.mesh_s, peer.mesh_s,
                        None, most_ms[1] if is_fine else np.inf),
            ]  # fmt: skip
    return figures


def _beside(
    name: str, ours_s: list[float], theirs_s: list[float], ratio: float | None, most_ms: float
) -> Figure:
    """Held to a ratio of the medians or, finite, to milliseconds."""
    ours_ms, theirs_ms = (1e3 * statistics.median(times) for times in (ours_s, theirs_s))
    found = theirs_ms / ours_ms
    if np.isfinite(most_ms):
        return Figure(name, ours_ms, "ms", PEER, theirs_ms, found, most_ms, ours_ms <= most_ms)
    holds = None if ratio is None else found >= ratio
    return Figure(name, ours_ms, "ms", PEER, theirs_ms, found, ratio, holds)


def _agreement(ways: Mapping[str, Way], settings: VolumeSettings) -> list[Figure]:
    """Devices with strict arithmetic have the same words; their mesh is the CPU's, nearly."""
    at = f"{100 * settings.voxel_size_m:g} cm"
    meshes = {name: extract_mesh(way.volume) for name, way in ways.items() if way.volume}
    strict = {
        name: way.volume
        for name, way in ways.items()
        if way.backend and way.volume and RELAXED not in name
    }
    figures = []
    for name in list(strict)[1:]:
        words = differing_words(strict[name], next(iter(strict.values())))
        figures.append(
            Figure(f"gpu: words other than the first device's, {at}, {name}", words, "words",
                   target=0.0, holds=words == 0)
        )  # fmt: skip
    for name, mesh in meshes.items():
        if name != PEER:
            share = min(_near(mesh, meshes[PEER], settings), _near(meshes[PEER], mesh, settings))
            what = f"gpu: vertices beyond 0.1 voxel of the CPU's or back, {at}, {name}"
            figures.append(
                Figure(what, 100 * (1 - share), "%", target=0.1, holds=share >= NEAR_SHARE)
            )
    return figures


def _near(points: TriangleMesh, surface: TriangleMesh, settings: VolumeSettings) -> float:
    """Share of vertices with a vertex of the other mesh as near: the surface is no farther."""
    distances_m, _ = cKDTree(surface.vertices_world).query(points.vertices_world)
    return float((distances_m <= NEAR_VOX * settings.voxel_size_m).mean())


def _seconds(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s
