import importlib.util
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

from fusion.depth.description import (
    HubSource,
    Kind,
    NetworkDescription,
    NetworkInput,
    Quantity,
    Weights,
)
from fusion.depth.torch_network import TorchNetwork
from mapcast_client.errors import DependencyError, InputError

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed (extra `torch`)"
)
TENSOR = np.random.default_rng(0).random((1, 3, 4, 8), np.float32)
HUBCONF = """
    dependencies = ["torch"]

    import torch


    class Mean(torch.nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.wrap = wrap

        def forward(self, image):
            assert not self.training
            assert image.shape[2] % 2 == 0, "height must be even"
            return self.wrap(image.mean(1))


    def bare():
        return Mean(lambda depth: depth)


    def in_dict():
        return Mean(lambda depth: {"other": -depth, "depth": depth})


    def in_list():
        return Mean(lambda depth: [(depth, -depth)])


    def text():
        return Mean(lambda depth: "depth")


    def unmade():
        import a_library_that_is_not_there
"""


def described(weights: Weights, output_name: str = "") -> NetworkDescription:
    return NetworkDescription("tiny", weights, NetworkInput(8, 4), Quantity.INVERSE, output_name)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "hubconf.py").write_text(textwrap.dedent(HUBCONF))
    return tmp_path


def from_hub(checkout: Path, model: str, output_name: str = "") -> TorchNetwork:
    weights = Weights(Kind.TORCH_HUB, repo=str(checkout), model=model, source=HubSource.LOCAL)
    return TorchNetwork(described(weights, output_name))


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match=r"tiny needs torch .*'mapcast\[torch\]'"):
        TorchNetwork(described(Weights(Kind.TORCHSCRIPT, Path("net.pt"))))


@needs_torch
def test_a_torchscript_file_runs(tmp_path: Path) -> None:
    import torch

    file = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript's, since torch 2.10
        torch.jit.save(torch.jit.trace(torch.nn.AvgPool2d(2), torch.from_numpy(TENSOR)), file)
    network = TorchNetwork(described(Weights(Kind.TORCHSCRIPT, file)))
    expected = TENSOR.reshape(1, 3, 2, 2, 4, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(network.run(TENSOR).numpy(), expected, rtol=1e-5)


@needs_torch
def test_a_file_that_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    file.write_bytes(b"no model")
    with pytest.raises(InputError, match=r"net.pt is not TorchScript"):
        TorchNetwork(described(Weights(Kind.TORCHSCRIPT, file)))


@needs_torch
@pytest.mark.parametrize(
    ("model", "output_name"), [("bare", ""), ("in_dict", "depth"), ("in_list", "")]
)
def test_a_local_hub_checkout_runs(checkout: Path, model: str, output_name: str) -> None:
    output = from_hub(checkout, model, output_name).run(TENSOR)
    np.testing.assert_allclose(output.numpy(), TENSOR.mean(axis=1), rtol=1e-5)


@needs_torch
def test_an_output_that_is_not_there_says_which_are(checkout: Path) -> None:
    with pytest.raises(InputError, match="no output 'disp', must be one of other, depth"):
        from_hub(checkout, "in_dict", "disp").run(TENSOR)


@needs_torch
def test_an_output_that_is_no_tensor_is_refused(checkout: Path) -> None:
    with pytest.raises(InputError, match="tiny: gives a str, must be a tensor"):
        from_hub(checkout, "text").run(TENSOR)


@needs_torch
def test_a_size_that_the_module_refuses_is_an_input_error(checkout: Path) -> None:
    with pytest.raises(InputError, match=r"does not take .*\(1, 3, 3, 8\): height must be even"):
        from_hub(checkout, "bare").run(TENSOR[:, :, :3])


@needs_torch
def test_an_entry_point_that_is_not_there_is_an_input_error(checkout: Path) -> None:
    with pytest.raises(InputError, match=r"torch.hub cannot load nothing of .*nothing"):
        from_hub(checkout, "nothing")


@needs_torch
@pytest.mark.parametrize("what", ["no checkout", "no library"])
def test_what_the_hub_lacks_is_a_missing_dependency(checkout: Path, what: str) -> None:
    folder, model = (
        (checkout / "nowhere", "bare") if what == "no checkout" else (checkout, "unmade")
    )
    with pytest.raises(DependencyError, match=r"torch\.hub cannot load"):
        from_hub(folder, model)
