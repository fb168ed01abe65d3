"""A kernel compiled for a WebGPU device."""

import struct
from collections.abc import Mapping
from typing import Any

import wgpu

from gpu.backend import BackendError
from gpu.signatures import Signature
from gpu.webgpu_batch import SLOT_BYTES, CommandBatch, WebGpuBuffer

_FORMATS = {"int": "i", "uint": "I", "float": "f"}
_MOST_BINDINGS = 64


class WebGpuKernel:
    """A pipeline, and the bindings of the buffers it was launched with."""

    def __init__(self, device: wgpu.GPUDevice, declared: Signature, text: str) -> None:
        """Compile a module's text. Raises wgpu.GPUError if it is wrong."""
        self._device = device
        self._declared = declared
        self._numbers = struct.Struct(
            "<i" + "".join(_FORMATS[each.type] for each in declared.scalars)
        )
        assert self._numbers.size <= SLOT_BYTES, f"{declared.name} takes too many numbers"
        shader = device.create_shader_module(code=text, label=declared.name)
        self._layout = device.create_bind_group_layout(entries=self._layout_entries())
        self._pipeline = device.create_compute_pipeline(
            layout=device.create_pipeline_layout(bind_group_layouts=[self._layout]),
            compute={"module": shader, "entry_point": declared.name},
            label=declared.name,
        )
        self._bindings: dict[tuple[WebGpuBuffer, ...], wgpu.GPUBindGroup] = {}

    def launch(self, batch: CommandBatch, groups: int, arguments: Mapping[str, Any]) -> None:
        """Put a launch into a batch. Raises BackendError if the arguments are not the declared."""
        self._declared.ordered(arguments)
        numbers = self._numbers.pack(
            groups, *(arguments[each.name] for each in self._declared.scalars)
        )
        buffers = tuple(arguments[each.name] for each in self._declared.buffers)
        if groups:
            bindings = self._bound(buffers, batch)
            used = [each.memory for each in buffers]
            batch.launch(self._pipeline, bindings, used, numbers, groups)

    def forget(self, buffer: WebGpuBuffer) -> None:
        """Drop what refers to a buffer."""
        for buffers in [each for each in self._bindings if buffer in each]:
            del self._bindings[buffers]

    def _layout_entries(self) -> list[dict[str, Any]]:
        kinds: list[dict[str, Any]] = [
            {"type": "read-only-storage" if each.access == "in" else "storage"}
            for each in self._declared.buffers
        ]
        kinds.append(
            {
                "type": "uniform",
                "has_dynamic_offset": True,
                "min_binding_size": self._numbers.size,
            }
        )
        return [
            {"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": kind}
            for i, kind in enumerate(kinds)
        ]

    def _bound(self, buffers: tuple[WebGpuBuffer, ...], batch: CommandBatch) -> wgpu.GPUBindGroup:
        if buffers not in self._bindings:
            if len(self._bindings) >= _MOST_BINDINGS:
                self._bindings.clear()
            self._check_distinct(buffers)
            sizes = [(each.memory, each.size_bytes) for each in buffers]
            entries = [
                {"binding": i, "resource": {"buffer": memory, "offset": 0, "size": size}}
                for i, (memory, size) in enumerate([*sizes, (batch.numbers, SLOT_BYTES)])
            ]
            self._bindings[buffers] = self._device.create_bind_group(
                layout=self._layout, entries=entries
            )
        return self._bindings[buffers]

    def _check_distinct(self, buffers: tuple[WebGpuBuffer, ...]) -> None:
        """WebGPU allows no buffer twice in a launch where it is written to."""
        for parameter, buffer in zip(self._declared.buffers, buffers, strict=True):
            if parameter.access != "in" and buffers.count(buffer) > 1:
                raise BackendError(
                    f"kernel {self._declared.name}: {parameter.name} is written to, and is "
                    "another of its buffers, too"
                )
