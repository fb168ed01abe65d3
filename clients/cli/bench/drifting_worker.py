"""A session's worker whose tracker drifts until its frame `CLOSES_AT_FRAME`.

`python -m clients.cli.bench.drifting_worker` is started by servers as they start
`stream.worker_main`.
"""

from pathlib import Path

from mapcast_client.v1 import ingest_pb2
from replay.drift import DriftingTracker
from slam import trackers
from slam.camera import Calibration
from slam.tracker import Tracker
from slam.trackers import open_tracker

CLOSES_AT_FRAME = 1300
FRAME_RATE_HZ = 30
DRIFT_SHARE = 0.009
"""After 12 metres the last thousand frames are off by 2 to 10 cm."""


def main(closes_at_frame: int, drift_share: float) -> None:
    """Run a worker whose trackers drift by a share of the way until a frame."""
    closes_at_ns = closes_at_frame * 1_000_000_000 // FRAME_RATE_HZ

    def open_drifting(
        sensor: ingest_pb2.Sensor,
        pose_source: ingest_pb2.PoseSource,
        calibration: Calibration,
        vocabulary: Path,
    ) -> Tracker:
        tracker = open_tracker(sensor, pose_source, calibration, vocabulary)
        return DriftingTracker(tracker, closes_at_ns, drift_share)

    trackers.open_tracker = open_drifting
    from stream import worker_main  # builds its maps with that

    worker_main.main()


if __name__ == "__main__":
    main(CLOSES_AT_FRAME, DRIFT_SHARE)
