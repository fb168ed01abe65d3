"""What a recorded session is on disk: a folder of MCAP segments, `000001.mcap` and so on.

Each segment is a whole MCAP file (mcap.dev) of protobuf messages with their schema. It begins with
the session's settings, and the newest camera that was offered; every message is a chunk of its own,
uncompressed, because images come compressed. A chunk is handed to the operating system in one piece
before the next begins: what was written is there after the process is killed, without delay.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from mapcast_client.v1 import ingest_pb2

SUFFIX = ".mcap"
_SEGMENT = re.compile(r"\d{6}\.mcap")

Message = (
    ingest_pb2.OpenSession
    | ingest_pb2.Frame
    | ingest_pb2.ImuBatch
    | ingest_pb2.Control
    | ingest_pb2.FrameResult
    | ingest_pb2.Corrections
    | ingest_pb2.FusedView
    | ingest_pb2.CalibrationOffer
)
"""What is recorded."""

OPEN, FRAME, IMU, CONTROL = "/open", "/frame", "/imu", "/control"
RESULT, CORRECTIONS, FUSED, OFFER = "/result", "/corrections", "/fused", "/calibration_offer"

MESSAGES: dict[str, type[Message]] = {
    OPEN: ingest_pb2.OpenSession,
    FRAME: ingest_pb2.Frame,
    IMU: ingest_pb2.ImuBatch,
    CONTROL: ingest_pb2.Control,
    RESULT: ingest_pb2.FrameResult,
    CORRECTIONS: ingest_pb2.Corrections,
    FUSED: ingest_pb2.FusedView,
    OFFER: ingest_pb2.CalibrationOffer,
}
"""The kind of message on each topic."""
TOPICS = {kind: topic for topic, kind in MESSAGES.items()}

RESET = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_RESET)
"""What is recorded after it is of another map; its clock may begin anew."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a recording."""

    topic: str
    log_time_ns: int
    """Its capture_ns where it has one, else that of the newest frame before it."""
    message: Message


def segments(folder: Path) -> list[Path]:
    """The segments of a session's folder, oldest first; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment lies; the first is number 1."""
    return folder / f"{number:06}{SUFFIX}"


def is_recording(path: Path) -> bool:
    """Whether it is an MCAP file, or a folder of segments."""
    return path.suffix == SUFFIX if path.is_file() else bool(segments(path))


def log_time_ns(message: Message, newest_ns: int) -> int:
    """The instant that a message is filed under; `newest_ns`: of the newest frame before it."""
    if isinstance(message, ingest_pb2.Frame | ingest_pb2.FrameResult | ingest_pb2.FusedView):
        return max(message.capture_ns, 0)  # MCAP's instants are unsigned
    if isinstance(message, ingest_pb2.ImuBatch) and message.samples:
        return max(message.samples[0].capture_ns, 0)
    return newest_ns


def schema(kinds: Iterable[type[Message]]) -> bytes:
    """A FileDescriptorSet of the files that declare some messages."""
    files = {kind.DESCRIPTOR.file.name: kind.DESCRIPTOR.file for kind in kinds}
    protos = []
    for file in files.values():
        protos.append(FileDescriptorProto())
        file.CopyToProto(protos[-1])
    return FileDescriptorSet(file=protos).SerializeToString()
