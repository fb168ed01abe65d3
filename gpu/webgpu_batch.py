"""What a WebGPU device is to do next: commands that go to it together."""

from dataclasses import dataclass

import numpy as np
import wgpu

SLOT_BYTES = 256
"""Room for the numbers of one launch: WebGPU's largest alignment of uniform offsets."""
_SLOTS = 64
_MOST_COMMANDS = 64
_MOST_GROUPS_A_SIDE = 65535


@dataclass(frozen=True, slots=True, eq=False)
class WebGpuBuffer:
    """Memory of a WebGPU device."""

    memory: wgpu.GPUBuffer
    size_bytes: int


class CommandBatch:
    """Commands in their order, and the numbers of their launches.

    The numbers are written when the commands go: after earlier batches have read theirs, whose
    places they take.
    """

    def __init__(self, device: wgpu.GPUDevice) -> None:
        self._device = device
        self._numbers = np.zeros((_SLOTS, SLOT_BYTES), np.uint8)
        usage = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        self.numbers = device.create_buffer(size=self._numbers.nbytes, usage=usage)
        self._encoder: wgpu.GPUCommandEncoder | None = None
        self._pass: wgpu.GPUComputePassEncoder | None = None
        self._used: set[wgpu.GPUBuffer] = set()
        self._launches = 0
        self._commands = 0

    def uses(self, memory: wgpu.GPUBuffer) -> bool:
        """Whether a command that has not gone yet uses a buffer."""
        return memory in self._used

    def launch(
        self,
        pipeline: wgpu.GPUComputePipeline,
        bindings: wgpu.GPUBindGroup,
        used: list[wgpu.GPUBuffer],
        numbers: bytes,
        groups: int,
    ) -> None:
        """Run a pipeline in at least so many groups; it leaves out those beyond."""
        if self._launches == _SLOTS:
            self.submit()
        self._numbers[self._launches, : len(numbers)] = np.frombuffer(numbers, np.uint8)
        rows = -(-groups // _MOST_GROUPS_A_SIDE)
        if self._pass is None:
            self._pass = self._open().begin_compute_pass()
        self._pass.set_pipeline(pipeline)
        self._pass.set_bind_group(0, bindings, [self._launches * SLOT_BYTES])
        self._pass.dispatch_workgroups(-(-groups // rows), rows)
        self._launches += 1
        self._count(*used)

    def copy(
        self,
        source: wgpu.GPUBuffer,
        target: wgpu.GPUBuffer,
        size_bytes: int,
        source_offset_bytes: int,
        target_offset_bytes: int,
    ) -> None:
        """Copy between two buffers."""
        self._end_pass()
        self._open().copy_buffer_to_buffer(
            source, source_offset_bytes, target, target_offset_bytes, size_bytes
        )
        self._count(source, target)

    def clear(self, memory: wgpu.GPUBuffer, size_bytes: int) -> None:
        """Zero a buffer's first bytes."""
        self._end_pass()
        self._open().clear_buffer(memory, 0, size_bytes)
        self._count(memory)

    def submit(self) -> None:
        """Let the device begin with all that was asked for; a batch that is wrong is dropped."""
        self._end_pass()
        encoder, self._encoder = self._encoder, None
        launches, self._launches, self._commands = self._launches, 0, 0
        self._used.clear()
        if encoder is None:
            return
        if launches:
            self._device.queue.write_buffer(self.numbers, 0, self._numbers[:launches])
        self._device.queue.submit([encoder.finish()])

    def _open(self) -> wgpu.GPUCommandEncoder:
        if self._encoder is None:
            self._encoder = self._device.create_command_encoder()
        return self._encoder

    def _end_pass(self) -> None:
        if self._pass is not None:
            self._pass.end()
            self._pass = None

    def _count(self, *used: wgpu.GPUBuffer) -> None:
        self._used.update(used)
        self._commands += 1
        if self._commands >= _MOST_COMMANDS:
            self.submit()
