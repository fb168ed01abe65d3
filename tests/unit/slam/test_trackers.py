from dataclasses import replace
from pathlib import Path

import numpy as np
import plane_scene
import pytest

from mapcast_client.errors import FrameError, InputError
from mapcast_client.v1 import ingest_pb2
from slam.given import GivenPoseTracker
from slam.trackers import open_tracker

GIVEN, TRACKED = ingest_pb2.POSE_SOURCE_GIVEN, ingest_pb2.POSE_SOURCE_TRACKED


@pytest.mark.parametrize("sensor", [ingest_pb2.SENSOR_RGBD, ingest_pb2.SENSOR_MONO])
def test_given_poses_need_no_vocabulary_and_no_depth(sensor: ingest_pb2.Sensor) -> None:
    tracker = open_tracker(sensor, GIVEN, plane_scene.CALIBRATION, Path("none"))
    assert isinstance(tracker, GivenPoseTracker)
    np.testing.assert_array_equal(tracker.world_from_tracker, np.eye(4))
    tracked = tracker.track(replace(plane_scene.frame(0, 5), depth=None))
    np.testing.assert_allclose(tracked.tracker_from_camera, plane_scene.world_from_camera(5))
    with pytest.raises(FrameError, match="depth image has shape"):
        tracker.track(replace(plane_scene.frame(1, 5), depth=np.zeros((2, 2), np.uint16)))


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sensor 99 is not known"):
        open_tracker(99, TRACKED, plane_scene.CALIBRATION, tmp_path / "none")
    with pytest.raises(InputError, match="calibration has no imu"):
        open_tracker(
            ingest_pb2.SENSOR_MONO_IMU, TRACKED, plane_scene.CALIBRATION, tmp_path / "none"
        )
    with pytest.raises(InputError, match="cannot read the vocabulary"):
        open_tracker(ingest_pb2.SENSOR_MONO, TRACKED, plane_scene.CALIBRATION, tmp_path / "none")
