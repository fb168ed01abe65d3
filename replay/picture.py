"""A decoded video frame as the wire's raw planes: upright, square pixels, even, not too large."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mapcast_client.v1 import ingest_pb2

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_Turn = tuple[int, int, int, int]
_UNTURNED: _Turn = (1, 0, 0, 1)


@dataclass(frozen=True, slots=True)
class PictureLayout:
    """How the stored pictures of a video become those that travel."""

    stored_px: tuple[int, int]
    """Width and height to scale to, before turning; pixels are square then."""
    turn: _Turn
    """a b c d of the display matrix: (u, v) is shown at (a·u + c·v, b·u + d·v), but for a shift."""
    recorded_px: tuple[int, int]
    """Width and height of the upright picture with square pixels, before it was made smaller."""

    @classmethod
    def of(cls, frame: "VideoFrame", aspect: float, max_side_px: int) -> Self:
        """Read it off the first frame; `aspect` is the width of a pixel over its height."""
        width_px, height_px = round(frame.width * aspect), frame.height
        shrink = min(1.0, max_side_px / max(width_px, height_px))
        turn = _display_turn(frame)
        recorded_px = (height_px, width_px) if _is_sideways(turn) else (width_px, height_px)
        return cls((round(width_px * shrink), round(height_px * shrink)), turn, recorded_px)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the pictures that travel."""
        width_px, height_px = (side - side % 2 for side in self.stored_px)
        return (height_px, width_px) if _is_sideways(self.turn) else (width_px, height_px)

    def image(self, frame: "VideoFrame") -> ingest_pb2.Image:
        """A frame as I420 with BT.601's colours in video range, which is what receivers expect."""
        from av.video.reformatter import ColorRange, Colorspace

        scaled = frame.reformat(
            *self.stored_px,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
        )
        width_px, height_px = (side - side % 2 for side in self.stored_px)
        planes = []
        for plane, divisor in zip(scaled.planes, (1, 2, 2), strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            cropped = rows[: height_px // divisor, : width_px // divisor]
            planes.append(_turned(cropped, self.turn).tobytes())
        shown_width_px, shown_height_px = self.size_px
        return ingest_pb2.Image(
            encoding=ingest_pb2.IMAGE_ENCODING_I420,
            width_px=shown_width_px,
            height_px=shown_height_px,
            data=b"".join(planes),
        )


def _display_turn(frame: "VideoFrame") -> _Turn:
    """The display matrix's quarter turn and mirroring; phones write nothing between."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return _UNTURNED
    a, b, _, c, d = np.frombuffer(memoryview(matrix), "<i4")[:5].tolist()
    # The larger pair decides, so that one unit of rounding does no harm.
    if abs(b) + abs(c) > abs(a) + abs(d):
        return 0, _sign(b), _sign(c), 0
    return _sign(a), 0, 0, _sign(d)


def _sign(value: int) -> int:
    return -1 if value < 0 else 1


def _is_sideways(turn: _Turn) -> bool:
    return turn[0] == 0


def _turned(plane: NDArray[np.uint8], turn: _Turn) -> NDArray[np.uint8]:
    """(H, W) or (W, H) as it is to be shown."""
    a, b, c, d = turn
    if _is_sideways(turn):
        return plane.T[::b, ::c]
    return plane[::d, ::a]
