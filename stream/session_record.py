"""What a server writes of a recorded session beside the recording, so that another can go on."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

from mapcast_client.errors import InputError
from replay.retention import SESSION_RECORD
from stream.access import SessionTokens

FILE = SESSION_RECORD
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """Which session it is, and where it stands. Its settings are in the recording."""

    session: str
    created_ns: int
    voxel_size_m: float
    epoch: int
    """The newest that was published."""
    map_epoch: int
    """In which its map began."""
    is_over: bool = False
    publish_token: str = field(default="", repr=False)
    watch_token: str = field(default="", repr=False)

    @property
    def tokens(self) -> SessionTokens:
        """What allows sending to it, and watching it."""
        return SessionTokens(self.publish_token, self.watch_token)

    def write(self, folder: Path) -> None:
        """Put it into the session's folder, in place of the one before.

        Only we may read it, and a folder that was not there. Small and at once: it survives the
        process, not a power cut. Raises OSError.
        """
        folder.mkdir(0o700, parents=True, exist_ok=True)
        unfinished = folder / f"{FILE}.writing"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file)
        unfinished.replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record of a session's folder. Raises InputError if there is none."""
        path = folder / FILE
        try:
            values = json.loads(path.read_text())
            record = cls(**{item.name: values[item.name] for item in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: no session's record ({error!r:.200})") from None
        if record.session != folder.name:
            raise InputError(f"{path}: is that of session {record.session!r:.80}")
        return record

    @staticmethod
    def folders(recordings: Path) -> list[Path]:
        """The folders that have one."""
        return [path.parent for path in recordings.glob(f"*/{FILE}")]
