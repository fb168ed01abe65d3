"""A server that goes on with a recording goes on with its time, too."""

from pathlib import Path

from mapcast_client.v1 import ingest_pb2
from replay.recording import CORRECTIONS
from replay.recording_reader import RecordingReader
from stream.config import ServerConfig
from stream.metrics import Metrics
from stream.recorded_tail import RecordedTail
from stream.recordings import Recordings


async def test_corrections_before_the_first_new_frame_are_later_than_the_last_one(
    tmp_path: Path,
) -> None:
    recordings = Recordings(tmp_path, ServerConfig(), Metrics())
    recorder = recordings.recorder("ab12", ingest_pb2.OpenSession(), newest_ns=70)
    moved = ingest_pb2.KeyframePose(capture_ns=50, world_from_keyframe=ingest_pb2.Pose(qw=1))
    recorder.note(ingest_pb2.Corrections(epoch=1, keyframes=[moved]))
    await recorder.close()
    with RecordingReader(recordings.of("ab12")) as reader:
        (recorded,) = reader.messages([CORRECTIONS])
        assert recorded.log_time_ns == 70
        assert list(RecordedTail.read(reader, map_epoch=1, newest_ns=70).moved) == [50]
