from pathlib import Path

import pytest

from mapcast_client.errors import InputError
from replay.intrinsics import Intrinsics

TOML = """
width_px = 640
height_px = 480
fx_px = 550
fy_px = 551.5
cx_px = 319.5
cy_px = 239.5
distortion = [0.1, -0.2, 0.001, 0.002]
"""
CAMERA_INFO = """
image_width: 640
image_height: 480
camera_name: webcam
camera_matrix: {rows: 3, cols: 3, data: [550, 0, 319.5, 0, 551.5, 239.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0.001, 0.002, 0]}
"""
EUROC = """
sensor_type: camera
resolution: [640, 480]
camera_model: pinhole
intrinsics: [550, 551.5, 319.5, 239.5]
distortion_coefficients: [0.1, -0.2, 0.001, 0.002]
"""
TERMS = (0.1, -0.2, 0.001, 0.002)


def test_numbers() -> None:
    assert Intrinsics.parse("550,551.5,319.5,239.5") == Intrinsics(550, 551.5, 319.5, 239.5)
    assert Intrinsics.parse("550,550,319.5,239.5,0.1,-0.2,0.001,0.002").distortion == TERMS


@pytest.mark.parametrize("text", ["550", "550,550,319.5,wide", "1,2,3,4,5", "", "camera.json"])
def test_other_text_says_what_is_wanted(text: str) -> None:
    with pytest.raises(InputError, match=r"must be fx,fy,cx,cy\[,k1,k2,p1,p2"):
        Intrinsics.parse(text)


@pytest.mark.parametrize(
    ("name", "content", "terms"),
    [
        ("camera.toml", TOML, TERMS),
        ("camera.yaml", CAMERA_INFO, (*TERMS, 0)),
        ("sensor.yml", EUROC, TERMS),
    ],
)
def test_files(tmp_path: Path, name: str, content: str, terms: tuple[float, ...]) -> None:
    (tmp_path / name).write_text(content)
    found = Intrinsics.parse(str(tmp_path / name))
    assert found == Intrinsics(550, 551.5, 319.5, 239.5, terms, (640, 480))


@pytest.mark.parametrize("model", ["plumb_bob", "radtan", "radial-tangential", "none", "''", "~"])
def test_names_of_brown_conrady_distortion(tmp_path: Path, model: str) -> None:
    (tmp_path / "a.yaml").write_text(f"{EUROC}distortion_model: {model}")
    assert Intrinsics.parse(str(tmp_path / "a.yaml")).distortion == TERMS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "fx_px = ", r"a\.toml: "),
        ("a.toml", "focal = 1", r"unknown \['focal'\]"),
        ("a.toml", "fx_px = 550", "needs fx, fy, cx, cy"),
        ("a.toml", TOML.replace("width_px = 640", ""), "size"),
        ("a.yaml", "intrinsics: [1, 2]", "needs fx, fy, cx, cy"),
        ("a.yaml", "camera: none", "neither ROS's camera_info"),
        ("a.yaml", "- just\n- a list", "neither ROS's camera_info"),
        ("a.yaml", "a: [", r"a\.yaml: "),
        (
            "fisheye.yaml",
            CAMERA_INFO.replace("plumb_bob", "equidistant"),
            r"fisheye\.yaml: distortion_model is equidistant, must be plumb_bob or radtan or",
        ),
        (
            "fisheye.yaml",
            EUROC + "distortion_model: equidistant",
            r"fisheye\.yaml: distortion_model is equidistant",
        ),
        ("a.yaml", EUROC.replace("pinhole", "omni"), r"a\.yaml: camera_model is omni, .* pinhole"),
        ("a.yaml", CAMERA_INFO.replace("640", "0"), r"a\.yaml: picture size is 0x480 px"),
        ("a.yaml", EUROC.replace("[550,", "[.nan,"), r"a\.yaml: camera fx_px is nan"),
        ("a.toml", TOML.replace("fx_px = 550", "fx_px = nan"), r"a\.toml: camera fx_px is nan"),
        ("a.toml", TOML.replace("0.001, ", ""), r"a\.toml: camera has 3 distortion terms"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        Intrinsics.parse(str(tmp_path / name))
    with pytest.raises(InputError, match="nowhere"):
        Intrinsics.parse(str(tmp_path / "nowhere" / name))


def test_a_calibration_fits_smaller_pictures_of_the_same_shape() -> None:
    camera = Intrinsics(600, 610, 319.5, 239.5, TERMS, (640, 480)).camera((1280, 960), (320, 240))
    assert (camera.width_px, camera.height_px) == (320, 240)
    assert (camera.fx_px, camera.fy_px) == (300, 305)
    assert (camera.cx_px, camera.cy_px) == (159.5, 119.5)
    assert camera.distortion == TERMS


def test_a_column_that_is_cut_off_is_no_scale() -> None:
    camera = Intrinsics(60, 60, 31, 23).camera((63, 47), (62, 46))
    assert (camera.fx_px, camera.cx_px, camera.cy_px) == (60, 31, 23)


def test_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="for 640x480 px, the recording has 1280x720 px"):
        Intrinsics(600, 600, 319.5, 239.5, (), (640, 480)).camera((1280, 720), (1280, 720))
