"""A number in place of an operand: what it means, what holds it, what the proof makes of it."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.analysis.proof import prove_module
from tilewright.dialects.graph_builders import elementwise
from tilewright.dialects.kernels import KERNELS
from tilewright.dialects.kernels.elementwise import ELEMENTWISE, held
from tilewright.ir.core import Value
from tilewright.ir.opdef import OpError
from tilewright.ir.types import TensorType
from tilewright.runtime.numerics import numpy_dtype

TWO = [name for name, kernel in ELEMENTWISE.items() if len(kernel.sources) == 2]


def text(name: str, dtype: str, braces: str = "", second: bool = False, turned: bool = False) -> str:
    """A function of a tensor and a number, or of two tensors."""
    type = f"tensor<5x7x{dtype}>"
    operands = "%z, %x" if turned else "%x, %z" if second else "%x"
    types = f"({type}, {type}) -> {type}" if second else type
    return (
        f"func.func @f(%x: {type}, %z: {type}) -> {type} {{\n"
        f"  %y = graph.{name} {operands}{braces} : {types}\n  return %y : {type}\n}}\n"
    )


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n in TWO for d in ("f32", "f16", "bf16", "i32")])
def test_it_is_a_tensor_full_of_it(name: str, dtype: str, side: str) -> None:
    if dtype not in KERNELS[name].dtypes:
        return
    rng = np.random.default_rng(4)
    x = rng.integers(1, 9, (5, 7)).astype(numpy_dtype(dtype))
    both = {"x": x, "z": np.full((5, 7), 3).astype(numpy_dtype(dtype))}
    graph = text(name, dtype, f" {{{side} = 3.0 : f32}}")
    (wanted,) = tw.run(text(name, dtype, second=True, turned=side == "left"), both)
    scheduled = tw.run_passes(graph, "O1{sram=1KiB tile=4x4x4}")
    prove_module(tw.parse(graph), tw.parse(scheduled))
    for module in (graph, scheduled):
        (made,) = tw.run(module, both)
        assert made.dtype == wanted.dtype
        assert np.array_equal(made, wanted)


@pytest.mark.parametrize(
    ("name", "same"), [("add", True), ("mul", True), ("max", True), ("sub", False), ("pow", False)]
)
def test_the_proof_knows_on_which_side_it_stands(name: str, same: bool) -> None:
    one, other = (tw.parse(text(name, "f32", f" {{{side} = 3.0 : f32}}")) for side in ("left", "right"))
    scheduled = tw.parse(tw.run_passes(tw.print(one), "O0{sram=1KiB tile=4x4x4}"))
    if same:
        prove_module(other, scheduled)
        return
    with pytest.raises(tw.DiagnosticError, match=rf"{name} of %x\[0, 0\] with left = 3.0 instead of .*right = 3.0"):
        prove_module(other, scheduled)


def test_the_proof_knows_the_number() -> None:
    one, other = (tw.parse(text("mul", "f32", f" {{right = {number} : f32}}")) for number in ("3.0", "4.0"))
    with pytest.raises(tw.DiagnosticError, match=r"right = 3.0 instead of .*right = 4.0"):
        prove_module(other, tw.parse(tw.run_passes(tw.print(one), "O0{sram=1KiB tile=4x4x4}")))


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "i8", "i32"])
def test_what_a_type_holds(dtype: str) -> None:
    numbers = [0.0, 0.1, -0.5, 1.5, 2.5, 127.0, 128.0, -200.0, 65504.0, 1e9, -3e9]
    made = [held(number, dtype) for number in numbers]
    assert [held(number, dtype) for number in made] == made
    if dtype not in ("i8", "i32"):
        with np.errstate(over="ignore"):
            assert made == [float(n) for n in np.array(numbers).astype(numpy_dtype(dtype))]
        return
    assert made[:5] == [0, 0, 0, 2, 2]
    assert made[5:] == ([127, 127, -128, 127, 127, -128] if dtype == "i8" else [127, 128, -200, 65504, 1e9, -(2.0**31)])


def test_it_is_built_as_f32() -> None:
    x = Value(TensorType((4,), "f32"), "x")
    made = elementwise("mul", x, right=0.1)
    assert made.right.value == np.float32(0.1)  # type: ignore[attr-defined]
    with pytest.raises(OpError, match="takes 2 operands, got 1"):
        elementwise("mul", x)
