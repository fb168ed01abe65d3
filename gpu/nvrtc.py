"""The kernels compiled for NVIDIA devices, by NVRTC: it needs neither a device nor a driver.

Its library is called without NVIDIA's package for that: torch wants another version of it.
"""

import ctypes
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from gpu.backend import BackendError
from gpu.signatures import source

_LIBRARY = "libnvrtc.so.12"
"""CUDA 12's, as `cupy-cuda12x` is."""
_STRICT = ("--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")
_RELAXED = ("--use_fast_math", "-DRELAXED")


@cache
def cubin(file: str, architecture: str, relaxed: bool) -> bytes:
    """A source of `gpu/kernels/device` as machine code of an architecture, such as sm_90.

    Raises BackendError with the compiler's log.
    """
    return compiled(source(file), f"{file}.c", architecture, relaxed)


def compiled(text: str, name: str, architecture: str, relaxed: bool) -> bytes:
    """Source text in the dialect as machine code. Raises BackendError with the compiler's log."""
    options = [
        f"--gpu-architecture={architecture}",
        "--std=c++17",
        "-DDIALECT_CUDA",
        *(_RELAXED if relaxed else _STRICT),
    ]
    program = ctypes.c_void_p()
    _call("CreateProgram", ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
    try:
        _compile(program, f"{name} for {architecture}", options)
        return _output("CUBIN", program)
    finally:
        _call("DestroyProgram", ctypes.byref(program))


def check() -> None:
    """Raises BackendError if the compiler's library is not there."""
    _library()


def _compile(program: ctypes.c_void_p, what: str, options: list[str]) -> None:
    given = (ctypes.c_char_p * len(options))(*[each.encode() for each in options])
    try:
        _call("CompileProgram", program, len(options), given)
    except BackendError as error:
        log = _output("ProgramLog", program).rstrip(b"\0\n").decode(errors="replace")
        raise BackendError(f"cannot compile {what}: {error}\n{log}") from None


def _output(kind: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    _call(f"Get{kind}Size", program, ctypes.byref(size))
    output = ctypes.create_string_buffer(size.value)
    _call(f"Get{kind}", program, output)
    return output.raw


def _call(function: str, *arguments: Any) -> None:
    """Call a function of the library. Raises BackendError if it answers with an error."""
    library = _library()
    if result := library[f"nvrtc{function}"](*arguments):
        explained = library["nvrtcGetErrorString"]
        explained.restype = ctypes.c_char_p
        raise BackendError(f"NVRTC's {function}: {explained(result).decode()}")


@cache
def _library() -> ctypes.CDLL:
    errors = []
    for path in _paths():
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            errors.append(str(error))
    raise BackendError(f"no NVRTC: {'; '.join(errors)}")


def _paths() -> Iterator[str]:
    """Where the library may be: pip's, the system's, CUDA's own."""
    package = find_spec("nvidia")
    for folder in (package and package.submodule_search_locations) or ():
        yield f"{folder}/cuda_nvrtc/lib/{_LIBRARY}"
    yield _LIBRARY
    yield f"/usr/local/cuda/lib64/{_LIBRARY}"
