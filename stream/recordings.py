"""The server's folder of recorded sessions."""

import asyncio
import logging
import shutil
import time
from pathlib import Path

from mapcast_client.v1 import ingest_pb2
from replay.recording_writer import SEGMENT_BYTES, RecordingWriter
from replay.retention import Retention
from stream.config import ServerConfig
from stream.metrics import Metrics
from stream.recorder import Recorder

logger = logging.getLogger(__name__)

RETENTION_PERIOD_S = 600.0
DAY_S = 86_400.0
SEGMENTS_AT_LEAST = 16
"""So many fit the limit of size: removing one leaves most of what there was."""


class Recordings:
    """Makes the recorders of sessions, and removes what is beyond the limits."""

    def __init__(self, folder: Path, config: ServerConfig, metrics: Metrics) -> None:
        self.folder = folder
        self._metrics = metrics
        age_s = config.recordings_age_days * DAY_S
        self._retention = Retention(folder, config.recordings_bytes, age_s)
        self._segment_bytes = min(SEGMENT_BYTES, config.recordings_bytes // SEGMENTS_AT_LEAST)

    def of(self, session_id: str) -> Path:
        """Where a session is, or would be, recorded."""
        return self.folder / session_id

    def recorder(
        self,
        session_id: str,
        opening: ingest_pb2.OpenSession,
        newest_ns: int | None = None,
        offer: ingest_pb2.CalibrationOffer | None = None,
    ) -> Recorder:
        """A recorder of a session as it was asked for; it writes nothing yet.

        `newest_ns`: of the newest frame that is recorded of it; `offer`: the newest that is.
        """
        told = ingest_pb2.OpenSession()
        told.CopyFrom(opening)
        told.session = session_id
        folder = self.of(session_id)
        writer = RecordingWriter(folder, told, self._segment_bytes, newest_ns or 0, offer)
        return Recorder(writer, self._retention, self._metrics, newest_ns)

    def remove(self, session_id: str) -> None:
        """Remove all that is kept of a session."""
        shutil.rmtree(self.of(session_id), ignore_errors=True)

    async def retain(self) -> None:
        """Apply the limits, now and every few minutes."""
        while True:
            try:
                await asyncio.to_thread(self._retention.apply, time.time())
            except OSError as error:
                logger.warning("recordings in %s: %s", self.folder, error)
            await asyncio.sleep(RETENTION_PERIOD_S)
