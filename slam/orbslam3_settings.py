"""ORB-SLAM3's settings file, written from our calibration."""

from mapcast_client.errors import InputError
from slam.camera import Camera, ImuCalibration
from slam.geometry import inverse

FEATURES_MIN, FEATURES_MAX = 600, 10_000
"""ORB-SLAM3 begins a map only with more than 500 features in an image."""

_PYRAMID_LEVELS = 8
_PYRAMID_FACTOR = 1.2
_IMAGE_BORDER_PX = 16
_BASELINE_M = 0.075
_CLOSE_BASELINES = 40.0
"""Points nearer than 40 baselines, 3 m, are taken from depth alone; farther ones triangulate."""

_VIEWER = """\
Viewer.KeyFrameSize: 0.05
Viewer.KeyFrameLineWidth: 1.0
Viewer.GraphLineWidth: 0.9
Viewer.PointSize: 2.0
Viewer.CameraSize: 0.08
Viewer.CameraLineWidth: 3.0
Viewer.ViewpointX: 0.0
Viewer.ViewpointY: -0.7
Viewer.ViewpointZ: -1.8
Viewer.ViewpointF: 500.0
"""


def settings_yaml(
    camera: Camera, frame_rate_hz: float, features: int, imu: ImuCalibration | None = None
) -> str:
    """The settings of tracking in gray images of a camera, with depth in metres or an IMU or none.

    ORB-SLAM3 ends the process over a missing entry, or an integer where it wants a real number:
    so every entry is written, and reals with their decimals. Raises InputError where its
    feature extractor would crash.
    """
    if not FEATURES_MIN <= features <= FEATURES_MAX:
        raise InputError(f"features is {features}, must be {FEATURES_MIN} to {FEATURES_MAX}")
    _require_extractable(camera)
    k1, k2, p1, p2, *k3 = camera.distortion or (0.0, 0.0, 0.0, 0.0)
    reals = {
        "Camera1.fx": camera.fx_px,
        "Camera1.fy": camera.fy_px,
        "Camera1.cx": camera.cx_px,
        "Camera1.cy": camera.cy_px,
        "Camera1.k1": k1,
        "Camera1.k2": k2,
        "Camera1.p1": p1,
        "Camera1.p2": p2,
        **({"Camera1.k3": k3[0]} if k3 else {}),
        "Stereo.ThDepth": _CLOSE_BASELINES,
        "Stereo.b": _BASELINE_M,
        "RGBD.DepthMapFactor": 1.0,
        "ORBextractor.scaleFactor": _PYRAMID_FACTOR,
    }
    integers = {
        "Camera.width": camera.width_px,
        "Camera.height": camera.height_px,
        "Camera.fps": max(1, round(frame_rate_hz)),
        "Camera.RGB": 1,
        "ORBextractor.nFeatures": features,
        "ORBextractor.nLevels": _PYRAMID_LEVELS,
        "ORBextractor.iniThFAST": 20,
        "ORBextractor.minThFAST": 7,
    }
    return "".join(
        [
            '%YAML:1.0\nFile.version: "1.0"\nCamera.type: "PinHole"\n',
            *(f"{name}: {value:.12f}\n" for name, value in reals.items()),
            *(f"{name}: {value}\n" for name, value in integers.items()),
            _VIEWER,
            _imu_yaml(imu) if imu is not None else "",
        ]
    )


def _imu_yaml(imu: ImuCalibration) -> str:
    reals = {
        "IMU.Frequency": imu.rate_hz,
        "IMU.NoiseGyro": imu.gyroscope_noise,
        "IMU.NoiseAcc": imu.accelerometer_noise,
        "IMU.GyroWalk": imu.gyroscope_walk,
        "IMU.AccWalk": imu.accelerometer_walk,
    }
    imu_from_camera = ", ".join(f"{x:.12f}" for x in inverse(imu.camera_from_imu).ravel())
    return "".join(
        [
            *(f"{name}: {value:.12f}\n" for name, value in reals.items()),
            "IMU.T_b_c1: !!opencv-matrix\n  rows: 4\n  cols: 4\n  dt: f\n",
            f"  data: [{imu_from_camera}]\n",
        ]
    )


def _require_extractable(camera: Camera) -> None:
    """Refuse the image sizes that crash ORB-SLAM3's feature extractor.

    It splits each pyramid level, less a border, into round(width / height) columns to begin
    with: zero of them (tall images) or a level within the border end in a segmentation fault.
    """
    scale = _PYRAMID_FACTOR ** (_PYRAMID_LEVELS - 1)
    width_px = round(camera.width_px / scale) - 2 * _IMAGE_BORDER_PX
    height_px = round(camera.height_px / scale) - 2 * _IMAGE_BORDER_PX
    if min(width_px, height_px) < 1:
        least_px = round((2 * _IMAGE_BORDER_PX + 1) * scale)
        raise InputError(
            f"camera is {camera.width_px}x{camera.height_px} px, "
            f"ORB-SLAM3 needs at least {least_px} px on both sides"
        )
    if 2 * width_px < height_px:
        raise InputError(
            f"camera is {camera.width_px}x{camera.height_px} px, too tall for ORB-SLAM3"
        )
