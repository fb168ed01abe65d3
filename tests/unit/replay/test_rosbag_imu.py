import logging
from pathlib import Path

import numpy as np
import pytest
from bags import (
    CAMERA_FRAME,
    COLOR,
    DEPTH,
    IMU,
    IMU_FRAME,
    START_NS,
    STEP_NS,
    Bag,
    depth,
    picture,
)
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from clients.cli.main import app
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.imu_yaml import GUESSED_NOISE
from replay.intrinsics import Intrinsics
from replay.mcap import McapSequence
from replay.opening import open_sequence
from replay.rosbag import RosBagSequence, Topics
from replay.sequence import MONO, MONO_IMU, RGBD, Sequence, has_imu
from slam.geometry import inverse, rigid

IMU_STEP_NS = 5_000_000
FRAMES, SAMPLES = 4, 24
LINK_FROM_CAMERA = rigid(
    Rotation.from_euler("xyz", [-90, 0, -90], degrees=True).as_matrix(), np.array([0, 0.015, 0])
)
BASE_FROM_LINK = rigid(Rotation.from_euler("y", 20, degrees=True).as_matrix(), np.array([1, 2, 3]))
BASE_FROM_IMU = rigid(Rotation.from_euler("z", 3, degrees=True).as_matrix(), np.array([1, 2, 2.9]))
CAMERA_FROM_IMU = inverse(BASE_FROM_LINK @ LINK_FROM_CAMERA) @ BASE_FROM_IMU
NOISE = """
gyroscope_noise_density: 4e-4
accelerometer_noise_density: 0.006
gyroscope_random_walk: 4.0e-06
accelerometer_random_walk: 0.0002
update_rate: 200
"""
KALIBR = """
cam0:
  T_cam_imu:
  - [0, -1, 0, 0.1]
  - [0, 0, -1, 0.2]
  - [1, 0, 0, 0.3]
  - [0, 0, 0, 1]
  timeshift_cam_imu: 0.002
"""
KALIBR_CAMERA_FROM_IMU = [[0, -1, 0, 0.1], [0, 0, -1, 0.2], [1, 0, 0, 0.3], [0, 0, 0, 1]]


def sample(number: int, capture_ns: int | None = None) -> ingest_pb2.ImuSample:
    """What sample `number` reads as: each axis is another number, to the bit."""
    ns = START_NS + number * IMU_STEP_NS if capture_ns is None else capture_ns
    turn, force = turn_and_force(number)
    axes = dict(zip(("gx", "gy", "gz", "ax", "ay", "az"), (*turn, *force), strict=True))
    return ingest_pb2.ImuSample(capture_ns=ns, **axes)


def turn_and_force(number: int) -> tuple[list[float], list[float]]:
    return [0.1 + number, 0.2, -0.3], [0.5, -0.25, 9.8 + number / 100]


def write_frames(bag: Bag, with_depth: bool = False, with_info: bool = True) -> None:
    if with_info:
        bag.info(START_NS)
    for i in range(FRAMES):
        bag.image(COLOR, START_NS + i * STEP_NS, picture(i), "rgb8")
        if with_depth:
            bag.image(DEPTH, START_NS + i * STEP_NS, depth(i), "16UC1")


def write_samples(bag: Bag, numbers: range = range(SAMPLES), topic: str = IMU) -> None:
    for number in numbers:
        bag.imu(START_NS + number * IMU_STEP_NS, *turn_and_force(number), topic=topic)


def write_statics(bag: Bag) -> None:
    """Camera and IMU hang on a common base, by two steps and by one."""
    bag.static("camera_link", CAMERA_FRAME, LINK_FROM_CAMERA)
    bag.static("base", "camera_link", BASE_FROM_LINK)
    bag.static("base", IMU_FRAME, BASE_FROM_IMU)


def inertial_bag(folder: Path, version: int = 2, with_depth: bool = False) -> Path:
    bag = Bag(folder, version)
    with bag.writer:
        write_statics(bag)
        write_frames(bag, with_depth)
        write_samples(bag)
    return bag.path


def samples_of(sequence: Sequence) -> list[ingest_pb2.ImuSample]:
    assert has_imu(sequence)
    return [sample for batch in sequence.imu() for sample in batch.samples]


@pytest.mark.parametrize("version", [1, 2])
def test_samples_of_both_versions(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    sequence = open_sequence(inertial_bag(tmp_path, version))
    assert (sequence.sensor, len(sequence)) == (MONO_IMU, FRAMES)
    assert samples_of(sequence) == [sample(number) for number in range(SAMPLES)]
    assert sequence.calibration is not None
    imu = sequence.calibration.imu
    assert imu is not None
    np.testing.assert_allclose(imu.camera_from_imu, CAMERA_FROM_IMU, atol=1e-12)
    assert imu.rate_hz == pytest.approx(200)
    assert imu.gyroscope_noise == GUESSED_NOISE.gyroscope
    assert "how noisy the IMU is was guessed" in caplog.text


@pytest.mark.parametrize("version", [1, 2])
def test_samples_come_in_the_order_of_time_and_each_instant_once(
    tmp_path: Path, version: int
) -> None:
    bag = Bag(tmp_path, version)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        for arrival, number in enumerate([1, 0, 2, 5, 3, 3, 4, 1, 6, 7]):
            turn, force = turn_and_force(number)
            message = bag.imu_message(START_NS + number * IMU_STEP_NS, turn, force)
            bag.write(IMU, START_NS + arrival, message)
    assert samples_of(open_sequence(bag.path)) == [sample(number) for number in range(8)]


def test_a_batch_is_no_longer_than_a_frame_takes(tmp_path: Path) -> None:
    bag = Bag(tmp_path, 2)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        write_samples(bag, range(3_000))
    sequence = open_sequence(bag.path)
    assert has_imu(sequence)
    sizes = [len(batch.samples) for batch in sequence.imu()]
    assert sum(sizes) == 3_000
    assert max(sizes) * IMU_STEP_NS <= 50_000_000


@pytest.mark.parametrize("version", [1, 2])
def test_a_calibration_beside_the_bag_comes_before_what_is_in_it(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = inertial_bag(tmp_path, version)
    (tmp_path / "imu.yaml").write_text("broken: [")
    (tmp_path / "walk.imu.yaml").write_text(NOISE + KALIBR)
    sequence = open_sequence(path)
    assert sequence.calibration is not None
    imu = sequence.calibration.imu
    assert imu is not None
    np.testing.assert_allclose(imu.camera_from_imu, KALIBR_CAMERA_FROM_IMU)
    noise = (imu.gyroscope_noise, imu.accelerometer_noise)
    walk = (imu.gyroscope_walk, imu.accelerometer_walk)
    assert (noise, walk) == ((4e-4, 0.006), (4e-6, 2e-4))
    late_ns = 2_000_000  # t_imu = t_camera + shift
    instants = [sample.capture_ns + late_ns for sample in samples_of(sequence)]
    assert instants == [START_NS + number * IMU_STEP_NS for number in range(SAMPLES)]
    assert not caplog.records


def test_noise_from_the_file_and_place_from_the_bag(tmp_path: Path) -> None:
    path = inertial_bag(tmp_path)
    (path / "imu.yaml").write_text(NOISE)
    sequence = open_sequence(path)
    assert sequence.calibration is not None
    imu = sequence.calibration.imu
    assert imu is not None
    assert imu.accelerometer_noise == 0.006
    np.testing.assert_allclose(imu.camera_from_imu, CAMERA_FROM_IMU, atol=1e-12)


def test_a_bag_without_camera_info_takes_its_camera_from_outside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bag = Bag(tmp_path, 1)
    with bag.writer:
        write_frames(bag, with_info=False)
        write_samples(bag)
    (tmp_path / "imu.yaml").write_text(NOISE + KALIBR)
    sequence = open_sequence(bag.path)
    assert (sequence.sensor, sequence.calibration) == (MONO, None)
    assert f"{IMU} was not read: an IMU needs a known camera" in caplog.text
    with pytest.raises(InputError, match=f"no camera_info, and none was given; {IMU} was asked"):
        RosBagSequence(bag.path, Topics(imu=IMU))
    sequence = open_sequence(bag.path, intrinsics=Intrinsics(50, 51, 31.5, 23.5))
    assert sequence.sensor == MONO_IMU
    assert sequence.calibration is not None
    camera = sequence.calibration.camera
    assert (camera.width_px, camera.height_px, camera.fy_px) == (64, 48, 51)


def test_depth_and_an_imu_are_not_read_together(tmp_path: Path) -> None:
    path = inertial_bag(tmp_path, with_depth=True)
    sequence = open_sequence(path)
    assert sequence.sensor == RGBD
    assert sequence.calibration is not None
    assert sequence.calibration.imu is None
    with pytest.raises(InputError, match=f"--mono leaves out the depth; {IMU} was asked for"):
        RosBagSequence(path, Topics(imu=IMU))
    with pytest.raises(InputError, match="brings its own calibration; depth can be left out"):
        open_sequence(path, intrinsics=Intrinsics(50, 51, 31.5, 23.5))
    colour = open_sequence(path, mono=True)
    assert samples_of(colour) == [sample(number) for number in range(SAMPLES)]
    assert not any(frame.HasField("depth") for frame in colour.frames())


def test_what_is_converted_keeps_its_imu(tmp_path: Path) -> None:
    path = inertial_bag(tmp_path, with_depth=True)
    arguments = ["convert", str(path), "--mono"]
    for name, options in {"found": [], "named": ["--imu-topic", IMU]}.items():
        target = tmp_path / f"{name}.mcap"
        outcome = CliRunner().invoke(app, [*arguments, str(target), *options])
        assert outcome.exit_code == 0, outcome.output
        copy, original = McapSequence(target), open_sequence(path, mono=True)
        assert copy.sensor == MONO_IMU
        assert copy.calibration is not None
        assert original.calibration is not None
        assert copy.calibration.to_message() == original.calibration.to_message()
        # Batches that begin after the last frame lead to none.
        copied = samples_of(copy)
        assert copied == samples_of(original)[: len(copied)]
        assert copied[-1].capture_ns > START_NS + (FRAMES - 1) * STEP_NS - IMU_STEP_NS


@pytest.mark.parametrize(
    ("options", "sensor"),
    [
        (["--imu-topic", "none", "--mono"], MONO),
        (["--color-topic", COLOR], RGBD),
        (["--color-topic", COLOR, "--mono"], MONO_IMU),
    ],
)
def test_topics_are_chosen_on_the_command_line(
    tmp_path: Path, options: list[str], sensor: str
) -> None:
    path = inertial_bag(tmp_path, 1, with_depth=True)
    target = tmp_path / "walk.mcap"
    outcome = CliRunner().invoke(app, ["convert", str(path), str(target), *options])
    assert outcome.exit_code == 0, outcome.output
    assert McapSequence(target).sensor == sensor


def test_of_several_one_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bag = Bag(tmp_path, 2)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        write_samples(bag)
        write_samples(bag, range(4, 12), topic="/base/imu")
    sequence = open_sequence(bag.path)
    assert (sequence.sensor, len(sequence)) == (MONO, FRAMES)
    assert f"has several IMUs, /base/imu, {IMU}; name one with --imu-topic" in caplog.text
    assert "read without its IMU" in caplog.text
    named = RosBagSequence(bag.path, Topics(imu="/base/imu"))
    assert samples_of(named) == [sample(number) for number in range(4, 12)]
    with pytest.raises(InputError, match=f"no IMU samples on {COLOR}; has /base/imu, {IMU}"):
        RosBagSequence(bag.path, Topics(imu=COLOR))
    (tmp_path / "imu.yaml").write_text(NOISE)
    with pytest.raises(InputError, match="has several IMUs"):
        open_sequence(bag.path)
    (tmp_path / "imu.yaml").write_text(NOISE + "rostopic: /base/imu")
    assert samples_of(open_sequence(bag.path)) == samples_of(named)


@pytest.mark.parametrize("declared", [True, False])
def test_one_that_measures_half_is_not_taken_for_an_imu(tmp_path: Path, declared: bool) -> None:
    bag = Bag(tmp_path, 2)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        for i in range(SAMPLES):
            ns = START_NS + i * IMU_STEP_NS
            unmeasured = ("turn", "force") if declared else ("", "")
            bag.imu(ns, (0, 0, 0), (0, 0, 9.8), "/accel/sample", unmeasured[0])
            bag.imu(ns, (0.1, 0, 0), (0, 0, 0), "/gyro/sample", unmeasured[1])
    assert open_sequence(bag.path).sensor == MONO
    (tmp_path / "imu.yaml").write_text(NOISE)
    with pytest.raises(InputError, match="both angular velocity and acceleration; has /accel/samp"):
        open_sequence(bag.path)
    with pytest.raises(InputError, match="/gyro/sample: the first 24 samples do not have both"):
        RosBagSequence(bag.path, Topics(imu="/gyro/sample"))


def bag_of_samples(folder: Path, *, start_ns: int = START_NS, force_z: float = 9.8) -> Path:
    bag = Bag(folder, 2)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        for i in range(SAMPLES):
            bag.imu(start_ns + i * IMU_STEP_NS, force=(0.0, 0.0, force_z))
    return bag.path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"force_z": 1.0},
            r"acceleration is 1 in the median .* must be 5 to 20: m/s² with gravity",
        ),
        ({"force_z": 0.01}, "acceleration is 0.01 in the median"),
        ({"start_ns": 5_000_000_000}, "not at the same time"),
    ],
)
def test_samples_that_cannot_be_right(
    tmp_path: Path, change: dict[str, float], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = bag_of_samples(tmp_path, **change)
    assert open_sequence(path).sensor == MONO
    assert f"{path}: {IMU}" in caplog.text
    with pytest.raises(InputError, match=reason):
        RosBagSequence(path, Topics(imu=IMU))


def test_a_sample_that_is_not_finite_is_named(tmp_path: Path) -> None:
    bag = Bag(tmp_path, 2)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        write_samples(bag, range(3))
        bag.imu(START_NS + 3 * IMU_STEP_NS, (0.0, float("nan"), 0.0))
    with pytest.raises(InputError, match=f"{IMU}: the sample of {START_NS + 15_000_000} ns is not"):
        samples_of(open_sequence(bag.path))


def test_one_sample_has_no_rate(tmp_path: Path) -> None:
    bag = Bag(tmp_path, 1)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        write_samples(bag, range(1))
    with pytest.raises(InputError, match=f"{IMU} has 1 instants, must have 2"):
        RosBagSequence(bag.path, Topics(imu=IMU))


@pytest.mark.parametrize("frame_id", ["elsewhere", "", CAMERA_FRAME])
@pytest.mark.parametrize("version", [1, 2])
def test_an_imu_that_lies_nobody_knows_where(
    tmp_path: Path, version: int, frame_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    bag = Bag(tmp_path, version)
    with bag.writer:
        write_statics(bag)
        write_frames(bag)
        for number in range(SAMPLES):
            bag.imu(START_NS + number * IMU_STEP_NS, frame_id=frame_id)
    sequence = open_sequence(bag.path)
    assert (sequence.sensor, len(list(sequence.frames()))) == (MONO, FRAMES)
    reason = f"how the IMU of {IMU} (frame '{frame_id}') lies against the camera"
    assert reason in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    with pytest.raises(InputError, match=r"neither /tf_static nor T_cam_imu in imu\.yaml"):
        RosBagSequence(bag.path, Topics(imu=IMU))
    (tmp_path / "imu.yaml").write_text(NOISE)
    with pytest.raises(InputError, match=r"neither /tf_static nor T_cam_imu in imu\.yaml"):
        open_sequence(bag.path)
    (tmp_path / "imu.yaml").write_text(NOISE + KALIBR)
    assert open_sequence(bag.path).sensor == MONO_IMU


def test_a_bag_without_one_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bag = Bag(tmp_path, 2)
    with bag.writer:
        write_frames(bag)
    (tmp_path / "imu.yaml").write_text(NOISE)
    sequence = open_sequence(bag.path)
    assert sequence.sensor == MONO
    assert not caplog.records
    with pytest.raises(InputError, match="has no IMU samples on /imu; has none"):
        RosBagSequence(bag.path, Topics(imu="/imu"))
