import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from clients.cli.eval_depth import DepthEvaluation
from clients.cli.main import app
from fusion.depth.opening import DepthKind
from replay.depth_trials import ScaledTrial
from replay.evaluate_depth import DepthTrial

runner = CliRunner()
TRUTH_M = np.full((2, 4), 2, np.float32)


def half(depth_m: float):
    estimate = np.zeros((2, 4), np.float32)
    estimate[:, :2] = depth_m
    return estimate


TRIAL = DepthTrial(
    TRUTH_M,
    {
        DepthKind.MOTION_STEREO: half(1.05),
        DepthKind.NETWORK: np.full((2, 4), 1.2, np.float32),
        DepthKind.FUSED: np.where(half(1.05) > 0, half(1.05), np.float32(1.1)),
    },
)


def test_each_source_alone_where_two_answer_and_in_the_holes() -> None:
    found = DepthEvaluation.of([ScaledTrial(TRIAL, 2.0)] * 3, list(DepthKind))
    assert found.depths == 3
    assert found.alone[DepthKind.MOTION_STEREO].abs_rel == pytest.approx(0.05)
    assert found.alone[DepthKind.MOTION_STEREO].coverage == 0.5
    assert found.alone[DepthKind.FUSED].abs_rel == pytest.approx(0.075)
    assert found.alone[DepthKind.FUSED].coverage == 1
    assert found.shared[DepthKind.NETWORK].abs_rel == pytest.approx(0.2)
    assert found.shared[DepthKind.MOTION_STEREO].abs_rel == pytest.approx(0.05)
    assert found.holes[DepthKind.FUSED].abs_rel == pytest.approx(0.1)
    assert found.holes[DepthKind.NETWORK].coverage == 1
    written = json.loads(json.dumps(found.to_json()))
    assert set(written["shared"]) == {"motion_stereo", "network", "fused"}
    assert set(written["holes"]) == {"network", "fused"}


def test_without_a_network_nothing_is_shared() -> None:
    only = replace(TRIAL, estimates={DepthKind.MOTION_STEREO: half(1.0)})
    found = DepthEvaluation.of([ScaledTrial(only, 2.0)], [DepthKind.MOTION_STEREO])
    assert found.shared == found.holes == {}


def test_a_source_that_never_answered_has_no_errors_in_the_json() -> None:
    silent = replace(TRIAL, estimates={})
    found = DepthEvaluation.of([ScaledTrial(silent, 2.0)], [DepthKind.NETWORK])
    written = found.to_json()["alone"]["network"]
    assert written == {"abs_rel": None, "rmse_log": None, "delta1": None, "coverage": 0.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rendered:frames=2", "--model", "nothing"], "depth network nothing: must be"),
        (["rendered:frames=2", "--camera", "1,2"], "camera is '1,2', must be fx,fy,cx,cy"),
        (["rendered:frames=2", "--camera", "9,9,9,9,0.1,0,0,0"], "must be a pinhole"),
        (["nowhere"], "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, ["eval", "depth", *arguments])
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["eval"], ["eval", "map"]])
def test_a_map_is_evaluated_unless_something_else_is_named(words: list[str]) -> None:
    result = runner.invoke(app, [*words, "nowhere"])
    assert result.exit_code == 1
    assert "nowhere: no such file or folder" in result.stderr


def test_no_camera_is_offered_here() -> None:
    result = runner.invoke(app, ["eval", "depth", "--help"])
    assert result.exit_code == 0
    assert "pinhole" in result.output
    assert "offered" not in result.output


def test_the_help_names_both() -> None:
    result = runner.invoke(app, ["eval", "--help"])
    assert result.exit_code == 0
    assert "map" in result.output
    assert "depth" in result.output
