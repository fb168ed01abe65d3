"""Memory of a device that is kept from call to call."""

from gpu.backend import Backend, Buffer


class KeptBuffers:
    """Buffers that stay until larger ones are asked for. One thread calls it, the backend's."""

    def __init__(self, backend: Backend) -> None:
        """Take buffers of a backend; none yet."""
        self._backend = backend
        self._buffers: list[Buffer] = []
        self.sizes_bytes: tuple[int, ...] = ()
        """Of those that are kept, as they were asked for."""

    def of_sizes(self, *sizes_bytes: int) -> list[Buffer]:
        """Buffers of these sizes or larger, as many each time; what is in them is not said.

        Raises DeviceMemoryError.
        """
        if not self.sizes_bytes or any(
            kept < asked for kept, asked in zip(self.sizes_bytes, sizes_bytes, strict=True)
        ):
            self.free()
            for size_bytes in sizes_bytes:
                self._buffers.append(self._backend.alloc(size_bytes))
            self.sizes_bytes = sizes_bytes
        return self._buffers

    def free(self) -> None:
        """Give back what is kept."""
        while self._buffers:
            self._backend.free(self._buffers.pop())
        self.sizes_bytes = ()
