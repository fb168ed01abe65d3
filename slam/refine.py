"""Refinement of keyframe poses with COLMAP, in a process of its own beside the worker."""

import importlib.util
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe

import cv2
import numpy as np

from gpu.discovery import CPU
from mapcast_client.errors import InputError
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4
from slam.refine_messages import Picture, RefineRequest, RefineResult, RefineStart

logger = logging.getLogger(__name__)

MAX_WAITING = 24
"""Pictures on their way to the process, a megabyte each; one more waits with its owner."""
_LOOK_S = 1.0
"""How often to look whether an idle process still lives."""
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """When to refine, and when to give up on the process."""

    free_intrinsics: bool = False
    """Find out focal lengths that fit better, too, and offer them. What is told of keyframes is as
    the camera in use sees it, in any case."""
    batch_keyframes: int = 6
    """So many new keyframes begin a run,"""
    batch_wait_s: float = 4.0
    """or one that has waited for so long."""
    quiet_s: float = 6.0
    """After so long without a new keyframe all of them are adjusted together, once."""
    answer_timeout_s: float = 180.0
    """A run that takes longer hangs: the process gets little of a busy machine."""
    max_restarts: int = 3
    backend: str = CPU
    """Where features are matched, with the same result: a choice as `gpu.discovery` takes it. The
    process opens the device by itself, and a successor of one that died goes without."""

    def __post_init__(self) -> None:
        if self.batch_keyframes < 1:
            raise InputError(f"refine batch_keyframes is {self.batch_keyframes}, must be 1 or more")
        for name in ("batch_wait_s", "quiet_s", "answer_timeout_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"refine {name} is {getattr(self, name)}, must be positive")
        if self.max_restarts < 0:
            raise InputError(f"refine max_restarts is {self.max_restarts}, must not be negative")


def why_unavailable() -> str:
    """What is missing for refinement; empty if nothing is."""
    if importlib.util.find_spec("pycolmap") is None:
        return "pycolmap is not installed: pip install 'mapcast[refine]'"
    return ""


@dataclass(slots=True)
class RefineCounts:
    """What became of the runs so far."""

    accepted: int = 0
    rejected: int = 0
    loops: int = 0
    restarts: int = 0


class Refiner:
    """The worker's side of refinement: keyframes in, constraints out, whenever they are ready.

    No method waits. A process that dies or hangs is replaced, without the keyframes it knew, a few
    times; then refinement is over, and nothing else.
    """

    def __init__(self, camera: Camera, settings: RefineSettings | None = None) -> None:
        """`camera` is that of the frames as they come in; what is offered here is rectified.

        The process starts with the first of them.
        """
        self._settings = settings or RefineSettings()
        self._start = RefineStart(camera, self._settings.free_intrinsics, self._settings.backend)
        self._changed = threading.Condition()
        self._waiting: dict[int, Picture] = {}
        self._known: set[int] = set()
        self._poses: Mapping[int, Mat4] = {}
        self._results: deque[RefineResult] = deque()
        self._is_closed = False
        self._is_replaced = False
        self._is_outdated = False
        self._is_running = False
        self._is_settled = True
        self._asked_to_settle = False
        self._last_offer_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.counts = RefineCounts()
        self._thread: threading.Thread | None = None

    @property
    def is_over(self) -> bool:
        """Whether the process died too often: nothing more will come."""
        return self.counts.restarts > self._settings.max_restarts

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be expected unless something new is offered."""
        with self._changed:
            busy = self._is_running or self._waiting or not self._is_settled
            return self.is_over or not (busy or self._results)

    def wants(self, keyframe_ns: int) -> bool:
        """Whether a keyframe's picture is of use and has a place."""
        if self.is_over or len(self._waiting) >= MAX_WAITING:
            return False
        return keyframe_ns not in self._known and keyframe_ns not in self._waiting

    def offer(self, keyframe_ns: int, frame: Frame) -> None:
        """Hand over the frame of a keyframe; without effect unless it `wants` it."""
        if not self.wants(keyframe_ns):
            return
        gray = cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        picture = Picture(keyframe_ns, gray, frame.depth, frame.depth_scale_m)
        with self._changed:
            self._waiting[keyframe_ns] = picture
            self._last_offer_s = time.monotonic()
            self._is_settled = False
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="refiner", daemon=True)
            self._thread.start()

    def update(self, keyframes: Mapping[int, Mat4]) -> None:
        """Say where all keyframes are by now: capture_ns → world_from_keyframe.

        No run begins after one that found something until this has been told what came of it.
        """
        with self._changed:
            self._poses = keyframes
            self._is_outdated = self._is_outdated and bool(self._results)
            self._changed.notify()

    def settle(self) -> None:
        """Adjust all keyframes together now, without waiting for more of them."""
        with self._changed:
            self._asked_to_settle = True
            self._changed.notify()

    def poll(self) -> RefineResult | None:
        """The oldest result that was not taken yet, if there is one."""
        with self._changed:
            return self._results.popleft() if self._results else None

    def start_over(self) -> None:
        """Forget all keyframes and results: those to come are of another map, or another scale."""
        with self._changed:
            self._poses = {}
            if not (self._known or self._waiting):
                return
            self._is_replaced = True
            self._is_outdated = False
            self._waiting.clear()
            self._known.clear()
            self._results.clear()
            self._is_settled = True
            self._kill()
            self._changed.notify()

    def close(self) -> None:
        """End the process."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            self._kill()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        """The thread's work: a process, and another when that one dies."""
        while not self._is_closed and not self.is_over:
            pipe = self._spawn()
            with pipe, suppress(EOFError, OSError):
                self._ask_for_ever(pipe)
            with self._changed:
                self._bury()

    def _spawn(self) -> Connection:
        ours, theirs = Pipe()
        with self._changed, theirs:
            if self._is_closed:
                return ours
            command = [sys.executable, "-m", "slam.refine_process", str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | _THREADS,
            )
        return ours

    def _ask_for_ever(self, pipe: Connection) -> None:
        """Raises EOFError or OSError when the process is gone."""
        pipe.send(self._start)
        while (request := self._next_request()) is not None:
            self._take(self._answer(pipe, request))

    def _answer(self, pipe: Connection, request: RefineRequest) -> RefineResult:
        """Ask; a process that neither reads nor answers in time is killed, which ends both."""
        process = self._process
        if process is None:
            raise EOFError
        watchdog = threading.Timer(self._settings.answer_timeout_s, process.kill)
        watchdog.start()
        try:
            pipe.send(request)
            result: RefineResult = pipe.recv()
        finally:
            watchdog.cancel()
        return result

    def _next_request(self) -> RefineRequest | None:
        """Wait until there is something to do; None: the refiner is closed.

        Raises EOFError when the process is gone.
        """
        with self._changed:
            self._is_running = False
            while not self._is_closed:
                if self._process is None or self._process.poll() is not None:
                    raise EOFError
                wait_s = self._wait_s()
                if wait_s <= 0:
                    return self._request()
                self._changed.wait(min(wait_s, _LOOK_S))
            return None

    def _wait_s(self) -> float:
        """How long to wait for more keyframes; 0: begin; infinite: there is nothing to do."""
        settings = self._settings
        if self._is_settled or self._is_outdated:
            return math.inf
        if self._asked_to_settle or len(self._waiting) >= settings.batch_keyframes:
            return 0.0
        patience_s = settings.batch_wait_s if self._waiting else settings.quiet_s
        return max(self._last_offer_s + patience_s - time.monotonic(), 0.0)

    def _request(self) -> RefineRequest:
        pictures = tuple(p for key, p in self._waiting.items() if key in self._poses)
        is_whole = not self._waiting or self._asked_to_settle
        self._waiting.clear()
        self._known.update(picture.capture_ns for picture in pictures)
        self._is_running = True
        self._is_settled = is_whole
        self._asked_to_settle = self._asked_to_settle and not is_whole
        return RefineRequest(pictures, self._poses, is_whole)

    def _take(self, result: RefineResult) -> None:
        with self._changed:
            if self._is_replaced:
                raise EOFError
            self._results.append(result)
            self._is_outdated = bool(result.constraints)
            self._is_settled = self._is_settled and not result.loops
            self.counts.loops += result.loops
            self.counts.accepted += result.accepted
            self.counts.rejected += not result.accepted
        _log(result)

    def _bury(self) -> None:
        """The process is gone, and what only it knew."""
        self._kill()
        self._is_running = False
        if self._is_closed or self._is_replaced:
            self._is_replaced = False
            return
        self._known.clear()
        self._is_settled = not self._waiting
        self.counts.restarts += 1
        self._start = replace(self._start, backend=CPU)  # its driver may have been why
        end = "refinement is over" if self.is_over else "starting another, which matches on the CPU"
        logger.warning("the refining process died or hung; %s", end)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _log(result: RefineResult) -> None:
    before_px, after_px = result.reprojection_px
    logger.info(
        "refinement of %d keyframes (%d new): %s, %.2f → %.2f px, %d constraints, %d loops, %.1f s",
        len(result.keyframes),
        result.new_keyframes,
        "accepted" if result.accepted else f"rejected, {result.reason}",
        before_px,
        after_px,
        len(result.constraints),
        result.loops,
        result.seconds,
    )
