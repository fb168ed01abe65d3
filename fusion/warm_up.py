"""Making the compiled kernels ready before the first frame."""

from contextlib import closing

import numpy as np

from fusion.depth.motion_stereo import MotionStereo
from fusion.depth.source import DepthContext, View
from fusion.mesh import Mesher
from fusion.volume import Volume, VolumeSettings
from gpu.backend import Backend
from slam.camera import Camera
from slam.frame import Frame
from slam.fused_view import decode_view, encode_view
from slam.geometry import rigid


def warm_up(backend: Backend | None = None) -> None:
    """Compile all fusion kernels, or load them from the cache, by a walk through a tiny volume.

    And those that unpack stored views, and of motion stereo, by looking at nothing from two places.
    Takes about half a minute the first time on a machine, half a second later. `backend`: those of
    a device, too. Raises BackendError if it cannot do that.
    """
    camera = Camera(16, 12, 16.0, 16.0, 7.5, 5.5)
    for each in {None, backend}:
        for depth_filter in (False, True):
            _warm_up_volume(camera, each, depth_filter)
    _warm_up_stereo(camera)


def _warm_up_volume(camera: Camera, backend: Backend | None, depth_filter: bool) -> None:
    settings = VolumeSettings(
        voxel_size_m=0.05, min_weight=1, max_blocks=256, depth_filter=depth_filter
    )
    with closing(Volume(settings, camera, backend)) as volume:
        _walk_through(volume, camera)


def _walk_through(volume: Volume, camera: Camera) -> None:
    mesher = Mesher(volume)
    color = np.full((12, 16, 3), 128, np.uint8)
    metres = np.ones((12, 16), np.float32)
    for frame in (
        Frame(0, 0, color, np.full((12, 16), 1000, np.uint16), 0.001),
        Frame(0, 0, color, metres),
        Frame(0, 0, color, metres, confidence=np.full((12, 16), 4, np.uint8)),
    ):
        mesher.mark(volume.integrate(frame, np.eye(4)))
        mesher.flush()
        volume.raycast(camera, np.eye(4))
        _warm_up_alignment(volume, frame)
        mesher.mark(volume.move(frame, np.eye(4), frame, np.eye(4)))
        mesher.mark(volume.remove(decode_view(encode_view(frame)), np.eye(4)))
        mesher.flush()


def _warm_up_alignment(volume: Volume, frame: Frame) -> None:
    assert frame.depth is not None
    field = volume.field()
    points = field.points(frame.depth, frame.depth_scale_m, (0.1, 4.0), stride_px=4)
    sampled = field.sample(points, np.eye(4), min_weight=1)
    sigmas_m = np.ones(len(points), np.float32)
    field.linearise(points, sampled, np.eye(4), sigmas_m, lever_m=1.0, limit_sigmas=5.0)


def _warm_up_stereo(camera: Camera) -> None:
    source = MotionStereo(camera)
    gray = np.full((camera.height_px, camera.width_px), 128, np.uint8)
    aside = View(-1, gray, rigid(np.eye(3), np.array([0.1, 0, 0])))
    earlier: tuple[View, ...] = ()
    for capture_ns in range(2):
        frame = Frame(capture_ns, capture_ns, np.repeat(gray[..., None], 3, axis=2))
        no_points = np.empty((0, 3), np.float32)
        context = DepthContext(np.eye(4), no_points, (aside,), references=earlier)
        source.depth(frame, context)
        earlier = (View(capture_ns, gray, np.eye(4)),)
