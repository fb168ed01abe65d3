"""PyTorch models: TorchScript files, and whatever torch.hub can load."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.depth.description import Kind, NetworkDescription, Weights
from fusion.depth.prediction import Placement
from fusion.depth.runtime import THREADS, image_sides, require_library
from fusion.depth.torch_prediction import TorchPrediction
from mapcast_client.errors import DependencyError, InputError


class TorchNetwork:
    """A torch module on CUDA where it is there, else on the CPU. Implements `Network`."""

    def __init__(self, description: NetworkDescription) -> None:
        """Load the module. Raises DependencyError, InputError."""
        self._torch = require_library("torch", "torch", description)
        self._torch.set_num_threads(THREADS)
        self._device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._where = f"depth network {description.name}"
        self._output_name = description.output_name
        load = self._from_hub if description.weights.kind is Kind.TORCH_HUB else self._from_file
        self._module = load(description.weights).eval().to(self._device)

    def predict(self, tensor: NDArray[np.float32], placement: Placement) -> TorchPrediction:
        """What the module says; it stays on its device.

        Raises InputError if it does not take the tensor, or gives no image.
        """
        output = self.run(tensor)
        sides = image_sides(tuple(output.shape), self._where)
        with self._torch.inference_mode():
            return TorchPrediction(self._torch, output.reshape(sides), placement)

    def run(self, tensor: NDArray[np.float32]) -> Any:
        """Run the module: a float32 tensor. Raises InputError if it does not take this one."""
        with self._torch.inference_mode():
            try:
                output = self._module(self._torch.from_numpy(tensor).to(self._device))
            except (AssertionError, RuntimeError, TypeError, ValueError) as error:
                raise InputError(
                    f"{self._where} does not take an input of shape {tensor.shape}: {error}"
                ) from None
        return self._chosen(output).float()

    def _chosen(self, output: Any) -> Any:
        """The output's tensor: itself, or an entry of a dict or a sequence."""
        if isinstance(output, dict):
            name = self._output_name or next(iter(output), "")
            if name not in output:
                raise InputError(
                    f"{self._where}: no output {name!r}, must be one of "
                    f"{', '.join(map(str, output))}"
                )
            output = output[name]
        while isinstance(output, list | tuple) and output:
            output = output[0]
        if not self._torch.is_tensor(output):
            raise InputError(f"{self._where}: gives a {type(output).__name__}, must be a tensor")
        return output

    def _from_file(self, weights: Weights) -> Any:
        try:
            with warnings.catch_warnings():
                # torch advises its successors, but TorchScript is what people have files of.
                warnings.simplefilter("ignore", DeprecationWarning)
                return self._torch.jit.load(str(weights.file), map_location=self._device)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{self._where}: {weights.file} is not TorchScript: {error}") from None

    def _from_hub(self, weights: Weights) -> Any:
        """Load through torch.hub; whoever wrote the description trusts the repository."""
        where = f"{self._where}: torch.hub cannot load {weights.model} of {weights.repo}"
        try:
            return self._torch.hub.load(
                weights.repo,
                weights.model,
                source=weights.source.value,
                trust_repo=True,
                verbose=False,
            )
        except OSError as error:  # no network, no checkout
            raise DependencyError(f"{where}: {error}") from None
        except ImportError as error:
            raise DependencyError(f"{where}: {error}, which it needs; install it") from None
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{where}: {error}") from None
