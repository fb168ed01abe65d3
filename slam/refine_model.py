"""COLMAP's model of some keyframes: triangulated points, bundle adjustment, covariances.

Depth enters as what a second, virtual camera on the same rig would see. It stands far to the side
and has a short focal length: f ε and b / ε instead of f and b. A point at (x, y, z) is then seen
f b / z pixels further left than at infinity, as by a stereo pair of baseline b, but where in the
picture that is hardly counts. So a residual is (almost) one of inverse depth alone, in the pixels
of a sensor that measures disparity, whose errors are of the same size at any depth (Khoshelham and
Elberink 2012). This holds the metric scale, and leaves the focal length free where it is to be.
"""

from collections.abc import Mapping

import numpy as np
import pycolmap
from numpy.typing import NDArray

from slam.camera import Camera
from slam.geometry import Mat4, inverse
from slam.refine_camera import refocused
from slam.refine_features import Features
from slam.refine_gate import spread
from slam.refine_matching import Matches

_BASELINE_M = 0.02
"""A quarter of a Kinect's own: depths hold the scale, and do not argue with the pixels where the
sensor is a little out of calibration with the camera."""
_SHORTER = 0.001
"""ε: the virtual camera's focal length over the real one's."""
_REAL, _VIRTUAL = 1, 2
"""Ids of the cameras; the images of keyframe i are 2 i + 1 and 2 i + 2, its frame is i + 1."""
_MIN_ANGLE_DEG = 1.0
_MAX_ERROR_PX = 3.0
_MAX_DEPTH_ERROR = 0.06
"""Over the depth: more, and a feature's depth is another surface's."""
_LOSS_PX = 1.0
_MAX_ITERATIONS = 30
_INFLATION = 2.0
"""Errors are correlated: what bundle adjustment says of its own precision is too good."""

Pair = tuple[int, int]


def colmap_camera(camera: Camera, camera_id: int = _REAL) -> pycolmap.Camera:
    """COLMAP's pinhole camera; the centre of its first pixel is (0.5, 0.5)."""
    return pycolmap.Camera(
        model="PINHOLE",
        width=camera.width_px,
        height=camera.height_px,
        params=[camera.fx_px, camera.fy_px, camera.cx_px + 0.5, camera.cy_px + 0.5],
        camera_id=camera_id,
    )


class Model:
    """Keyframes as COLMAP sees them: triangulated at their poses, then adjusted."""

    def __init__(
        self,
        camera: Camera,
        features: Mapping[int, Features],
        world_from_keyframe: Mapping[int, Mat4],
        matches: Mapping[Pair, Matches],
    ) -> None:
        """Put keyframes (those in `features`) at their poses and triangulate what they share."""
        self._camera = camera
        self._features = features
        self._keys = sorted(features)
        self._index = {key: i for i, key in enumerate(self._keys)}
        self._poses_before = {key: world_from_keyframe[key] for key in self._keys}
        self._model = pycolmap.Reconstruction()
        self._add_cameras()
        graph = pycolmap.CorrespondenceGraph()
        for key in self._keys:
            self._add_keyframe(key, graph)
        for (first, second), inliers in matches.items():
            if first in self._index and second in self._index:
                geometry = pycolmap.TwoViewGeometry()
                geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
                geometry.inlier_matches = inliers
                graph.add_two_view_geometry(self._real(first), self._real(second), geometry)
        graph.finalize()
        self._triangulate(graph)
        self._point_ids = list(self._model.points3D)
        self._observations = self._read_observations()
        self._read_points()
        self.has_depth = self._add_depths()

    @property
    def observation_count(self) -> int:
        """How often a point is seen."""
        return len(self._observations)

    @property
    def camera(self) -> Camera:
        """The given one with the focal lengths as they are estimated."""
        fx_px, fy_px, *_ = self._model.cameras[_REAL].params.tolist()
        return refocused(self._camera, fx_px, fy_px)

    def world_from_keyframe(self) -> dict[int, Mat4]:
        """The poses as they stand; a monocular model spreads as it did when it began."""
        poses = {}
        for key in self._keys:
            poses[key] = np.eye(4)
            real = self._model.images[self._real(key)]
            poses[key][:3] = real.cam_from_world().inverse().matrix()
        scale = 1.0 if self.has_depth else spread(self._poses_before) / max(spread(poses), 1e-9)
        origin = poses[self._keys[0]][:3, 3].copy()
        for pose in poses.values():
            pose[:3, 3] = origin + scale * (pose[:3, 3] - origin)
        return poses

    def residuals_px(self) -> NDArray[np.float64]:
        """(N, 2) of all observations, without those of depth."""
        residuals = np.empty((len(self._observations), 2))
        for i, key in enumerate(self._keys):
            rows = np.flatnonzero(self._observations[:, 0] == i)
            seen = self._features[key].points_px[self._observations[rows, 1]]
            image = self._model.images[self._real(key)]
            in_camera = image.cam_from_world() * self._points[self._observations[rows, 2]]
            residuals[rows] = self._model.cameras[_REAL].img_from_cam(in_camera) - seen
        return residuals

    def depth_error(self) -> float:
        """Median of the points' depths over the sensor's, minus 1; 0 without a sensor."""
        found = [self._sensed(i, key) for i, key in enumerate(self._keys)]
        ratios = np.concatenate([depths / sensed_m for _, sensed_m, depths in found])
        return float(np.median(ratios)) - 1 if len(ratios) else 0.0

    def depths(self, key: int) -> NDArray[np.float64]:
        """(N,) along +Z of a keyframe's features as triangulated; 0: not known."""
        rows = self._observations[self._observations[:, 0] == self._index[key]]
        depths = np.zeros(len(self._features[key].points_px))
        depths[rows[:, 1]] = np.maximum(self._depths(key, rows[:, 2]), 0)
        return depths

    def scene_depth(self) -> float:
        """Median depth of the points, in the world's unit."""
        depths = [
            self._depths(key, self._observations[self._observations[:, 0] == i, 2])
            for i, key in enumerate(self._keys)
        ]
        return float(np.median(np.concatenate(depths)))

    def shared(self) -> dict[Pair, int]:
        """How many points two keyframes both see, of those that see any."""
        is_seen = np.zeros((len(self._keys), len(self._points)))
        is_seen[self._observations[:, 0], self._observations[:, 2]] = 1
        common = (is_seen @ is_seen.T).astype(int)
        return {
            (first, second): int(common[i, j])
            for i, first in enumerate(self._keys)
            for j, second in enumerate(self._keys)
            if i < j and common[i, j]
        }

    def adjust(self, free_intrinsics: bool) -> None:
        """Bundle adjustment: the first keyframe stays, depth holds the scale.

        May be called again, to go on from there.
        """
        options = pycolmap.BundleAdjustmentOptions(
            refine_focal_length=free_intrinsics,
            refine_principal_point=False,
            refine_extra_params=False,
            refine_sensor_from_rig=False,
            print_summary=False,
        )
        options.ceres.loss_function_type = pycolmap.LossFunctionType.SOFT_L1
        options.ceres.loss_function_scale = _LOSS_PX
        options.ceres.solver_options.num_threads = 1
        options.ceres.solver_options.max_num_iterations = _MAX_ITERATIONS
        options.ceres.solver_options.function_tolerance = 1e-5
        config = pycolmap.BundleAdjustmentConfig()
        for key in self._keys:
            config.add_image(self._real(key))
            if self.has_depth:
                config.add_image(self._real(key) + 1)
        config.set_constant_cam_intrinsics(_VIRTUAL)
        if not free_intrinsics:
            config.set_constant_cam_intrinsics(_REAL)
        if self.has_depth:
            config.set_constant_rig_from_world_pose(1)
        else:
            config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        pycolmap.create_default_bundle_adjuster(options, config, self._model).solve()
        self._read_points()

    def precision(self, first: int, second: int) -> tuple[float, float]:
        """Standard deviations (radians, world units) per axis of the relative pose of two.

        That of resecting the second from the points both see, as the residuals scatter. At least
        three points must be common.
        """
        seen = [
            self._observations[self._observations[:, 0] == self._index[key], 2]
            for key in (first, second)
        ]
        points = np.intersect1d(*seen)
        image = self._model.images[self._real(second)]
        in_camera = image.cam_from_world() * self._points[points]
        focal_px = self._model.cameras[_REAL].mean_focal_length()
        covariance = resection_covariance(in_camera, focal_px) * self._variance_px2
        radians, units = np.sqrt(np.diag(covariance).reshape(2, 3).mean(axis=1))
        return _INFLATION * float(radians), _INFLATION * float(units)

    def _real(self, key: int) -> int:
        return 2 * self._index[key] + 1

    def _depths(self, key: int, points: NDArray[np.int64]) -> NDArray[np.float64]:
        in_camera = self._model.images[self._real(key)].cam_from_world() * self._points[points]
        return np.asarray(in_camera[:, 2], np.float64)

    def _read_points(self) -> None:
        """Take the points, and how residuals scatter about them, as COLMAP has them now."""
        found = [self._model.points3D[i].xyz for i in self._point_ids]
        self._points = np.array(found, np.float64).reshape(-1, 3)
        # Per axis, robustly.
        sigma_px = np.median(np.abs(self.residuals_px())) / 0.6745 if found else 0.0
        self._variance_px2 = float(sigma_px) ** 2

    def _add_cameras(self) -> None:
        self._model.add_camera(colmap_camera(self._camera))
        virtual = colmap_camera(self._camera, _VIRTUAL)
        fx, fy, cx, cy = virtual.params
        virtual.params = [fx * _SHORTER, fy * _SHORTER, cx, cy]
        self._model.add_camera(virtual)
        rig = pycolmap.Rig(rig_id=1)
        rig.add_ref_sensor(pycolmap.sensor_t(pycolmap.SensorType.CAMERA, _REAL))
        shift = np.eye(4)[:3]
        shift[0, 3] = -_BASELINE_M / _SHORTER
        virtual_sensor = pycolmap.sensor_t(pycolmap.SensorType.CAMERA, _VIRTUAL)
        rig.add_sensor(virtual_sensor, pycolmap.Rigid3d(shift))
        self._model.add_rig(rig)

    def _add_keyframe(self, key: int, graph: pycolmap.CorrespondenceGraph) -> None:
        features = self._features[key]
        frame = pycolmap.Frame(frame_id=self._index[key] + 1, rig_id=1)
        frame.rig_from_world = pycolmap.Rigid3d(inverse(self._poses_before[key])[:3])
        images = []
        for camera_id, points_px in (
            (_REAL, features.points_px),
            (_VIRTUAL, self._virtual_points(features)),
        ):
            image_id = self._real(key) + camera_id - _REAL
            image = pycolmap.Image(f"{key} {camera_id}", points_px, camera_id, image_id)
            image.frame_id = frame.frame_id
            frame.add_data_id(image.data_id)
            graph.add_image(image_id, len(points_px))
            images.append(image)
        self._model.add_frame(frame)
        for image in images:
            self._model.add_image(image)
        self._model.register_frame(frame.frame_id)

    def _virtual_points(self, features: Features) -> NDArray[np.float64]:
        """(N, 2) where the virtual camera sees the features, by their depths."""
        fx, _, cx, cy = self._model.cameras[_REAL].params
        depths_m = np.where(features.sensed_m > 0, features.sensed_m, 1.0)
        points_px = (features.points_px - [cx, cy]) * _SHORTER + [cx, cy]
        points_px[:, 0] -= fx * _BASELINE_M / depths_m
        return np.asarray(points_px, np.float64)

    def _triangulate(self, graph: pycolmap.CorrespondenceGraph) -> None:
        triangulator = pycolmap.IncrementalTriangulator(graph, self._model)
        options = pycolmap.IncrementalTriangulatorOptions(
            min_angle=_MIN_ANGLE_DEG,
            ignore_two_view_tracks=False,
            complete_max_reproj_error=_MAX_ERROR_PX,
            merge_max_reproj_error=_MAX_ERROR_PX,
            random_seed=0,
        )
        for key in self._keys:
            triangulator.triangulate_image(options, self._real(key))
        triangulator.complete_all_tracks(options)
        triangulator.merge_all_tracks(options)

    def _read_observations(self) -> NDArray[np.int64]:
        """(N, 3) numbers of keyframe, feature and point."""
        rows = [
            ((element.image_id - 1) // 2, element.point2D_idx, number)
            for number, point_id in enumerate(self._point_ids)
            for element in self._model.points3D[point_id].track.elements
        ]
        return np.array(rows, np.int64).reshape(-1, 3)

    def _sensed(
        self, i: int, key: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """A keyframe's observations with a depth that can be the point's; both depths of them."""
        rows = self._observations[self._observations[:, 0] == i]
        sensed_m = self._features[key].sensed_m[rows[:, 1]]
        depths = self._depths(key, rows[:, 2])
        fits = np.abs(depths - sensed_m) < _MAX_DEPTH_ERROR * sensed_m
        return rows[fits], sensed_m[fits], depths[fits]

    def _add_depths(self) -> bool:
        """Let the virtual camera see the points whose depth agrees with the sensor's."""
        found = {key: self._sensed(i, key)[0] for i, key in enumerate(self._keys)}
        for key, rows in found.items():
            for _, feature, number in rows.tolist():
                element = pycolmap.TrackElement(self._real(key) + 1, feature)
                self._model.add_observation(self._point_ids[number], element)
        return any(map(len, found.values()))


def resection_covariance(
    points_camera: NDArray[np.float64], focal_px: float
) -> NDArray[np.float64]:
    """(6, 6) of a camera's rotation and translation, for pixels of variance 1.

    (Σ JᵀJ)⁻¹ with J = ∂(u, v)/∂(ω, t) of (N, 3) known points, N ≥ 3, in the camera's frame.
    """
    x, y, z = points_camera.T
    zero = np.zeros_like(z)
    by_point = focal_px * np.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], 1)
    by_point = by_point.reshape(-1, 2, 3)
    cross = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], 1).reshape(-1, 3, 3)
    jacobian = np.concatenate([by_point @ cross, by_point], axis=2).reshape(-1, 6)
    covariance: NDArray[np.float64] = np.linalg.inv(jacobian.T @ jacobian + 1e-9 * np.eye(6))
    return covariance
