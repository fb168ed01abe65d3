"""When checkpoints are written, and what is brought back of them."""

import time
from pathlib import Path

import numpy as np
import pytest

from fusion.map_versions import MapVersions
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.given import GivenPoseTracker
from slam.tracker import TrackingState
from stream.checkpoints import Checkpointer, newest_checkpoint
from stream.map_builder import MapBuilder
from stream.restore import LONG_AGO_NS, Restoring
from stream.worker_pb2 import Open

CAMERA = Camera(32, 24, 30.0, 30.0, 15.5, 11.5)
NO_FRAME = ingest_pb2.Frame(capture_ns=LONG_AGO_NS)


@pytest.fixture
def opening(tmp_path: Path) -> Open:
    settings = ingest_pb2.OpenSession(
        sensor=ingest_pb2.SENSOR_RGBD,
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
        calibration=Calibration(CAMERA).to_message(),
        fusion=ingest_pb2.FusionSettings(max_blocks=64),
    )
    return Open(
        settings=settings,
        epoch=3,
        map_epoch=3,
        checkpoint=str(tmp_path / "checkpoints"),
        recording=str(tmp_path / "recording"),
    )


def builder_of(opening: Open) -> MapBuilder:
    return MapBuilder(opening.settings, Path("no-vocabulary"))


def write(opening: Open, epoch: int) -> None:
    """Write a checkpoint of an empty map."""
    builder = builder_of(opening)
    assert builder.calibration is not None
    checkpointer = Checkpointer(opening)
    checkpointer.hurry()
    checkpointer.offer(builder.build(builder.calibration), NO_FRAME, epoch)
    checkpointer.close()


def test_a_map_that_was_replaced_is_written_though_no_frame_came(opening: Open) -> None:
    builder = builder_of(opening)
    assert builder.calibration is not None
    live_map = builder.build(builder.calibration)
    checkpointer = Checkpointer(opening)
    for epoch in (3, 4):
        checkpointer.hurry()
        end_s = time.monotonic() + 10
        while newest_checkpoint(Path(opening.checkpoint), epoch) is None:
            assert time.monotonic() < end_s
            checkpointer.offer(live_map, NO_FRAME, epoch)
    checkpointer.close()
    saved = newest_checkpoint(Path(opening.checkpoint), 4)
    assert saved is not None
    assert (saved.epoch, saved.newest_ns) == (4, LONG_AGO_NS)
    assert newest_checkpoint(Path(opening.checkpoint), 5) is None


def test_it_goes_on_without_the_map_that_it_loaded_once_a_checkpoint_holds_it(
    opening: Open, tmp_path: Path
) -> None:
    opening.saved_map, opening.restore = str(tmp_path / "gone"), True
    with pytest.raises(InputError, match="no saved map"):
        Restoring(opening, builder_of(opening), lambda _: None)
    write(opening, 3)
    assert MapVersions(Path(opening.checkpoint)).newest_folder is not None
    restored = Restoring(opening, builder_of(opening), lambda _: None).run()
    assert restored is not None
    assert restored.newest.capture_ns == LONG_AGO_NS


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_tracker_that_had_no_pose_yet_begins_anew(
    opening: Open, monkeypatch: pytest.MonkeyPatch, has_checkpoint: bool
) -> None:
    opening.restore = True
    if has_checkpoint:
        write(opening, 3)
    opening.settings.pose_source = ingest_pb2.POSE_SOURCE_TRACKED
    builder = builder_of(opening)
    monkeypatch.setattr(builder, "open_tracker", GivenPoseTracker)
    restored = Restoring(opening, builder, lambda _: None).run()
    assert restored is not None
    color, depth = np.zeros((24, 32, 3), np.uint8), np.ones((24, 32), np.uint16)
    frame = Frame(0, 0, color, depth, 0.001, world_from_camera=np.eye(4))
    assert restored.live_map.push(frame).tracked.state is TrackingState.TRACKING
