"""Runs ORB-SLAM3 in a process of its own: frames as JSON in, what the tracker said as JSON out.

Usage: track_script.py VOCABULARY [RED_KITCHEN | --second]. With `--second` another tracker, of a
camera with twice the focal length, was there before. A frame is [seconds, view]; a view is pixels
along the wall (or the number of a kitchen frame), or null for black.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import plane_scene

from mapcast_client.errors import StateError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.images import decode_frame
from slam.orbslam3 import OrbSlam3Tracker
from slam.pose_graph import UPRIGHT, PoseGraph

KITCHEN = Calibration(Camera(640, 480, 585.0, 585.0, 320.0, 240.0), 0.001, 65535)


def kitchen_frame(folder: Path, index: int, capture_ns: int, number: int | None) -> Frame:
    if number is None:
        black = np.zeros((480, 640, 3), np.uint8)
        return Frame(index, capture_ns, black, black[:, :, 0].astype(np.uint16), 0.001)
    message = ingest_pb2.Frame(index=index, capture_ns=capture_ns)
    message.color.encoding = ingest_pb2.IMAGE_ENCODING_JPEG
    message.color.data = (folder / f"frame-{number:06d}.color.jpg").read_bytes()
    message.depth.encoding = ingest_pb2.IMAGE_ENCODING_PNG
    message.depth.data = (folder / f"frame-{number:06d}.depth.png").read_bytes()
    return decode_frame(message, KITCHEN)


def track_with_another_camera(vocabulary: Path) -> None:
    camera = replace(plane_scene.CALIBRATION.camera, fx_px=600.0, fy_px=600.0)
    tracker = OrbSlam3Tracker(replace(plane_scene.CALIBRATION, camera=camera), vocabulary)
    for index in range(3):
        tracker.track(plane_scene.frame(index, 5 * index))
    tracker.close()


def main(vocabulary: str, *arguments: str) -> None:
    kitchen = [path for path in arguments if path != "--second"]
    if "--second" in arguments:
        track_with_another_camera(Path(vocabulary))
    tracker = OrbSlam3Tracker(KITCHEN if kitchen else plane_scene.CALIBRATION, Path(vocabulary))
    graph, map_number = PoseGraph(UPRIGHT), 0
    answers = []
    for index, (seconds, view) in enumerate(json.load(sys.stdin)):
        capture_ns = 1_700_000_000_123_456_789 + round(seconds * 1e9)
        if kitchen:
            frame = kitchen_frame(Path(kitchen[0]), index, capture_ns, view)
        else:
            frame = plane_scene.frame(index, view, capture_ns)
        tracked = tracker.track(frame)
        pose = tracked.tracker_from_camera
        if tracked.map_number != map_number:
            graph, map_number = PoseGraph(UPRIGHT), tracked.map_number
        if pose is not None:
            graph.add(index, capture_ns, tracked)
        answers.append(
            {
                "state": tracked.state.value,
                "position_m": None if pose is None else pose[:3, 3].tolist(),
                "inliers": tracked.inliers,
                "map_number": tracked.map_number,
                "keyframes_ns": list(tracked.keyframes),
                "capture_ns": capture_ns,
            }
        )
    tracker.close()
    tracker.close()
    try:
        tracker.track(frame)
    except StateError as error:
        refusal = str(error)
    path_m = graph.trajectory().world_from_camera[:, :3, 3].tolist()
    print(json.dumps({"answers": answers, "path_m": path_m, "refusal": refusal}))


main(*sys.argv[1:])
