import numpy as np
import pytest

from mapcast_client.errors import InputError
from slam.guessed import guess_camera


@pytest.mark.parametrize(("width_px", "height_px"), [(1280, 720), (720, 1280), (364, 674)])
def test_the_long_side_spans_a_typical_angle_about_the_centre(
    width_px: int, height_px: int
) -> None:
    camera = guess_camera(width_px, height_px)
    long_side_px = max(width_px, height_px)
    assert np.degrees(2 * np.arctan(long_side_px / 2 / camera.fx_px)) == pytest.approx(65)
    assert camera.fx_px == camera.fy_px
    assert (camera.cx_px, camera.cy_px) == ((width_px - 1) / 2, (height_px - 1) / 2)
    assert camera.distortion == ()


def test_no_size_is_no_camera() -> None:
    with pytest.raises(InputError, match="width_px is 0"):
        guess_camera(0, 480)
