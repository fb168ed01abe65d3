"""The dense map: a sparse volume of signed distances and colours, fused from views."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, DeviceMemory, DeviceMemoryError
from gpu.cpu import CpuBlocks
from gpu.device.blocks import DeviceBlocks
from gpu.field import Field
from gpu.grid import FusionGrid, Pinhole, Surface
from gpu.kernels import BLOCK_VOX, BLOCK_VOXELS, COORDINATE_LIMIT
from mapcast_client.errors import FrameError, InputError
from slam.camera import Camera
from slam.frame import DepthImage, Frame
from slam.geometry import Mat4, inverse

BlockIndices = NDArray[np.int32]
"""(K,) places of blocks in the volume's pool; a block keeps its place until `release` or `clear`.
"""


@dataclass(frozen=True, slots=True)
class View:
    """What a camera would see of a volume; 0 where nothing is hit."""

    color: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    depth_m: NDArray[np.float32]
    """(H, W) along +Z."""
    normals_world: NDArray[np.float32]
    """(H, W, 3) unit, towards free space."""


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """How finely, how far and how much a volume fuses."""

    voxel_size_m: float = 0.01
    truncation_vox: int = 4
    """Distances are kept within this many voxels of a surface."""
    depth_min_m: float = 0.1
    depth_max_m: float = 4.0
    max_blocks: int = 65536
    """8 KiB each."""
    min_weight: int = 3
    """Observations that a voxel needs to be meshed; depth counts for its confidence of them."""
    depth_filter: bool = False
    """Whether a depth sensor's noise is smoothed away first; see `gpu.kernels.depth_filter`.

    Near surfaces count up to 4 observations then. Units must be metres: its noise is in them.
    """

    def __post_init__(self) -> None:
        if not 0.0005 <= self.voxel_size_m <= 1:
            raise InputError(f"voxel_size_m is {self.voxel_size_m}, must be 0.0005 to 1")
        if not 2 <= self.truncation_vox <= 32:
            raise InputError(f"truncation_vox is {self.truncation_vox}, must be 2 to 32")
        if not 0.01 <= self.depth_min_m < self.depth_max_m <= 1000:
            raise InputError(
                f"depth_min_m is {self.depth_min_m} and depth_max_m {self.depth_max_m}, "
                "must be 0.01 ≤ min < max ≤ 1000"
            )
        if not 1 <= self.max_blocks <= 1 << 22:
            raise InputError(f"max_blocks is {self.max_blocks}, must be 1 to {1 << 22}")
        if not 1 <= self.min_weight <= 1000:
            raise InputError(f"min_weight is {self.min_weight}, must be 1 to 1000")

    @property
    def truncation_m(self) -> float:
        """The distance at which signed distances are cut off."""
        return self.truncation_vox * self.voxel_size_m


class Volume:
    """A truncated signed distance field in sparse 8³ blocks of voxels.

    Voxel (x, y, z) lies at (x, y, z) · voxel_size_m in the world. Voxels hold exact integer sums:
    the state is a function of the set of views that are in, bit for bit, whatever the order they
    came and went in. One thread calls it. Curless & Levoy 1996; Nießner et al. 2013.
    """

    def __init__(
        self, settings: VolumeSettings, camera: Camera, backend: Backend | None = None
    ) -> None:
        """Make an empty volume for the rectified images of `camera`, on a device or, None, the CPU.

        Raises InputError if the camera has distortion.
        """
        _check_pinhole(camera)
        self.settings = settings
        self.camera = camera
        grid = FusionGrid(
            settings.voxel_size_m,
            settings.truncation_m,
            settings.depth_min_m,
            settings.depth_max_m,
            settings.min_weight,
            settings.depth_filter,
        )
        self._size = (grid, _pinhole(camera), settings.max_blocks)
        self._backend = backend
        self._reach_camera_m = camera.frustum_corners(settings.depth_max_m + settings.truncation_m)
        self._refused_blocks = 0
        self._saturated_observations = 0
        self._made: CpuBlocks | DeviceBlocks | None = None

    @property
    def _blocks(self) -> CpuBlocks | DeviceBlocks:
        """Made by the thread that uses it: a device has one."""
        self.reserve()
        assert self._made is not None
        return self._made

    def reserve(self) -> None:
        """Take what memory the first view needs, unless that is done.

        Raises InputError if a device has none left.
        """
        if self._made is not None:
            return
        if self._backend is None:
            self._made = CpuBlocks(*self._size)
            return
        try:
            self._made = DeviceBlocks(self._backend, *self._size)
        except DeviceMemoryError as error:
            raise InputError(
                f"no room for a map on the device: {error} (MAPCAST_DEVICE_MEMORY_SHARE gives it "
                "another share, --backend cpu does without)"
            ) from error

    @property
    def device_memory(self) -> DeviceMemory:
        """What is taken of a device; nothing on the CPU."""
        return DeviceMemory(0, 0) if self._backend is None else self._backend.memory()

    @property
    def spilled_blocks(self) -> int:
        """Blocks in main memory, because their device has no room for them."""
        return 0 if self._made is None else self._made.spilled_blocks

    @property
    def block_count(self) -> int:
        """Blocks in the pool."""
        return 0 if self._made is None else self._made.count

    @property
    def refused_blocks(self) -> int:
        """Blocks that views touched and a full pool refused, counted at every view.

        A block refused once stays out, also when places become free: what is taken out of it later
        would never have been put in.
        """
        return self._refused_blocks

    @property
    def is_full(self) -> bool:
        """Whether the pool ran out: new blocks are refused, those it has still take views."""
        return self._refused_blocks > 0

    @property
    def saturated_observations(self) -> int:
        """Observations that did not count because their voxel had reached a limit.

        Distances end at 65535 observations, counted by their confidence, colours at 8224; from then
        on a voxel is frozen.
        """
        if self._made is not None:
            self._saturated_observations += self._made.refused_observations()
        return self._saturated_observations

    @property
    def block_coords(self) -> NDArray[np.int32]:
        """(N, 3) grid coordinates x, y, z of the blocks, by their place in the pool; read-only."""
        return np.empty((0, 3), np.int32) if self._made is None else self._made.coords()

    def integrate(self, frame: Frame, world_from_camera: Mat4) -> BlockIndices:
        """Fuse one view.

        Returns the (K,) blocks that it touched. Raises FrameError if the frame has no depth or its
        images do not fit the camera, InputError if the pose is not finite or leads out of the grid.
        """
        self._load(frame, world_from_camera)
        touched, refused = self._blocks.touch(world_from_camera, allocate=True)
        self._refused_blocks += refused
        self._saturated_observations += self._blocks.integrate(
            touched, inverse(world_from_camera), removing=False
        )
        return touched

    def remove(self, frame: Frame, world_from_camera: Mat4) -> BlockIndices:
        """Take out a view that was fused with exactly this frame and pose.

        Returns the (K,) blocks that it touched. Raises as `integrate` does.
        """
        self._load(frame, world_from_camera)
        touched, _ = self._blocks.touch(world_from_camera, allocate=False)
        # A removal refuses nothing, but a device tells of earlier views late.
        self._saturated_observations += self._blocks.integrate(
            touched, inverse(world_from_camera), removing=True
        )
        return touched

    def move(self, was: Frame, was_at: Mat4, view: Frame, goes_to: Mat4) -> BlockIndices:
        """Take out a view that was fused with exactly this frame and pose, and put in another.

        At less cost than `remove` and `integrate`. Returns the (K,) blocks that it touched. Raises
        as they do, and then changes nothing.
        """
        self._check_reach(goes_to)
        self._load(was, was_at)
        image_into = 0 if view is was else 1
        if view is not was:
            self._load(view, goes_to, image_into)
        into, refused = self._blocks.touch(goes_to, True, image_into)
        out, _ = self._blocks.touch(was_at, False)
        self._refused_blocks += refused
        touched, saturated = self._blocks.exchange(
            out, inverse(was_at), into, inverse(goes_to), image_into
        )
        self._saturated_observations += saturated
        return touched

    def empty_blocks(self) -> BlockIndices:
        """The (K,) blocks, ascending, that views were taken out of until none was left in them."""
        return np.empty(0, np.int32) if self._made is None else self._made.empty_blocks()

    def release(self, empty: BlockIndices, *columns: NDArray[np.generic]) -> None:
        """Give the places of empty blocks, ascending, back to the pool.

        The last blocks take them: `columns`, arrays by place, follow, with zeros behind the last.
        """
        self._blocks.release(empty, columns)

    def raycast(self, camera: Camera, world_from_camera: Mat4) -> View:
        """Render the surface as `camera` would see it.

        Raises InputError if the camera has distortion or the pose is not a finite (4, 4).
        """
        _check_pinhole(camera)
        _check_pose(world_from_camera)
        return View(
            *self._blocks.raycast(_pinhole(camera), world_from_camera, inverse(world_from_camera))
        )

    def field(self) -> Field:
        """The signed distances at points of views: what a view is aligned to."""
        return self._blocks.field()

    def spread_change(self, touched: BlockIndices) -> None:
        """Note how much `touched` blocks changed with the blocks whose mesh shows it.

        That concerns neighbours, too. The change is the summed |Δ distance| of voxels.
        """
        self._blocks.spread_change(touched)

    def mark_all(self) -> None:
        """Make every block dirty."""
        if self._made is not None:
            self._made.mark_all()

    def take_dirty(self, threshold: float | None) -> BlockIndices:
        """The (K,) blocks, ascending, that changed by more than a threshold; they are clean then.

        It is in units of the truncation; None: all that changed at all.
        """
        return np.empty(0, np.int32) if self._made is None else self._made.take_dirty(threshold)

    def news(
        self, blocks: BlockIndices, published: NDArray[np.uint64]
    ) -> tuple[NDArray[np.bool_], Surface]:
        """(K,) which blocks look otherwise than their `published` digests, by place, say.

        With their triangles, but without the places of vertices on edges.
        """
        return self._blocks.news(blocks, published)

    def surface(self, blocks: BlockIndices) -> Surface:
        """The triangles of (K,) blocks. Lorensen & Cline 1987."""
        return Surface.joined([]) if self._made is None else self._made.surface(blocks)

    def voxel_words(self) -> NDArray[np.uint32]:
        """(4, N, 512) copy of the voxels' words: distance sum, counts, two of colour sums."""
        if self._made is None:
            return np.empty((4, 0, BLOCK_VOXELS), np.uint32)
        return self._made.words()

    def refused_keys(self) -> NDArray[np.int64]:
        """(R,) keys of the blocks that were refused and stay out."""
        return np.empty(0, np.int64) if self._made is None else self._made.refused_keys

    def restore(
        self,
        blocks: NDArray[np.int32],
        words: NDArray[np.uint32],
        refused_keys: NDArray[np.int64],
    ) -> None:
        """Become the volume that `block_coords`, `voxel_words` and `refused_keys` were taken of.

        Meshers must be made anew. Raises InputError, and is empty, if they do not fit.
        """
        self.clear()
        count = len(blocks)
        if blocks.shape != (count, 3) or words.shape != (4, count, BLOCK_VOXELS):
            raise InputError(f"blocks are {blocks.shape} and words {words.shape}: they do not fit")
        if count > self.settings.max_blocks:
            raise InputError(f"{count} blocks, limit (max_blocks) {self.settings.max_blocks}")
        if count and np.abs(blocks.astype(np.int64)).max() > COORDINATE_LIMIT - 2:
            raise InputError("a block lies outside the grid")
        if self._blocks.insert(blocks):
            self.clear()
            raise InputError("a block is there twice")
        self._blocks.refuse(refused_keys)
        self._refused_blocks = len(refused_keys)
        self._blocks.put_words(words)

    def close(self) -> None:
        """Give back a device's memory: nothing may be asked of the volume any more."""
        if self._made is not None:
            self._made.close()

    def clear(self) -> None:
        """Forget everything. Places in the pool are given anew: meshers must be, too."""
        if self._made is not None:
            self._made.clear()
        self._refused_blocks = 0
        self._saturated_observations = 0

    def _load(self, frame: Frame, world_from_camera: Mat4, image: int = 0) -> None:
        depth = self._checked_depth(frame)
        self._check_reach(world_from_camera)
        self._blocks.load(
            depth, frame.depth_scale_m, frame.color, frame.confidence, image, frame.depth_tensor
        )

    def _checked_depth(self, frame: Frame) -> DepthImage:
        """The frame's depth, all of its images being as they must be."""
        if frame.depth is None:
            raise FrameError(f"frame {frame.index}: has no depth, fusion needs some")
        shape = (self.camera.height_px, self.camera.width_px)
        _check_image(frame.index, "depth", frame.depth, shape, (np.uint16, np.float32))
        _check_image(frame.index, "color", frame.color, (*shape, 3), (np.uint8,))
        if frame.confidence is not None:
            _check_image(frame.index, "confidence", frame.confidence, shape, (np.uint8,))
        return frame.depth

    def reaches(self, world_from_camera: Mat4) -> bool:
        """Whether a view at this pose is inside the grid: `integrate` refuses others."""
        try:
            self._check_reach(world_from_camera)
        except InputError:
            return False
        return True

    def _check_reach(self, world_from_camera: Mat4) -> None:
        """All that a view can touch must have block coordinates that the hash can tell apart."""
        _check_pose(world_from_camera)
        corners_world = self._reach_camera_m @ world_from_camera[:3, :3].T
        reach_m = float(np.abs(corners_world + world_from_camera[:3, 3]).max())
        limit_m = (COORDINATE_LIMIT - 2) * BLOCK_VOX * self.settings.voxel_size_m
        if reach_m > limit_m:
            raise InputError(
                f"world_from_camera leads {reach_m:.6g} m from the origin; the grid ends at "
                f"{limit_m:.6g} m"
            )


def _check_image(
    index: int,
    name: str,
    image: NDArray[np.generic],
    shape: tuple[int, ...],
    dtypes: tuple[type[np.generic], ...],
) -> None:
    if image.shape != shape or image.dtype not in dtypes:
        allowed = " or ".join(dtype.__name__ for dtype in dtypes)
        raise FrameError(
            f"frame {index}: {name} is {image.dtype} {image.shape}, must be {allowed} {shape}"
        )


def _check_pinhole(camera: Camera) -> None:
    if any(camera.distortion):
        raise InputError(f"camera distortion is {camera.distortion}: fusion needs rectified images")


def _check_pose(world_from_camera: Mat4) -> None:
    if world_from_camera.shape != (4, 4) or not np.isfinite(world_from_camera).all():
        raise InputError(f"world_from_camera must be (4, 4) and finite: {world_from_camera}")


def _pinhole(camera: Camera) -> Pinhole:
    return Pinhole(
        camera.width_px,
        camera.height_px,
        np.array([camera.fx_px, camera.fy_px]),
        np.array([camera.cx_px, camera.cy_px]),
    )
