"""A message on its way through a worker."""

import queue
from dataclasses import dataclass, field

from fusion.live_map import LiveMap
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from slam.frame import Frame
from slam.tracker import TrackedFrame
from stream import worker_pb2


@dataclass(slots=True)
class Job:
    """A message on its way through the stages."""

    message: worker_pb2.ToWorker
    calibration: Calibration | None = None
    """Of the frames decoded by then; None: a camera that is yet to be guessed."""
    map: LiveMap | None = None
    """None: there is none yet, or the message was refused before it came to one."""
    frame: Frame | None = None
    tracked: TrackedFrame | None = None
    refused: str = ""
    stages: ingest_pb2.StageTimes = field(default_factory=ingest_pb2.StageTimes)


Jobs = queue.Queue[Job | None]
