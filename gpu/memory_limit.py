"""How much of a device's memory may be taken."""

from gpu.backend import DeviceMemory, DeviceMemoryError


class MemoryLimit:
    """Counts what is taken of a device. One thread calls it."""

    def __init__(self, limit_bytes: int) -> None:
        """Allow so much."""
        self._limit_bytes = limit_bytes
        self._used_bytes = 0

    @property
    def memory(self) -> DeviceMemory:
        """What is taken."""
        return DeviceMemory(self._used_bytes, self._limit_bytes)

    def take(self, size_bytes: int) -> None:
        """Count memory that is about to be taken. Raises DeviceMemoryError if it is too much."""
        if self._used_bytes + size_bytes > self._limit_bytes:
            raise DeviceMemoryError(
                f"{size_bytes} bytes of device memory, of which {self._used_bytes} are in use, "
                f"limit {self._limit_bytes}"
            )
        self._used_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """Count memory that was given back."""
        self._used_bytes -= size_bytes
