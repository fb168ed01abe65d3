"""Motion stereo on one core: CPU time per depth image."""

import statistics
import time
from itertools import islice
from pathlib import Path

import cv2
import numba

from clients.cli.bench.figure import Figure
from clients.cli.bench.posed import back_and_forth
from gpu.kernels.plane_sweep import MAX_VIEWS
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import RgbdSequence
from stream.map_builder import MapBuilder

FRAMES = 200
WARM_UP = 2
MAX_MS = 150.0


def measure(sequence: RgbdSequence) -> list[Figure]:
    """Measure on its first frames, at their true poses. Raises InputError if it has none."""
    threads = numba.get_num_threads(), cv2.getNumThreads()
    numba.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        times_ms = sorted(_times_ms(sequence))
    finally:
        numba.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    what = f"live: motion stereo, {MAX_VIEWS} views, 64 planes, CPU of one core"
    median_ms = statistics.median(times_ms)
    return [
        Figure(f"{what}, median", median_ms, "ms", target=MAX_MS, holds=median_ms <= MAX_MS),
        Figure(f"{what}, p95", times_ms[int(0.95 * len(times_ms))], "ms"),
    ]


def _times_ms(sequence: RgbdSequence) -> list[float]:
    """Of each frame that has all the views to be measured against."""
    settings = ingest_pb2.OpenSession(
        sensor=ingest_pb2.SENSOR_MONO,
        calibration=sequence.calibration.to_message(),
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
    )
    builder = MapBuilder(settings, Path())
    assert builder.calibration is not None
    live_map = builder.build(builder.calibration)
    times_ms = []
    for message in islice(back_and_forth(sequence, FRAMES), FRAMES):
        frame = builder.decode(message)
        request = live_map.fuse(frame, live_map.track(frame)).request
        if request is not None:
            start_s = time.process_time()
            live_map.estimate(request)
            if len(request.context.views) == MAX_VIEWS:
                times_ms.append(1e3 * (time.process_time() - start_s))
    if len(times_ms) <= WARM_UP:
        raise InputError(f"{sequence.name}: too few views for motion stereo in {FRAMES} frames")
    return times_ms[WARM_UP:]
