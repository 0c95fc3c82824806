"""mir-translate --import-onnx: each kind of node against ONNX Runtime, names, types, batch and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tilewright.tools import translate

from ..onnx_models import F32, ROW, Array, Imports, V, W, X, build, data, node, shape_of


def runtime(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(a) for a in session.run(None, inputs)]


CASES: dict[str, tuple[onnx.ModelProto, list[str]]] = {
    "sub": (build([node("Sub", "x c")], {"x": [3, 6], "c": [3, 6]}), ["%y = graph.sub %x, %c"]),
    "sub of a row": (build([node("Sub", "x v")], X, {"v": V[0]}), ["%y = graph.sub %x, %v"]),
    "sub from a scalar": (
        build([node("Sub", "one x")], X, {"one": np.array(1, np.float32)}),
        ["%y = graph.sub %x {left = 1.0"],
    ),
    "mul": (build([node("Mul", "x c")], {"x": [3, 6], "c": [3, 6]}), ["%y = graph.mul %x, %c"]),
    "mul by a scalar": (
        build([node("Mul", "half x")], X, {"half": np.array(0.5, np.float32)}),
        ["%y = graph.mul %x {right = 0.5"],
    ),
    "max": (build([node("Max", "v x")], X, {"v": V[0]}), ["%y = graph.max %x, %v"]),
    "exp": (build([node("Exp", "x")], X), ["%y = graph.exp %x"]),
    "tanh of a transposed tensor": (
        build([node("Transpose", "x", "t"), node("Tanh", "t", "u"), node("Transpose", "u")], X),
        ["%y = graph.tanh %x"],
    ),
    "sigmoid": (build([node("Sigmoid", "x")], X), ["%y = graph.sigmoid %x"]),
    "gelu": (build([node("Gelu", "x", approximate="none")], X, opset=20), ["%y = graph.gelu %x"]),
    "clip": (
        build([node("Clip", "x low high")], X, {"low": np.array(0, np.float32), "high": np.array(0.5, np.float32)}),
        ["%y = graph.clip %x {params = [0.0"],
    ),
    "clip without an upper bound": (
        build([node("Clip", "x low")], X, {"low": np.array(-0.25, np.float32)}),
        ["%y = graph.clip %x {params = [-0.25"],
    ),
    "matmul": (build([node("MatMul", "x w")], X, {"w": W}), ["%y = graph.matmul %x, %w"]),
    "matmul of a constant": (build([node("MatMul", "v x")], {"x": [6, 3]}, {"v": V}), ["%y = graph.matmul %v, %x"]),
    "matmul of two inputs": (
        build([node("MatMul", "x z")], {"x": [3, 6], "z": [6, 2]}),
        ["%y = graph.matmul %x, %z"],
    ),
    "matmul of rank 3": (build([node("MatMul", "x w")], {"x": [2, 3, 6]}, {"w": W}), ["%y = graph.matmul %x, %w"]),
    "matmul by a stack of one": (build([node("MatMul", "x w")], X, {"w": W[None]}), ["%y = graph.matmul %x, %w"]),
    "matmul of batches": (
        build([node("MatMul", "x z")], {"x": [2, 3, 6], "z": [2, 6, 4]}),
        ["%y = graph.matmul %x, %z"],
    ),
    "matmul of broadcast batches": (
        build([node("MatMul", "x z")], {"x": [2, 1, 3, 6], "z": [4, 6, 5]}),
        ["%y = graph.matmul %x, %z"],
    ),
    "matmul of a vector by batches": (
        build([node("MatMul", "x z")], {"x": [6], "z": [2, 6, 4]}),
        ["%y = graph.matmul %x, %z"],
    ),
    "matmul by transposed batches": (
        build([node("Transpose", "z", "t", perm=[0, 2, 1]), node("MatMul", "x t")], {"x": [2, 3, 6], "z": [2, 4, 6]}),
        ["%y = graph.matmul %x, %z {transpose_b}"],
    ),
    "batches with a bias, an activation, and weights behind": (
        build(
            [node("MatMul", "x z", "s"), node("Add", "s r", "p"), node("Relu", "p", "h"), node("MatMul", "h v")],
            {"x": [2, 3, 6], "z": [2, 6, 5]},
            {"v": V, "r": ROW},
        ),
        ["%s = graph.matmul %x, %z", "%p = graph.add %s, %r", "%h = graph.relu %p", "%y = graph.matmul %h, %v"],
    ),
    "matmul of a vector": (build([node("MatMul", "x w")], {"x": [6]}, {"w": W}), ["%y = graph.matmul %x, %w"]),
    "matmul by a vector": (build([node("MatMul", "x w")], X, {"w": W[:, 0]}), ["%y = graph.matmul %x, %w"]),
    "gemm": (build([node("Gemm", "x w b")], X, {"w": W, "b": ROW}), ["%y = graph.matmul %x, %w, %b"]),
    "gemm without C": (build([node("Gemm", "x w")], X, {"w": W}), ["%y = graph.matmul %x, %w"]),
    "gemm with beta 0": (build([node("Gemm", "x w b", beta=0.0)], X, {"w": W, "b": ROW}), ["%y = graph.matmul %x, %w"]),
    "gemm transB": (build([node("Gemm", "x v b", transB=1)], X, {"v": V, "b": ROW}), ["%y = graph.matmul %x, %v, %b"]),
    "gemm transA of a constant": (
        build([node("Gemm", "a x", transA=1)], {"x": [6, 3]}, {"a": W}),
        ["%y = graph.matmul %a, %x"],
    ),
    "gemm transA of a transposed tensor": (
        build([node("Transpose", "x", "t"), node("Gemm", "t w", transA=1)], X, {"w": W}),
        ["%y = graph.matmul %x, %w"],
    ),
    "gemm alpha and beta": (
        build([node("Gemm", "x w b", alpha=0.5, beta=-3.0)], X, {"w": W, "b": ROW}),
        ["%y = graph.matmul %x, %w, %b"],
    ),
    "gemm with a scalar C": (
        build([node("Gemm", "x w b")], X, {"w": W, "b": np.array(2, np.float32)}),
        ["%y = graph.matmul %x, %w, %b"],
    ),
    "gemm with a column as C": (
        build([node("Gemm", "x w b")], X, {"w": W, "b": data(3, 1)}),
        ["%y_product = graph.matmul %x, %w", "%y = graph.add %y_product, %b"],
    ),
    "gemm with a computed C": (
        build([node("Gemm", "x w c")], {"x": [3, 6], "c": [3, 5]}, {"w": W}),
        ["%y_product = graph.matmul %x, %w", "%y = graph.add %y_product, %c"],
    ),
    "add of a vector": (build([node("Add", "x b")], {"x": [3, 5]}, {"b": ROW}), ["%y = graph.add %x, %b"]),
    "add on a vector": (build([node("Add", "b x")], {"x": [3, 5]}, {"b": ROW}), ["%y = graph.add %x, %b"]),
    "add of a row": (build([node("Add", "x b")], {"x": [3, 5]}, {"b": ROW[None]}), ["%y = graph.add %x, %b"]),
    "add of a scalar": (
        build([node("Add", "x b")], {"x": [3, 5]}, {"b": np.array(3, np.float32)}),
        ["%y = graph.add %x {right = 3.0"],
    ),
    "add of a column": (build([node("Add", "x b")], {"x": [3, 5]}, {"b": data(3, 1)}), ["%y = graph.add %x, %b"]),
    "add of a row to a matrix": (
        build([node("Add", "x b")], {"x": [1, 5]}, {"b": data(3, 5)}),
        ["%y = graph.add %b, %x"],
    ),
    "add of vectors": (build([node("Add", "x b")], {"x": [5]}, {"b": ROW}), ["%y = graph.add %x, %b"]),
    "residual": (
        build(
            [node("MatMul", "x w", "m"), node("Relu", "m", "r"), node("MatMul", "r v", "n"), node("Add", "x n")],
            X,
            {"w": W, "v": V},
        ),
        ["%m = graph.matmul %x, %w", "%r = graph.relu %m", "%n = graph.matmul %r, %v", "%y = graph.add %x, %n"],
    ),
    "add of rank 3": (build([node("Add", "x b")], {"x": [2, 3, 5]}, {"b": data(1, 3, 5)}), ["%y = graph.add %x, %b"]),
    "relu": (build([node("Relu", "x")], {"x": [3, 5]}), ["%y = graph.relu %x"]),
    "relu of rank 1": (build([node("Relu", "x")], {"x": [5]}), ["%y = graph.relu %x"]),
    "identity and cast": (
        build(
            [node("Identity", "x", "i"), node("Cast", "i", "c", to=F32), node("Relu", "c", "r"), node("Identity", "r")],
            X,
        ),
        ["%y = graph.relu %x"],
    ),
    "flatten": (
        build([node("Flatten", "x", "i"), node("MatMul", "i w")], {"x": [2, 1, 3, 2]}, {"w": W}),
        ["%y = graph.matmul %x, %w"],
    ),
    "reshape": (
        build([node("Reshape", "x s", "i"), node("MatMul", "i w")], {"x": [2, 3, 2]}, {"w": W, "s": shape_of(0, -1)}),
        ["%y = graph.matmul %x, %w"],
    ),
    "reshape to and fro": (
        build(
            [node("MatMul", "x w", "m"), node("Reshape", "m a", "i"), node("Relu", "i", "r"), node("Reshape", "r b")],
            X,
            {"w": W, "a": shape_of(5, 3), "b": shape_of(3, 5)},
        ),
        ["%m = graph.matmul %x, %w", "%y = graph.relu %m"],
    ),
    "squeeze and unsqueeze": (
        build(
            [node("Squeeze", "x a", "i"), node("Relu", "i", "r"), node("Unsqueeze", "r a")],
            {"x": [3, 1, 5]},
            {"a": shape_of(1)},
        ),
        ["%y = graph.relu %x"],
    ),
    "squeeze of operator set 11": (
        build([node("Squeeze", "x", "i", axes=[1]), node("MatMul", "i w")], {"x": [3, 1, 6]}, {"w": W}, opset=11),
        ["%y = graph.matmul %x, %w"],
    ),
    "transposed twice": (
        build([node("Transpose", "x", "t"), node("Relu", "t", "r"), node("Transpose", "r", perm=[1, 0])], X),
        ["%y = graph.relu %x"],
    ),
    "transposition of an axis of size 1": (
        build([node("Transpose", "x", "t", perm=[1, 0, 2]), node("MatMul", "t w")], {"x": [1, 3, 6]}, {"w": W}),
        ["%y = graph.matmul %x, %w"],
    ),
    "constants are folded": (
        build(
            [
                node("Constant", "", "k", value=numpy_helper.from_array(V)),
                node("Transpose", "k", "t"),
                node("Identity", "t", "i"),
                node("Cast", "wide", "n", to=F32),
                node("Reshape", "n s", "b"),
                node("Gemm", "x i b"),
            ],
            X,
            {"wide": ROW.astype(np.float64).reshape(5, 1), "s": shape_of(-1)},
        ),
        ["%y = graph.matmul %x, %k, %wide"],
    ),
    "a shape is constant": (
        build(
            [
                node("Shape", "x", "s"),
                node("Gather", "s zero", "n"),
                node("Unsqueeze", "n zeros", "u"),
                node("Concat", "u rest", "t", axis=0),
                node("Reshape", "x t", "i"),
                node("MatMul", "i w"),
            ],
            {"x": [2, 3, 2]},
            {"w": W, "zero": np.array(0, np.int64), "zeros": shape_of(0), "rest": shape_of(-1)},
        ),
        ["%y = graph.matmul %x, %w"],
    ),
    "one weight twice": (
        build([node("MatMul", "x w", "m"), node("MatMul", "m w")], {"x": [3, 5]}, {"w": data(5, 5)}),
        ["%m = graph.matmul %x, %w", "%y = graph.matmul %m, %w"],
    ),
    "one weight both ways": (
        build([node("Gemm", "x w", "m"), node("Gemm", "m w", transB=1)], {"x": [3, 6]}, {"w": W}),
        ["%m = graph.matmul %x, %w", "%y = graph.matmul %m, %w_2"],
    ),
    "several results": (
        build([node("MatMul", "x w", "m"), node("Relu", "m")], X, {"w": W}, "m y"),
        ["%m = graph.matmul %x, %w", "%y = graph.relu %m"],
    ),
    "nodes in another order": (
        build([node("Relu", "m"), node("MatMul", "x w", "m")], X, {"w": W}),
        ["%m = graph.matmul %x, %w", "%y = graph.relu %m"],
    ),
    "cast to half and back": (
        build([node("Cast", "x", "h", to=TensorProto.FLOAT16), node("Cast", "h", to=F32)], X),
        ["%h = graph.cast %x", "%y = graph.cast %h"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_node_as_in_onnx_runtime(name: str, imports: Imports) -> None:
    model, body = CASES[name]
    imports.good(model)
    assert imports.body() == body
    inputs = {i.name: data(*(d.dim_value for d in i.type.tensor_type.shape.dim)) for i in model.graph.input}
    if name == "nodes in another order":  # which ONNX Runtime refuses
        expected = [np.maximum(inputs["x"] @ W, 0)]
    else:
        expected = runtime(model, inputs)
    for result, wanted in zip(imports.run(inputs), expected, strict=True):
        np.testing.assert_allclose(result, wanted.reshape(result.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18])
def test_operator_sets(opset: int, imports: Imports) -> None:
    nodes = [
        node("Flatten", "x", "i"),
        node("Gemm", "i v b", "g", transB=1),
        node("Relu", "g", "r"),
        node("Add", "r b"),
    ]
    model = build(nodes, {"x": [2, 1, 6]}, {"v": V, "b": ROW}, opset=opset)
    imports.good(model)
    x = data(2, 1, 6)
    np.testing.assert_allclose(imports.run({"x": x})[0], runtime(model, {"x": x})[0], rtol=1e-5, atol=1e-6)


def test_text_and_weights_in_full(imports: Imports) -> None:
    nodes = [node("Gemm", "x v b", "h", transB=1, alpha=2.0, beta=0.5), node("Relu", "h")]
    imports.good(build(nodes, {"x": ["N", 6]}, {"v": V, "b": ROW}, name="net"), "--batch", "4")
    assert imports.text == (
        "func.func @net(%x: tensor<4x6xf32>, %v: tensor<6x5xf32> {graph.param}, %b: tensor<5xf32> {graph.param})"
        " -> tensor<4x5xf32> {\n"
        "  %h = graph.matmul %x, %v, %b : (tensor<4x6xf32>, tensor<6x5xf32>, tensor<5xf32>) -> tensor<4x5xf32>\n"
        "  %y = graph.relu %h : tensor<4x5xf32>\n"
        "  return %y : tensor<4x5xf32>\n"
        "}\n"
    )
    assert list(imports.weights) == ["v", "b"]
    np.testing.assert_array_equal(imports.weights["v"], 2 * V.T)
    np.testing.assert_array_equal(imports.weights["b"], ROW / 2)
    assert imports.notes == []


def test_batch(imports: Imports) -> None:
    model = build([node("MatMul", "x w")], {"x": ["N", 6]}, {"w": W})
    imports.good(model)
    assert imports.notes == ["the batch ('N') is symbolic and taken as 1; --batch N sets it"]
    assert "%x: tensor<1x6xf32>" in imports.text
    imports.good(model, "--batch", "7")
    assert (imports.notes, "%x: tensor<7x6xf32>" in imports.text) == ([], True)
    imports.good(build([node("MatMul", "x w")], X, {"w": W}), "--batch", "3")


def test_double_precision(imports: Imports) -> None:
    double = TensorProto.DOUBLE
    nodes = [node("MatMul", "x w", "m"), node("Add", "m b", "s"), node("Cast", "s", to=double)]
    model = build(nodes, X, {"w": W.astype(np.float64), "b": ROW.astype(np.float64)}, type=double)
    imports.good(model)
    assert imports.notes == ["double precision is rounded to f32"]
    assert imports.body() == ["%m = graph.matmul %x, %w", "%y = graph.add %m, %b"]
    assert {a.dtype for a in imports.weights.values()} == {np.dtype(np.float32)}
    x = data(3, 6)
    expected = runtime(model, {"x": x.astype(np.float64)})[0]
    np.testing.assert_allclose(imports.run({"x": x})[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("type", "name"), [(TensorProto.FLOAT16, "f16"), (TensorProto.BFLOAT16, "bf16")])
def test_half_precision(type: int, name: str, imports: Imports) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(type)
    nodes = [node("Gemm", "x w b", "g"), node("Relu", "g")]
    imports.good(build(nodes, X, {"w": W.astype(dtype), "b": ROW.astype(dtype)}, type=type))
    assert imports.body() == ["%g_sum = graph.matmul %x, %w, %b", "%g = graph.cast %g_sum", "%y = graph.relu %g"]
    assert f"%w: tensor<6x5x{name}> {{graph.param}}, %b: tensor<5xf32> {{graph.param}}" in imports.text
    x = data(3, 6).astype(dtype)
    wide = x.astype(np.float32) @ W.astype(dtype).astype(np.float32) + ROW.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(imports.run({"x": x})[0], np.maximum(wide, 0).astype(dtype))


def test_outputs_cut_the_graph(imports: Imports) -> None:
    nodes = [node("MatMul", "x w", "m"), node("Sin", "m", "s"), node("Einsum", "s z", "y", equation="ij,j->i")]
    model = build(nodes, {"x": [3, 6], "z": [5]}, {"w": W})
    imports.good(model, "--outputs", "m")
    assert imports.body() == ["%m = graph.matmul %x, %w"]
    assert imports.notes == ["input 'z' is left out: the outputs don't depend on it"]
    imports.good(model, "--outputs", "m,x")
    assert imports.text.splitlines()[-2] == "  return %m, %x : tensor<3x5xf32>, tensor<3x6xf32>"


@pytest.mark.parametrize("opset", [11, 13])
def test_a_trailing_softmax_is_computed(opset: int, imports: Imports) -> None:
    nodes = [
        node("MatMul", "x w", "logits"),
        node("Softmax", "logits", "p"),
        node("Cast", "p", "q", to=F32),
        node("ArgMax", "q", "label", axis=1),
    ]
    model = build(nodes, X, {"w": W}, "q label", opset=opset)
    imports.good(model)
    assert imports.body() == ["%logits = graph.matmul %x, %w", "%q = graph.softmax %logits {axes = [1]}"]
    assert imports.text.splitlines()[-2] == "  return %q, %q : tensor<3x5xf32>, tensor<3x5xf32>"
    assert imports.notes == ["output 'label': ArgMax falls away, the result is 'q'"]


LOGITS = node("MatMul", "x w", "logits")


def test_what_falls_away_behind_a_label(imports: Imports) -> None:
    nodes = [LOGITS, node("ArgMax", "logits", "n", axis=-1, keepdims=0), node("Cast", "n", to=TensorProto.INT32)]
    imports.good(build(nodes, X, {"w": W}))
    assert imports.notes == ["output 'y': Cast and ArgMax fall away, the result is 'logits'"]
    nodes[2] = node("Cast", "n", to=TensorProto.INT64)
    imports.good(build(nodes, X, {"w": W}))
    assert imports.notes == ["output 'y': ArgMax falls away, the result is 'logits'"]


def test_the_only_axis_is_the_last_one(imports: Imports) -> None:
    # Nothing is said for ArgMax, whose axis is 0 then.
    imports.good(build([node("Add", "x b", "sum"), node("ArgMax", "sum")], {"x": [5]}, {"b": ROW}))
    assert imports.notes == ["output 'y': ArgMax falls away, the result is 'sum'"]


def test_one_parameter_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(build([node("MatMul", "x w")], X, {"w": W}).SerializeToString())
    assert translate.main(["--import-onnx", str(path), "-o", str(tmp_path / "m.mir")]) == 0
    written = "1 parameter is not written; --weights FILE.npz writes it"
    assert capsys.readouterr().err == f"mir-translate: note: {written}\n"


def test_initializers_among_the_inputs(imports: Imports) -> None:
    model = build([node("MatMul", "x w")], {"x": [3, 6], "w": [6, 5]}, {"w": W})
    imports.good(model)
    assert imports.text.startswith("func.func @f(%x: tensor<3x6xf32>, %w: tensor<6x5xf32> {graph.param}) ->")
    assert imports.notes == []


def test_names_become_valid_and_unique(imports: Imports) -> None:
    nodes = [node("MatMul", "0 a/b", "/l/MatMul_0"), node("Add", "/l/MatMul_0 a:b", "0.1"), node("Relu", "0.1", "é")]
    model = build(nodes, {"0": [3, 6]}, {"a/b": W, "a:b": ROW}, "é", name="torch-jit-export")
    imports.good(model)
    assert imports.text.startswith("func.func @torch_jit_export(%v0: tensor<3x6xf32>, %a_b: ")
    assert imports.body() == [
        "%l_MatMul_0 = graph.matmul %v0, %a_b",
        "%v0.1 = graph.add %l_MatMul_0, %a_b_2",
        "%value = graph.relu %v0.1",
    ]
    assert list(imports.weights) == ["a_b", "a_b_2"]


def test_a_parameter_called_file(imports: Imports) -> None:
    imports.good(build([node("MatMul", "x file")], X, {"file": W}))
    np.testing.assert_array_equal(imports.weights["file"], W)


def test_functions_and_calls_that_can_not_be(imports: Imports) -> None:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]

    def model(inputs: str, outputs: list[str], inner: str = "MatMul", domain: str = "") -> onnx.ModelProto:
        body = helper.make_node(inner, ["a", "b"], ["c"], domain=domain)
        layer = helper.make_function("local", "Layer", ["a", "b"], ["c"], [body], opsets)
        call = helper.make_node("Layer", inputs.split(), outputs, domain="local", name="call")
        made = build([call], {"x": [3, 6]}, {"w": np.ones((6, 5), np.float32)})
        made.functions.append(layer)
        made.opset_import.append(helper.make_opsetid("local", 1))
        return made

    assert imports.bad(model("x w w", ["y"])) == "node 'call' calls function 'Layer' with 3 inputs, it has 2"
    assert imports.bad(model("x w", ["y", "z"])) == "node 'call' calls function 'Layer' with 2 outputs, it has 1"
    itself = "function 'Layer' calls 'Layer': a function can't call itself"
    assert imports.bad(model("x w", ["y"], "Layer", "local")) == itself


def test_local_functions_are_inlined(imports: Imports) -> None:
    opsets = [helper.make_opsetid("", 17)]
    layer = helper.make_function("local", "Layer", ["a", "b"], ["c"], [node("MatMul", "a b", "c")], opsets)
    call = helper.make_node("Layer", ["x", "w"], ["y"], domain="local")
    model = build([call], X, {"w": W})
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.functions.append(layer)
    imports.good(model)
    assert imports.body() == ["%y = graph.matmul %x, %w"]
