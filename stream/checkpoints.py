"""Checkpoints of a session's map: written beside its work, the last two kept."""

import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from google.protobuf import json_format

from fusion.live_map import LiveMap
from fusion.map_versions import MapVersions
from fusion.saved_map import SavedMap
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from stream.worker_pb2 import Open

logger = logging.getLogger(__name__)

FIRST_S = 1.0
PERIOD_S = 30.0
KEPT = 2
NICENESS = 15


def snapshot(live_map: LiveMap, newest: ingest_pb2.Frame, epoch: int, opening: Open) -> SavedMap:
    """A copy of a session's map; `newest`: the newest frame that it knows."""
    settings = json_format.MessageToJson(opening.settings, preserving_proto_field_name=True)
    saved = live_map.saved(newest.index, newest.capture_ns)
    return replace(saved, epoch=epoch, recording=opening.recording, opening=settings)


def newest_checkpoint(folder: Path, map_epoch: int) -> SavedMap | None:
    """The newest whole one of the map that began in an epoch; None: there is none."""
    broken: list[str] = []
    saved = MapVersions(folder).newest(broken)
    for reason in broken:
        logger.error("a checkpoint is not used: %s", reason)
    return saved if saved is not None and saved.epoch >= map_epoch else None


class Checkpointer:
    """Writes a checkpoint now and then, on a thread of its own, one at a time."""

    def __init__(self, opening: Open) -> None:
        """Write where `opening` says."""
        self._checkpoints = MapVersions(Path(opening.checkpoint), KEPT)
        self._opening = opening
        self._thread = ThreadPoolExecutor(1, "checkpoint", initializer=_step_back)
        self._writing: Future[None] | None = None
        self._due_s = time.monotonic() + FIRST_S
        self._newest_ns: int | None = None

    def hurry(self) -> None:
        """Let the next one be due at once: the map was replaced."""
        self._due_s, self._newest_ns = time.monotonic(), None

    def offer(self, live_map: LiveMap, newest: ingest_pb2.Frame, epoch: int) -> None:
        """Copy the map if a checkpoint is due and the last one is written.

        `newest`: the newest frame that the map knows. The copy takes about 0.1 s a GiB of voxels.
        """
        if time.monotonic() < self._due_s or newest.capture_ns == self._newest_ns:
            return
        if self._writing is not None and not self._writing.done():
            return
        self._due_s, self._newest_ns = time.monotonic() + PERIOD_S, newest.capture_ns
        saved = snapshot(live_map, newest, epoch, self._opening)
        self._writing = self._thread.submit(self._write, saved)

    def _write(self, saved: SavedMap) -> None:
        try:
            self._checkpoints.write(saved)
        except InputError as error:  # a full disk: the ones before stay, the next may work
            logger.error("no checkpoint: %s", error)

    def close(self) -> None:
        """End the thread, after what it is at."""
        self._thread.shutdown()


def _step_back() -> None:
    """Leave the cores to tracking and fusion."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)  # of this thread alone
