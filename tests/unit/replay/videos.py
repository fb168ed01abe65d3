"""Small videos, made with FFmpeg, whose every picture tells which one it is."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECONDS = Fraction(1, 1000)
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 230, 230)


def quarters(width_px: int, height_px: int) -> np.ndarray:
    """Red and green above, blue and white below."""
    picture = np.empty((height_px, width_px, 3), np.uint8)
    rows, columns = slice(height_px // 2), slice(width_px // 2)
    picture[:] = WHITE
    picture[:, columns] = BLUE
    picture[rows] = GREEN
    picture[rows, columns] = RED
    return picture


def gray_levels(count: int, width_px: int = 64, height_px: int = 48) -> list[np.ndarray]:
    """Picture i is evenly 20 + 5·i."""
    return [np.full((height_px, width_px, 3), 20 + 5 * i, np.uint8) for i in range(count)]


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    times_ms: Iterable[int],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    turned_deg: int | None = None,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    format: str | None = None,
    gop: int | None = None,
    colorspace: int | None = None,
    **options: str,
) -> Path:
    """Encode pictures (H, W, 3), shown at `times_ms`; the container says how to turn them.

    `gop`: from one picture that is decoded alone to the next; `colorspace`: what the file claims.
    """
    pictures = list(pictures)
    with av.open(str(path), "w", format, options=options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = stream.time_base = MILLISECONDS
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if gop is not None:
            stream.codec_context.gop_size = gop
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if turned_deg is not None:
            stream.set_display_rotation(turned_deg, hflip=mirrored)
        for picture, time_ms in zip(pictures, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = time_ms, MILLISECONDS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
