"""ONNX models, through onnxruntime: on CUDA where it is there, else on the CPU."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.depth.description import NetworkDescription
from fusion.depth.prediction import HostPrediction, Placement
from fusion.depth.runtime import THREADS, image_sides, require_library
from mapcast_client.errors import InputError

_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ERRORS_ONLY = 3
_ERRORS = (
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "NotImplemented",
    "RuntimeException",
)
"""Of onnxruntime, which have no root of their own."""


class OnnxNetwork:
    """An ONNX model's session. Implements `Network`."""

    def __init__(self, description: NetworkDescription) -> None:
        """Load the model. Raises DependencyError, InputError."""
        runtime = require_library("onnxruntime", "depth", description)
        self._where = f"depth network {description.name} ({description.weights.file})"
        options = runtime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.log_severity_level = _ERRORS_ONLY
        # Waiting threads would otherwise burn the cores that the tracker needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        available = runtime.get_available_providers()
        providers = [name for name in _PROVIDERS if name in available]
        state = runtime.capi.onnxruntime_pybind11_state
        self._errors = tuple(getattr(state, name) for name in _ERRORS)
        try:
            self._session: Any = runtime.InferenceSession(
                description.weights.file, options, providers
            )
        except self._errors as error:
            raise InputError(f"{self._where}: {error}") from None
        self._input = self._named("input", self._session.get_inputs(), description.input.name)
        self._output = self._named("output", self._session.get_outputs(), description.output_name)

    def predict(self, tensor: NDArray[np.float32], placement: Placement) -> HostPrediction:
        """What the model says. Raises InputError if it takes no such tensor, or gives no image."""
        output = self.run(tensor)
        return HostPrediction(output.reshape(image_sides(output.shape, self._where)), placement)

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model. Raises InputError if it does not take such a tensor."""
        shape = self._input.shape
        fits = len(shape) == tensor.ndim and all(
            not isinstance(wanted, int) or wanted == given
            for wanted, given in zip(shape, tensor.shape, strict=True)
        )
        if not fits or self._input.type != "tensor(float)":
            raise InputError(
                f"{self._where}: input {self._input.name} is {self._input.type} {shape}, "
                f"its description makes float {list(tensor.shape)}"
            )
        try:
            (output,) = self._session.run([self._output.name], {self._input.name: tensor})
        except self._errors as error:
            raise InputError(f"{self._where}: {error}") from None
        return np.asarray(output, np.float32)

    def _named(self, what: str, there: list[Any], name: str) -> Any:
        """The tensor of that name, or the first."""
        for tensor in there:
            if name in ("", tensor.name):
                return tensor
        names = ", ".join(tensor.name for tensor in there)
        raise InputError(f"{self._where}: no {what} {name!r}, must be one of {names}")
