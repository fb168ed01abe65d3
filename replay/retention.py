"""Which recorded segments have to go: those beyond a size in all, and beyond an age."""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replay.recording import segments

logger = logging.getLogger(__name__)

SESSION_RECORD = "session.json"
"""What the server writes beside a session's segments: see stream/session_record.py."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The limits of a folder of recorded sessions. Any thread, of any process, may apply them.

    Whatever else lies in the folder is not touched, and not counted.
    """

    folder: Path
    size_bytes: int
    """Of all sessions in it."""
    age_s: float

    def apply(self, now_s: float) -> int:
        """Remove what is beyond the limits, oldest first; returns how many segments went.

        A segment is as old as its newest message. One that is being written stays, and with it
        its session, of which older segments may go. A session without segments goes as a whole,
        and one that never had any once it is too old.
        """
        self._remove_empty(now_s)
        kept_bytes = sum(size for session in self._sessions() for size, _ in _files(session))
        removed = 0
        for written_s, size, path in sorted(self._segments()):
            if kept_bytes <= self.size_bytes and now_s - written_s <= self.age_s:
                break
            if _remove(path):
                removed += 1
                kept_bytes -= size + _remove_if_empty(path.parent)
        return removed

    def _remove_empty(self, now_s: float) -> None:
        for session in self._sessions():
            instants_s = [written_s for _, written_s in _files(session)]
            if not segments(session) and now_s - max(instants_s, default=now_s) > self.age_s:
                shutil.rmtree(session, ignore_errors=True)

    def _sessions(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        folders = (path for path in self.folder.iterdir() if path.is_dir())
        return [path for path in folders if (path / SESSION_RECORD).exists() or segments(path)]

    def _segments(self) -> Iterator[tuple[float, int, Path]]:
        """Time of the last write, bytes and path of each."""
        for session in self._sessions():
            for path in segments(session):
                try:
                    status = path.stat()
                except FileNotFoundError:  # another server was faster
                    continue
                yield status.st_mtime, status.st_size, path


def is_being_written(path: Path) -> bool:
    """Whether a process has a segment open for writing. Raises OSError if it cannot be opened."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(path: Path) -> bool:
    try:
        if is_being_written(path):
            return False
        path.unlink()
    except OSError as error:
        logger.warning("%s cannot be removed: %s", path, error)
        return False
    logger.info("%s was removed: the recordings are beyond their limits", path)
    return True


def _remove_if_empty(session: Path) -> int:
    """Remove what belongs to a session without segments; returns the bytes of it."""
    if segments(session):
        return 0
    size = sum(size for size, _ in _files(session))
    shutil.rmtree(session, ignore_errors=True)
    return size


def _files(folder: Path) -> Iterator[tuple[int, float]]:
    """Bytes and time of the last write of all that lies in a folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = Path(place, name).stat()
            except OSError:  # another server was faster
                continue
            yield status.st_size, status.st_mtime
