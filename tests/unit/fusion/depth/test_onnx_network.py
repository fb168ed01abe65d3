import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import write_channel_mean

from fusion.depth.description import Kind, NetworkDescription, NetworkInput, Quantity, Weights
from fusion.depth.onnx_network import OnnxNetwork
from mapcast_client.errors import DependencyError, InputError


def described(file: Path, input_name: str = "", output_name: str = "") -> NetworkDescription:
    given = NetworkInput(8, 4, name=input_name)
    return NetworkDescription("tiny", Weights(Kind.ONNX, file), given, Quantity.METRIC, output_name)


@pytest.mark.parametrize("names", [("", ""), ("image", "depth")])
def test_a_model_runs(tmp_path: Path, names: tuple[str, str]) -> None:
    network = OnnxNetwork(described(write_channel_mean(tmp_path / "net.onnx"), *names))
    tensor = np.random.default_rng(0).random((1, 3, 4, 8), np.float32)
    np.testing.assert_allclose(network.run(tensor), tensor.mean(axis=1, keepdims=True), rtol=1e-6)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"no model")
    with pytest.raises(InputError, match=r"tiny \(.*net.onnx\): .*INVALID_PROTOBUF"):
        OnnxNetwork(described(file))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("picture", ""), "no input 'picture', must be one of image"),
        (("", "disparity"), "no output 'disparity', must be one of depth"),
    ],
)
def test_a_name_that_is_not_there_says_which_are(
    tmp_path: Path, names: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        OnnxNetwork(described(write_channel_mean(tmp_path / "net.onnx"), *names))


@pytest.mark.parametrize("shape", [(1, 3, 4, 9), (1, 3, 4)])
def test_a_model_of_another_size_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    network = OnnxNetwork(described(write_channel_mean(tmp_path / "net.onnx", shape, axis=1)))
    with pytest.raises(InputError, match=r"input image is .*, its description makes .*4, 8\]"):
        network.run(np.zeros((1, 3, 4, 8), np.float32))


def test_a_model_that_cannot_work_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tiny \(.*net.onnx\): .*ReduceMean"):
        OnnxNetwork(described(write_channel_mean(tmp_path / "net.onnx", axis=7)))


def test_without_onnxruntime_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"tiny needs onnxruntime .*'mapcast\[depth\]'"):
        OnnxNetwork(described(write_channel_mean(tmp_path / "net.onnx")))
