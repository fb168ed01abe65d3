from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from clients.cli.main import app
from replay.opening import open_sequence
from slam.images import decode_frame
from stream.config import user_cache

RUN = CliRunner()


def test_there_and_back_is_the_same_to_the_pixel(tmp_path: Path) -> None:
    source = "rendered:frames=3"
    for before, after in ((source, "a.h5"), ("a.h5", "b.mcap"), ("b.mcap", "c.hdf5")):
        start = before if before == source else str(tmp_path / before)
        outcome = RUN.invoke(app, ["convert", start, str(tmp_path / after)])
        assert outcome.exit_code == 0, outcome.output
        assert "3 frames" in outcome.output
    # Through the cache, as `convert` did: code made here may round otherwise than what is in it.
    original = open_sequence(source, user_cache())
    copy = open_sequence(tmp_path / "c.hdf5")
    assert copy.calibration == original.calibration
    for before, after in zip(original.frames(), copy.frames(), strict=True):
        a, b = (decode_frame(frame, original.calibration) for frame in (before, after))
        assert a.capture_ns == b.capture_ns
        assert (a.color == b.color).all()
        assert (a.depth == b.depth).all()
    assert copy.ground_truth is not None
    poses = original.ground_truth.world_from_camera
    np.testing.assert_allclose(copy.ground_truth.world_from_camera, poses, atol=1e-12)


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "room.h5"
    target.write_bytes(b"precious")
    arguments = ["convert", "rendered:frames=1", str(target)]
    assert "exists already" in RUN.invoke(app, arguments).stderr
    assert target.read_bytes() == b"precious"
    assert RUN.invoke(app, [*arguments, "--overwrite"]).exit_code == 0
    assert len(open_sequence(target)) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rendered", "room.zip"], "must end in one of .mcap, .h5, .hdf5"),
        (["nothing", "room.h5"], "nothing: no such file or folder"),
        (["rendered", "room.h5", "--color-topic", "/c"], "rendered is no ROS bag"),
        (
            ["rendered:frames=1", "nowhere/room.mcap"],
            "cannot write nowhere/room.mcap: No such file",
        ),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = RUN.invoke(app, ["convert", *arguments])
    assert outcome.exit_code == 1
    assert complaint in outcome.stderr
    assert not list(tmp_path.iterdir())
