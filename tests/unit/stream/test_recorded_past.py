from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.recording import RESET
from replay.recording_writer import RecordingWriter
from stream.recorded_past import RecordedPast
from stream.session_record import SessionRecord


def frame(capture_ns):
    return ingest_pb2.Frame(capture_ns=capture_ns)


def result(capture_ns, epoch, status=FrameResult.STATUS_FUSED):
    return FrameResult(capture_ns=capture_ns, epoch=epoch, status=status)


def past_of(folder, messages, map_epoch):
    SessionRecord(folder.name, 5, 0.01, epoch=map_epoch, map_epoch=map_epoch).write(folder)
    with RecordingWriter(folder, ingest_pb2.OpenSession(name="desk")) as writer:
        for message in messages:
            writer.write(message)
    return RecordedPast.read(folder)


def unanswered_ns(past):
    return [frame.capture_ns for frame in past.unanswered]


def test_frames_after_the_last_answer_are_still_to_be_answered(tmp_path):
    messages = [frame(0), frame(1), result(0, 1), result(1, 1, FrameResult.STATUS_DROPPED)]
    past = past_of(tmp_path / "ab12", [*messages, frame(2), frame(3)], map_epoch=1)
    assert unanswered_ns(past) == [2, 3]
    assert past.recorded_through == 3


def test_frames_of_a_map_that_was_replaced_are_not_fused_again(tmp_path):
    messages = [message for ns in range(5) for message in (frame(ns), result(ns, 1))]
    past = past_of(tmp_path / "ab12", [*messages, frame(5)], map_epoch=2)
    assert unanswered_ns(past) == [5]
    assert past.told == []


def test_the_newest_offer_of_a_camera_is_found(tmp_path):
    offers = [ingest_pb2.CalibrationOffer(keyframes=count) for count in (11, 24)]
    past = past_of(tmp_path / "ab12", [frame(0), offers[0], frame(1), offers[1], RESET], 1)
    assert past.offer == offers[1]
    assert past_of(tmp_path / "cd34", [frame(0)], 1).offer is None


def test_after_a_reset_clocks_may_begin_anew(tmp_path):
    messages = [message for ns in (10, 11, 12) for message in (frame(ns), result(ns, 1))]
    late = [frame(13), RESET, result(13, 1), frame(1), frame(2), result(1, 2)]
    past = past_of(tmp_path / "ab12", [*messages, *late, frame(3)], map_epoch=2)
    assert unanswered_ns(past) == [2, 3]
