"""A map that is replaced keeps its path only where it is the same at another scale."""

import pytest

from stream.hub import Hub


def hub_with_a_path() -> Hub:
    hub = Hub(epoch=5)
    for index in range(3):
        pose = (index, 2.0, 3.0, 0, 0, 0, 1)
        hub.append_pose(index, 100 * index, pose, "tracking", False, 100, (0, 4.0, 0, 0, 0, 0, 1))
    hub.put_keyframe(100, (1, 2.0, 3.0, 0, 0, 0, 1), 0.5)
    return hub


def test_another_map_has_no_path() -> None:
    hub = hub_with_a_path()
    hub.restart(6)
    assert (len(hub.poses), len(hub.keyframes)) == (0, 0)
    assert hub.path() == []


def test_a_rescaled_map_has_the_path_once_with_its_lengths_scaled() -> None:
    hub = hub_with_a_path()
    cursor = hub.join()
    hub.take_poses(cursor)
    revision = hub.revision
    hub.restart(6, path_scale=0.5)
    batch = hub.take_poses(cursor)
    assert batch is not None
    assert sorted(row.capture_ns for row in batch.rows) == [0, 100, 200]
    assert sorted(row.capture_ns for row in batch.rows if row.keyframe) == [100]
    rows = {row.capture_ns: row for row in batch.rows}
    assert rows[200].world_from_camera == pytest.approx((1.0, 1.0, 1.5, 0, 0, 0, 1))
    assert rows[200].keyframe_from_camera == pytest.approx((0, 2.0, 0, 0, 0, 0, 1))
    assert all(row.revision > revision for row in batch.rows)


def test_the_keyframes_of_a_rescaled_map_keep_their_own_scale() -> None:
    hub = hub_with_a_path()
    cursor = hub.join()
    hub.restart(6, path_scale=0.5)
    batch = hub.take_keyframes(cursor)
    assert batch is not None
    (row,) = batch.rows
    assert row.world_from_keyframe == pytest.approx((0.5, 1.0, 1.5, 0, 0, 0, 1))
    assert row.scale == 0.5
    assert hub.path()[2].world_from_camera == pytest.approx((0.5, 2.0, 1.5, 0, 0, 0, 1))
