import re

import pytest

from gpu.backend import BackendError
from gpu.signatures import Parameter, Signature, signature, signatures
from gpu.wgsl import check, module

DECLARED = Signature(
    "add",
    "sums",
    64,
    (
        Parameter("terms", "float", "in"),
        Parameter("sum", "int", "inout"),
        Parameter("count", "int", "value"),
        Parameter("scale", "float", "value"),
    ),
)
MODULE = """
const ITEMS = 64u;
@group(0) @binding(0) var<storage, read> terms: array<f32>;
@group(0) @binding(1) var<storage, read_write> sum: array<atomic<i32>>;
struct Scalars { groups: i32, count: i32, scale: f32, } // struct Scalars { nothing: u32 }
@group(0) @binding(2) var<uniform> scalars: Scalars;
@compute @workgroup_size(ITEMS)
fn add(@builtin(workgroup_id) id: vec3u) { }
"""

ROUNDED = re.compile(
    r"fn rounded\(x: f32\) -> f32 \{\n"
    r"    return bitcast<f32>\(bitcast<u32>\(x\) \| \(.*?(\w+)(?:\[0\])?\)? >> 31u\)\);\n\}\n"
)
CONDITION = re.compile(r"^[ }]*(?:if|else if|while|for|switch)\b.*", re.M)


def test_a_module_that_is_declared_as_in_c_is_taken() -> None:
    check(DECLARED, MODULE)


@pytest.mark.parametrize(
    ("there", "instead", "complaint"),
    [
        ("binding(0)", "binding(4)", "`1: storage read_write sum .* `0: storage read terms"),
        ("storage, read>", "storage, read_write>", "asks for `0: storage read terms array<f32>`"),
        ("terms:", "addends:", "has `0: storage read addends array<f32>`"),
        ("atomic<i32>", "atomic<u32>", "has `1: storage read_write sum array<u32>`"),
        ("count: i32, scale: f32", "scale: f32, count: i32", "`scale : f32` where .*`count : i32`"),
        ("groups: i32, ", "", "has `count : i32` where .* asks for `groups : i32`"),
        ("= 64u", "= 32u", "has `add of 32` where sums.c asks for `add of 64`"),
        ("fn add", "fn subtract", "has `subtract of 64`"),
        ("@group(0) @binding(2) var<uniform> scalars: Scalars;", "", "asks for `2: uniform"),
        ("@compute", "", "has `6 declarations` where .* `7`"),
    ],
)
def test_one_that_differs_is_refused(there: str, instead: str, complaint: str) -> None:
    assert there in MODULE
    with pytest.raises(BackendError, match=complaint) as raised:
        check(DECLARED, MODULE.replace(there, instead, 1))
    assert "kernel add: sums.wgsl" in str(raised.value)


def test_a_module_has_what_is_shared_and_its_own_part() -> None:
    text = module(signature("move_words"))
    assert "const BLOCK_VOXELS" in text
    assert text.count("@compute") == 1


def test_a_kernel_that_is_missing_is_named() -> None:
    with pytest.raises(BackendError, match=r"blocks\.wgsl has no kernel add"):
        module(Signature("add", "blocks", 64, ()))
    with pytest.raises(BackendError, match=r"there is no sums\.wgsl"):
        module(DECLARED)


@pytest.mark.parametrize("kernel", signatures())
def test_every_kernel_is_there_as_declared(kernel: str) -> None:
    module(signature(kernel))


def test_what_keeps_sums_in_order_decides_no_condition() -> None:
    """lavapipe compiles again for the values of those that do, and sees through it then."""
    modules = {name: module(kernel) for name, kernel in signatures().items()}
    rounding = {name: text for name, text in modules.items() if "rounded(" in text}
    assert len(rounding) >= 8
    for name, text in rounding.items():
        (kept_by,) = ROUNDED.findall(text)
        conditions = CONDITION.findall(text)
        assert len(conditions) > 0
        assert not [each for each in conditions if re.search(rf"\b{kept_by}\b", each)], name
