"""A camera's video for WebRTC publishers: real or rendered frames, there and back."""

import subprocess
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import imageio_ffmpeg

from replay.opening import open_sequence

REAL_FRAMES, RENDERED_FRAMES = 200, 60
FORMATS = {
    "camera.mjpeg": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "3"),
    "camera.y4m": ("-pix_fmt", "yuv420p"),
    "camera.mp4": (
        *("-c:v", "libx264", "-profile:v", "baseline", "-preset", "veryfast"),
        *("-tune", "zerolatency", "-bf", "0", "-g", "30", "-b:v", "2M", "-pix_fmt", "yuv420p"),
    ),
}


def make_camera_video(
    folder: Path, real: Path | None, names: Iterable[str] = FORMATS, rate_hz: int = 30
) -> None:
    """Write some of FORMATS into a folder; forth and back: they can be repeated without a jump.

    Chromium takes the rate from a y4m; an mjpeg plays at 30 Hz, whatever it was made for.
    """
    name = f"rendered:frames={RENDERED_FRAMES}" if real is None else str(real)
    frames = REAL_FRAMES if real is not None else RENDERED_FRAMES
    jpegs = []
    for frame in open_sequence(name).frames():
        jpegs.append(frame.color.data)
        if len(jpegs) == frames:
            break
    outputs = chain.from_iterable((*FORMATS[path], str(folder / path)) for path in names)
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"),
            *("-f", "image2pipe", "-c:v", "mjpeg", "-framerate", str(rate_hz), "-i", "-"),
            *outputs,
        ],
        input=b"".join(jpegs + jpegs[::-1]),
        check=True,
    )
