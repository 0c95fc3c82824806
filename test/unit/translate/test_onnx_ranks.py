"""Tensors of any rank: what only moves data becomes views, and the results are ONNX's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import tilewright as tw
from tilewright.tools import opt

from ..onnx_models import Imports, build, data, node, shape_of

Array = np.ndarray[Any, Any]
SPLIT = [
    node("MatMul", "x wqkv", "m"), node("Reshape", "m s5", "r"), node("Transpose", "r", "t", perm=[2, 0, 3, 1, 4]),
    node("Split", "t", "q3 k3 v3", axis=0, num_outputs=3),
    *[node("Squeeze", f"{name}3 zero", name) for name in "qkv"],
]  # fmt: skip
JOINED = [node("Transpose", "o", "ot", perm=[0, 2, 1, 3]), node("Reshape", "ot s3", "or"), node("MatMul", "or wo")]
HEADS = {
    "wqkv": data(8, 24) / 4,
    "wo": data(8, 8) / 8,
    "s5": shape_of(2, 5, 3, 2, 4),
    "s3": shape_of(2, 5, 8),
    "zero": shape_of(0),
}

ROTARY = {
    "w": data(16, 16) / 4, "s": shape_of(1, 6, 2, 8), "zero": shape_of(0), "half": shape_of(4),
    "end": shape_of(1 << 62), "ax": shape_of(3), "c": data(1, 1, 6, 8), "k": data(1, 1, 6, 8),
}  # fmt: skip


def heads(x: str, made: str) -> list[onnx.NodeProto]:
    """Two heads of eight of a projection of x."""
    return [
        node("MatMul", f"{x} w", "p"), node("Reshape", "p s", "q"), node("Transpose", "q", made, perm=[0, 2, 1, 3]),
    ]  # fmt: skip


def rotated(x: str, factors: str) -> list[onnx.NodeProto]:
    """x by its cosines and, its halves exchanged, by its sines, as PyTorch exports it."""
    cosine, sine = factors.split()
    return [
        node("Slice", f"{x} zero half ax", "lo"), node("Slice", f"{x} half end ax", "hi"), node("Neg", "hi", "n"),
        node("Concat", "n lo", "e", axis=-1), node("Mul", f"{x} {cosine}", "a"), node("Mul", f"e {sine}", "b"),
        node("Add", "a b", "r"),
    ]  # fmt: skip


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "batches of rows": lambda: build([node("MatMul", "x w")], {"x": [2, 5, 6]}, {"w": data(6, 7)}),
    "batches of one row": lambda: build(
        [node("MatMul", "x w", "m"), node("Add", "m b")], {"x": [6, 1, 5]}, {"w": data(5, 7), "b": data(7)}
    ),
    "batches broadcast": lambda: build([node("MatMul", "x z")], {"x": [2, 1, 5, 6], "z": [3, 6, 4]}),
    "heads": lambda: build(
        [*SPLIT, node("Transpose", "k", "kt", perm=[0, 1, 3, 2]), node("MatMul", "q kt", "s"),
         node("MatMul", "s v", "o"), *JOINED],
        {"x": [2, 5, 8]}, HEADS, opset=18,
    ),
    "a projection by einsum": lambda: build(
        [*SPLIT, node("Einsum", "q k", "s", equation="bhid,bhjd->bhij"),
         node("Einsum", "s v", "o", equation="bhij,bhjd->bhid"), *JOINED],
        {"x": [2, 5, 8]}, HEADS, opset=18,
    ),
    "einsum the other way round": lambda: build(
        [node("Einsum", "x z", equation="bik,bkj->bji")], {"x": [2, 5, 6], "z": [2, 6, 4]}
    ),
    "reshape between products": lambda: build(
        [node("MatMul", "x w", "m"), node("Reshape", "m s", "r"), node("MatMul", "r z")],
        {"x": [6, 5]}, {"w": data(5, 8), "s": shape_of(3, 16), "z": data(16, 4)},
    ),
    "a mask that two layers add": lambda: build(
        [node("Add", "x m", "a"), node("Relu", "a", "r"), node("Add", "m r")], {"x": [2, 6, 5], "m": [1, 1, 5]}
    ),
    "flatten": lambda: build(
        [node("MatMul", "x w", "m"), node("Flatten", "m", "f"), node("Gemm", "f z")],
        {"x": [2, 6, 5]}, {"w": data(5, 7), "z": data(42, 3)},
    ),
    "parts of columns": lambda: build(
        [node("MatMul", "x w", "m"), node("Slice", "m a b ax", "s"), node("Slice", "m b c ax", "u"),
         node("Mul", "s u")],
        {"x": [5, 6]}, {"w": data(6, 10), "a": shape_of(0), "b": shape_of(5), "c": shape_of(10), "ax": shape_of(1)},
    ),
    "a column for each expert": lambda: build(
        [node("MatMul", "x g", "gates"), node("Slice", "gates one two ax", "c"), node("MatMul", "x w", "m"),
         node("Mul", "c m")],
        {"x": [5, 6]}, {"g": data(6, 4), "w": data(6, 7), "one": shape_of(1), "two": shape_of(2), "ax": shape_of(-1)},
    ),
    "slices from the end": lambda: build(
        [node("Relu", "x", "r"), node("Slice", "r a b ax", "s"), node("Neg", "s")],
        {"x": [3, 9]}, {"a": shape_of(-4), "b": shape_of(1 << 62), "ax": shape_of(-1)},
    ),
    "one of three by number": lambda: build(
        [node("Relu", "x", "r"), node("Gather", "r i", "g", axis=1), node("Neg", "g")],
        {"x": [2, 3, 5]}, {"i": np.array(1, np.int64)},
    ),
    "split in unequal parts": lambda: build(
        [node("MatMul", "x w", "m"), node("Split", "m s", "a b", axis=1), node("MatMul", "a b")],
        {"x": [4, 6]}, {"w": data(6, 8), "s": shape_of(4, 4)},
    ),
    "concatenation": lambda: build(
        [node("MatMul", "x w", "a"), node("Relu", "x", "b"), node("Concat", "a b", "c", axis=-1),
         node("MatMul", "c z")],
        {"x": [5, 8]}, {"w": data(8, 4), "z": data(12, 3)},
    ),
    "heads repeated": lambda: build(
        [node("Relu", "x", "r"), node("Unsqueeze", "r one", "u"), node("Expand", "u s", "e"),
         node("Reshape", "e t", "k"), node("MatMul", "z k")],
        {"x": [2, 6, 5], "z": [4, 3, 6]}, {"one": shape_of(1), "s": shape_of(2, 2, 6, 5), "t": shape_of(4, 6, 5)},
    ),
    "sums of both orders": lambda: build(
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("Relu", "t", "r"), node("Add", "r t", "a"),
         node("MatMul", "a w")],
        {"x": [2, 5, 6]}, {"w": data(5, 3)},
    ),
    "softmax": lambda: build([node("Softmax", "x")], {"x": [2, 3, 6]}),
    "softmax along the middle": lambda: build([node("Softmax", "x", axis=1)], {"x": [2, 3, 6]}),
    "logarithm of a softmax": lambda: build([node("LogSoftmax", "x")], {"x": [5, 9]}),
    "norm": lambda: build(
        [node("LayerNormalization", "x s b", epsilon=1e-3)], {"x": [2, 5, 6]}, {"s": data(6), "b": data(6)}
    ),
    "norm of two axes": lambda: build([node("LayerNormalization", "x s", axis=1)], {"x": [2, 5, 6]}, {"s": data(5, 6)}),
    "root mean square": lambda: build([node("RMSNormalization", "x s")], {"x": [5, 6]}, {"s": data(6)}, opset=23),
    "a mean of the middle axis": lambda: build(
        [node("ReduceMean", "x", "m", axes=[1], keepdims=0), node("MatMul", "m w")], {"x": [2, 5, 6]}, {"w": data(6, 3)}
    ),
    "a sum of all": lambda: build([node("ReduceSum", "x")], {"x": [2, 5, 6]}),
    "a maximum of a view": lambda: build(
        [node("Transpose", "x", "t", perm=[1, 0, 2]), node("ReduceMax", "t", "m", axes=[-1]), node("Sub", "t m")],
        {"x": [2, 5, 6]},
    ),
    "nothing reduced": lambda: build(
        [node("Relu", "x", "r"), node("ReduceMin", "r n", noop_with_empty_axes=1)], {"x": [5]}, {"n": shape_of()},
        opset=18,
    ),
    "a norm written out": lambda: build(
        [node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d"), node("Pow", "d two", "p"),
         node("ReduceMean", "p", "v", axes=[-1]), node("Add", "v e", "ve"), node("Sqrt", "ve", "r"),
         node("Div", "d r", "n"), node("Mul", "n s", "ns"), node("Add", "ns b")],
        {"x": [2, 5, 6]},
        {"two": np.array(2, np.float32), "e": np.array(1e-3, np.float32), "s": data(6), "b": data(6)},
    ),
    "computed the other way round": lambda: build(
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "t w", "m"), node("Add", "m b", "a"),
         node("Gelu", "a", "g"), node("Transpose", "g", "u", perm=[0, 2, 1]), node("Add", "x u")],
        {"x": [2, 5, 6]}, {"w": data(5, 5), "b": data(5)}, opset=20,
    ),
    "rotary embeddings": lambda: build(
        [*heads("x", "h"), *rotated("h", "c k"), node("Transpose", "r", "t", perm=[0, 1, 3, 2]), node("MatMul", "h t")],
        {"x": [1, 6, 16]}, ROTARY,
    ),
    "rotary embeddings of each row's own": lambda: build(
        [*heads("x", "h"), node("Relu", "z", "zc"), node("Neg", "z", "zs"), *rotated("h", "zc zs"), node("Neg", "r")],
        {"x": [1, 6, 16], "z": [6, 8]}, ROTARY,
    ),
    "a function of heads": lambda: build(
        [*heads("x", "h"), node("Tanh", "h", "t"), node("MatMul", "t z")], {"x": [1, 6, 16], "z": [2, 8, 3]}, ROTARY,
    ),
    "a vector as a row": lambda: build([node("MatMul", "x z")], {"x": [6], "z": [2, 6, 4]}),
    "broadcast along the middle": lambda: build([node("Add", "x z")], {"x": [2, 3, 6], "z": [2, 1, 6]}),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_results_are_those_of_onnx(name: str, imports: Imports) -> None:
    model = MODELS[name]()
    inputs = {i.name: data(*(d.dim_value for d in i.type.tensor_type.shape.dim)) for i in model.graph.input}
    imports.good(model)
    assert "opaque" not in imports.text
    (found,) = imports.run(inputs)
    made: Any = ReferenceEvaluator(model).run(None, inputs)
    wanted: Array = made[0]
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("passes", ["-O1", "-O2"])
@pytest.mark.parametrize("name", MODELS)
def test_they_are_planned(name: str, passes: str, imports: Imports) -> None:
    imports.good(MODELS[name]())
    path = imports.folder / "m.mir"
    assert opt.main([f"{passes}=sram=4KiB tile=4x4x4", "--prove-each", str(path), "-o", str(path)]) == 0


def test_softmax_of_all_that_follows(imports: Imports) -> None:
    # So it was before operator set 13; the reference evaluator knows only what came after.
    imports.good(build([node("Softmax", "x")], {"x": [2, 3, 6]}, opset=11))
    assert imports.body() == ["%y = graph.softmax %x {axes = [1, 2]}"]
    x = data(2, 3, 6)
    powers = np.exp(x)
    (found,) = imports.run({"x": x})
    np.testing.assert_allclose(found, powers / powers.sum((1, 2), keepdims=True), rtol=1e-5)


def test_ranks_are_the_models_own(imports: Imports) -> None:
    imports.good(MODELS["batches of rows"]())
    assert "%x: tensor<2x5x6xf32>" in imports.text
    assert "-> tensor<2x5x7xf32>" in imports.text
    assert not imports.notes


def test_a_product_that_is_turned_back_moves_nothing(imports: Imports) -> None:
    imports.good(MODELS["computed the other way round"]())
    assert imports.body()[0] == "%m_turned = graph.matmul %w, %x {transpose_a}"
    assert "graph.transpose" not in imports.text


@pytest.mark.parametrize("shape", [[5], [1, 5], [1, 1, 5], [1, 1, 1, 5]])
def test_what_is_broadcast_has_one_form_for_all_that_read_it(shape: list[int], imports: Imports) -> None:
    nodes = [node("Add", "x m", "a"), node("Relu", "a", "r"), node("Mul", "r m")]
    imports.good(build(nodes, {"x": [1, 2, 6, 5], "m": shape}))
    assert "graph.reshape" not in imports.text


def test_a_form_of_more_axes_makes_no_wider_result(imports: Imports) -> None:
    nodes = [node("Add", "m v", "a"), node("Relu", "a", "r"), node("Flatten", "r", "f", axis=3), node("Mul", "x f")]
    imports.good(build(nodes, {"m": [1, 1, 1, 5], "v": [1, 1, 1, 5], "x": [6, 5]}))
    assert "-> tensor<6x5xf32>" in imports.text


def test_heads_are_views(imports: Imports) -> None:
    imports.good(MODELS["heads"]())
    moved = [line.split()[2] for line in imports.body() if not line.split()[2].startswith("graph.matmul")]
    assert set(moved) == {"graph.reshape", "graph.slice", "graph.transpose"}
    assert sum("transpose_b" in line for line in imports.body()) == 1


def test_a_function_of_heads_does_not_cut_the_projection_in_rows(imports: Imports) -> None:
    for name in ("a function of heads", "rotary embeddings"):
        imports.good(MODELS[name]())
        tiled = tw.run_passes(imports.text, "tile{sizes=4x4x4}")
        assert "%p = graph.matmul %x, %w {tile = [4, 4, 4]}" in tiled


def test_halves_that_change_places_are_not_copied(imports: Imports) -> None:
    imports.good(MODELS["rotary embeddings"]())
    assert [line for line in imports.body() if "%b" in line] == [
        "%b_1 = graph.mul %n, %k_2", "%b_2 = graph.mul %lo, %k_3", "%b = graph.concat %b_1, %b_2 {axis = 3}",
        "%r = graph.add %a, %b",
    ]  # fmt: skip
    assert imports.weights["k_3"].tolist() == ROTARY["k"][0, 0, :, 4:].tolist()


def test_a_concatenation_that_holds_its_parts_is_read_whole(imports: Imports) -> None:
    imports.good(build(
        [node("MatMul", "x w", "a"), node("Tanh", "x", "b"), node("Concat", "a b", "c", axis=-1), node("Neg", "c")],
        {"x": [5, 8]}, {"w": data(8, 4)},
    ))  # fmt: skip
    assert imports.body()[-2:] == ["%c = graph.concat %a, %b {axis = 1}", "%y = graph.neg %c"]
