"""`FuncBuilder`: functions at graph level, built operation by operation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tilewright as tw
from tilewright.dialects.kernels.elementwise import ELEMENTWISE
from tilewright.ir.core import Value
from tilewright.ir.opdef import OpError, all_ops

BUILT = """\
func.func @layer(%x: tensor<8x4xf32>, %w: tensor<4x6xf32> {graph.param}, %b: tensor<6xf32>, %r: tensor<8x6xf32>) \
-> (tensor<8x6xf32>, tensor<8x6xf16>) {
  %h = graph.matmul %x, %w, %b {activation = "relu", tile = [4, 2, 4]} \
: (tensor<8x4xf32>, tensor<4x6xf32>, tensor<6xf32>) -> tensor<8x6xf32>
  %h_0 = graph.add %h, %r : (tensor<8x6xf32>, tensor<8x6xf32>) -> tensor<8x6xf32>
  %0 = graph.relu %h_0 {epilogue} : tensor<8x6xf32>
  %1 = graph.cast %0 : tensor<8x6xf32> -> tensor<8x6xf16>
  return %0, %1 : tensor<8x6xf32>, tensor<8x6xf16>
}
"""


def layer() -> tw.FuncBuilder:
    b = tw.FuncBuilder("layer")
    x, w = b.arg("x", (8, 4)), b.arg("w", (4, 6), param=True)
    bias, r = b.arg("b", [6]), b.arg("r", (8, 6), "f32")
    h = b.matmul(x, w, bias, activation="relu", name="h", tile=[4, 2, 4])
    s = b.add(h, r, name="h")
    y = b.elementwise("relu", s, epilogue=True)
    b.returns(y, b.cast(y, "f16"))
    return b


def test_what_is_built_prints_as_the_language_writes_it() -> None:
    module = layer().module()
    assert str(module) == BUILT
    assert tw.parse(BUILT) == module


def test_each_module_is_a_copy() -> None:
    b = layer()
    module = b.module()
    module.ops.clear()
    next(b.module().functions()).ops.clear()
    assert str(b.func()) == BUILT


def test_attributes_are_given_as_python_has_them() -> None:
    b = tw.FuncBuilder("f")
    x = b.arg("x", (4, 4), "i32")
    b.returns(b.cast(b.relu(b.op("graph.relu", x, epilogue=False, group=None)), "i8", scale=0.05, zero_point=-3))
    text = str(b.module())
    assert "%0 = graph.relu %x : tensor<4x4xi32>" in text
    assert "%2 = graph.cast %1 {scale = 0.05 : f32, zero_point = -3}" in text


def test_every_operation_of_the_graph_can_be_built() -> None:
    names = {name for name in all_ops() if name.startswith("graph.")} - {"graph.opaque"}  # what only importers make
    b, x = built()
    for name, kernel in ELEMENTWISE.items():
        params = [0.0, 1.0][: sum(p.attribute == "params" for p in kernel.parameters)] or None
        b.elementwise(name, *[x] * len(kernel.sources), params=params)
    b.concat(b.slice(x, [0, 0], [1, 1]), b.transpose(b.reduce(b.reshape(x, (4, 5)), "max", 1), [1, 0]), axis=1)
    b.broadcast(b.reduce(x, "sum", 0), (4, 5))
    quantised = b.quantize(x, "ui8", 0.5, 3)
    b.dequantize(b.quantize(b.matmul(quantised, quantised, transpose_b=True, zero_point_a=3), "i8", 0.25), 0.125)
    b.causal_mask(x, 1)
    scale = b.reduce(x, "max", 0)
    b.rms_norm(b.layer_norm(b.softmax(x, (0, 1)), scale, scale), scale, axis=0, epsilon=0)
    b.returns(x)
    made = {op.name for func in (layer().func(), b.func()) for op in func.ops}
    assert made == names | {"func.return"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda b, x: b.reduce(x, "max", 2), "axes"),
        (lambda b, x: b.reduce(x, "most", 0), "kind"),
        (lambda b, x: b.reduce(x, "mean", [1, 1]), "axes"),
        (lambda b, x: b.softmax(x, -3), "axes"),
        (lambda b, x: b.layer_norm(x, x, axis=[]), "axes"),
        (lambda b, x: b.rms_norm(x, x, epsilon=-1.0), "epsilon"),
        (lambda b, x: b.transpose(x, [0, 0]), "permutation"),
        (lambda b, x: b.reshape(x, [3, 3]), "graph.reshape"),
        (lambda b, x: b.reshape(x, []), "graph.reshape"),
        (lambda b, x: b.slice(x, [9, 0], [1, 1]), "graph.slice"),
        (lambda b, x: b.broadcast(x, [8, 8]), "graph.broadcast"),
        (lambda b, x: b.concat(x, x, axis=5), "graph.concat"),
        (lambda b, x: b.concat(axis=0), "graph.concat"),
    ],
)
def test_reductions_and_views_that_do_not_fit(make: Callable[[tw.FuncBuilder, Value], Value], message: str) -> None:
    b = tw.FuncBuilder("f")
    with pytest.raises(OpError, match=message):
        make(b, b.arg("x", (4, 5)))


def test_operands_are_broadcast_and_may_be_numbers() -> None:
    b, x = built()
    v, c, w = b.arg("v", (5,)), b.arg("c", (4, 1)), b.arg("w", (4,))
    y = b.elementwise("sub", v, x)
    z = b.elementwise("div", b.add(y, c), left=0.1)
    with pytest.raises(tw.OpError, match="can't be broadcast to one shape"):
        b.elementwise("sub", x, w)
    b.returns(z)
    text = tw.print(b.module())
    assert "graph.sub %v, %x : (tensor<5xf32>, tensor<4x5xf32>) -> tensor<4x5xf32>" in text
    assert "{left = 0.1 : f32} : tensor<4x5xf32>" in text


def built() -> tuple[tw.FuncBuilder, tw.Value]:
    b = tw.FuncBuilder("f")
    return b, b.arg("x", (4, 5))


def returned() -> tw.FuncBuilder:
    b, x = built()
    b.returns(x)
    return b


def other() -> tw.Value:
    return built()[1]


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda b, x: b.arg("x", (1,)), ValueError, "argument name 'x' is taken"),
        (lambda b, x: b.arg("a b", (1,)), ValueError, "argument name 'a b' is not a name"),
        (lambda b, x: b.arg("", (1,)), ValueError, "argument name '' is not a name"),
        (lambda b, x: b.arg("y", (0,)), ValueError, "tensor dimension must be at least 1, got 0"),
        (lambda b, x: b.arg("y", (1,), "f23"), ValueError, "must be one of f32, f16, bf16, i8, ui8, i32, got 'f23'"),
        (lambda b, x: (b.relu(x), b.arg("y", (1,))), ValueError, "%y must be added before the first operation"),
        (lambda b, x: b.matmul(x, x), tw.OpError, "inner dimensions differ: tensor<4x5xf32> has 5 columns"),
        (lambda b, x: b.matmul(x, x, activation="rellu"), tw.OpError, "inner dimensions differ"),
        (
            lambda b, x: b.add(x, b.cast(x, "f16")),
            tw.OpError,
            "element types differ",
        ),
        (lambda b, x: b.cast(x, "i32"), tw.OpError, "no cast from f32 to i32"),
        (lambda b, x: b.op("graph.rellu", x), tw.OpError, r"unknown operation 'graph.rellu' \(did you mean graph.relu"),
        (lambda b, x: b.op("graph.relu"), tw.OpError, "graph.relu needs a result type"),
        (lambda b, x: b.op("graph.relu", x, tiel=[1, 1, 1]), tw.OpError, r"unknown attribute 'tiel' on graph.relu"),
        (lambda b, x: b.op("graph.relu", x, tile=[1, 0]), tw.OpError, "a positive tile size for each"),
        (lambda b, x: b.op("graph.relu", x, x), tw.OpError, "graph.relu takes 1 operand, got 2"),
        (lambda b, x: b.relu(other()), ValueError, "%x is no value of @f"),
        (lambda b, x: b.returns(other()), ValueError, "%x is no value of @f"),
        (lambda b, x: b.module(), ValueError, r"@f returns nothing yet: call returns\(...\)"),
        (lambda b, x: returned().relu(x), ValueError, "@f has returned"),
        (
            lambda b, x: b.op("graph.relu", x, tile=object()),
            TypeError,
            "attribute 'tile' of graph.relu is no attribute",
        ),
        (
            lambda b, x: b.op("graph.relu", x, **{"a.b": [1, {2}]}),
            TypeError,
            r"'a.b' of graph.relu is no attribute, \{2\}",
        ),
        (
            lambda b, x: b.op("graph.relu", x, group=2**63),
            tw.OpError,
            "'group' of graph.relu is an integer that does no",
        ),
        (lambda b, x: b.op("graph.relu", x, **{"a.b": -(2**70)}), tw.OpError, "does not fit in 64 bits"),
        (lambda b, x: b.elementwise("clip", x, params=[0, 10**400]), tw.OpError, "does not fit in 64 bits"),
        (lambda b, x: b.elementwise("rellu", x), tw.OpError, r"the kernel must be one of .* \(did you mean relu\?\)"),
        (lambda b, x: b.elementwise(3, x), tw.OpError, "the kernel must be one of .*, got 3"),
        (lambda b, x: b.relu("x"), TypeError, 'an operand must be a Value, got "x"'),
        (lambda b, x: b.add(x, None), TypeError, "an operand must be a Value, got None"),
        (lambda b, x: b.matmul(x, 1), TypeError, "an operand must be a Value, got 1"),
        (lambda b, x: b.cast(3, "f16"), TypeError, "an operand must be a Value, got 3"),
        (lambda b, x: b.cast(x, 16), TypeError, "an element type must be a str, got 16"),
        (lambda b, x: b.returns(None), TypeError, "an operand must be a Value, got None"),
        (lambda b, x: b.op(3, x), TypeError, "an operation's name must be a str, got 3"),
        (lambda b, x: b.op("graph.relu", x, name=3), TypeError, "the result's name must be a str, got 3"),
        (lambda b, x: b.op("graph.relu", x, type="f32"), TypeError, 'a result\'s type must be a Type, got "f32"'),
        (lambda b, x: b.arg(3, (1,)), TypeError, "an argument's name must be a str, got 3"),
        (lambda b, x: b.arg("y", (1,), None), TypeError, "an element type must be a str, got None"),
        (lambda b, x: b.arg("y", 4), ValueError, "shape of %y must be one to 6 whole numbers, got 4"),
        (lambda b, x: b.arg("y", (2**63,)), ValueError, "tensor dimension does not fit in 64 bits"),
        (lambda b, x: type(b)(None), TypeError, "a function's name must be a str, got None"),
    ],
)
def test_what_does_not_fit_is_said_at_once(
    build: Callable[[tw.FuncBuilder, tw.Value], object], error: type[Exception], message: str
) -> None:
    b, x = built()
    with pytest.raises(error, match=message):
        build(b, x)


def test_numbers_of_numpy_and_whole_numbers_are_taken() -> None:
    b = tw.FuncBuilder("f")
    x = b.arg("x", tuple(np.array([4, 4])), "f32")
    for params in ([0, 6], (0.0, 6), np.array([0, 6]), [np.float32(0), np.int64(6)], np.array([0, 6], np.float16)):
        x = b.elementwise("clip", x, params=params, tile=np.array([2, 2, 2]), epilogue=np.True_, group=None)
    b.returns(x)
    text = str(b.module())
    assert text.count("graph.clip") == text.count(" {epilogue, params = [0.0 : f32, 6.0 : f32], tile = [2, 2, 2]}") == 5
    assert tw.parse(text) == b.module()
    sums = tw.FuncBuilder("g")
    y = sums.cast(sums.arg("y", (4,), "i32"), "i8", scale=np.float64(0.5), zero_point=np.int8(3))  # type: ignore[arg-type]
    sums.returns(sums.cast(y, "i32"))
    assert "{scale = 0.5 : f32, zero_point = 3}" in str(sums.module())


def test_a_refused_operation_leaves_nothing_behind() -> None:
    b, x = built()
    with pytest.raises(tw.OpError):
        b.op("graph.relu", x, x, name="y")
    b.returns(b.relu(x, name="y"))
    assert [value.name for op in b.func().ops for value in op.results] == ["y"]


def test_a_built_module_goes_all_the_way() -> None:
    b = tw.FuncBuilder("f")
    x, w = b.arg("x", (40, 40)), b.arg("w", (40, 40))
    b.returns(b.matmul(x, w))
    planned = tw.run_passes(b.module(), "O1{sram=64KiB}")
    tw.prove(b.module(), planned)
    assert tw.report(planned).function("f").stats is not None


@pytest.mark.parametrize("shape", [(), (4.0, 8), (True, 8), (1,) * 7])
def test_a_shape_is_some_whole_numbers(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one to 6 whole numbers"):
        tw.FuncBuilder("f").arg("x", shape)


def test_results_are_nobody_elses_arrays() -> None:
    b, x = built()
    b.returns(x, x)
    given = np.ones((4, 5), np.float32)
    first, second = tw.run(b.module(), [given])
    first[:] = 7
    assert given.max() == second.max() == 1
