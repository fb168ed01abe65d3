"""Which tracker a session gets."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from slam.given import GivenPoseTracker
from slam.orbslam3 import OrbSlam3Tracker
from slam.orbslam3_sensors import (
    MonocularInertialSensor,
    MonocularSensor,
    RgbdSensor,
    SlamSensor,
)
from slam.tracker import Tracker
from slam.turned import Turn

_SENSORS: Mapping[int, Callable[[Calibration, Turn], SlamSensor]] = {
    ingest_pb2.SENSOR_UNSPECIFIED: RgbdSensor,
    ingest_pb2.SENSOR_RGBD: RgbdSensor,
    ingest_pb2.SENSOR_MONO: MonocularSensor,
    ingest_pb2.SENSOR_MONO_IMU: MonocularInertialSensor,
}


def open_tracker(
    sensor: ingest_pb2.Sensor,
    pose_source: ingest_pb2.PoseSource,
    calibration: Calibration,
    vocabulary: Path,
) -> Tracker:
    """The tracker for a sensor, or for poses that the sender brings.

    ORB-SLAM3 takes about a second to start. Raises InputError if the sensor is unknown, lacks its
    IMU's calibration, has images that ORB-SLAM3 cannot work on, or the vocabulary is broken.
    """
    if sensor not in _SENSORS:
        raise InputError(f"sensor {sensor} is not known")
    if pose_source == ingest_pb2.POSE_SOURCE_GIVEN:
        return GivenPoseTracker(calibration)
    return OrbSlam3Tracker(calibration, vocabulary, _SENSORS[sensor])
