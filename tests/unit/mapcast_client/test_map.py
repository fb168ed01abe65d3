import sys
from importlib.util import find_spec

import numpy as np
import pytest

from mapcast_client.delta import (
    Delta,
    DeltaHead,
    Status,
    UnknownDelta,
    decode,
    encode_keyframes,
    encode_mesh,
    encode_status,
    encode_trajectory,
)
from mapcast_client.errors import DependencyError, HashMismatch
from mapcast_client.map import Map
from mapcast_client.pose_rows import KeyframeRow, TrajectoryRow
from mapcast_client.rows import MeshRow

VERTICES = np.array([[0, 0, 0], [248, 0, 0], [0, 248, 0]], np.uint8).tobytes()
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8).tobytes()
TRIANGLE = np.array([0, 1, 2], "<u2").tobytes()
ROW = MeshRow((0, 0, 0), VERTICES, COLORS, TRIANGLE)
NEXT_ROW = MeshRow((1, 0, 0), VERTICES, COLORS, TRIANGLE)


def head(revision: int, complete_through: int, map_hash: int = 0, epoch: int = 1) -> DeltaHead:
    return DeltaHead("s", epoch, revision, complete_through, 0.01, map_hash, frame_index=revision)


def mesh(rows: list[MeshRow], at: DeltaHead) -> Delta:
    return decode(encode_mesh(rows, [at.revision] * len(rows), at))


def pose_row(index: int, x_m: float = 0.0) -> TrajectoryRow:
    hang = 10, (x_m, 0, 0, 0, 0, 0, 1)
    return TrajectoryRow(index, index * 10, (x_m, 0, 0, 0, 0, 0, 1), "tracking", False, 1, *hang)


def keyframe_row(capture_ns: int, y_m: float, scale: float = 1.0) -> KeyframeRow:
    return KeyframeRow(capture_ns, (0, y_m, 0, 0, 0, 0, 1), scale, 1)


def test_an_empty_map() -> None:
    followed = Map()
    assert not followed.is_exact
    assert followed.map_hash == followed.revision == followed.complete_through == 0
    assert followed.status is None
    assert followed.mesh().vertices_world.shape == (0, 3)
    assert followed.mesh().triangles.shape == (0, 3)


def test_incomplete_delta_is_not_exact_and_not_checked() -> None:
    followed = Map()
    followed.apply(mesh([ROW], head(5, 2, map_hash=1)))
    assert not followed.is_exact
    assert followed.frame_index == 5
    assert (followed.blocks, followed.triangles) == (1, 1)


def test_complete_delta_with_another_hash_is_a_mismatch() -> None:
    followed = Map()
    with pytest.raises(HashMismatch, match=f"has hash {ROW.content_hash()}, the server's has 1"):
        followed.apply(mesh([ROW], head(5, 5, map_hash=1)))
    assert not followed.is_exact


def test_tombstone_removes_its_block() -> None:
    followed = Map()
    followed.apply(mesh([ROW, NEXT_ROW], head(1, 0)))
    followed.apply(mesh([MeshRow(ROW.block, b"", b"", b"")], head(2, 2, NEXT_ROW.content_hash())))
    assert followed.is_exact
    assert followed.rows() == [NEXT_ROW]


def test_complete_through_is_the_smallest_of_the_followed_layers() -> None:
    followed = Map()
    followed.apply(mesh([], head(8, 8)))
    assert followed.complete_through == 0
    followed.apply(decode(encode_trajectory([], head(9, 6))))
    assert followed.complete_through == 0
    followed.apply(decode(encode_keyframes([], head(9, 7))))
    assert followed.complete_through == 6
    followed.apply(decode(encode_status(Status("active"), head(9, 0))))
    assert followed.complete_through == 6


def test_the_status_says_that_layers_are_complete_of_which_nothing_came() -> None:
    followed = Map()
    followed.apply(mesh([], head(9, 9)))
    followed.apply(decode(encode_status(Status("active"), head(9, 8))))
    assert followed.complete_through == 8


def test_a_layer_that_is_not_followed_does_not_hold_back() -> None:
    followed = Map(["mesh", "status"])
    followed.apply(mesh([], head(8, 8)))
    assert followed.complete_through == 8


def test_a_new_epoch_in_any_layer_drops_everything() -> None:
    followed = Map()
    followed.apply(mesh([ROW], head(4, 4, ROW.content_hash())))
    followed.apply(decode(encode_trajectory([pose_row(0)], head(4, 4))))
    followed.apply(decode(encode_keyframes([keyframe_row(10, 1)], head(4, 4))))
    followed.apply(decode(encode_status(Status("active"), head(1, 0, epoch=2))))
    assert followed.rows() == []
    assert followed.trajectory == followed.keyframes == []
    assert followed.complete_through == 0
    assert followed.epoch == 2
    assert followed.status == Status("active")


def test_trajectory_keeps_the_later_row_of_a_frame() -> None:
    followed = Map()
    followed.apply(decode(encode_trajectory([pose_row(2), pose_row(1)], head(1, 1))))
    followed.apply(decode(encode_trajectory([pose_row(1, x_m=0.5)], head(2, 2))))
    assert followed.trajectory == [pose_row(1, x_m=0.5), pose_row(2)]


def test_a_correction_moves_all_frames_that_hang_on_the_keyframe() -> None:
    followed = Map()
    followed.apply(decode(encode_trajectory([pose_row(1, 0.5), pose_row(2, 1.5)], head(2, 2))))
    followed.apply(decode(encode_keyframes([keyframe_row(10, 1), keyframe_row(99, 7)], head(4, 4))))
    assert [row.world_from_camera[:2] for row in followed.trajectory] == [(0.5, 1), (1.5, 1)]
    followed.apply(decode(encode_keyframes([keyframe_row(10, 3, scale=2)], head(5, 5))))
    assert [row.world_from_camera[:2] for row in followed.trajectory] == [(1, 3), (3, 3)]
    assert [row.world_from_keyframe[1] for row in followed.keyframes] == [3, 7]
    assert followed.frames == 2


def test_unknown_layers_are_ignored() -> None:
    followed = Map()
    followed.apply(UnknownDelta(head(1, 1), 10))
    assert followed.complete_through == 0
    assert followed.revision == 1


def test_mesh_is_in_metres_and_shares_vertices() -> None:
    followed = Map()
    followed.apply(mesh([ROW, NEXT_ROW], head(1, 0)))
    merged = followed.mesh()
    assert merged.triangles.shape == (2, 3)
    ordered = merged.vertices_world[np.lexsort(merged.vertices_world.T[::-1])]
    assert ordered == pytest.approx(
        np.array([[0, 0, 0], [0, 0.08, 0], [0.08, 0, 0], [0.08, 0.08, 0], [0.16, 0, 0]])
    )


def test_to_trimesh_keeps_geometry_and_colors() -> None:
    pytest.importorskip("trimesh", exc_type=ImportError)
    followed = Map()
    followed.apply(mesh([ROW], head(1, 0)))
    exported = followed.to_trimesh()
    assert exported.area == pytest.approx(0.08**2 / 2)
    assert sorted(exported.visual.vertex_colors[:, :3].tolist()) == [
        [0, 0, 255],
        [0, 255, 0],
        [255, 0, 0],
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of open3d's own imports
def test_to_open3d_keeps_geometry_and_colors_or_says_what_is_missing() -> None:
    followed = Map()
    followed.apply(mesh([ROW], head(1, 0)))
    if find_spec("open3d") is None:
        with pytest.raises(DependencyError, match="pip install open3d"):
            followed.to_open3d()
        return
    exported = followed.to_open3d()
    assert exported.get_surface_area() == pytest.approx(0.08**2 / 2)
    assert np.asarray(exported.vertex_colors).sum() == pytest.approx(3)


@pytest.mark.parametrize("library", ["trimesh", "open3d"])
def test_a_missing_library_says_how_to_get_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DependencyError, match=f"pip install {library}"):
        getattr(Map(), f"to_{library}")()
