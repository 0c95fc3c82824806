"""mir-translate --import-onnx: elementwise functions, numbers, broadcasting, patterns, and what constants come to, each
against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ..onnx_models import ROW, Array, Imports, V, W, X, build, data, node, shape_of


def runtime(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """Node by node: what ONNX Runtime makes of several at once may be rounded to eight bits."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(a) for a in session.run(None, inputs)]


def number(value: float, dtype: Any = np.float32) -> Array:
    return np.array(value, dtype)


def check(imports: Imports, model: onnx.ModelProto, inputs: dict[str, Array] | None = None) -> list[str]:
    """What the operations are, after their results were found to be ONNX Runtime's."""
    imports.good(model)
    given = inputs or {i.name: data(*(d.dim_value for d in i.type.tensor_type.shape.dim)) for i in model.graph.input}
    for result, wanted in zip(imports.run(given), runtime(model, given), strict=True):
        np.testing.assert_allclose(result, wanted.reshape(result.shape), rtol=1e-5, atol=1e-6)
    return imports.body()


UNARY = {
    "Abs": "graph.abs %x",
    "Elu": "graph.elu %x {params = [1.0 : f32]}",
    "Erf": "graph.erf %x",
    "Exp": "graph.exp %x",
    "HardSigmoid": "graph.hard_sigmoid %x {params = [0.2 : f32, 0.5 : f32]}",
    "HardSwish": "graph.hard_swish %x",
    "LeakyRelu": "graph.leaky_relu %x {params = [0.01 : f32]}",
    "Log": "graph.log %x",
    "Neg": "graph.neg %x",
    "Reciprocal": "graph.reciprocal %x",
    "Softplus": "graph.softplus %x",
    "Sqrt": "graph.sqrt %x",
}


@pytest.mark.parametrize("op", UNARY)
def test_a_function_with_what_it_has_where_nothing_is_said(op: str, imports: Imports) -> None:
    x = np.abs(data(3, 6)) + 0.5 if op in ("Log", "Sqrt", "Reciprocal") else data(3, 6) * 3
    body = check(imports, build([node(op, "x")], X), {"x": x})
    assert [line.split(" : tensor")[0] for line in imports.text.splitlines()[1:-2]] == [f"  %y = {UNARY[op]}"]
    assert len(body) == 1


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (node("LeakyRelu", "x", alpha=0.25), "[0.25 : f32]"),
        (node("Elu", "x", alpha=2.0), "[2.0 : f32]"),
        (node("HardSigmoid", "x", alpha=0.5, beta=0.25), "[0.5 : f32, 0.25 : f32]"),
    ],
)
def test_a_function_with_parameters(made: onnx.NodeProto, shown: str, imports: Imports) -> None:
    check(imports, build([made], X))
    assert f"{{params = {shown}}}" in imports.text


CASES: dict[str, tuple[onnx.ModelProto, list[str]]] = {
    "div by a number": (
        build([node("Div", "x c")], X, {"c": number(8)}),
        ["%y = graph.div %x {right = 8.0"],
    ),
    "a number by a tensor": (
        build([node("Exp", "x", "e"), node("Div", "c e")], X, {"c": number(0.1)}),
        ["%e = graph.exp %x", "%y = graph.div %e {left = 0.1"],
    ),
    "pow by a number": (build([node("Pow", "x c")], X, {"c": number(2)}), ["%y = graph.pow %x {right = 2.0"]),
    "a number with axes": (
        build([node("Add", "x c")], X, {"c": np.full((1, 1), 3, np.float32)}),
        ["%y = graph.add %x {right = 3.0"],
    ),
    "a number of a transposed tensor": (
        build([node("Transpose", "x", "t"), node("Mul", "t c", "m"), node("Transpose", "m")], X, {"c": number(3)}),
        ["%y = graph.mul %x {right = 3.0"],
    ),
    "max with zero": (build([node("Max", "zero x")], X, {"zero": number(0)}), ["%y = graph.relu %x"]),
    "sum of three": (
        build([node("Sum", "x z v")], {"x": [3, 6], "z": [3, 6]}, {"v": V[0]}),
        ["%y_1 = graph.add %x, %z", "%y = graph.add %y_1, %v"],
    ),
    "sum of one": (build([node("Sum", "x", "s"), node("Relu", "s")], X), ["%y = graph.relu %x"]),
    "min of three": (
        build([node("Min", "x z x")], {"x": [3, 6], "z": [3, 6]}),
        ["%y_1 = graph.min %x, %z", "%y = graph.min %y_1, %x"],
    ),
    "dropout": (build([node("Dropout", "x", "d"), node("Relu", "d")], X), ["%y = graph.relu %x"]),
    "a column": (build([node("Sub", "x z")], {"x": [3, 5], "z": [3, 1]}), ["%y = graph.sub %x, %z"]),
    "a column and a row": (build([node("Sub", "x z")], {"x": [3, 1], "z": [1, 5]}), ["%y = graph.sub %x, %z"]),
    "a row from a vector": (build([node("Sub", "v x")], {"x": [3, 6], "v": [6]}), ["%y = graph.sub %v, %x"]),
    "a computed row": (
        build([node("MatMul", "v w", "r"), node("Mul", "x r")], {"x": [3, 5], "v": [1, 6]}, {"w": W}),
        ["%r = graph.matmul %v, %w", "%y = graph.mul %x, %r"],
    ),
    "transA of an input": (
        build([node("Gemm", "x w", transA=1)], {"x": [6, 3]}, {"w": W}),
        ["%y = graph.matmul %x, %w {transpose_a}"],
    ),
    "a product by a transposed tensor": (
        build([node("Transpose", "z", "t"), node("MatMul", "x t")], {"x": [3, 6], "z": [4, 6]}),
        ["%y = graph.matmul %x, %z {transpose_b}"],
    ),
    "alpha and beta of inputs": (
        build([node("Gemm", "x z c", alpha=0.5, beta=2.0)], {"x": [3, 6], "z": [6, 5], "c": [3, 5]}),
        [
            "%y_scaled = graph.mul %c {right = 2.0",
            "%y_product_unscaled = graph.matmul %x, %z",
            "%y_product = graph.mul %y_product_unscaled {right = 0.5",
            "%y = graph.add %y_product, %y_scaled",
        ],
    ),
    "alpha of inputs, and a bias": (
        build([node("Gemm", "x z b", alpha=0.5)], {"x": [3, 6], "z": [6, 5]}, {"b": ROW}),
        [
            "%y_product_unscaled = graph.matmul %x, %z",
            "%y_product = graph.mul %y_product_unscaled {right = 0.5",
            "%y = graph.add %y_product, %b",
        ],
    ),
}


for equation, body in {
    "ij,jk->ik": "%x, %z",
    "ij,kj->ik": "%x, %z {transpose_b}",
    "ji,jk->ik": "%x, %z {transpose_a}",
    "ij,jk->ki": "%z, %x {transpose_a, transpose_b}",
    "ab , cb -> ca": "%z, %x {transpose_b}",
}.items():
    letters = equation.replace(" ", "")
    sizes = dict(zip(letters[:2], (3, 4) if letters[1] in letters[3:5] else (4, 3), strict=True))
    shapes = {"x": [sizes[c] for c in letters[:2]], "z": [sizes.get(c, 5) for c in letters[3:5]]}
    CASES[equation] = build([node("Einsum", "x z", equation=equation)], shapes), [f"%y = graph.matmul {body}"]


@pytest.mark.parametrize("name", CASES)
def test_as_in_onnx_runtime(name: str, imports: Imports) -> None:
    model, body = CASES[name]
    assert check(imports, model) == body


# Patterns


def erf_gelu(scale: str, half_first: bool) -> list[onnx.NodeProto]:
    ends = [node("Mul", "h half", "x2"), node("Mul", "x2 a")] if half_first else [
        node("Mul", "h a", "b"), node("Mul", "b half")
    ]  # fmt: skip
    inner = [node(scale, "h root", "d"), node("Erf", "d", "e"), node("Add", "one e", "a")]
    return [node("MatMul", "x w", "h"), *inner, *ends]


def tanh_gelu(power: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    return [
        node("MatMul", "x w", "h"), *power, node("Add", "h k", "s"), node("Mul", "s root", "r"), node("Tanh", "r", "t"),
        node("Add", "t one", "a"), node("Mul", "h half", "x2"), node("Mul", "x2 a"),
    ]  # fmt: skip


GELU = {"one": number(1), "half": number(0.5), "w": W}
ROOT_TWO_OVER_PI = number(np.sqrt(2 / np.pi))
PATTERNS: dict[str, tuple[list[onnx.NodeProto], dict[str, Array], str]] = {
    "gelu, divided": (erf_gelu("Div", False), {"root": number(np.sqrt(2))}, "gelu"),
    "gelu, multiplied": (erf_gelu("Mul", False), {"root": number(np.sqrt(0.5))}, "gelu"),
    "gelu, half first": (erf_gelu("Div", True), {"root": number(1.414213)}, "gelu"),
    "gelu by tanh and pow": (
        tanh_gelu([node("Pow", "h three", "p"), node("Mul", "p c", "k")]),
        {"root": ROOT_TWO_OVER_PI, "three": number(3), "c": number(0.044715)},
        "gelu_tanh",
    ),
    "gelu by tanh and products": (
        tanh_gelu([node("Mul", "h h", "q"), node("Mul", "q h", "p"), node("Mul", "p c", "k")]),
        {"root": ROOT_TWO_OVER_PI, "c": number(0.044715)},
        "gelu_tanh",
    ),
    "silu": ([node("MatMul", "x w", "h"), node("Sigmoid", "h", "s"), node("Mul", "h s")], {}, "silu"),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_several_nodes_are_one_operation(name: str, imports: Imports) -> None:
    nodes, constants, kernel = PATTERNS[name]
    body = check(imports, build(nodes, X, GELU | constants))
    assert body == ["%h = graph.matmul %x, %w", f"%y = graph.{kernel} %h"]


@pytest.mark.parametrize(
    ("outputs", "constants"),
    [("y e", {}), ("y a", {}), ("y", {"half": number(0.75)}), ("y", {"root": number(1.5)}), ("y", {"one": number(2)})],
)
def test_what_is_no_pattern_stays(outputs: str, constants: dict[str, Array], imports: Imports) -> None:
    known = GELU | {"root": number(np.sqrt(2))} | constants
    body = check(imports, build(erf_gelu("Div", False), X, known, outputs))
    assert sum("gelu" in line for line in body) == 0
    assert len(body) == 6


def normalization(behind: str = "h", **more: Any) -> list[onnx.NodeProto]:
    return [node("BatchNormalization", f"{behind} s t m v", epsilon=0.1, **more)]


STATISTICS = {"s": ROW, "t": data(5), "m": data(5), "v": np.abs(data(5))}


def test_a_normalization_goes_into_the_product_before_it(imports: Imports) -> None:
    nodes = [node("Gemm", "x w b", "h"), *normalization()]
    assert check(imports, build(nodes, X, {"w": W, "b": ROW} | STATISTICS)) == ["%y = graph.matmul %x, %w, %b"]
    nodes = [node("MatMul", "x w", "h"), *normalization()]
    assert check(imports, build(nodes, X, {"w": W} | STATISTICS)) == ["%y = graph.matmul %x, %w, %t"]
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "z w", "g"), *normalization(), node("Add", "y g", "a")]
    body = check(imports, build(nodes, {"x": [3, 6], "z": [3, 6]}, {"w": W} | STATISTICS, "a"))
    assert body == ["%g = graph.matmul %z, %w", "%y = graph.matmul %x, %w_2, %t", "%a = graph.add %y, %g"]


def test_a_normalization_by_itself(imports: Imports) -> None:
    model = build([node("MatMul", "x w", "h"), *normalization()], X, {"w": W} | STATISTICS, "y h")
    assert check(imports, model) == [
        "%h = graph.matmul %x, %w", "%y_scaled = graph.mul %h, %s", "%y = graph.add %y_scaled, %t",
    ]  # fmt: skip


# Constants


FOLDED: dict[str, list[onnx.NodeProto]] = {
    "quantized": [node("DequantizeLinear", "q scale zero", "k")],
    "trigonometric": [node("Cos", "w", "k")],
    "a range": [node("Range", "from to step", "r"), node("Expand", "r shape", "e"), node("Transpose", "e", "k")],
    "filled": [node("ConstantOfShape", "sizes", "k", value=numpy_helper.from_array(np.array([2], np.float32)))],
    "chosen": [node("Greater", "w zero_f", "g"), node("Where", "g w zero_f", "k")],
    "split": [node("Concat", "w w", "c", axis=0), node("Split", "c", "other k", axis=0)],
}
NUMBERS = {
    "w": W, "q": np.arange(30, dtype=np.int8).reshape(6, 5), "scale": number(0.1), "zero": number(3, np.int8),
    "from": number(0), "to": number(6), "step": number(1), "shape": shape_of(5, 6), "sizes": shape_of(6, 5),
    "zero_f": number(0),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDED)
def test_what_constants_come_to_is_a_parameter(name: str, imports: Imports) -> None:
    model = build([*FOLDED[name], node("MatMul", "x k")], X, NUMBERS)
    (line,) = check(imports, model)
    assert line.startswith("%y = graph.matmul %x, %")


def test_shapes_of_computed_tensors_are_constants(imports: Imports) -> None:
    nodes = [
        node("MatMul", "x w", "h"), node("Shape", "h", "s"), node("Size", "h", "n"), node("Gather", "s one", "c"),
        node("Div", "n c", "r"), node("Unsqueeze", "r zeros", "r1"), node("Unsqueeze", "c zeros", "c1"),
        node("Concat", "r1 c1", "t", axis=0), node("Reshape", "h t", "f"), node("Relu", "f"),
    ]  # fmt: skip
    constants = {"w": W, "one": number(1, np.int64), "zeros": shape_of(0)}
    assert check(imports, build(nodes, X, constants)) == ["%h = graph.matmul %x, %w", "%y = graph.relu %h"]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (node("ConstantOfShape", "huge", "k"), "its result, 1000000x1000000, is larger than 1,073,741,824 bytes"),
        (node("Expand", "zero_f huge", "k"), "its result, 1000000x1000000, is larger than 1,073,741,824 bytes"),
        (node("RandomNormal", "", "k", shape=[6, 5]), "it has no counterpart here"),
        (node("Reshape", "w sizes7", "k"), "its constants can't be computed: "),
        (helper.make_node("Odd", ["w"], ["k"], domain="org.example"), "it has no counterpart here"),
    ],
)
def test_constants_that_are_not_computed(made: onnx.NodeProto, reason: str, imports: Imports) -> None:
    constants = NUMBERS | {"huge": shape_of(10**6, 10**6), "sizes7": shape_of(7, 5)}
    model = build([made, node("MatMul", "x k")], X, constants)
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    assert reason in imports.bad(model)


def test_integers_that_f32_can_not_hold_are_no_number(imports: Imports) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.INT32, [3])
    model = build([node("Add", "x c")], {"x": x}, {"c": number(16777217, np.int32)}, type=TensorProto.INT32)
    imports.good(model)
    assert imports.body() == ["%y = graph.add %x, %c"]
