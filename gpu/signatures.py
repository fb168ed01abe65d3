"""The kernels' declarations, read from their sources: what hosts check their arguments by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from gpu.backend import BackendError

SOURCES = Path(__file__).parent / "kernels" / "device"
DIALECT = SOURCES / "dialect.h"
HASH = SOURCES / "hash.h"

_DECLARATION = re.compile(r"^KERNEL\((\w+)\)\s+(\w+)\(([^)]*(?:\(\w+\)[^)]*)*)\)\s*\{", re.M)
_BUFFER = re.compile(r"(IN|OUT|INOUT)\((int|uint|float)\)\s+(\w+)")
_SCALAR = re.compile(r"(int|uint|float)\s+(\w+)")
_CONSTANT = re.compile(r"^#define\s+(\w+)\s+(\d+)\s*$", re.M)

WordType = Literal["int", "uint", "float"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kernel."""

    name: str
    type: WordType
    access: Literal["in", "out", "inout", "value"]
    """value: a number, else a buffer."""

    @property
    def is_buffer(self) -> bool:
        """Whether it is a buffer."""
        return self.access != "value"


@dataclass(frozen=True)
class Signature:
    """A kernel's declaration."""

    name: str
    file: str
    """Its source, without the ending."""
    items: int
    """Threads of a group, where a device has such."""
    parameters: tuple[Parameter, ...]

    @property
    def buffers(self) -> tuple[Parameter, ...]:
        """The buffers, in their order."""
        return tuple(each for each in self.parameters if each.is_buffer)

    @property
    def scalars(self) -> tuple[Parameter, ...]:
        """The numbers, in their order."""
        return tuple(each for each in self.parameters if not each.is_buffer)

    def ordered(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Arguments in the order of the declaration.

        Raises BackendError if one is missing, unknown or of another kind.
        """
        if arguments.keys() != self._kinds.keys():
            missing = [name for name in self._kinds if name not in arguments]
            unknown = [name for name in arguments if name not in self._kinds]
            raise BackendError(f"kernel {self.name}: {missing} missing, {unknown} unknown")
        values = []
        for name, kind in self._kinds.items():
            value = arguments[name]
            if not _FITS[kind](value):
                raise BackendError(f"kernel {self.name}: {name} is {value!r}, must be {kind}")
            values.append(value)
        return values

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """What each argument must be, by its name."""
        return {each.name: "buffer" if each.is_buffer else each.type for each in self.parameters}


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "buffer": lambda value: hasattr(value, "size_bytes"),
    "float": lambda value: isinstance(value, (float, int)),
    "int": lambda value: isinstance(value, int) and -(1 << 31) <= value < 1 << 31,
    "uint": lambda value: isinstance(value, int) and 0 <= value < 1 << 32,
}


@cache
def signatures() -> Mapping[str, Signature]:
    """All kernels, by their names."""
    found = [each for path in sorted(SOURCES.glob("*.c")) for each in _declared(path)]
    return {each.name: each for each in found}


def signature(kernel: str) -> Signature:
    """One kernel's. Raises BackendError if there is none."""
    try:
        return signatures()[kernel]
    except KeyError:
        raise BackendError(f"there is no kernel {kernel}") from None


def source(file: str) -> str:
    """A source in the dialect, with the dialect and the hash before it."""
    return DIALECT.read_text() + HASH.read_text() + (SOURCES / f"{file}.c").read_text()


def files() -> list[str]:
    """All sources in the dialect, without their endings."""
    return sorted(path.stem for path in SOURCES.glob("*.c"))


def _declared(path: Path) -> list[Signature]:
    text = path.read_text()
    constants = {name: int(value) for name, value in _CONSTANT.findall(text)}
    return [
        Signature(
            name,
            path.stem,
            int(items) if items.isdecimal() else constants[items],
            tuple(_parameter(each.strip()) for each in parameters.split(",")),
        )
        for items, name, parameters in _DECLARATION.findall(text)
    ]


def _parameter(text: str) -> Parameter:
    if match := _BUFFER.fullmatch(text):
        access, word, name = match.groups()
        return Parameter(name, word, access.lower())  # type: ignore[arg-type] # the pattern's
    match = _SCALAR.fullmatch(text)
    assert match, f"not a parameter of the dialect: {text!r}"
    word, name = match.groups()
    return Parameter(name, word, "value")  # type: ignore[arg-type] # the pattern's
