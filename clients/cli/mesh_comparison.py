"""How good a replay's map is, against the rendered room or another replay's map."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mapcast_client.errors import DependencyError, InputError
from mapcast_client.mesh import TriangleMesh
from replay.evaluate import similarity_from_estimated, truth_from_estimated
from replay.evaluate_mesh import SAMPLES, MeshQuality, MeshSurface, Surface, mesh_qualities
from replay.rendered import ObservedRoom, RenderedSequence
from replay.similarity import closest_point_similarity
from slam.trajectory import Trajectory

WITHIN_M = (0.02, 0.05, 0.10)


@dataclass(frozen=True, slots=True)
class Reference:
    """A surface, and the path of the recording's camera in its world."""

    surface: Surface
    path: Trajectory

    @classmethod
    def of_room(cls, rendered: RenderedSequence, frames: int) -> Self:
        """What of the room the first `frames` frames of the walk saw."""
        truth = rendered.ground_truth
        walked = Trajectory(truth.capture_ns[:frames], truth.world_from_camera[:frames])
        return cls(ObservedRoom(rendered.room, walked), truth)

    @classmethod
    def of_folder(cls, folder: Path, samples: int = SAMPLES) -> Self:
        """The map and the path that `mapcast demo` left. Raises InputError."""
        try:
            tum = (folder / "trajectory.tum").read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--reference {folder}: {error}") from None
        mesh = _read_ply(folder / "map.ply")
        path = Trajectory.from_tum(tum, folder / "trajectory.tum")
        return cls(MeshSurface(mesh.vertices_world, mesh.triangles, samples), path)


def compare(
    mesh: TriangleMesh,
    path: Trajectory,
    reference: Reference,
    *,
    scaled: bool,
    samples: int = SAMPLES,
) -> list[MeshQuality]:
    """Accuracy and completeness at each of WITHIN_M, aligned by the paths.

    `scaled`: by a similarity, which the surfaces' closest points improve: what is known of a
    monocular map is no more. Raises InputError where the paths cannot be aligned, or a mesh is
    empty.
    """
    if not scaled:
        reference_from_mesh = truth_from_estimated(path, reference.path)
        return mesh_qualities(mesh, reference.surface, reference_from_mesh, WITHIN_M, samples)
    by_paths = similarity_from_estimated(path, reference.path)
    points = MeshSurface(mesh.vertices_world, mesh.triangles, samples).points()
    by_surfaces = closest_point_similarity(points, reference.surface.points(), by_paths)
    return mesh_qualities(mesh, reference.surface, by_surfaces, WITHIN_M, samples)


def _read_ply(path: Path) -> TriangleMesh:
    """A mesh file. Raises InputError, DependencyError without trimesh."""
    try:
        import trimesh
    except ImportError as error:
        raise DependencyError(f"no trimesh ({error}): pip install trimesh") from None
    try:
        loaded: Any = trimesh.load(path, force="mesh", process=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None
    vertices = np.asarray(loaded.vertices, np.float32)
    return TriangleMesh(
        vertices, np.zeros_like(vertices, np.uint8), np.asarray(loaded.faces, np.int32)
    )
