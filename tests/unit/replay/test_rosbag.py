from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from bags import (
    COLOR,
    DEPTH,
    HEIGHT_PX,
    INFO,
    INFRARED_DEPTH,
    START_NS,
    STEP_NS,
    WIDTH_PX,
    Bag,
    depth,
    picture,
)

from mapcast_client.errors import InputError
from replay.intrinsics import Intrinsics
from replay.opening import open_sequence
from replay.ros_messages import camera_of
from replay.rosbag import RosBagSequence, Topics
from slam.camera import Camera
from slam.images import decode_frame


def write_bag(folder: Path, version: int) -> Path:
    """Five frames; depth is 5 ms late, the second depth image is missing, other topics distract."""
    bag = Bag(folder, version)
    with bag.writer:
        bag.info(START_NS)
        for i in range(5):
            ns = START_NS + i * STEP_NS
            bag.image(COLOR, ns, picture(i), "bgr8")
            bag.image(INFRARED_DEPTH, ns, depth(100 + i), "16UC1")
            if i != 1:
                bag.image(DEPTH, ns + 5_000_000, depth(i), "16UC1")
    return bag.path


@pytest.mark.parametrize("version", [1, 2])
def test_frames_of_both_versions(tmp_path: Path, version: int) -> None:
    sequence = open_sequence(write_bag(tmp_path, version))
    assert isinstance(sequence, RosBagSequence)
    assert (len(sequence), sequence.sensor) == (4, "rgbd")
    calibration = sequence.calibration
    assert calibration is not None
    camera = calibration.camera
    assert (camera.width_px, camera.fx_px, camera.cy_px) == (WIDTH_PX, 50, 23.5)
    assert camera.distortion == (0.1, -0.2, 0, 0, 0.05)
    frames = [decode_frame(frame, calibration) for frame in sequence.frames()]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    for frame, i in zip(frames, (0, 2, 3, 4), strict=True):
        assert frame.capture_ns == START_NS + i * STEP_NS
        np.testing.assert_array_equal(frame.color, picture(i)[..., ::-1])
        np.testing.assert_array_equal(frame.depth, depth(i))
    assert [frame.index for frame in sequence.frames(limit=2, start=1)] == [1, 2]


def test_compressed_images(tmp_path: Path) -> None:
    bag = Bag(tmp_path, 1)
    jpeg = cv2.imencode(".jpg", picture(0))[1].tobytes()
    png = cv2.imencode(".png", depth(7))[1].tobytes()
    with bag.writer:
        bag.info(START_NS)
        bag.compressed("/camera/color/compressed", START_NS, jpeg, "bgr8; jpeg compressed bgr8")
        form = "16UC1; compressedDepth png"
        bag.compressed("/camera/depth/compressedDepth", START_NS, bytes(12) + png, form)
    sequence = RosBagSequence(bag.path)
    assert sequence.calibration is not None
    frame = next(iter(sequence.frames()))
    assert frame.color.data == jpeg
    np.testing.assert_array_equal(decode_frame(frame, sequence.calibration).depth, depth(7))


def test_the_camera_of_a_rectified_image_is_the_projection_without_distortion() -> None:
    matrix = [50, 0, 31.5, 0, 51, 23.5, 0, 0, 1]
    projection = [48, 0, 30.5, 0, 0, 49, 22.5, 0, 0, 0, 1, 0]
    lens = {"distortion_model": "equidistant", "k": matrix, "d": [0.1, 0.2, 0, 0]}
    info = SimpleNamespace(width=WIDTH_PX, height=HEIGHT_PX, p=projection, **lens)
    camera = camera_of(info, "bag", is_rectified=True)
    assert camera == Camera(WIDTH_PX, HEIGHT_PX, 48, 49, 30.5, 22.5)


def test_topics_can_be_chosen(tmp_path: Path) -> None:
    path = write_bag(tmp_path, 2)
    sequence = RosBagSequence(path, Topics(COLOR, INFRARED_DEPTH))
    assert len(sequence) == 5
    with pytest.raises(InputError, match=f"no images on /nothing; has {DEPTH}, {COLOR}"):
        RosBagSequence(path, Topics("/nothing"))


@pytest.mark.parametrize("intrinsics", [None, Intrinsics(50, 51, 31.5, 23.5)])
def test_a_topic_without_images_is_named(tmp_path: Path, intrinsics: Intrinsics | None) -> None:
    bag = Bag(tmp_path, 2)
    with bag.writer:
        bag.info(START_NS)
        kind = "sensor_msgs/msg/Image"
        bag.writer.add_connection("/camera/color/unused", kind, typestore=bag.types)
    topics = Topics("/camera/color/unused", depth=None)
    with pytest.raises(InputError, match="walk: no images on /camera/color/unused"):
        RosBagSequence(bag.path, topics, intrinsics)


def test_colour_alone_is_monocular(tmp_path: Path) -> None:
    bag = Bag(tmp_path, 2)
    with bag.writer:
        bag.image("/webcam/image", START_NS, picture(0), "rgb8")
    sequence = RosBagSequence(bag.path)
    assert (sequence.sensor, sequence.calibration, len(sequence)) == ("mono", None, 1)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(InputError, match=r"broken\.bag: cannot be read as a ROS bag"):
        open_sequence(tmp_path / "broken.bag")
    bag = Bag(tmp_path, 1)
    with bag.writer:
        bag.image(COLOR, START_NS, picture(0), "rgb8")
        bag.image(DEPTH, START_NS, depth(0), "16UC1")
    with pytest.raises(InputError, match=f"has depth and none of the topics {INFO}"):
        RosBagSequence(bag.path)


def test_a_lens_model_that_is_not_ours(tmp_path: Path) -> None:
    bag = Bag(tmp_path, 1)
    with bag.writer:
        bag.info(START_NS, "equidistant")
        bag.image(COLOR, START_NS, picture(0), "rgb8")
    with pytest.raises(InputError, match="distortion model 'equidistant'"):
        RosBagSequence(bag.path)
