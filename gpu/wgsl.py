"""The kernels in WebGPU's language, held against their declarations in C."""

import re
from functools import cache
from itertools import chain

from gpu.backend import BackendError
from gpu.signatures import SOURCES, Parameter, Signature, WordType

_PART = re.compile(r"^// kernel (\w+)[ \t]*$", re.M)
_USE = re.compile(r"^// use (\w+)[ \t]*$", re.M)
_COMMENT = re.compile(r"//.*")
_BINDING = re.compile(
    r"@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(storage\s*,\s*read(?:_write)?|uniform)\s*>\s*"
    r"(\w+)\s*:\s*(\w+(?:<[^;]*>)?)\s*;"
)
_SCALARS = re.compile(r"struct\s+Scalars\s*\{([^}]*)\}")
_ENTRY = re.compile(r"@compute\s+@workgroup_size\(\s*(\w+)\s*\)\s*fn\s+(\w+)")
_CONSTANT = re.compile(r"\bconst\s+(\w+)\s*(?::\s*\w+\s*)?=\s*(\d+)[iu]?\s*;")
_TYPES: dict[WordType, str] = {"int": "i32", "uint": "u32", "float": "f32"}


def module(kernel: Signature) -> str:
    """The text of a kernel's module: what its file's kernels share, and its own part.

    A line `// use NAME` stands for the functions in NAME.wgsl.

    Raises BackendError if there is none, or if it is not declared as in C.
    """
    parts = _parts(kernel.file)
    if kernel.name not in parts:
        raise BackendError(f"{kernel.file}.wgsl has no kernel {kernel.name}, {kernel.file}.c has")
    text = _USE.sub(_used, parts[""] + parts[kernel.name])
    check(kernel, text)
    return text


def _used(line: re.Match[str]) -> str:
    return (SOURCES / f"{line[1]}.wgsl").read_text()


def check(kernel: Signature, text: str) -> None:
    """Hold a module's declarations against a kernel's. Raises BackendError naming both."""
    found, expected = _declared(text), _expected(kernel)
    if found != expected:
        differing = next(
            (pair for pair in zip(found, expected, strict=False) if pair[0] != pair[1]),
            (f"{len(found)} declarations", f"{len(expected)}"),
        )
        raise BackendError(
            f"kernel {kernel.name}: {kernel.file}.wgsl has `{differing[0]}` where "
            f"{kernel.file}.c asks for `{differing[1]}`"
        )


@cache
def _parts(file: str) -> dict[str, str]:
    """A file's kernels by their names; under "" what they share."""
    path = SOURCES / f"{file}.wgsl"
    if not path.exists():
        raise BackendError(f"there is no {path.name}, but a {file}.c")
    names_and_texts = ["", *_PART.split(path.read_text())]
    return dict(zip(names_and_texts[::2], names_and_texts[1::2], strict=True))


def _declared(text: str) -> list[str]:
    text = _COMMENT.sub("", text)
    bindings = sorted((int(match[0]), match[1:]) for match in _BINDING.findall(text))
    constants = dict(_CONSTANT.findall(text))
    scalars = ",".join(_SCALARS.findall(text)).split(",")
    return [
        *(_binding(number, space, name, word) for number, (space, name, word) in bindings),
        *(" ".join(each.replace(":", " : ").split()) for each in scalars if each.strip()),
        *(f"{name} of {constants.get(items, items)}" for items, name in _ENTRY.findall(text)),
    ]


def _binding(number: int, space: str, name: str, word: str) -> str:
    plain = re.sub(r"atomic<(\w+)>", r"\1", "".join(word.split()))
    return f"{number}: {' '.join(space.replace(',', ' ').split())} {name} {plain}"


def _expected(kernel: Signature) -> list[str]:
    buffers = kernel.buffers
    return [
        *(f"{i}: {_space(each)} {each.name} array<{_TYPES[each.type]}>" for i, each in
          enumerate(buffers)),
        f"{len(buffers)}: uniform scalars Scalars",
        *chain(
            ["groups : i32"], (f"{each.name} : {_TYPES[each.type]}" for each in kernel.scalars)
        ),
        f"{kernel.name} of {kernel.items}",
    ]  # fmt: skip


def _space(buffer: Parameter) -> str:
    return "storage read" if buffer.access == "in" else "storage read_write"
