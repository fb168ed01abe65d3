"""Which devices there are, why others are not, and which one to use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpu.backend import Backend, BackendError
from gpu.memory_limit import MemoryLimit
from gpu.probes import PROBES, Device, Probe

AUTO, CPU = "auto", "cpu"
GPU_BACKENDS = ("cuda", "opencl", "webgpu")
"""In the order in which they are tried."""
MEMORY_SHARE = 0.8
_MODEL_DIGITS = 3
"""A number as long as this may be a model's; a shorter one is in too many names."""


@dataclass(frozen=True, slots=True)
class FoundDevices:
    """What there is of a backend."""

    backend: str
    devices: tuple[Device, ...]
    """GPUs first; their places are how users number them."""
    reason: str
    """Why there is no device, or why none is taken unasked; else empty."""

    @property
    def gpus(self) -> tuple[Device, ...]:
        """Those that are not this machine's processor."""
        return tuple(each for each in self.devices if not each.info.is_software)

    def matching(self, which: str) -> Device | None:
        """The device of a number, or the first whose name or driver has this in it.

        Spaces do not count. Where there are not so many devices, a number is one of a name, such as
        4090, and all of it: `cuda:1` is no H100.
        """
        which = _squeezed(which)
        if not which.isdecimal():
            fits = (each for each in self.devices if which in _squeezed(_described(each)))
        elif int(which) < len(self.devices):
            return self.devices[int(which)]
        elif len(which) >= _MODEL_DIGITS:
            fits = (each for each in self.devices if which in re.findall(r"\d+", each.info.name))
        else:
            return None
        return next(fits, None)


def find(backend: str, probes: Mapping[str, Probe] = PROBES) -> FoundDevices:
    """Look for a backend's devices."""
    try:
        devices = sorted(probes[backend](), key=lambda each: each.info.is_software)
    except BackendError as error:
        return FoundDevices(backend, (), str(error))
    found = FoundDevices(backend, tuple(devices), "" if devices else "no device")
    if devices and not found.gpus:
        return FoundDevices(backend, found.devices, "no GPU, only software: ask for it by name")
    return found


def choose(choice: str, probes: Mapping[str, Probe] = PROBES) -> Device | None:
    """The device that a user's choice names; None: the CPU.

    A choice is `auto` (the first GPU, else the CPU), `cpu`, or a backend with a number or a part of
    a name after a colon, or without: its first GPU, else its first device. Raises BackendError if
    what was asked for is not there.
    """
    backend, colon, which = choice.strip().lower().partition(":")
    if backend in (AUTO, CPU) and not colon:
        return _first_gpu(probes) if backend == AUTO else None
    if backend not in GPU_BACKENDS or (colon and not which):
        names = ", ".join((AUTO, CPU, *GPU_BACKENDS))
        raise BackendError(f"{choice!r} is no backend: must be one of {names}, or like opencl:0")
    found = find(backend, probes)
    device = found.matching(which or "0")
    if device is None:
        raise BackendError(f"{choice} is not there: {_what_is_there(found)}")
    return device


def make_backend(
    choice: str, memory_share: float = MEMORY_SHARE, probes: Mapping[str, Probe] = PROBES
) -> Backend | None:
    """Open the device that a user's choice names, with a share of its free memory; None: the CPU.

    Raises BackendError if it is not there or cannot be used.
    """
    device = choose(choice, probes)
    return None if device is None else device.open(MemoryLimit(device.limit_bytes(memory_share)))


def described(backend: Backend | None) -> str:
    """Say what volumes are fused on, for people; None: the CPU."""
    return "CPU" if backend is None else backend.info.description


def _first_gpu(probes: Mapping[str, Probe]) -> Device | None:
    return next((gpu for backend in GPU_BACKENDS for gpu in find(backend, probes).gpus), None)


def _described(device: Device) -> str:
    return f"{device.info.name} {device.info.driver}"


def _squeezed(text: str) -> str:
    """As texts are compared: without spaces, in lower case."""
    return "".join(text.lower().split())


def _what_is_there(found: FoundDevices) -> str:
    if not found.devices:
        return found.reason
    return "; ".join(
        f"{found.backend}:{number} is {each.info.name}" for number, each in enumerate(found.devices)
    )
