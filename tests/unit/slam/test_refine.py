"""The refining process: that it works, and that its death or silence costs refinement alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

pytest.importorskip("pycolmap", reason="refinement needs pycolmap: pip install 'mapcast[refine]'")

from refined_walk import frames, sequence, shaken

from mapcast_client.errors import InputError
from slam.refine import MAX_WAITING, Refiner, RefineSettings
from slam.refine_messages import RefineResult

PATIENCE_S = 90.0
QUICK = RefineSettings(batch_keyframes=4, batch_wait_s=0.1, quiet_s=0.1)


@contextmanager
def refiner(settings: RefineSettings = QUICK) -> Iterator[Refiner]:
    with closing(Refiner(sequence().calibration.camera, settings)) as opened:
        yield opened


def offer(to: Refiner, count: int = len(frames()), first: int = 0) -> None:
    to.update(shaken())
    for frame in frames()[first : first + count]:
        to.offer(frame.capture_ns, frame)


def results(of: Refiner) -> list[RefineResult]:
    """All that comes until nothing more is to be expected."""
    found: list[RefineResult] = []

    def is_all() -> bool:
        found.extend(iter(of.poll, None))
        of.update(shaken())
        return of.is_idle

    wait_until(is_all)
    return found


def wait_until(is_so) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up_s, "it did not happen in time"
        time.sleep(0.02)


def child_of(pid: int) -> psutil.Process:
    found: list[psutil.Process] = []

    def is_there() -> bool:
        children = psutil.Process(pid).children()
        found[:] = [each for each in children if "slam.refine_process" in each.cmdline()]
        return bool(found)

    wait_until(is_there)
    return found[0]


def test_keyframes_go_in_and_constraints_come_out() -> None:
    with refiner() as refining:
        assert refining.is_idle
        offer(refining)
        assert not refining.wants(frames()[0].capture_ns)
        child = child_of(os.getpid())
        found = results(refining)

        assert all(result.accepted for result in found), [result.reason for result in found]
        assert sum(result.new_keyframes for result in found) == len(frames())
        assert set(found[-1].keyframes) == set(shaken())
        assert refining.counts.accepted == len(found)
        assert child.nice() >= 15
    assert not child.is_running()


def test_a_process_that_is_killed_is_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    with refiner(replace(QUICK, backend="opencl:99")) as refining:
        offer(refining, 4)
        results(refining)
        child_of(os.getpid()).kill()
        wait_until(lambda: refining.counts.restarts == 1)

        assert refining.wants(frames()[0].capture_ns), "the new process does not know it"
        offer(refining, 6)
        assert len(results(refining)[-1].keyframes) == 6
    said = capfd.readouterr().err
    assert said.count("opencl:99 is not there") == 1, "the new process does without the device"


def test_a_process_that_hangs_is_replaced() -> None:
    with refiner(RefineSettings(batch_keyframes=4, quiet_s=0.1, answer_timeout_s=0.5)) as refining:
        offer(refining, 1)
        child_of(os.getpid()).send_signal(signal.SIGSTOP)
        offer(refining, 4)

        wait_until(lambda: refining.counts.restarts == 1)


def test_after_too_many_deaths_there_is_no_refinement_and_nothing_else_happens() -> None:
    with refiner(RefineSettings(batch_keyframes=1, max_restarts=0)) as refining:
        offer(refining, 1)
        child_of(os.getpid()).kill()
        wait_until(lambda: refining.is_over)

        offer(refining)
        assert refining.is_idle
        assert not refining.wants(frames()[5].capture_ns)


def test_starting_over_is_no_death() -> None:
    with refiner() as refining:
        offer(refining, 4)
        child_of(os.getpid())
        refining.start_over()
        assert refining.poll() is None
        offer(refining, 5, first=3)

        assert set(results(refining)[-1].keyframes) == {f.capture_ns for f in frames()[3:8]}
        assert refining.counts.restarts == 0


def test_what_waits_is_bounded() -> None:
    with refiner(RefineSettings(batch_keyframes=1000, batch_wait_s=1e6)) as refining:
        for number in range(MAX_WAITING + 5):
            refining.offer(number, frames()[0])

        assert not refining.wants(MAX_WAITING)


def test_the_process_dies_with_its_worker(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys, time\n"
        "import numpy as np\n"
        "from slam.camera import Camera\n"
        "from slam.frame import Frame\n"
        "from slam.refine import Refiner\n"
        "refiner = Refiner(Camera(64, 48, 50.0, 50.0, 31.5, 23.5))\n"
        "refiner.offer(1, Frame(0, 1, np.zeros((48, 64, 3), np.uint8)))\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": "."}
    ) as worker:
        child = child_of(worker.pid)
        worker.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="batch_keyframes is 0"):
        RefineSettings(batch_keyframes=0)
    with pytest.raises(InputError, match="quiet_s is -1"):
        RefineSettings(quiet_s=-1)
