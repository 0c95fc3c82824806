"""mir-translate --import-onnx: quantised models, bit for bit as ONNX Runtime computes them by default."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import tilewright as tw
from tilewright.runtime.execute import execute_function

from ..onnx_models import Array, Imports, build, node

RNG = np.random.default_rng(15)
BEGUN = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def numbers_do_not_depend_on_the_tests_before() -> None:
    RNG.bit_generator.state = BEGUN


I8, U8 = np.int8, np.uint8
BYTES = {I8: TensorProto.INT8, U8: TensorProto.UINT8}
X = {"x": [6, 24]}


def scalar(value: float, dtype: Any = np.float32) -> Array:
    return np.array(value, dtype)


def numbers(*shape: int, dtype: Any = I8) -> Array:
    ends = np.iinfo(dtype)
    return RNG.integers(ends.min, ends.max + 1, shape).astype(dtype)


def steps(name: str, scale: float, zero_point: float, dtype: Any = I8) -> dict[str, Array]:
    return {f"{name}_s": scalar(scale), f"{name}_z": scalar(zero_point, dtype)}


def there_and_back(x: str, name: str) -> list[onnx.NodeProto]:
    """A tensor quantised and dequantised in the steps of a name."""
    return [
        node("QuantizeLinear", f"{x} {name}_s {name}_z", f"{name}_q"),
        node("DequantizeLinear", f"{name}_q {name}_s {name}_z", f"{name}_d"),
    ]


def check(imports: Imports, model: onnx.ModelProto, inputs: dict[str, Array] | None = None) -> list[str]:
    """The operations' names, after the results were found to be ONNX Runtime's, bit for bit, also of a schedule."""
    given = inputs or {"x": (RNG.standard_normal((6, 24)) * 3).astype(np.float32)}
    imports.good(model)
    wanted = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, given
    )
    for level in ("-O0", "-O1"):
        graph = tw.parse(imports.text)
        module = tw.parse(tw.run_passes(imports.text, PIPELINES[level], prove_each=True))
        for made in (graph, module):
            (function,) = made.functions()
            named = {a.name: given[a.name] for a in function.args if a.name in given} | imports.weights
            results = execute_function(function, made, named).arrays
            for result, array in zip(results, wanted, strict=True):
                assert result.dtype == np.asarray(array).dtype
                assert result.tobytes() == np.asarray(array).reshape(result.shape).tobytes()
    return [line.split(" = graph.")[1].split()[0] for line in imports.body() if " = " in line]


PIPELINES = {
    "-O0": "tile{sizes=4x4x5},schedule{sram=16KiB}",
    "-O1": "canonicalize,fuse,tile{sizes=4x8x8},plan,schedule{sram=8KiB}",
}


def qdq(
    op: str = "Gemm", activation: str = "", bias: bool = True, end: Any = I8, start: Any = I8, weights: Any = I8,
    zero: int = -128, factor: float = 1.0, **attributes: Any,
) -> onnx.ModelProto:  # fmt: skip
    """A layer between what is quantised and dequantised, as quantisers write it."""
    w = numbers(24, 10, dtype=weights)
    constants = (
        steps("x", 0.05, 3, start) | steps("w", 0.01, 5 if weights is U8 else 0, weights) | steps("y", 0.07, zero, end)
    )
    constants |= {"w_q": w.T.copy() if attributes.get("transB") else w, "b_q": numbers(10).astype(np.int32) * 40}
    constants |= {"b_s": scalar(float(np.float32(0.05) * np.float32(0.01)) * factor), "b_z": scalar(0, np.int32)}
    nodes = [*there_and_back("x", "x"), node("DequantizeLinear", "w_q w_s w_z", "w_d")]
    if bias:
        nodes.append(node("DequantizeLinear", "b_q b_s b_z", "b_d"))
    nodes.append(node(op, f"x_d w_d{' b_d' if bias else ''}", "h", **attributes))
    if activation:
        nodes.append(node(activation, "h", "a"))
    nodes += [
        node("QuantizeLinear", f"{'a' if activation else 'h'} y_s y_z", "q"),
        node("DequantizeLinear", "q y_s y_z"),
    ]
    used = {name for n in nodes for name in n.input}
    return build(nodes, X, {name: array for name, array in constants.items() if name in used})


INTEGERS = ["quantize", "matmul", "requantize", "dequantize"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"transB": 1},
        {"bias": False},
        {"op": "MatMul", "bias": False},
        {"activation": "Relu"},
        {"start": U8, "end": U8, "zero": 0, "activation": "Relu"},
        {"start": U8, "weights": U8, "end": U8, "zero": 77},
    ],
    ids=str,
)
def test_a_layer_between_dequantised_tensors_is_computed_on_the_integers(
    changes: dict[str, Any], imports: Imports
) -> None:
    assert check(imports, qdq(**changes)) == INTEGERS


def test_a_relu_that_the_type_does_not_make_stays(imports: Imports) -> None:
    found = check(imports, qdq(activation="Relu", zero=-100))
    assert found == ["quantize", "matmul", "dequantize", "relu", "quantize", "dequantize"]


def test_another_type_at_the_end_is_quantised_anew(imports: Imports) -> None:
    imports.good(qdq(end=U8, zero=100))
    assert [line.split(" = graph.")[1].split()[0] for line in imports.body()] == [
        "quantize", "matmul", "dequantize", "quantize", "dequantize",
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [{"factor": 1.5}, {"alpha": 0.5}, {"beta": 0.5}], ids=str)
def test_what_the_integers_would_not_give_is_computed_in_f32(changes: dict[str, Any], imports: Imports) -> None:
    """A bias in other steps, and factors."""
    imports.good(qdq(**changes))
    assert "graph.matmul %x_d" in imports.text
    assert "zero_point_a" not in imports.text


def test_a_sum_with_another_reader_is_dequantised(imports: Imports) -> None:
    model = qdq()
    model.graph.output.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, None))
    imports.good(model)
    assert "graph.requantize" not in imports.text
    assert "graph.dequantize %h_sum" in imports.text


def quantised_inputs(
    op: str, inputs: str, constants: dict[str, Array], domain: str = "", **attributes: Any
) -> onnx.ModelProto:
    nodes = [node("QuantizeLinear", "x x_s x_z", "x_q"), node(op, inputs, domain=domain, **attributes)]
    used = {name for n in nodes for name in n.input}
    model = build(nodes, X, {n: a for n, a in constants.items() if n in used})
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


@pytest.mark.parametrize(("left", "right"), [(I8, I8), (U8, I8), (U8, U8)])
def test_qlinear_matmul(left: Any, right: Any, imports: Imports) -> None:
    constants = steps("x", 0.05, 9, left) | steps("w", 0.02, 4, right) | steps("y", 0.3, 11, left)
    constants["w"] = numbers(24, 10, dtype=right)
    model = quantised_inputs("QLinearMatMul", "x_q x_s x_z w w_s w_z y_s y_z", constants)
    model.graph.output[0].type.tensor_type.elem_type = BYTES[left]
    assert check(imports, model) == ["quantize", "matmul", "requantize"]
    assert "zero_point_a = 9, zero_point_b = 4" in imports.text


@pytest.mark.parametrize("in_f32", [False, True])
def test_qgemm(in_f32: bool, imports: Imports) -> None:
    constants = steps("x", 0.05, -7) | steps("w", 0.02, 0) | steps("y", 0.3, 11)
    constants |= {"w": numbers(10, 24), "b": numbers(10).astype(np.int32) * 100}
    end = "" if in_f32 else " y_s y_z"
    model = quantised_inputs("QGemm", f"x_q x_s x_z w w_s w_z b{end}", constants, "com.microsoft", transB=1)
    if not in_f32:
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT8
    assert check(imports, model) == ["quantize", "matmul", "dequantize" if in_f32 else "requantize"]


def test_matmul_integer(imports: Imports) -> None:
    constants = steps("x", 0.05, 9, U8) | {"w": numbers(24, 10), "w_z": scalar(-4, I8)}
    model = quantised_inputs("MatMulInteger", "x_q w x_z w_z", constants)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    assert check(imports, model) == ["quantize", "matmul"]


def test_ends_infinities_and_nan_are_quantised_alike(imports: Imports) -> None:
    x = np.zeros((6, 24), np.float32)
    x[0, :8] = [np.inf, -np.inf, np.nan, 3e38, -3e38, 0.025, 0.075, -0.025]
    model = build([*there_and_back("x", "y")[:1], node("DequantizeLinear", "y_q y_s y_z")], X, steps("y", 0.05, 3))
    assert check(imports, model, {"x": x}) == ["quantize", "dequantize"]


def test_an_image_of_bytes_is_cast(imports: Imports) -> None:
    image = helper.make_tensor_value_info("x", TensorProto.UINT8, [6, 24])
    model = build([node("Cast", "x", "f", to=TensorProto.FLOAT), node("Relu", "f")], {"x": image})
    assert check(imports, model, {"x": numbers(6, 24, dtype=U8)}) == ["dequantize", "relu"]


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"y_s": np.ones(24, np.float32)}, "its scale is 24, one for each channel; it can be one for all"),
        ({"y_s": scalar(0)}, "its scale is 0.0; it must be positive and finite"),
        ({"y_z": scalar(3, np.int16)}, "it quantises to int16; it can be i8, ui8"),
    ],
)
def test_what_is_refused(constants: dict[str, Array], message: str, imports: Imports) -> None:
    model = build([node("QuantizeLinear", "x y_s y_z")], X, steps("y", 0.05, 3) | constants, opset=21)
    model.ir_version = 10
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT8
    assert message in imports.bad(model)
