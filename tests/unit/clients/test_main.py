from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.cli.main import app, first_expected
from mapcast_client.errors import ConnectionLost, InputError

COMMANDS = [
    "serve",
    "demo",
    "replay",
    "watch",
    "export",
    "eval",
    "bench",
    "doctor",
    "vocabulary",
    "convert",
]
runner = CliRunner()


def test_help_names_every_command() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f" {command} " in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_version() -> None:
    result = runner.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("mapcast ")


def test_an_expected_error_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    result = runner.invoke(app, ["replay", str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert result.stderr.startswith("error ")
    assert result.stderr.count("\n") == 1
    assert "nowhere" in result.stderr
    assert result.stdout == ""


def test_verbose_lets_the_error_through(tmp_path: Path) -> None:
    result = runner.invoke(app, ["--verbose", "replay", str(tmp_path / "nowhere")])
    assert isinstance(result.exception, InputError)


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "some-session", "-o", "map.glb"],
        ["watch", "some-session"],
        ["watch"],
    ],
)
def test_a_server_that_is_not_there_says_how_to_start_one(arguments: list[str]) -> None:
    result = runner.invoke(app, [*arguments, "--server", "127.0.0.1:1"])
    assert result.exit_code == 1
    assert "no mapcast server at 127.0.0.1:1: start one with `mapcast serve`" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "s", "-o", "map.stl"], "map.stl must end in one of .glb, .ply, .obj"),
        (["replay", "rendered", "--limit", "0"], "--limit is 0, must be at least 1"),
        (["replay", "rendered", "--rate", "-1"], "--rate is -1.0"),
        (["replay", "rendered", "--voxel", "0"], "--voxel is 0.0 m"),
        (["replay", "rendered", "--http", "http://x"], "--http without --server"),
        (
            ["replay", "rendered", "--server", "x:1", "--vocabulary", "v.txt"],
            "--vocabulary is a setting of the server",
        ),
        (["replay", "rendered", "--mono", "--scene-depth", "-1"], "--scene-depth is -1.0 m"),
        (["replay", "rendered", "--mono", "--camera", "550"], "camera is '550', must be fx,fy"),
        (["replay", "rendered", "--camera", "1,1,1,1"], "it brings its own calibration"),
        (["replay", "rendered:frames=1", "--depth", "motion"], "has depth; --mono leaves it out"),
        (["demo", "rendered", "--mono", "--model", "nowhere.toml"], "nowhere.toml: no such file"),
        (
            ["replay", "rendered", "--mono", "--model", "a.toml", "--server", "x:1"],
            "with --server give the name of a model that it has",
        ),
        (["eval", "rendered", "--reference", "nowhere"], "--reference nowhere: "),
        (["serve", "--http-port", "70000"], "http_port is 70000, must be 0 to 65535"),
        (["serve", "--config", "nowhere.toml"], "nowhere.toml"),
        (["vocabulary", "info", "nowhere.txt"], "cannot read the vocabulary nowhere.txt"),
        (["vocabulary", "train", "nowhere", "-o", "nofolder/v.txt"], "nofolder is not a folder"),
    ],
)
def test_arguments_that_cannot_be(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_bench_without_data_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAPCAST_DATA", raising=False)
    result = runner.invoke(app, ["bench", "tsdf"])
    assert result.exit_code == 1
    assert "give --data, or set MAPCAST_DATA" in result.stderr


def test_the_first_expected_error_of_a_group_is_found() -> None:
    lost = ConnectionLost("gone")
    nested = BaseExceptionGroup("tasks", [ExceptionGroup("inner", [lost]), InputError("other")])
    assert first_expected(nested) is lost


def test_a_group_with_an_unexpected_error_is_unexpected() -> None:
    assert first_expected(ExceptionGroup("tasks", [InputError("x"), KeyError("y")])) is None
    assert first_expected(ValueError("x")) is None
