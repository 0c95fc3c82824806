"""Inputs of a run: what fits is converted, what does not is a located error; random inputs are seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.ir.builtin import ModuleOp
from tilewright.runtime.execute import execute_function, random_inputs
from tilewright.runtime.numerics import Array

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
TYPE = "tensor<2x2xf32>"
SUM = f"""\
func.func @f(%x: {TYPE}, %w: {TYPE}) -> {TYPE} {{
  %y = graph.add %x, %w : ({TYPE}, {TYPE}) -> {TYPE}
  return %y : {TYPE}
}}
"""
X, W = np.array([[1, -2], [3, 4]], np.float32), np.array([[5, 6], [-7, 8]], np.float32)


def example(name: str, passes: str = "") -> ModuleOp:
    return tilewright.parse(tilewright.run_passes((EXAMPLES / f"{name}.mir").read_text(encoding="utf-8"), passes))


def run(module: ModuleOp, **inputs: Array) -> list[Array]:
    (func,) = module.functions()
    return execute_function(func, module, inputs).arrays


@pytest.mark.parametrize(
    ("inputs", "error", "argument"),
    [
        ({"x": X}, "no input is given for %w, tensor<2x2xf32>", "%w"),
        ({"x": X[0], "w": W}, "input %x has shape 2, the function needs 2x2", "%x"),
        ({"x": X, "w": W.T[:1]}, "input %w has shape 1x2, the function needs 2x2", "%w"),
        ({"x": np.float32(1), "w": W}, "input %x has shape (), the function needs 2x2", "%x"),
        ({"x": X.astype(complex), "w": W}, "input %x has element type complex128, the function needs f32", "%x"),
        ({"x": X > 0, "w": W}, "input %x has element type bool, the function needs f32", "%x"),
        ({"x": X.astype(float) * 1e300, "w": W}, "input %x has the value 1e+300, which f32 can't hold", "%x"),
        ({"x": X, "w": 2**24 - W.astype(int)}, "input %w has the value 16777223, which f32 can't hold", "%w"),
        (
            {"x": X, "w": W.astype("i8").astype("u8")},
            "input %w has the value 18446744073709551609, which f32 can't hold",
            "%w",
        ),
        (
            {"x": X, "w": W.astype("i8") | 1 << 53},
            "input %w has the value 9007199254740997, which f32 can't hold",
            "%w",
        ),
        ({"x": X.astype("U4"), "w": W}, "input %x has element type <U4, the function needs f32", "%x"),
        ({"x": X.astype(object), "w": W}, "input %x has element type object, the function needs f32", "%x"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, Array], error: str, argument: str) -> None:
    head = SUM.splitlines()[0]
    column = head.index(argument)
    with pytest.raises(DiagnosticError) as caught:
        run(tilewright.parse(SUM, filename="sum.mir"), **inputs)
    assert str(caught.value) == f"sum.mir:1:{column + 1}: error: {error}\n{head}\n{' ' * column}^"


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint64, np.int8])
def test_inputs_of_a_type_that_converts(dtype: type) -> None:
    x, w = np.array([[1, 0], [1, 1]], dtype), np.array([[0, 1], [1, 1]], dtype)
    (made,) = run(tilewright.parse(SUM), x=x, w=w)
    assert made.dtype == np.float32
    assert made.tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.int64, 128), (np.int64, -129), (np.uint8, 200), (np.int32, 2**31 - 1)]
)
def test_integers_that_do_not_fit_are_refused(dtype: type, value: int) -> None:
    text = "func.func @f(%x: tensor<1x2xi8>) -> tensor<1x2xi8> {\n  return %x : tensor<1x2xi8>\n}\n"
    module = tilewright.parse(text, filename="f.mir")
    with pytest.raises(
        DiagnosticError, match=rf"^f\.mir:1:14: error: input %x has the value {value}, which i8 can't hold"
    ):
        run(module, x=np.array([[1, value]], dtype))


def test_integers_that_are_floats_and_floats_that_are_rounded() -> None:
    x, w = np.array([[2**24, 2**30], [-(2**62), 0]]), np.array([[0.1, np.inf], [-np.inf, np.nan]])
    (made,) = run(tilewright.parse(SUM), x=x, w=w)
    assert made.tolist()[0] == [2**24, np.inf]
    assert made.tolist()[1][0] == -np.inf
    assert np.isnan(made[1, 1])


def test_inputs_in_any_memory_order() -> None:
    module = example("mlp", "schedule")
    (func,) = module.functions()
    inputs = random_inputs(func, 5)
    (plain,) = run(module, **inputs)
    (made,) = run(module, **{name: np.asfortranarray(array) for name, array in inputs.items()})
    assert np.array_equal(plain, made)


WHOLE = """\
func.func @f(%x: !uop.tiled<tensor<2x2xf32>, [2, 2]>, %t: tensor<2x2xf32>)
    -> (tensor<2x2xf32>, !uop.tiled<tensor<2x2xf32>, [2, 2]>) {
  %y = uop.alloc : !uop.tiled<tensor<2x2xf32>, [2, 2]>
  uop.load %x[0, 0]
  uop.exec relu %y[0, 0] = %x[0, 0]
  uop.store %y[0, 0]
  return %t, %y : tensor<2x2xf32>, !uop.tiled<tensor<2x2xf32>, [2, 2]>
}
"""
GRAPH = """\
func.func @f(%x: tensor<2x2xf32>, %t: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %y = graph.relu %x : tensor<2x2xf32>
  return %t, %y : tensor<2x2xf32>, tensor<2x2xf32>
}
"""


@pytest.mark.parametrize("pipeline", ["", "schedule", "schedule,sync"])
def test_a_tensor_that_is_returned_as_it_was_given(pipeline: str) -> None:
    """It is no buffer, and stays in one piece, in a run and in a proof."""
    made = tilewright.parse(tilewright.run_passes(WHOLE, pipeline))
    first, second = run(made, x=X, t=W)
    np.testing.assert_array_equal(first, W)
    np.testing.assert_array_equal(second, np.maximum(X, 0))
    tilewright.prove(GRAPH, made)
    tilewright.prove(made, GRAPH)
    with pytest.raises(DiagnosticError, match=r"%t\[0, 0\] instead of %x\[0, 0\]; it should be the model's %x\[0, 0\]"):
        tilewright.prove(GRAPH.replace("return %t", "return %x"), made)


@pytest.mark.parametrize("kind", ["tensor<4x4xf64>", "tensor<2x2x2xf32>", "tensor<3xi64>"])
def test_tensors_that_nothing_works_on_are_proved_whole(kind: str) -> None:
    text = f"func.func @f(%x: {kind}, %y: {kind}) -> ({kind}, {kind}) {{\n  return %x, %y : {kind}, {kind}\n}}\n"
    tilewright.prove(text, text)
    with pytest.raises(DiagnosticError, match="instead of"):
        tilewright.prove(text, text.replace("return %x, %y", "return %y, %x"))


def test_what_there_is_no_memory_for_is_located() -> None:
    for text in (
        WHOLE.replace("[2, 2]", "[1000000000, 1000000000]"),
        GRAPH.replace("2x2", "1000000000x1000000000"),
        GRAPH.replace("2x2", "9000000000000000000x9000000000000000000"),
    ):
        module = tilewright.parse(text)
        (func,) = module.functions()
        for start in (lambda: execute_function(func, module, {"x": X, "t": W}), lambda: random_inputs(func, 1)):  # noqa: B023
            with pytest.raises(DiagnosticError, match=r"%x takes [\d,]+ bytes.*: there are [\d,]+ of memory"):
                start()
    near = tilewright.run_passes(GRAPH, "tile{sizes=2x2x2},lower,schedule")
    far = near.replace("@0x0040", "@0x7000000000000000").replace("total_bytes = 262144", f"total_bytes = {2**63 - 1}")
    module = tilewright.parse(far, verify=False)
    with pytest.raises(DiagnosticError, match=r"the schedule's tiles reach byte 8,070,450,532,247,928,848 of the SRAM"):
        run(module, x=X, t=W)


def test_random_inputs_are_seeded() -> None:
    (func,) = example("quantized").functions()
    first, again, other = random_inputs(func, 1), random_inputs(func, 1), random_inputs(func, 2)
    assert all(np.array_equal(first[n], again[n]) for n in first)
    assert not np.array_equal(first["x"], other["x"])
    assert {n: a.dtype.name for n, a in first.items()} == {"x": "int8", "w1": "int8", "b1": "int32", "w2": "int8"}
    assert all(a.min() >= -4 and a.max() <= 4 for a in first.values())


def test_an_argument_without_values_is_located() -> None:
    module = tilewright.parse("func.func @f(%a: i32) -> i32 {\n  return %a : i32\n}\n", filename="f.mir")
    (func,) = module.functions()
    with pytest.raises(DiagnosticError, match=r"^(f\.mir|<built in memory>)(:1:14)?: error: .*i32"):
        random_inputs(func, 0)
    with pytest.raises(DiagnosticError, match=r"^f\.mir:1:14: error: .*i32"):
        execute_function(func, module, {"a": np.array(1)})


def test_progress_is_told() -> None:
    module = example("mlp_mnist", "schedule")
    (func,) = module.functions()
    told: list[int] = []
    execute_function(func, module, random_inputs(func, 0), progress=told.append)
    assert told == list(range(0, len(func.ops), 1024))
    assert len(told) > 1
