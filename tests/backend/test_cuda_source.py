"""The kernels' sources as NVIDIA's own compiler takes them: no device is needed for that."""

import pytest
from cubin import compiled_kernels, machine_code

from gpu.backend import BackendError
from gpu.cuda import parameters_layout
from gpu.nvrtc import compiled, cubin
from gpu.signatures import DIALECT, Signature, files, signatures

ARCHITECTURES = ["sm_80", "sm_90", "sm_100"]


@pytest.mark.parametrize("relaxed", [False, True], ids=["strict", "relaxed"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", files())
def test_source_compiles_to_what_the_backend_launches(
    file: str, architecture: str, relaxed: bool
) -> None:
    found = compiled_kernels(cubin(file, architecture, relaxed))
    declared = {each.name: each for each in signatures().values() if each.file == file}
    assert found.keys() == declared.keys()
    for name, kernel in found.items():
        assert kernel.items == declared[name].items
        assert kernel.parameters_bytes == parameters_layout(declared[name]).size
        assert kernel.parameters == _natural_layout(declared[name])


def _natural_layout(declared: Signature) -> list[tuple[int, int]]:
    """Offset and size of each: addresses of 8 bytes and words of 4, aligned to their size."""
    layout, end = [], 0
    for parameter in declared.parameters:
        size = 8 if parameter.is_buffer else 4
        start = -(-end // size) * size
        layout.append((start, size))
        end = start + size
    return layout


def test_what_does_not_compile_shows_the_compilers_words() -> None:
    with pytest.raises(BackendError, match=r'(?s)wrong.c for sm_90.*"undeclared" is undefined'):
        compiled("__global__ void f() { undeclared; }", "wrong.c", "sm_90", False)


def _machine_code_of(relaxed: bool, expression: str) -> bytes:
    text = DIALECT.read_text() + (
        f"KERNEL(64) f(IN(float) a, OUT(float) b) {{ b[0] = {expression}; }}\n"
    )
    return machine_code(compiled(text, "f.c", "sm_90", relaxed), "f")


def test_a_product_is_rounded_before_it_is_added_to() -> None:
    plain, rounded = "a[0] * a[1] + a[2]", "__fadd_rn(__fmul_rn(a[0], a[1]), a[2])"
    assert _machine_code_of(False, plain) == _machine_code_of(False, rounded)
    assert _machine_code_of(True, plain) != _machine_code_of(True, rounded)


def test_divisions_and_roots_are_rounded_exactly() -> None:
    plain, rounded = "a[0] / sqrtf(a[1])", "__fdiv_rn(a[0], __fsqrt_rn(a[1]))"
    assert _machine_code_of(False, plain) == _machine_code_of(False, rounded)
    assert _machine_code_of(True, plain) != _machine_code_of(True, rounded)
