"""Runs ORB-SLAM3 over the rendered room in a process of its own; writes states and the error.

Usage: track_rendered.py CACHE FRAMES RESULT.json
"""

import json
import sys
from pathlib import Path

import numpy as np

from replay.evaluate import ate_rmse_m
from replay.rendered import RenderedSequence, RenderedSettings
from slam.images import decode_frame
from slam.orbslam3 import OrbSlam3Tracker
from slam.trajectory import Trajectory
from slam.vocabulary import default_vocabulary


def main(cache: Path, limit: int, result: Path) -> None:
    sequence = RenderedSequence(RenderedSettings())
    tracker = OrbSlam3Tracker(sequence.calibration, default_vocabulary(cache))
    states, inliers, capture_ns, poses = [], [], [], []
    for message in sequence.frames(limit=limit):
        tracked = tracker.track(decode_frame(message, sequence.calibration))
        states.append(tracked.state.value)
        inliers.append(tracked.inliers)
        if tracked.tracker_from_camera is not None:
            capture_ns.append(message.capture_ns)
            poses.append(tracked.tracker_from_camera)
    tracker.close()
    path = Trajectory(np.array(capture_ns, np.int64), np.array(poses))
    ate_m = ate_rmse_m(path, sequence.ground_truth)
    result.write_text(json.dumps({"states": states, "inliers": inliers, "ate_m": ate_m}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
