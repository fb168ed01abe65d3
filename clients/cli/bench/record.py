"""What recording costs: CPU and bytes of a live RGB-D session, and the codec of raw depth."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from clients.cli.bench.figure import Figure
from clients.cli.bench.posed import back_and_forth
from clients.cli.bench.served import served
from mapcast_client import connect
from mapcast_client.v1 import ingest_pb2
from replay.opening import open_rgbd_sequence
from replay.recording import segments
from replay.sequence import RgbdSequence
from slam.images import decode_frame
from slam.plane_codec import decode_u16, encode_u16
from stream.config import user_cache

RATE_HZ = 30.0
FRAMES = 450
BEFORE_MEASURING = 60
"""Frames until imports and caches have settled."""
CODEC_FRAMES = 60
VOXEL_M = 0.08
"""The map is not what is measured here."""
MAX_CORE_SHARE = 0.10
MAX_MB_PER_S = 5.0


def run(data: Path) -> list[Figure]:
    """Stream frames of `data` at the camera's rate to servers that record and to ones that do not.

    Raises InputError for a recording without depth or true poses.
    """
    sequence = open_rgbd_sequence(data, user_cache())
    encoded = list(islice(back_and_forth(sequence, FRAMES), FRAMES))
    raw = [_with_raw_depth(frame, sequence) for frame in encoded]
    return [
        *_measure("JPEG + PNG", sequence, encoded),
        *_measure("JPEG + raw depth", sequence, raw),
        *_codec(raw[:CODEC_FRAMES]),
    ]


def _with_raw_depth(frame: ingest_pb2.Frame, sequence: RgbdSequence) -> ingest_pb2.Frame:
    depth = decode_frame(frame, sequence.calibration).depth
    assert depth is not None
    raw = ingest_pb2.Frame()
    raw.CopyFrom(frame)
    raw.depth.data = depth.astype("<u2").tobytes()
    raw.depth.height_px, raw.depth.width_px = depth.shape
    raw.depth.encoding = ingest_pb2.IMAGE_ENCODING_DEPTH_U16
    return raw


@dataclass(frozen=True, slots=True)
class _Cost:
    core_share: float
    """Of the server process, without its workers."""
    mb_per_s: float
    """On disk."""


def _measure(kind: str, sequence: RgbdSequence, frames: list[ingest_pb2.Frame]) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        recording = asyncio.run(_stream(sequence, frames, Path(folder)))
    not_recording = asyncio.run(_stream(sequence, frames, None))
    share = recording.core_share - not_recording.core_share
    rate = recording.mb_per_s
    name = f"record: {kind}, 640x480, {RATE_HZ:g} Hz"
    return [
        Figure(
            f"{name}: CPU", share, "cores", target=MAX_CORE_SHARE, holds=share <= MAX_CORE_SHARE
        ),
        Figure(f"{name}: on disk", rate, "MB/s", target=MAX_MB_PER_S, holds=rate <= MAX_MB_PER_S),
        Figure(f"{name}: the server without recording", not_recording.core_share, "cores"),
    ]


async def _stream(
    sequence: RgbdSequence, frames: list[ingest_pb2.Frame], recordings: Path | None
) -> _Cost:
    """Send frames at the camera's rate to a server of their own."""
    with served(recordings) as server:
        async with connect(server.grpc_address) as client:
            session = await client.open(
                sequence.calibration.to_message(),
                policy="live",
                pose_source="given",
                fusion=ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M),
            )
            start_s = time.perf_counter()
            for index, frame in enumerate(frames):
                if index == BEFORE_MEASURING:
                    before_s, before_cpu_s = time.perf_counter(), server.cpu_s()
                    before_bytes = _bytes_on_disk(recordings)
                await asyncio.sleep(start_s + index / RATE_HZ - time.perf_counter())
                await session.send(frame)
            elapsed_s = time.perf_counter() - before_s
            core_share = (server.cpu_s() - before_cpu_s) / elapsed_s
            mb_per_s = (_bytes_on_disk(recordings) - before_bytes) / elapsed_s / 1e6
            await session.finish()
    return _Cost(core_share, mb_per_s)


def _bytes_on_disk(recordings: Path | None) -> int:
    if recordings is None:
        return 0
    sessions = recordings.iterdir()
    return sum(path.stat().st_size for session in sessions for path in segments(session))


def _codec(frames: list[ingest_pb2.Frame]) -> list[Figure]:
    width_px, height_px = frames[0].depth.width_px, frames[0].depth.height_px
    depths = [np.frombuffer(frame.depth.data, "<u2") for frame in frames]
    codes = [encode_u16(depth) for depth in depths]

    def decode(code: bytes) -> object:
        return decode_u16(code, (height_px, width_px), "depth")

    name = "record: 640x480 depth as zstd of planes"
    return [
        Figure(f"{name}: encode", _median_ms(encode_u16, depths), "ms"),
        Figure(f"{name}: decode", _median_ms(decode, codes), "ms"),
        Figure(f"{name}: size", statistics.mean(map(len, codes)) / 1e3, "KB"),
    ]


_Item = TypeVar("_Item")


def _median_ms(work: Callable[[_Item], object], items: Sequence[_Item]) -> float:
    """CPU time of one thread, after a first round."""
    for item in items[:5]:
        work(item)
    times_ms = []
    for item in items:
        start_s = time.thread_time()
        work(item)
        times_ms.append(1e3 * (time.thread_time() - start_s))
    return statistics.median(times_ms)
