"""HDF5 sequences: plain chunked arrays that any HDF5 library reads, one chunk a frame.

`/capture_ns (N,) int64`, `/color (N, H, W, 3) uint8`, `/depth (N, H, W) uint16 or float32` (absent
in monocular recordings), `/world_from_camera (N, 7) float64` (tx ty tz qx qy qz qw, NaN where
unknown; absent where none is known). Attributes of the root: `camera` (fx fy cx cy and the
distortion), `depth_scale_m`, `depth_invalid`, `frame_rate_hz`, `name`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mapcast_client.errors import DependencyError, InputError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import MONO, RGBD, Sensor, Sequence, frame_range, median_rate_hz, read_ahead
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.geometry import Mat4, from_pose_vector, pose_vector
from slam.images import color_size, decode_frame, decode_monocular_frame
from slam.trajectory import Trajectory

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".h5", ".hdf5")
_COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


class Hdf5Sequence:
    """A recording in one HDF5 file; frames are read one at a time."""

    def __init__(self, path: Path) -> None:
        """Check the layout. Raises InputError that names what is missing, or of another shape."""
        self._file = _open(path, "r")
        self.name = str(self._file.attrs.get("name", path.stem))
        self._where = str(path)
        self._capture_ns = np.asarray(self._dataset("capture_ns", "iu", 1)[:], np.int64)
        if len(self._capture_ns) == 0 or (np.diff(self._capture_ns) <= 0).any():
            raise InputError(f"{path}: capture_ns must have instants, in the order of time")
        self._color = self._dataset("color", "u", 4)
        self._depth = self._dataset("depth", "uf", 3) if "depth" in self._file else None
        self.sensor: Sensor = MONO if self._depth is None else RGBD
        rate_hz = float(self._file.attrs.get("frame_rate_hz", median_rate_hz(self._capture_ns)))
        self.frame_rate_hz = rate_hz
        self.calibration = self._calibration(rate_hz)
        self.ground_truth = self._ground_truth()

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a file is named so."""
        return path.suffix.lower() in SUFFIXES

    def __len__(self) -> int:
        return len(self._capture_ns)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Read at most `limit` frames from `start`, a few ahead in one thread."""
        return read_ahead(map(self._frame, frame_range(len(self), limit, start)))

    def _frame(self, index: int) -> ingest_pb2.Frame:
        frame = ingest_pb2.Frame(index=index, capture_ns=int(self._capture_ns[index]))
        height_px, width_px = self._color.shape[1:3]
        size = {"width_px": width_px, "height_px": height_px}
        try:
            color = ingest_pb2.Image(
                encoding=ingest_pb2.IMAGE_ENCODING_RGB8, data=self._color[index].tobytes(), **size
            )
            frame.color.CopyFrom(color)
            if self._depth is not None:
                is_metric = self._depth.dtype.kind == "f"
                sent = np.dtype("<f4" if is_metric else "<u2")  # others may write big-endian
                depth = ingest_pb2.Image(
                    encoding=ingest_pb2.IMAGE_ENCODING_DEPTH_F32
                    if is_metric
                    else ingest_pb2.IMAGE_ENCODING_DEPTH_U16,
                    data=self._depth[index].astype(sent, copy=False).tobytes(),
                    **size,
                )
                frame.depth.CopyFrom(depth)
        except OSError as error:
            raise InputError(f"{self._where}: frame {index} cannot be read: {error}") from None
        return frame

    def _dataset(self, name: str, kinds: str, dimensions: int) -> "h5py.Dataset":
        dataset = self._file.get(name)
        if dataset is None or not hasattr(dataset, "dtype"):
            raise InputError(f"{self._where}: has no dataset /{name}")
        if dataset.dtype.kind not in kinds or dataset.ndim != dimensions:
            raise InputError(
                f"{self._where}: /{name} is {dataset.dtype} with {dataset.ndim} dimensions, "
                f"must have {dimensions}"
            )
        if name != "capture_ns":
            self._require_layout(name, dataset)
        return dataset

    def _require_layout(self, name: str, dataset: "h5py.Dataset") -> None:
        count = len(self._capture_ns)
        allowed = {"color": ("uint8",), "depth": ("uint16", "float32")}[name]
        size = dataset.shape[1:3] if name == "color" else self._color.shape[1:3]
        expected = (count, *size, 3) if name == "color" else (count, *size)
        if dataset.dtype.name not in allowed or dataset.shape != expected:
            raise InputError(
                f"{self._where}: /{name} is {dataset.dtype} {dataset.shape}, must be "
                f"{' or '.join(allowed)} {expected}"
            )

    def _calibration(self, rate_hz: float) -> Calibration | None:
        intrinsics = self._file.attrs.get("camera")
        if intrinsics is None:
            if self._depth is not None:
                raise InputError(
                    f"{self._where}: has depth and no attribute `camera` (fx fy cx cy)"
                )
            return None
        numbers = np.asarray(intrinsics, np.float64).ravel().tolist()
        if len(numbers) < 4:
            raise InputError(
                f"{self._where}: attribute `camera` has {len(numbers)} numbers, must begin with "
                "fx fy cx cy"
            )
        fx_px, fy_px, cx_px, cy_px, *distortion = numbers
        height_px, width_px = self._color.shape[1:3]
        camera = Camera(width_px, height_px, fx_px, fy_px, cx_px, cy_px, tuple(distortion))
        scale_m = float(self._file.attrs.get("depth_scale_m", 0.001))
        return Calibration(camera, scale_m, int(self._file.attrs.get("depth_invalid", 0)), rate_hz)

    def _ground_truth(self) -> Trajectory | None:
        if "world_from_camera" not in self._file:
            return None
        vectors = np.asarray(self._file["world_from_camera"][:], np.float64)
        if vectors.shape != (len(self._capture_ns), 7):
            raise InputError(
                f"{self._where}: /world_from_camera is {vectors.shape}, must be "
                f"{(len(self._capture_ns), 7)}"
            )
        known = np.isfinite(vectors).all(axis=1)
        poses = np.array([from_pose_vector(vector) for vector in vectors[known]])
        return Trajectory(self._capture_ns[known], poses.reshape(-1, 4, 4))


def write_hdf5(sequence: Sequence, path: Path, limit: int | None = None) -> int:
    """Write a sequence; memory holds one frame. Returns how many frames.

    Raises InputError if the file cannot be written or a frame cannot be decoded,
    DependencyError without h5py.
    """
    with _open(path, "w") as file:
        file.attrs["name"] = sequence.name
        file.attrs["frame_rate_hz"] = sequence.frame_rate_hz
        if sequence.calibration is not None:
            _write_calibration(file, sequence.calibration)
        poses: dict[int, Mat4] = {}
        if sequence.ground_truth is not None:
            truth = sequence.ground_truth
            poses = dict(zip(truth.capture_ns.tolist(), truth.world_from_camera, strict=True))
        count = 0
        for message in sequence.frames(limit):
            frame = _decoded(sequence, message)
            _append(file, "capture_ns", np.int64(frame.capture_ns))
            _append(file, "color", frame.color)
            if frame.depth is not None:
                _append(file, "depth", frame.depth)
            if frame.world_from_camera is not None:  # it was recorded with its pose
                poses.setdefault(frame.capture_ns, frame.world_from_camera)
            count += 1
        if poses and count:
            file["world_from_camera"] = _pose_vectors(file["capture_ns"][:], poses)
    return count


def _decoded(sequence: Sequence, message: ingest_pb2.Frame) -> Frame:
    calibration = sequence.calibration
    if sequence.sensor == RGBD:
        assert calibration is not None, "recordings with depth are calibrated"
        return decode_frame(message, calibration)
    if calibration is not None:
        return decode_monocular_frame(message, calibration.camera)
    width_px, height_px = color_size(message)
    any_camera = Camera(width_px, height_px, width_px, width_px, width_px / 2, height_px / 2)
    return decode_monocular_frame(message, any_camera)


def _append(file: "h5py.File", name: str, value: Any) -> None:
    value = np.asarray(value)
    if name not in file:
        chunks = (1, *value.shape) if value.ndim else (4096,)
        options = _COMPRESSION if value.ndim else {}
        shape, most = (0, *value.shape), (None, *value.shape)
        file.create_dataset(name, shape, value.dtype, chunks=chunks, maxshape=most, **options)
    dataset = file[name]
    if dataset.shape[1:] != value.shape or dataset.dtype != value.dtype:
        raise InputError(
            f"{name} of frame {len(dataset)} is {value.dtype} {value.shape}, the frames before "
            f"are {dataset.dtype} {dataset.shape[1:]}"
        )
    dataset.resize(len(dataset) + 1, axis=0)
    dataset[-1] = value


def _write_calibration(file: "h5py.File", calibration: Calibration) -> None:
    camera = calibration.camera
    pinhole = (camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px)
    file.attrs["camera"] = np.array([*pinhole, *camera.distortion])
    file.attrs["depth_scale_m"] = calibration.depth_scale_m
    file.attrs["depth_invalid"] = 0  # decoding has made it so


def _pose_vectors(
    capture_ns: np.ndarray[Any, np.dtype[np.int64]], poses: Mapping[int, Mat4]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(N, 7), NaN where the pose is not known."""
    vectors = np.full((len(capture_ns), 7), np.nan)
    for at, instant in enumerate(capture_ns.tolist()):
        if instant in poses:
            vectors[at] = pose_vector(poses[instant])
    return vectors


def _open(path: Path, mode: str) -> "h5py.File":
    try:
        import h5py
    except ImportError:
        raise DependencyError("HDF5 needs h5py: pip install 'mapcast[convert]'") from None
    try:
        return h5py.File(path, mode)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened as HDF5: {error}") from None
