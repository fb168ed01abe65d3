"""How far a mesh is from the true surface, and how much of that surface it covers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from replay.similarity import moved
from slam.geometry import Mat4

SAMPLES = 200_000
_CANDIDATES = 8


class Surface(Protocol):
    """A reference: distances to it, and points on it that a complete map would cover."""

    def distance(self, points_world: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) metres from each of (N, 3) points to the surface."""

    def points(self) -> NDArray[np.float64]:
        """(M, 3) points spread over the surface."""


@dataclass(frozen=True, slots=True)
class Distances:
    """A distribution of distances."""

    mean_m: float
    median_m: float
    p95_m: float
    share_within: float
    """Share of points at most `within_m` away."""

    @classmethod
    def of(cls, distances_m: NDArray[np.float64], within_m: float) -> Self:
        """Summarise (N,) distances."""
        return cls(
            float(distances_m.mean()),
            float(np.median(distances_m)),
            float(np.percentile(distances_m, 95)),
            float(np.mean(distances_m <= within_m)),
        )


@dataclass(frozen=True, slots=True)
class MeshQuality:
    """Both directions: is what is there right, and is everything there."""

    accuracy: Distances
    """From the mesh to the reference."""
    completeness: Distances
    """From the reference to the mesh."""
    within_m: float


def mesh_quality(
    mesh: TriangleMesh,
    reference: Surface,
    reference_from_mesh: Mat4 | None = None,
    within_m: float = 0.02,
    samples: int = SAMPLES,
) -> MeshQuality:
    """Compare a mesh with a reference; `reference_from_mesh` aligns their worlds first.

    It may scale, too: [s·R | t]. Raises InputError if the mesh has no surface.
    """
    return mesh_qualities(mesh, reference, reference_from_mesh, (within_m,), samples)[0]


def mesh_qualities(
    mesh: TriangleMesh,
    reference: Surface,
    reference_from_mesh: Mat4 | None,
    within_m: Iterable[float],
    samples: int = SAMPLES,
) -> list[MeshQuality]:
    """As `mesh_quality`, for several distances at the cost of one."""
    vertices = mesh.vertices_world.astype(np.float64)
    if reference_from_mesh is not None:
        vertices = moved(vertices, reference_from_mesh)
    surface = MeshSurface(vertices, mesh.triangles, samples)
    accuracy = reference.distance(surface.points())
    completeness = surface.distance(reference.points())
    return [
        MeshQuality(Distances.of(accuracy, limit), Distances.of(completeness, limit), limit)
        for limit in within_m
    ]


class MeshSurface:
    """A triangle mesh as a surface, sampled evenly by area with a fixed seed."""

    def __init__(
        self,
        vertices_world: NDArray[np.floating],
        triangles: NDArray[np.integer],
        samples: int = SAMPLES,
    ) -> None:
        """Sample the mesh. Raises InputError if it has no area."""
        self._corners = np.asarray(vertices_world, np.float64)[triangles]
        a, b, c = self._corners.transpose(1, 0, 2)
        areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        if not areas.sum() > 0:
            raise InputError(f"mesh of {len(triangles)} triangles has no surface to compare")
        rng = np.random.default_rng(0)
        self._owner = np.sort(rng.choice(len(areas), samples, p=areas / areas.sum()))
        # Uniform in a triangle: Osada et al. 2002, eq. 1.
        root, share = np.sqrt(rng.random(samples))[:, None], rng.random(samples)[:, None]
        a, b, c = self._corners[self._owner].transpose(1, 0, 2)
        self._points: NDArray[np.float64] = (
            (1 - root) * a + root * (1 - share) * b + root * share * c
        )
        self._tree = cKDTree(self._points)

    def points(self) -> NDArray[np.float64]:
        """(M, 3) samples."""
        return self._points

    def distance(self, points_world: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) metres to the nearest of the triangles that own the 8 nearest samples.

        Exact wherever a triangle that is nearer has a sample among these.
        """
        _, nearest = self._tree.query(points_world, k=_CANDIDATES, workers=-1)
        best = np.full(len(points_world), np.inf)
        for k in range(_CANDIDATES):
            corners = self._corners[self._owner[nearest[:, k]]]
            best = np.minimum(best, triangle_distance(points_world, corners))
        return best


def triangle_distance(
    points: NDArray[np.float64], corners: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N,) distances from (N, 3) points to (N, 3, 3) triangles, each to its own.

    The foot on the plane where it lies inside, else the nearest of the three edges (Ericson 2005,
    section 5.1.5).
    """
    a, b, c = corners.transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    unit = normal / np.maximum(length, 1e-30)[:, None]
    height = np.einsum("ij,ij->i", points - a, unit)
    inside = length > 0
    best = np.full(len(points), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        inside &= np.einsum("ij,ij->i", np.cross(edge, points - start), normal) >= 0
        share = np.einsum("ij,ij->i", points - start, edge)
        share = np.clip(share / np.maximum(np.einsum("ij,ij->i", edge, edge), 1e-30), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - start - share[:, None] * edge, axis=1))
    distances: NDArray[np.float64] = np.where(inside, np.abs(height), best)
    return distances
