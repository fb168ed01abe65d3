from pathlib import Path

import numpy as np
import pytest

from fusion.volume import Volume, VolumeSettings
from mapcast_client.v1 import ingest_pb2
from replay.recording import RESET
from replay.recording_writer import RecordingWriter
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.images import decode_frame
from slam.recorded_images import recorded_frame
from stream.stored_frames import UNWRITTEN_VIEWS, RecordedFrames, RecordedViews

OPENING = ingest_pb2.OpenSession()
CALIBRATION = Calibration(Camera(32, 24, 30.0, 30.0, 16.0, 12.0), 0.0002, 65535)
SIZE = {"width_px": 32, "height_px": 24}


def message(capture_ns: int) -> ingest_pb2.Frame:
    rng = np.random.default_rng(capture_ns)
    color = rng.integers(0, 256, (24, 32, 3), np.uint8).tobytes()
    depth = rng.integers(0, 65536, (24, 32), np.uint16).astype("<u2").tobytes()
    return ingest_pb2.Frame(
        capture_ns=capture_ns,
        color=ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_RGB8, data=color, **SIZE),
        depth=ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_DEPTH_U16, data=depth, **SIZE),
    )


def decode(frame: ingest_pb2.Frame) -> Frame:
    return decode_frame(frame, CALIBRATION)


def view(capture_ns: int, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    return Frame(
        capture_ns=capture_ns,
        index=0,
        color=rng.integers(0, 256, (24, 32, 3), np.uint8),
        depth=rng.random((24, 32), np.float32),
        depth_scale_m=0.7,
        confidence=rng.integers(0, 9, (24, 32), np.uint8),
    )


def assert_same(found: Frame | None, expected: Frame) -> None:
    assert found is not None
    assert found.capture_ns == expected.capture_ns
    assert found.depth_scale_m == expected.depth_scale_m
    np.testing.assert_array_equal(found.color, expected.color)
    np.testing.assert_array_equal(found.depth, expected.depth)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


def test_recorded_frames_decode_as_they_were_fused(tmp_path: Path) -> None:
    store = RecordedFrames(tmp_path, decode)
    assert store.get(5) is None
    with RecordingWriter(tmp_path, OPENING) as writer:
        for capture_ns in (5, 6):
            writer.write(recorded_frame(message(capture_ns)))
            store.put(decode(message(capture_ns)))
            assert_same(store.get(capture_ns), decode(message(capture_ns)))
    assert_same(store.get(5), decode(message(5)))
    assert store.get(7) is None


def test_after_a_reset_an_instant_means_the_frame_that_came_since(tmp_path: Path) -> None:
    store = RecordedFrames(tmp_path, decode)
    again = message(7)
    again.capture_ns = 5
    with RecordingWriter(tmp_path, OPENING) as writer:
        for recorded in (message(5), message(6)):
            writer.write(recorded_frame(recorded))
            store.arrived(recorded)
        assert_same(store.get(6), decode(message(6)))
        writer.write(RESET)
        writer.write(recorded_frame(again))
        store.arrived(again)
        assert_same(store.get(5), decode(again))
    assert store.get(6) is None


def test_what_was_fused_can_be_taken_out_again_to_the_last_bit(tmp_path: Path) -> None:
    volume = Volume(VolumeSettings(voxel_size_m=0.1, max_blocks=8192), CALIBRATION.camera)
    store = RecordedFrames(tmp_path, decode)
    with RecordingWriter(tmp_path, OPENING) as writer:
        for capture_ns in (5, 6):
            writer.write(recorded_frame(message(capture_ns)))
            volume.integrate(decode(message(capture_ns)), np.eye(4))
    assert volume.voxel_words().any()
    for capture_ns in (5, 6):
        stored = store.get(capture_ns)
        assert stored is not None
        volume.remove(stored, np.eye(4))
    assert not volume.voxel_words().any()


def test_a_recorded_frame_that_cannot_be_decoded_is_not_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = message(5)
    broken.depth.data = b"no depth"
    with RecordingWriter(tmp_path, OPENING) as writer:
        writer.write(broken)
    assert RecordedFrames(tmp_path, decode).get(5) is None
    assert "depth image" in caplog.text


def test_views_are_there_before_and_after_they_are_written(tmp_path: Path) -> None:
    sent: list[ingest_pb2.FusedView] = []
    store = RecordedViews(tmp_path, sent.append)
    with RecordingWriter(tmp_path, OPENING) as writer:
        for capture_ns in range(4 * UNWRITTEN_VIEWS):
            store.put(view(capture_ns, seed=capture_ns))
            assert_same(store.get(capture_ns), view(capture_ns, seed=capture_ns))
            writer.write(sent[-1])
    for capture_ns in (0, 77, 4 * UNWRITTEN_VIEWS - 1):
        assert_same(store.get(capture_ns), view(capture_ns, seed=capture_ns))


def test_a_view_at_another_scale_takes_the_place_of_the_first(tmp_path: Path) -> None:
    sent: list[ingest_pb2.FusedView] = []
    store = RecordedViews(tmp_path, sent.append)
    with RecordingWriter(tmp_path, OPENING) as writer:
        for seed in (1, 2):
            for capture_ns in (5, 6):
                store.put(view(capture_ns, seed))
                assert_same(store.get(capture_ns), view(capture_ns, seed))
                writer.write(sent[-1])
    assert_same(store.get(5), view(5, 2))
    assert_same(RecordedViews(tmp_path, sent.append).get(6), view(6, 2))


def test_what_a_worker_before_had_recorded_is_not_sent_again(tmp_path: Path) -> None:
    sent: list[ingest_pb2.FusedView] = []
    RecordedViews(tmp_path, sent.append).put(view(5))
    with RecordingWriter(tmp_path, OPENING) as writer:
        writer.write(sent.pop())
    successor = RecordedViews(tmp_path, sent.append)
    successor.put(view(5))
    assert sent == []
    assert_same(successor.get(5), view(5))


def test_a_recording_that_takes_nothing_costs_no_memory(tmp_path: Path) -> None:
    store = RecordedViews(tmp_path, lambda _: None)
    for capture_ns in range(3 * UNWRITTEN_VIEWS):
        store.put(view(capture_ns))
    stored = [n for n in range(3 * UNWRITTEN_VIEWS) if store.get(n) is not None]
    assert len(stored) == UNWRITTEN_VIEWS


def test_what_never_got_recorded_is_not_taken_for_what_was_before(tmp_path: Path) -> None:
    sent: list[ingest_pb2.FusedView] = []
    store = RecordedViews(tmp_path, sent.append)
    instants = range(UNWRITTEN_VIEWS + 1)
    with RecordingWriter(tmp_path, OPENING) as writer:
        for capture_ns in instants:
            store.put(view(capture_ns, seed=1))
            writer.write(sent.pop())
        for capture_ns in instants:  # at another scale, when the recording has ended
            store.put(view(capture_ns, seed=2))
        assert store.get(0) is None
        assert_same(store.get(1), view(1, seed=2))
        writer.write(sent[0])  # no: it was only slow
        store.put(view(1, seed=2))
        assert_same(store.get(0), view(0, seed=2))
