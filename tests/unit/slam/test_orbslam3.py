import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import plane_scene
import pytest

from mapcast_client.errors import InputError
from slam.orbslam3 import OrbSlam3Tracker
from slam.vocabulary import default_vocabulary, train

SCRIPT = Path(__file__).with_name("track_script.py")
METRES_PER_PX = plane_scene.WALL_M / plane_scene.CALIBRATION.camera.fx_px

Views = list[tuple[float, int | None]]
"""(seconds, what is seen)."""


@dataclass(frozen=True)
class Run:
    answers: list[dict[str, Any]]
    path_m: np.ndarray
    refusal: str
    """What the closed tracker said to another frame."""

    @property
    def states(self) -> list[str]:
        return [answer["state"] for answer in self.answers]


def track(views: Views, *arguments: Path | str) -> Run:
    """Track in another process: ORB-SLAM3 may crash, and prints. Its stdout must be ours alone."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        input=json.dumps(views),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    path_m = np.array(result["path_m"]).reshape(-1, 3)
    return Run(result["answers"], path_m, result["refusal"])


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one, trained on textures like the wall's."""
    folder = tmp_path_factory.mktemp("vocabulary")
    rng = np.random.default_rng(2)
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), plane_scene.texture(rng, 240, 320))
    train(folder, folder / "voc.txt", branching=5, depth=5)
    return folder / "voc.txt"


def test_a_slide_along_a_wall_is_measured_in_metres(vocabulary: Path) -> None:
    run = track([(index / 30, 5 * index) for index in range(30)], vocabulary)
    assert set(run.states) == {"tracking"}
    truth_m = np.array([[5 * index * METRES_PER_PX, 0, 0] for index in range(30)])
    positions_m = np.array([answer["position_m"] for answer in run.answers])
    # ORB-SLAM3's adjustment of few keyframes on a plane moves the last of them by centimetres.
    assert np.abs(positions_m - truth_m).max() < 0.08
    assert np.abs(run.path_m[:, [0, 2]] - truth_m[:, :2]).max() < 0.08
    assert min(answer["inliers"] for answer in run.answers) > 50
    assert run.answers[-1]["keyframes_ns"][0] == run.answers[0]["capture_ns"]


def test_a_camera_is_not_taken_for_that_of_an_earlier_tracker(vocabulary: Path) -> None:
    run = track([(index / 30, 5 * index) for index in range(30)], vocabulary, "--second")
    assert set(run.states) == {"tracking"}
    assert run.path_m[-1, 0] == pytest.approx(5 * 29 * METRES_PER_PX, abs=0.08)


def test_darkness_before_anything_was_seen_is_initializing(vocabulary: Path) -> None:
    run = track([(0, None), (0.1, None), (0.2, 0), (0.3, 5)], vocabulary)
    assert run.states == ["initializing", "initializing", "tracking", "tracking"]
    assert run.answers[2]["position_m"] == [0, 0, 0]
    assert run.refusal == "the tracker is closed"


def test_the_map_after_one_discarded_early_is_another_and_never_mixed_with_it(
    vocabulary: Path,
) -> None:
    dark: Views = [(0.4 + index, None) for index in range(3)]
    elsewhere: Views = [(5 + index / 30, 900 + 5 * index) for index in range(8)]
    run = track([(0.0, 0), (0.1, 5), (0.2, 10), *dark, *elsewhere], vocabulary)
    assert run.states[:4] == ["tracking"] * 3 + ["lost"]
    begun = run.states.index("tracking", 3)
    assert set(run.states[4:begun]) <= {"lost", "initializing"}
    assert run.states[begun:] == ["tracking"] * (14 - begun)
    assert begun <= 8
    numbers = [answer["map_number"] for answer in run.answers]
    assert (set(numbers[:6]), set(numbers[begun:])) == ({0}, {1})
    first, second = ({*run.answers[row]["keyframes_ns"]} for row in (3, -1))
    assert first.isdisjoint(second)
    assert run.answers[begun]["position_m"] == pytest.approx([0, 0, 0], abs=0.05)


@pytest.mark.data
def test_real_frames_are_lost_relocalised_reset_and_merged(
    red_kitchen: Path, tmp_path: Path
) -> None:
    known, dark, back = range(0, 200, 2), [None] * 6, range(198, 158, -2)
    views = [*known, None, *back, *dark, *range(300, 20, -2)]
    seconds, timed = 0.0, []
    for view in views:
        timed.append((seconds, view))
        seconds += 1.0 if view is None else 1 / 15
    whole_story = [
        *("tracking", "lost", "relocalized", "tracking"),
        *("lost", "reset", "relocalized", "tracking"),
    ]
    for _ in range(3):
        run = track(timed, default_vocabulary(tmp_path), red_kitchen)
        assert_no_pose_of_another_map(run, views, len(known))
        if [state for state, _ in groupby(run.states)] == whole_story:
            return
    pytest.fail("ORB-SLAM3 did not relocalise and merge in any of three runs")


def assert_no_pose_of_another_map(run: Run, views: list[int | None], first_pass: int) -> None:
    """What must hold however far ORB-SLAM3's mapping thread lags behind on a busy machine.

    A pose is given exactly when tracking, and where a view was before, it is again.
    """
    seen_before: dict[int | None, list[float]] = {}
    for index, (view, answer) in enumerate(zip(views, run.answers, strict=True)):
        has_pose = answer["state"] in ("tracking", "relocalized")
        assert has_pose == (answer["position_m"] is not None), f"frame {index}"
        if has_pose:
            assert view is not None, f"frame {index} is black"
            first = seen_before.setdefault(view, answer["position_m"])
            moved_m = np.linalg.norm(np.subtract(answer["position_m"], first))
            assert moved_m < 0.2, f"frame {index}"
    assert len(seen_before) >= first_pass


def test_a_broken_vocabulary_is_refused_before_orbslam3_sees_it(tmp_path: Path) -> None:
    (tmp_path / "voc.txt").write_text("not a vocabulary")
    with pytest.raises(InputError, match="not the header of a DBoW2 text vocabulary"):
        OrbSlam3Tracker(plane_scene.CALIBRATION, tmp_path / "voc.txt")
