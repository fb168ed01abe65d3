"""A map that is replaced keeps its path only where it is the same at another scale."""

import pytest

from stream.hub import Hub


def hub_with_a_path() -> Hub:
    hub = Hub(epoch=5)
    for index in range(3):
        hub.append_pose(index, 100 * index, (index, 2.0, 3.0, 0, 0, 0, 1), "tracking", False)
    hub.mark_keyframe(100)
    return hub


def test_another_map_has_no_path() -> None:
    hub = hub_with_a_path()
    hub.restart(6)
    assert hub.poses == []


def test_a_rescaled_map_has_the_path_once_with_its_lengths_scaled() -> None:
    hub = hub_with_a_path()
    cursor = hub.join()
    hub.take_poses(cursor)
    revision = hub.revision
    hub.restart(6, path_scale=0.5)
    batch = hub.take_poses(cursor)
    assert batch is not None
    rows = hub.poses[batch.start : batch.stop]
    assert [row.capture_ns for row in rows] == [0, 100, 200]
    assert [row.keyframe for row in rows] == [False, True, False]
    assert rows[2].world_from_camera == pytest.approx((1.0, 1.0, 1.5, 0, 0, 0, 1))
    assert all(row.revision > revision for row in rows)
