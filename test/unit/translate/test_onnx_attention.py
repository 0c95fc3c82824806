"""mir-translate --import-onnx: attention, rotary embeddings, and what ONNX Runtime's optimisers write in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tilewright.tools import opt

from ..onnx_models import Array, Imports, build, data, node
from .test_onnx_functions import runtime

HEADS = {"q": [2, 4, 5, 6], "k": [2, 4, 7, 6], "v": [2, 4, 7, 3]}
FLAT = {"q": [2, 5, 12], "k": [2, 5, 12], "v": [2, 5, 12]}
SHARED = {"q": [1, 4, 5, 6], "k": [1, 2, 5, 6], "v": [1, 2, 5, 6]}
CACHE = {"c": data(9, 3), "s": data(9, 3)}


def onnx_23(nodes: list[onnx.NodeProto], inputs: dict[str, list[int]], **constants: Array) -> onnx.ModelProto:
    return build(nodes, inputs, constants, opset=23)


def microsoft(op: str, inputs: str, shapes: dict[str, list[int]], outputs: str = "y", **given: Any) -> onnx.ModelProto:
    """A model of one operator of ONNX Runtime's own; inputs in capitals are constants of their shapes."""
    constants = {name: data(*shape) for name, shape in shapes.items() if name.isupper()}
    made = node(op, inputs, outputs.replace("none", "_"), domain="com.microsoft", **given)
    made.output[:] = ["" if name == "none" else name for name in outputs.split()]
    free = {name: shape for name, shape in shapes.items() if not name.isupper()}
    model = build([made], free, constants, " ".join(name for name in outputs.split() if name != "none"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


ATTENTION: dict[str, Callable[[], onnx.ModelProto]] = {
    "attention": lambda: onnx_23([node("Attention", "q k v")], HEADS),
    "with a scale and a mask": lambda: onnx_23(
        [node("Attention", "q k v m", scale=0.5)], {**HEADS, "m": [5, 7]}
    ),
    "with a mask of truth": lambda: onnx_23(
        [node("Attention", "q k v m")], HEADS, m=np.tril(np.ones((5, 7), bool), 2)
    ),
    "causal": lambda: onnx_23([node("Attention", "q k v", is_causal=1, q_num_heads=2, kv_num_heads=2)], FLAT),
    "softcap": lambda: onnx_23([node("Attention", "q k v", softcap=2.0)], HEADS),
    "keys and values shared": lambda: onnx_23([node("Attention", "q k v")], SHARED),
    "rotary": lambda: onnx_23(
        [node("RotaryEmbedding", "x c s p")], {"x": [2, 2, 5, 6]}, p=np.arange(10).reshape(2, 5) % 7, **CACHE
    ),
    "rotary, heads side by side": lambda: onnx_23(
        [node("RotaryEmbedding", "x c s", num_heads=2)], {"x": [1, 5, 12], "c": [1, 5, 3], "s": [1, 5, 3]}
    ),
    "rotary before attention": lambda: onnx_23(
        [*[node("MatMul", f"x w{name}", name) for name in "qkv"],
         *[node("RotaryEmbedding", f"{name} c s p", f"r{name}", num_heads=2) for name in "qk"],
         node("Attention", "rq rk v", q_num_heads=2, kv_num_heads=2, is_causal=1)],
        {"x": [1, 5, 8]}, **{f"w{name}": data(8, 12) for name in "qkv"}, p=np.arange(5)[None], **CACHE,
    ),
}  # fmt: skip
RUNTIMES: dict[str, Callable[[], onnx.ModelProto]] = {
    "fused matmul": lambda: microsoft("FusedMatMul", "x z", {"x": [2, 5, 3], "z": [2, 4, 5]}, transA=1, transB=1,
                                      alpha=0.5),
    "skip norm": lambda: microsoft("SkipLayerNormalization", "x z G B", {"x": [2, 5, 6], "z": [2, 5, 6], "G": [6],
                                                                         "B": [6]}, epsilon=1e-5),
    "skip norm, a bias, and the sum": lambda: microsoft(
        "SkipLayerNormalization", "x z G _ B", {"x": [2, 5, 6], "z": [2, 5, 6], "G": [6], "B": [6]}, "y none none s"
    ),
    "skip root mean square": lambda: microsoft(
        "SkipSimplifiedLayerNormalization", "x z G", {"x": [2, 5, 6], "z": [2, 5, 6], "G": [6]}, "y none none s",
        epsilon=1e-6,
    ),
    "gelu and a bias": lambda: microsoft("BiasGelu", "x B", {"x": [5, 6], "B": [6]}),
    "fast gelu": lambda: microsoft("FastGelu", "x B", {"x": [5, 6], "B": [6]}),
    "fast gelu alone": lambda: microsoft("FastGelu", "x", {"x": [5, 6]}),
    "gelu": lambda: microsoft("Gelu", "x", {"x": [5, 6]}),
    "quick gelu": lambda: microsoft("QuickGelu", "x", {"x": [5, 6]}, alpha=1.5),
    "many heads": lambda: microsoft("MultiHeadAttention", "q k v", FLAT, num_heads=2),
    "many heads, biases and a mask": lambda: microsoft(
        "MultiHeadAttention", "q k v B _ m", {**FLAT, "B": [36], "m": [1, 1, 5, 5]}, num_heads=3, scale=0.25
    ),
    "many heads, each row what came before": lambda: microsoft(
        "MultiHeadAttention", "q k v", FLAT, num_heads=2, unidirectional=1
    ),
}  # fmt: skip


def check(imports: Imports, model: onnx.ModelProto, evaluate: Callable[[dict[str, Array]], list[Array]]) -> None:
    inputs = {i.name: data(*(d.dim_value for d in i.type.tensor_type.shape.dim)) for i in model.graph.input}
    imports.good(model)
    for found, wanted in zip(imports.run(inputs), evaluate(inputs), strict=True):
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    path = imports.folder / "m.mir"
    assert opt.main(["-O1=sram=16KiB tile=4x4x4", "--prove-each", str(path), "-o", str(path)]) == 0


@pytest.mark.parametrize("name", ATTENTION)
def test_results_are_those_of_onnx(name: str, imports: Imports) -> None:
    model = ATTENTION[name]()
    check(imports, model, lambda inputs: list(ReferenceEvaluator(model).run(None, inputs)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RUNTIMES)
def test_results_are_those_of_onnx_runtime(name: str, imports: Imports) -> None:
    model = RUNTIMES[name]()
    check(imports, model, lambda inputs: runtime(model, inputs))


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "interleaved": (
        lambda: onnx_23([node("RotaryEmbedding", "x c s", interleaved=1)], {"x": [1, 2, 5, 6], "c": [1, 5, 3],
                                                                          "s": [1, 5, 3]}),
        "node 'Y' (RotaryEmbedding): interleaved, it reads every second element",
    ),
    "cosines of another width": (
        lambda: onnx_23([node("RotaryEmbedding", "x c s")], {"x": [1, 2, 5, 8], "c": [1, 5, 3], "s": [1, 5, 3]}),
        "node 'Y' (RotaryEmbedding): half a row has 4 elements, its cosines are 1x5x3",
    ),
    "positions that are computed": (
        lambda: onnx_23([node("RotaryEmbedding", "x c s p")], {"x": [1, 2, 5, 6], "c": [5, 3], "s": [5, 3]},
                        p=np.arange(5)[None]),
        "node 'Y' (RotaryEmbedding): its positions and what is looked up by them must be constant",
    ),
    "heads that can't be shared": (
        lambda: onnx_23([node("Attention", "q k v")], {"q": [1, 3, 5, 6], "k": [1, 2, 5, 6], "v": [1, 2, 5, 6]}),
        "node 'Y' (Attention): 3 heads of queries can't share 2 of keys and 2 of values",
    ),
    "no number of heads": (
        lambda: onnx_23([node("Attention", "q k v")], FLAT),
        "node 'Y' (Attention): 2x5x12 is no tensor of 0 heads",
    ),
    "a mask of padding": (
        lambda: microsoft("MultiHeadAttention", "q k v _ P", {**FLAT, "P": [2, 5]}, num_heads=2),
        "node 'Y' (com.microsoft.MultiHeadAttention): it is imported of a query, a key and a value of rank 3, with a "
        "bias and a mask to add",
    ),
    "batches turned": (
        lambda: microsoft("FusedMatMul", "x z", {"x": [5, 2, 3], "z": [2, 3, 4]}, transBatchA=1),
        "node 'Y' (com.microsoft.FusedMatMul): a batch axis in place of the rows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_imported(name: str, imports: Imports) -> None:
    model, message = REFUSED[name]
    assert imports.bad(model()).splitlines()[1] == f"  {message}"


def test_heads_are_read_where_they_are(imports: Imports) -> None:
    projections = [node("MatMul", f"x w{name}", f"h{name}") for name in "qkv"]
    weights = {f"w{name}": data(12, 12) for name in "qkv"}
    attention = node("Attention", "hq hk hv", q_num_heads=2, kv_num_heads=2)
    imports.good(onnx_23([*projections, attention], {"x": [1, 5, 12]}, **weights))
    views = [line for line in imports.body() if line.split()[2] in ("graph.reshape", "graph.transpose")]
    products = [line for line in imports.body() if "graph.matmul" in line]
    assert (len(views), len(products)) == (8, 5)
    assert "transpose_b" in products[3]
