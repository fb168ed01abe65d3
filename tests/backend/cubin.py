"""Compiled kernels as NVIDIA's compiler laid out their parameters: read from the ELF file."""

import struct
from dataclasses import dataclass

_PREFIX = ".nv.info."
_ITEMS, _PARAMETER, _PARAMETERS_SIZE = 0x05, 0x17, 0x19
"""EIATTR_MAX_THREADS, EIATTR_KPARAM_INFO, EIATTR_CBANK_PARAM_SIZE of `cuobjdump -elf`."""
_HAS_DATA = 4


@dataclass(frozen=True, slots=True)
class CompiledKernel:
    parameters: list[tuple[int, int]]
    """Offset and size of each, in bytes, in their order."""
    parameters_bytes: int
    items: int


def compiled_kernels(code: bytes) -> dict[str, CompiledKernel]:
    sections = _sections(code)
    return {
        name.removeprefix(_PREFIX): _kernel(data)
        for name, data in sections.items()
        if name.startswith(_PREFIX)
    }


def machine_code(code: bytes, kernel: str) -> bytes:
    return _sections(code)[f".text.{kernel}"]


def _sections(code: bytes) -> dict[str, bytes]:
    assert code[:4] == b"\x7fELF"
    (start,) = struct.unpack_from("<Q", code, 0x28)
    size, count, names = struct.unpack_from("<HHH", code, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", code, start + i * size) for i in range(count)]
    text = headers[names][4]

    def name(offset: int) -> str:
        return code[text + offset : code.index(b"\0", text + offset)].decode()

    return {name(each[0]): code[each[4] : each[4] + each[5]] for each in headers}


def _kernel(data: bytes) -> CompiledKernel:
    parameters: dict[int, tuple[int, int]] = {}
    parameters_bytes = items = 0
    at = 0
    while at < len(data):
        form, attribute, value = struct.unpack_from("<BBH", data, at)
        at += 4
        if attribute == _PARAMETER:
            _, ordinal, offset, packed = struct.unpack_from("<IHHI", data, at)
            parameters[ordinal] = offset, packed >> 18
        elif attribute == _PARAMETERS_SIZE:
            parameters_bytes = value
        elif attribute == _ITEMS:
            items, *others = struct.unpack_from("<III", data, at)
            assert others == [1, 1]
        at += value if form == _HAS_DATA else 0
    return CompiledKernel([parameters[i] for i in range(len(parameters))], parameters_bytes, items)
