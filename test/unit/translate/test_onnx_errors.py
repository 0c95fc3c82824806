"""mir-translate --import-onnx: what it refuses, how it says so, and that nothing is written then."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tilewright.translate.onnx.importer import import_onnx
from tilewright.translate.onnx.model import OnnxError, read_onnx
from tilewright.translate.onnx.shapes import Sizes

from ..onnx_models import F32, ROW, Array, Imports, W, X, build, data, node, shape_of


def test_fixed_batch(imports: Imports) -> None:
    assert imports.bad(build([node("MatMul", "x w")], X, {"w": W}), "--batch", "4") == (
        "it can't be imported:\n  --batch 4: no input has a symbolic batch; it is fixed at 3"
    )


def test_unsupported_nodes_are_all_listed(imports: Imports) -> None:
    nodes = [
        node("MatMul", "x w", "m"),
        node("Softsign", "m", "s"),
        helper.make_node("LSTM", ["s", "w"], ["l"]),
        helper.make_node("Odd", ["l"], ["o"], name="ODD", domain="org.example"),
        node("LRN", "o", "p"),
        node("Relu", "p", "r"),
        node("Transpose", "m", "t"),
        node("MatMul", "t z", "k"),
        node("Add", "r k"),
    ]
    assert imports.bad(build(nodes, {"x": [3, 6], "z": [3, 5]}, {"w": W})) == (
        "it can't be imported:\n"
        "  without a counterpart here: Softsign 1, LSTM 1, org.example.Odd 1, LRN 1\n"
        "  node 'S' (Softsign): it has no counterpart here\n"
        "  node 2 (LSTM, output 'l'): it has no counterpart here\n"
        "  node 'ODD' (org.example.Odd): it has no counterpart here\n"
        "  node 'P' (LRN): it has no counterpart here\n"
        "hint: --outputs m,k imports what comes before"
    )


def one(
    op: str, inputs: str, shapes: dict[str, Any], constants: dict[str, Array] | None = None, **attributes: Any
) -> Any:
    return build([node(op, inputs, **attributes)], shapes, constants)


def behind(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """A model of logits and what comes behind them."""
    return build([node("MatMul", "x w", "logits"), *nodes], X, {"w": W})


def doubled(model: onnx.ModelProto, what: str) -> onnx.ModelProto:
    items = getattr(model.graph, what)
    items.append(items[0])
    return model


GEMM = one("Gemm", "x w b", X, {"w": W, "b": ROW})

REFUSED: dict[str, tuple[onnx.ModelProto, str]] = {
    "inner dimensions": (
        one("MatMul", "x w", {"x": [3, 4]}, {"w": W}),
        "node 'Y' (MatMul): graph.matmul: inner dimensions differ: tensor<3x4xf32> has 4 columns, "
        "tensor<6x5xf32> has 6 rows",
    ),
    "batches that don't fit": (
        one("MatMul", "x z", {"x": [2, 3, 4], "z": [3, 4, 5]}),
        "node 'Y' (MatMul): the batches of 2x3x4 and 3x4x5 can't be broadcast to one shape",
    ),
    "batches of rank 7": (
        one("MatMul", "x z", {"x": [2, 1, 1, 1, 1, 3, 4], "z": [2, 1, 1, 1, 1, 4, 5]}),
        "node 'Y' (MatMul): its tensors have rank 7; there are ranks up to 6",
    ),
    "C that does not broadcast": (
        one("Gemm", "x w c", {"x": [1, 6]}, {"w": W, "c": data(3, 5)}),
        "node 'Y' (Gemm): C is 3x5, which does not broadcast to 1x5",
    ),
    "rank 3 in Gemm": (
        one("Gemm", "x w", {"x": [1, 3, 6]}, {"w": W}),
        "node 'Y' (Gemm): its operands have ranks 3 and 2, not 2",
    ),
    "too few inputs": (one("Gemm", "x", X), "node 'Y' (Gemm): it has 1 input, and takes 2 or 3"),
    "no broadcast": (
        one("Add", "x z", {"x": [3, 5], "z": [4, 5]}),
        "node 'Y' (Add): 3x5 and 4x5 can't be broadcast to one shape",
    ),
    "reshape to another size": (
        one("Reshape", "x s", X, {"s": shape_of(4, 5)}),
        "node 'Y' (Reshape): a tensor of shape [3, 6] can't be reshaped to [4, 5]",
    ),
    "reshape by an input": (
        one("Reshape", "x s", {"x": [3, 6], "s": helper.make_tensor_value_info("s", TensorProto.INT64, [2])}),
        "input 's': elements are int64; they can be float, double, float16, bfloat16, int8, uint8, int32",
    ),
    "cast to int8": (
        build([node("Cast", "x", to=TensorProto.INT8)], X),
        "node 'Y' (Cast): a cast to int8 wraps in ONNX, and saturates here",
    ),
    "cast to int64": (
        build([node("Cast", "x", to=TensorProto.INT64)], X),
        "node 'Y' (Cast): no cast to int64; types are float, double, float16, bfloat16, int8, uint8, int32",
    ),
    "integer product": (
        build([node("MatMul", "x z")], {"x": [3, 6], "z": [6, 2]}, type=TensorProto.INT32),
        "node 'Y' (MatMul): there is no product of i32 here; matmul takes f32, f16, bf16",
    ),
    "weights of int64": (
        build([node("MatMul", "x w")], X, {"w": W.astype(np.int64)}),
        "node 'Y' (MatMul): 'w' has elements of type int64; they can be float, double, float16, bfloat16, int8, uint8, "
        "int32",
    ),
    "zero size": (one("Relu", "x", {"x": [0, 6]}), "input 'x': axis 0 has size 0; dimensions are at least 1"),
    "empty weights": (
        one("MatMul", "x w", {"x": [3, 6]}, {"w": data(6, 0)}),
        "node 'Y' (MatMul): initializer 'w' is 6x0; dimensions are at least 1",
    ),
    "weights beyond f32": (
        build([node("MatMul", "x w")], X, {"w": W.astype(np.float64) * 1e300}, type=TensorProto.DOUBLE),
        f"node 'Y' (MatMul): 'w' has the value {W[0, 0].astype(np.float64) * 1e300}, which f32 can't hold",
    ),
    "C of another size": (
        one("Gemm", "x w c", X, {"w": W, "c": data(4)}),
        "node 'Y' (Gemm): C is 4, which does not broadcast to 3x5",
    ),
    "argmax along the first axis": (
        behind(node("ArgMax", "logits", keepdims=0)),
        "node 'Y' (ArgMax): along axis 0 of 3x5 it can't fall away, only along the last",
    ),
    "label as a float": (
        behind(node("ArgMax", "logits", "p", axis=1), node("Cast", "p", to=F32)),
        "node 'Y' (Cast): behind ArgMax it can fall away to another integer type, not to float",
    ),
    "a label of labels": (
        behind(node("ArgMax", "logits", "p", axis=1), node("ArgMax", "p", axis=1)),
        "node 'Y' (ArgMax): it works on ArgMax's labels, and those fall away",
    ),
    "symbolic inner axis": (
        one("Relu", "x", {"x": ["N", "length"]}),
        "input 'x': axis 1 has no size ('length'); --dim length=N sets it",
    ),
    "no shape": (one("Relu", "x", {"x": None}), "input 'x': the model doesn't say its shape; --shape x=... does"),
    "second output": (
        build([node("Gemm", "x w", "g h"), node("Relu", "h")], X, {"w": W}, "g y"),
        "node 'G' (Gemm): only the first output is imported, 'h' is another",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_imported(name: str, imports: Imports) -> None:
    model, message = REFUSED[name]
    assert imports.bad(model).splitlines()[:2] == ["it can't be imported:", f"  {message}"]


BROKEN: dict[str, tuple[onnx.ModelProto | bytes, str]] = {
    "cut short": (
        GEMM.SerializeToString()[:-7],
        "not an ONNX model: the file is cut short or of another kind",
    ),
    "another file": (b"PK\x03\x04 not protobuf", "not an ONNX model: the file is cut short or of another kind"),
    "empty": (b"", "not an ONNX model: it has no graph, or names no operator set"),
    "old": (
        build([node("Relu", "x")], X, opset=6),
        "operator set 6 is too old, 7 is needed; onnx.version_converter converts models",
    ),
    "cycle": (
        build([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b")], X),
        "the graph has a cycle: node 'B' (Relu) reads node 'A' (Add) reads node 'B' (Relu)",
    ),
    "dangling": (build([node("MatMul", "x w")], X), "node 'Y' (MatMul) reads 'w', which nothing defines"),
    "no such output": (
        build([node("Relu", "x")], X, outputs="z"),
        "'z' is a graph output that nothing makes",
    ),
    "two initializers of a name": (
        doubled(build([node("MatMul", "x w")], X, {"w": W}), "initializer"),
        "initializer 'w' is defined twice",
    ),
    "two inputs of a name": (doubled(build([node("Relu", "x")], X), "input"), "input 'x' is defined twice"),
    "twice": (
        build([node("Relu", "x"), node("Identity", "x")], X),
        "'y' is defined twice, by node 'Y' (Relu) and by node 'Y' (Identity)",
    ),
    "no outputs": (build([node("Relu", "x")], X, outputs=""), "the graph has no outputs; --outputs chooses some"),
}


def test_what_stands_behind_a_refused_node_is_listed_too(imports: Imports) -> None:
    nodes = [
        node("Conv", "x k", "c"),
        node("Cast", "c", "i", to=TensorProto.INT64),
        node("Gemm", "c w", "g", transA=1),
        node("Transpose", "c", "t"),
        node("Gemm", "t w", "h", transA=1),
        node("Add", "g h", "a"),
        node("Add", "a i"),
    ]
    model = build(nodes, {"x": [1, 1, 3, 8]}, {"k": data(1, 1, 2, 2), "w": W})
    assert imports.bad(model) == (
        "it can't be imported:\n"
        "  node 'C' (Conv): it has no counterpart here\n"
        "  node 'I' (Cast): no cast to int64; types are float, double, float16, bfloat16, int8, uint8, int32"
    )


HINTS: dict[str, tuple[onnx.ModelProto, str]] = {
    "before an axis": (behind(node("ArgMax", "logits", axis=0)), "logits"),
    "before a node": (behind(node("Relu", "logits", "r"), node("Sin", "r")), "r"),
    "before two nodes": (
        behind(node("Transpose", "logits", "t"), node("Sin", "t", "s"), node("MatMul", "logits s")),
        "t,logits",
    ),
    "none that is a transposition": (build([node("Transpose", "x", "t"), node("Sin", "t")], X), ""),
    "none where the batch is wrong": (behind(node("Sin", "logits")), ""),
}


@pytest.mark.parametrize("name", HINTS)
def test_the_hint_can_be_followed(name: str, imports: Imports) -> None:
    model, outputs = HINTS[name]
    words = ["--batch", "7"] if "batch" in name else []
    hints = [line for line in imports.bad(model, *words).splitlines() if line.startswith("hint: ")]
    assert hints == ([f"hint: --outputs {outputs} imports what comes before"] if outputs else [])
    if outputs:
        imports.good(model, "--outputs", outputs)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name: str, imports: Imports) -> None:
    model, message = BROKEN[name]
    assert imports.bad(model) == message


def test_unknown_output_is_guessed(imports: Imports) -> None:
    model = build([node("MatMul", "x w", "logits"), node("Relu", "logits")], X, {"w": W})
    assert imports.bad(model, "--outputs", "logit") == "no tensor is called 'logit' (did you mean logits?)"


def test_without_the_package(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert imports.status(GEMM) == 1
    assert imports.errors == (
        "mir-translate: error: --import-onnx needs the package 'onnx': pip install 'tilewright[onnx]'\n"
    )


def test_a_name_that_is_no_utf_8(imports: Imports) -> None:
    data = build([node("Relu", "xyz")], {"xyz": [3, 6]}).SerializeToString().replace(b"xyz", b"x\xffz")
    assert imports.bad(data) == "not an ONNX model: the name b'x\\xffz' is no UTF-8"


def test_damaged_files_are_imported_or_refused(tmp_path: Path) -> None:
    path, generator = tmp_path / "model.onnx", random.Random(0)
    models = [GEMM.SerializeToString(), *(model.SerializeToString() for model, _ in REFUSED.values())]
    refused = 0
    for _ in range(500):
        damaged = bytearray(generator.choice(models))
        for _ in range(generator.choice((1, 1, 2, 4))):
            damaged[generator.randrange(len(damaged))] = generator.choice((0, 1, 2, 8, 127, 255))
        path.write_bytes(damaged)
        try:
            import_onnx(read_onnx(str(path)), sizes=Sizes(2))
        except OnnxError:
            refused += 1
    assert refused > 250


@pytest.mark.parametrize(
    ("nodes", "inputs", "reason"),
    [
        ([node("Clip", "x l")], {"x": [3, 6], "l": []}, "its bounds must be constant"),
        ([node("Gelu", "x", approximate="sigmoid")], {"x": [3, 6]}, "approximate is 'sigmoid'; it can be none or tanh"),
        ([node("Einsum", "x x", equation="ij,ij->i")], {"x": [3, 6]}, "'ij,ij->i' is no product of two matrices"),
        ([node("Sub", "x x x")], {"x": [3, 6]}, "it has 3 inputs, and takes 2"),
        ([node("LeakyRelu", "x", alpha=float("inf"))], {"x": [3]}, "graph.leaky_relu: alpha must be finite, got inf"),
        (
            [node("BatchNormalization", "x s s s s")],
            {"x": [3, 6], "s": [6]},
            "its scale, shift, mean and variance must be constant",
        ),
        ([node("Dropout", "x r t")], {"x": [3, 6], "r": [], "t": []}, "it is imported as it is after training"),
    ],
)
def test_functions_that_there_are_not(
    nodes: list[onnx.NodeProto], inputs: dict[str, list[int]], reason: str, imports: Imports
) -> None:
    assert reason in imports.bad(build(nodes, inputs, opset=20))
