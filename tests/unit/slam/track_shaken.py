"""Tracks the shaken room in a process of its own, and writes what came of it as JSON.

Usage: track_shaken.py VOCABULARY SENSOR CALIBRATION SECONDS [IMU], as in `SENSOR_MONO PORTRAIT 8`.
IMU `poor`: only from 1 to 3 s and from 3.5 s on, a fifth of the samples, out of order and twice.
"""

import json
import sys
from pathlib import Path

import numpy as np
import shaken_room

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from slam.imu import ImuSamples
from slam.trackers import open_tracker


def poor(samples: ImuSamples, rng: np.random.Generator) -> ImuSamples:
    seconds = samples.capture_ns * 1e-9
    missing = (seconds < 1) | ((seconds > 3) & (seconds < 3.5)) | (rng.random(len(seconds)) > 0.2)
    rows = np.flatnonzero(~missing).repeat(2)
    rows = rows[np.argsort(rows + rng.integers(0, 3, len(rows)))]
    return ImuSamples(samples.capture_ns[rows], samples.values[rows])


def main(vocabulary: str, sensor: str, calibration_name: str, seconds: str, *how: str) -> None:
    calibration = getattr(shaken_room, calibration_name)
    number = ingest_pb2.Sensor.Value(sensor)
    source = ingest_pb2.POSE_SOURCE_TRACKED
    tracker = open_tracker(number, source, calibration, Path(vocabulary))
    rng = np.random.default_rng(0)
    imu = shaken_room.imu_samples(float(seconds), rng)
    if how == ("poor",):
        imu = poor(imu, rng)
    answers, told_ns = [], -1
    for frame, world_from_camera in shaken_room.frames(calibration.camera, float(seconds)):
        new = (imu.capture_ns > told_ns) & (imu.capture_ns <= frame.capture_ns)
        told_ns = frame.capture_ns
        try:
            tracker.add_imu(ImuSamples(imu.capture_ns[new], imu.values[new]))
            tracked = tracker.track(frame)
        except FrameError as error:
            answers.append({"state": "refused", "reason": str(error)})
            continue
        pose = tracked.tracker_from_camera
        answers.append(
            {
                "state": tracked.state.value,
                "map_number": tracked.map_number,
                "tracker_from_camera": None if pose is None else pose.tolist(),
                "points_tracker": tracked.points_tracker[::20].tolist(),
                "world_from_camera": world_from_camera.tolist(),
            }
        )
    tracker.close()
    print(json.dumps(answers))


main(*sys.argv[1:])
