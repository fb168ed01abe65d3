"""A small sequence with given poses through a real server and its real sockets."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from clients.cli.connection import Server, reach
from clients.cli.main import first_expected
from clients.cli.overview import overview
from clients.cli.replay import replayed
from clients.cli.streaming import ImuBatches, SequenceStream, StreamOptions
from mapcast_client import connect, frame_message
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.mcap import write_mcap
from replay.opening import open_sequence
from replay.sequence import MONO_IMU, RGBD, Sensor
from replay.video import VideoSequence
from slam.camera import Calibration, Camera
from slam.trajectory import Trajectory
from stream.map_builder import UNSCALED_VOXEL

FRAMES = 6
NOWHERE = Server("127.0.0.1:1", "http://127.0.0.1:1")
OPTIONS = StreamOptions(poses="given", voxel_size_m=0.02)


class Wall:
    """A wall 1 m ahead, seen by a camera that moves along it."""

    name = "wall"
    sensor: Sensor = RGBD
    frame_rate_hz = 30.0
    calibration = Calibration(Camera(64, 48, 60, 60, 31.5, 23.5))

    def __init__(self, truth: bool = True, broken_at: int | None = None) -> None:
        instants = np.arange(FRAMES, dtype=np.int64) * 33_000_000
        poses = np.tile(np.eye(4), (FRAMES, 1, 1))
        poses[:, 0, 3] = 0.01 * np.arange(FRAMES)
        self.ground_truth = Trajectory(instants, poses) if truth else None
        self._broken_at = broken_at

    def __len__(self) -> int:
        return FRAMES

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        color = np.full((48, 64, 3), (200, 80, 40), np.uint8)
        depth = np.full((48, 64), 1000, np.uint16)
        for index in range(start, min(FRAMES, start + (limit or FRAMES))):
            if index == self._broken_at:
                raise InputError(f"frame {index} is broken")
            yield frame_message(index, index * 33_000_000, color, depth)


async def test_a_sequence_becomes_a_map_a_report_and_a_picture() -> None:
    async with reach(None, None) as server, replayed(server, Wall(), OPTIONS) as done:
        report, followed = done.report, done.streamed.followed
        assert (report.frames, report.tracked, report.dropped) == (FRAMES, FRAMES, 0)
        assert report.ate_live_rmse_m == pytest.approx(0, abs=1e-6)
        assert report.ate_final_rmse_m == pytest.approx(0, abs=1e-6)
        assert followed.is_exact
        assert report.map_hash == str(followed.map_hash)
        assert (report.blocks, report.triangles) == (followed.blocks, followed.triangles)
        assert report.triangles > 100
        assert report.delta_bytes > 0
        assert report.stage_ms["fuse"] > 0

        mesh = followed.mesh()
        assert mesh.vertices_world[:, 2] == pytest.approx(1.0, abs=0.002)
        assert np.abs(mesh.colors.astype(int) - (200, 80, 40)).max() <= 2
        session, path = done.streamed.session, done.streamed.trajectory
        picture = await overview(done.client, session, mesh, path)
        seen = (picture == (200, 80, 40)).all(axis=2)
        assert seen.mean() > 0.2


async def test_what_the_sequence_raises_comes_through() -> None:
    async with reach(None, None) as server, connect(server.grpc_address) as client:
        stream = SequenceStream(server, Wall(broken_at=2), OPTIONS)
        session = await stream.open(client)
        with pytest.raises(BaseExceptionGroup) as raised:
            await stream.run(client, session)
    assert str(first_expected(raised.value)) == "frame 2 is broken"


def test_poses_that_are_not_known_cannot_be_given() -> None:
    with pytest.raises(InputError, match="wall has no ground truth to give as poses"):
        SequenceStream(NOWHERE, Wall(truth=False), OPTIONS)


async def test_a_recording_with_poses_gives_them_itself(tmp_path: Path) -> None:
    write_mcap(Wall(), tmp_path / "wall.mcap")
    recording = open_sequence(tmp_path / "wall.mcap")
    assert recording.ground_truth is None
    async with reach(None, None) as server:
        async with replayed(server, Wall(), OPTIONS) as done:
            expected = done.report.map_hash
        async with replayed(server, recording, OPTIONS) as done:
            assert done.report.map_hash == expected


class Shaken(Wall):
    """The same with an IMU, and without depth."""

    sensor: Sensor = MONO_IMU

    def imu(self) -> Iterator[ingest_pb2.ImuBatch]:
        for millisecond in range(0, 200, 10):
            instant = ingest_pb2.ImuSample(capture_ns=millisecond * 1_000_000)
            yield ingest_pb2.ImuBatch(samples=[instant])


def test_given_poses_leave_nothing_to_refine() -> None:
    with pytest.raises(InputError, match="--free-intrinsics with --poses given"):
        StreamOptions(poses="given", free_intrinsics=True)


def test_depth_that_is_not_there_cannot_be_filtered() -> None:
    with pytest.raises(InputError, match="--filter-depth: wall comes without a sensor's depth"):
        SequenceStream(NOWHERE, Shaken(), StreamOptions(filter_depth=True))


async def test_filtered_depth_makes_another_map() -> None:
    async with reach(None, None) as server:
        async with replayed(server, Wall(), OPTIONS) as done:
            plain = done.report.map_hash
        async with replayed(server, Wall(), replace(OPTIONS, filter_depth=True)) as done:
            assert done.report.triangles > 0
            assert done.report.map_hash != plain


def test_imu_samples_go_before_the_frames_that_they_lead_up_to() -> None:
    imu = ImuBatches(Shaken())
    sent = [len(list(imu.until(frame.capture_ns))) for frame in Shaken().frames()]
    assert sent == [1, 3, 3, 3, 4, 3]
    assert list(ImuBatches(Wall()).until(1 << 60)) == []


def test_the_limit_counts() -> None:
    assert SequenceStream(NOWHERE, Wall(), StreamOptions(limit=4)).frame_count == 4
    assert SequenceStream(NOWHERE, Wall(), StreamOptions(limit=99)).frame_count == FRAMES
    assert SequenceStream(NOWHERE, Wall(), StreamOptions()).frame_count == FRAMES


async def test_a_monocular_replay_says_what_it_knows() -> None:
    room = open_sequence("rendered:frames=24", mono=True)
    async with reach(None, None) as server, replayed(server, room, OPTIONS) as done:
        report = done.report
    assert (report.sensor, report.frames, report.rejected) == ("mono", 24, 0)
    assert report.tracked == 24
    assert report.ate_final_rmse_m == pytest.approx(0, abs=1e-4)
    assert report.true_scale == pytest.approx(1, abs=1e-4)
    frame = report.map_frame
    assert (frame.units, frame.scale_source) == ("m", "given")
    assert (frame.width_px, frame.camera_guessed) == (640, False)
    assert frame.depth_source == "motion_stereo"


async def test_a_video_is_a_session_whose_camera_is_guessed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4")
    sequence = VideoSequence(path)
    async with reach(None, None) as server, replayed(server, sequence, StreamOptions()) as done:
        report, info = done.report, done.streamed.info
    assert info.voxel_size_m == UNSCALED_VOXEL
    assert (report.frames, report.rejected, report.tracked) == (5, 0, 0)
    frame = report.map_frame
    assert (frame.width_px, frame.height_px, frame.camera_guessed) == (128, 160, True)
    assert (frame.units, frame.scale_source) == ("unscaled", "none")


def write_video(path: Path) -> Path:
    """Five grey pictures of 160 × 128 px, to be shown upright."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        stream.set_display_rotation(-90)
        for _ in range(5):
            gray = np.full((128, 160, 3), 128, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, "rgb24")))
        container.mux(stream.encode(None))
    return path
