"""Fusion and meshing beside Open3D's `VoxelBlockGrid`, and the exactness of the volume.

Both fuse the same decoded frames, in alternating rounds of all of them, with two threads each, and
allocate their blocks. Open3D floors pixel coordinates where we round and meshes voxels of weight
> 3, so our camera is shifted by half a pixel and our meshing weight is 4: then the surfaces are
comparable.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from clients.cli.bench.figure import Figure
from clients.cli.bench.peer import require_open3d
from fusion.mesh import Mesher, extract_mesh
from fusion.volume import Volume, VolumeSettings
from fusion.warm_up import warm_up
from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from replay.opening import open_rgbd_sequence
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4
from slam.images import decode_frame

FRAMES = 100
THREADS = 2
ROUNDS = 3
MESH_REPEATS = 5
SETTINGS = VolumeSettings(voxel_size_m=0.01, truncation_vox=4, min_weight=4, max_blocks=16384)
PEER = "Open3D VoxelBlockGrid"

Views = list[tuple[Frame, Mat4]]


def run(data: Path) -> list[Figure]:
    """Measure on the first frames of a recording with known poses.

    Raises InputError if there are none, DependencyError if Open3D is missing.
    """
    o3d = require_open3d()
    camera, views = load_views(data, FRAMES)
    camera = replace(camera, cx_px=camera.cx_px - 0.5, cy_px=camera.cy_px - 0.5)
    threads = numba.get_num_threads()
    numba.set_num_threads(min(THREADS, threads))
    try:
        warm_up()
        integration, volume, peer = _integration(camera, o3d, views)
        return [
            integration,
            _meshing(volume, peer),
            *_agreement(o3d, volume, peer),
            *_exactness(volume, camera, views),
        ]
    finally:
        numba.set_num_threads(threads)


def load_views(data: Path, count: int) -> tuple[Camera, Views]:
    """Read the first frames of a recording, decoded, and their true poses. Raises InputError."""
    sequence = open_rgbd_sequence(data)
    if sequence.ground_truth is None:
        raise InputError(f"{data}: has no ground truth; this bench fuses at known poses")
    frames = [decode_frame(message, sequence.calibration) for message in sequence.frames(count)]
    poses = sequence.ground_truth.world_from_camera
    return sequence.calibration.camera, list(zip(frames, poses, strict=False))


class _Open3dGrid:
    """Open3D's volume with our settings, on the CPU. `camera` has the half pixel taken off."""

    def __init__(self, o3d: Any, camera: Camera) -> None:
        self._o3d = o3d
        core = o3d.core
        # Its kernels floor: give back the half pixel.
        matrix = camera.matrix
        matrix[:2, 2] += 0.5
        self._intrinsic = core.Tensor(matrix)
        self._grid = o3d.t.geometry.VoxelBlockGrid(
            ("tsdf", "weight", "color"),
            (core.float32, core.float32, core.float32),
            ((1), (1), (3)),
            SETTINGS.voxel_size_m,
            8,
            SETTINGS.max_blocks,
            core.Device("CPU:0"),
        )

    def integrate(self, frame: Frame, world_from_camera: Mat4) -> float:
        """Fuse a view; returns the seconds it took, with images and matrices at hand."""
        core, image = self._o3d.core, self._o3d.t.geometry.Image
        depth = image(core.Tensor(np.array(frame.depth)))
        color = image(core.Tensor(np.array(frame.color)))
        extrinsic = core.Tensor(np.linalg.inv(world_from_camera))
        k, scale = self._intrinsic, 1 / frame.depth_scale_m
        limits = scale, SETTINGS.depth_max_m, float(SETTINGS.truncation_vox)
        start_s = time.perf_counter()
        blocks = self._grid.compute_unique_block_coordinates(depth, k, extrinsic, *limits)
        self._grid.integrate(blocks, depth, color, k, k, extrinsic, *limits)
        return time.perf_counter() - start_s

    def mesh(self) -> Any:
        """Its triangle mesh of voxels of weight > 3."""
        return self._grid.extract_triangle_mesh(float(SETTINGS.min_weight - 1))


def _integration(camera: Camera, o3d: Any, views: Views) -> tuple[Figure, Volume, _Open3dGrid]:
    """Fuse all views on either side in turn, each time into a new volume; keeps the last two."""
    ours_s, theirs_s = [], []
    for _ in range(ROUNDS):
        volume = Volume(SETTINGS, camera)
        ours_s += [_seconds(partial(volume.integrate, frame, pose)) for frame, pose in views]
        peer = _Open3dGrid(o3d, camera)
        theirs_s += [peer.integrate(frame, pose) for frame, pose in views]
    figure = _faster("tsdf: integrate a colour frame, 1 cm, median", ours_s, theirs_s, 7.0)
    return figure, volume, peer


def _meshing(volume: Volume, peer: _Open3dGrid) -> Figure:
    everything = np.arange(volume.block_count, dtype=np.int32)
    ours_s, theirs_s = [], []
    for _ in range(ROUNDS):
        for _ in range(MESH_REPEATS):
            mesher = Mesher(volume)
            mesher.mark(everything)
            ours_s.append(_seconds(mesher.flush))
        theirs_s += [_seconds(peer.mesh) for _ in range(MESH_REPEATS)]
    return _faster(f"tsdf: mesh {volume.block_count} blocks, median", ours_s, theirs_s, 13.0)


def _seconds(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def _faster(name: str, ours_s: list[float], theirs_s: list[float], target: float) -> Figure:
    ours_ms, theirs_ms = (statistics.median(times) * 1e3 for times in (ours_s, theirs_s))
    ratio = theirs_ms / ours_ms
    return Figure(name, ours_ms, "ms", PEER, theirs_ms, ratio, target, ratio >= target)


def _agreement(o3d: Any, volume: Volume, peer: _Open3dGrid) -> list[Figure]:
    """Share of each mesh's vertices within a tenth of a voxel of the other's surface."""
    ours, theirs = extract_mesh(volume), _triangle_mesh(peer.mesh())
    return [
        _near(o3d, "tsdf: our vertices within 0.1 voxel of Open3D's mesh", ours, theirs),
        _near(o3d, "tsdf: Open3D's vertices within 0.1 voxel of our mesh", theirs, ours),
    ]


def _triangle_mesh(mesh: Any) -> TriangleMesh:
    vertices = mesh.vertex.positions.numpy()
    no_colors = np.zeros((len(vertices), 3), np.uint8)
    return TriangleMesh(vertices, no_colors, mesh.triangle.indices.numpy().astype(np.int32))


def _near(o3d: Any, name: str, points: TriangleMesh, surface: TriangleMesh) -> Figure:
    core = o3d.core
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        core.Tensor(surface.vertices_world), core.Tensor(surface.triangles.astype(np.uint32))
    )
    distances_m = scene.compute_distance(core.Tensor(points.vertices_world)).numpy()
    share = float((distances_m <= 0.1 * SETTINGS.voxel_size_m).mean())
    return Figure(name, share, "share", target=0.99, holds=share >= 0.99)


def _exactness(volume: Volume, camera: Camera, views: Views) -> list[Figure]:
    """Move all views and compare with a fusion from scratch; then take all out."""
    moved_pose = np.eye(4)
    moved_pose[:3, 3] = (0.013, -0.021, 0.008)
    moved = [(frame, moved_pose @ pose) for frame, pose in views]
    scratch = Volume(SETTINGS, camera)
    for (frame, before), (_, after) in zip(views, moved, strict=True):
        volume.remove(frame, before)
        volume.integrate(frame, after)
        scratch.integrate(frame, after)
    differing = differing_words(volume, scratch)
    for frame, after in moved:
        volume.remove(frame, after)
    left = int(np.count_nonzero(volume.voxel_words()))
    return [
        _zero(f"tsdf: words that differ from scratch after moving {len(views)} frames", differing),
        _zero(f"tsdf: words that are not zero after removing {len(views)} frames", left),
    ]


def _zero(name: str, words: int) -> Figure:
    return Figure(name, float(words), "words", target=0.0, holds=words == 0)


def differing_words(a: Volume, b: Volume) -> int:
    """Count voxel words that differ; a block that only one has counts as zero in the other."""
    ours, theirs = _content(a), _content(b)
    empty = np.zeros((4, 512), np.uint32)
    return sum(
        int(np.count_nonzero(ours.get(block, empty) != theirs.get(block, empty)))
        for block in ours.keys() | theirs.keys()
    )


def _content(volume: Volume) -> dict[tuple[int, ...], NDArray[np.uint32]]:
    """(4, 512) words by block coordinates."""
    words = volume.voxel_words()
    return {tuple(block): words[:, slot] for slot, block in enumerate(volume.block_coords.tolist())}
