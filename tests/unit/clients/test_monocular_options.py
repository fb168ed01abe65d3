from pathlib import Path

import pytest

from clients.cli.monocular import MonocularOptions
from clients.cli.options import Depth
from clients.cli.streaming import DepthOptions
from mapcast_client.errors import InputError


def test_a_model_file_is_a_folder_and_a_name(tmp_path: Path) -> None:
    (tmp_path / "meter.v2.toml").write_text("")
    options = MonocularOptions(True, Depth.motion, str(tmp_path / "meter.v2.toml"), 1.5)
    assert options.models_folder(None) == tmp_path
    assert options.session_depth() == DepthOptions("motion_stereo", "meter.v2", 1.5)


def test_a_name_is_a_model_that_the_server_has() -> None:
    options = MonocularOptions(True, Depth.fused, "meter")
    assert options.models_folder("127.0.0.1:8431") is None
    assert options.session_depth() == DepthOptions("fused", "meter", 0.0)


def test_without_a_model_there_is_none() -> None:
    assert MonocularOptions().models_folder(None) is None
    assert MonocularOptions().session_depth() == DepthOptions()


def test_a_running_server_reads_no_file_of_ours(tmp_path: Path) -> None:
    options = MonocularOptions(True, model=str(tmp_path / "meter.toml"))
    with pytest.raises(InputError, match="with --server give the name"):
        options.models_folder("127.0.0.1:8431")
    with pytest.raises(InputError, match="no such file"):
        options.models_folder(None)
    weights = tmp_path / "meter.onnx"
    weights.write_bytes(b"")
    with pytest.raises(InputError, match="must be the TOML file that describes it"):
        MonocularOptions(True, model=str(weights)).models_folder(None)


def test_recordings_with_depth_have_no_use_for_the_options() -> None:
    sequence = MonocularOptions(mono=True, depth=Depth.motion).open("rendered:frames=1", 1)
    assert sequence.sensor == "mono"
    with pytest.raises(InputError, match=r"--model, --scene-depth: .* has depth"):
        MonocularOptions(model="meter", scene_depth_m=1.0).open("rendered:frames=1", 1)


def test_who_may_not_know_the_maps_unit_leaves_the_voxel_to_the_server() -> None:
    colour = MonocularOptions(mono=True).open("rendered:frames=1", 1)
    whole = MonocularOptions().open("rendered:frames=1", 1)
    assert MonocularOptions().voxel_size(colour, None, 0.02) is None
    assert MonocularOptions().voxel_size(colour, 0.03, 0.02) == 0.03
    assert MonocularOptions(scene_depth_m=1.0).voxel_size(colour, None, 0.02) == 0.02
    assert MonocularOptions(model="midas_small").voxel_size(colour, None, 0.02) is None
    assert MonocularOptions().voxel_size(whole, None, 0.02) == 0.02
