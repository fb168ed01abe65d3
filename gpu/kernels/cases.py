"""The triangle table of marching cubes, made rather than typed.

A corner is bit x | y << 1 | z << 2; bit c of a case says that corner c is inside. Each face joins
the ends of every run of inside corners, so that two cells that share a face cut it alike: no
cracks, also where the face is ambiguous. Lorensen & Cline 1987; Nielson & Hamann 1991.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

MAX_TRIANGLES = 5

Edge = frozenset[int]


def _edges() -> list[tuple[Edge, int, int]]:
    """The 12 edges: their two corners, the lower of them, and the axis they run along."""
    return [
        (frozenset((corner, corner | 1 << axis)), corner, axis)
        for axis in range(3)
        for corner in range(8)
        if not corner >> axis & 1
    ]


def _faces() -> list[list[int]]:
    """The corners around each of the 6 faces, counter-clockwise seen from outside."""
    faces = []
    for axis, side in product(range(3), (0, 1)):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        around = [p << u | q << v | side << axis for p, q in ((0, 0), (1, 0), (1, 1), (0, 1))]
        faces.append(around if side else around[::-1])
    return faces


def _loops(case: int, edge_of: dict[Edge, int], faces: list[list[int]]) -> list[list[int]]:
    """The closed polygons of edges that separate inside from outside."""
    following: dict[int, int] = {}
    for face in faces:
        inside = [case >> corner & 1 for corner in face]
        for start in range(4):
            if inside[start] and not inside[start - 1]:
                end = start
                while inside[(end + 1) % 4]:
                    end += 1
                entry = edge_of[frozenset((face[start - 1], face[start]))]
                leave = edge_of[frozenset((face[end % 4], face[(end + 1) % 4]))]
                following[entry] = leave
    loops = []
    while following:
        edge, successor = following.popitem()
        loop = [edge]
        while successor != edge:
            loop.append(successor)
            successor = following.pop(successor)
        loops.append(loop)
    return loops


def _triangles() -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    edge_of = {corners: index for index, (corners, _, _) in enumerate(_edges())}
    faces = _faces()
    triangles = np.zeros((256, 3 * MAX_TRIANGLES), np.int8)
    counts = np.zeros(256, np.int32)
    for case in range(256):
        fans = [
            (loop[0], loop[i], loop[i + 1])
            for loop in _loops(case, edge_of, faces)
            for i in range(1, len(loop) - 1)
        ]
        counts[case] = len(fans)
        triangles[case, : 3 * len(fans)] = np.array(fans, np.int8).ravel()
    return triangles, counts


TRIANGLES, TRIANGLE_COUNTS = _triangles()
"""(256, 15) edges of each case's triangles; (256,) how many triangles."""
EDGE_CORNER = np.array([corner for _, corner, _ in _edges()], np.int32)
"""(12,) the lower corner of each edge."""
EDGE_AXIS = np.array([axis for _, _, axis in _edges()], np.int32)
"""(12,) the axis each edge runs along."""
