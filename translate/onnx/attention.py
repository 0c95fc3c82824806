"""How ONNX's and ONNX Runtime's attention operators and rotary embeddings are imported: as the operations that they are
made of, over heads that are views."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from ...dialects.composites import SoftmaxOp
from ...dialects.kernels import KERNELS
from ...ir.core import Value
from .build import Builder, binary, product, unary
from .model import Node
from .tensors import Const, Tensor, Unsupported, View, text

Inputs = list[Any]


def import_attention(build: Builder, node: Node, inputs: Inputs) -> list[Tensor]:
    """softmax(scale Q K^T + mask) V, head by head; before them come the keys and values that are given as past."""
    q, k, v, mask, past_k, past_v = [*inputs, None, None, None, None][:6]
    counts = node.attribute("q_num_heads", 0), node.attribute("kv_num_heads", 0)
    flat = len(q.shape) == 3
    q, k, v = (in_heads(build, node, t, n) for t, n in zip((q, k, v), (counts[0], counts[1], counts[1]), strict=True))
    past = 0
    if past_k is not None and past_v is not None:
        past = past_k.shape[2]
        k, v = (build.joined([old, new], 2, node) for old, new in ((past_k, k), (past_v, v)))
    masks = [] if mask is None else [_to_add(mask)]
    if node.attribute("is_causal", 0):
        masks.append(_causal(build, q, k, past))
    scale = node.attribute("scale", None)
    made = attention(build, node, (q, k, v), masks, scale, node.attribute("softcap", 0.0))
    return [_joined_heads(build, node, made) if flat else made, *([k, v] if past else [])]


def import_multi_head_attention(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """ONNX Runtime's, of three tensors that are each heads side by side, with a bias for each and a mask to add."""
    q, k, v, bias, padding, mask, *others = [*inputs, *[None] * 6][: max(6, len(inputs))]
    if padding is not None or any(t is not None for t in others) or k is None or v is None or len(k.shape) != 3:
        raise Unsupported("it is imported of a query, a key and a value of rank 3, with a bias and a mask to add")
    if bias is not None and not isinstance(bias, Const):
        raise Unsupported("its bias must be constant")
    if bias is not None:
        parts = np.split(bias.array, np.cumsum([q.shape[-1], k.shape[-1]]))
        q, k, v = (
            binary(build, f"{node.outputs[0]}_{name}", KERNELS["add"], t, Const(bias.name, part))
            for name, t, part in zip("qkv", (q, k, v), parts, strict=True)
        )
    count = node.attribute("num_heads", 0)
    q, k, v = (in_heads(build, node, t, count) for t in (q, k, v))
    masks = [] if mask is None else [mask]
    if node.attribute("unidirectional", 0):
        masks.append(_causal(build, q, k, 0))
    scale = node.attribute("scale", 0.0) or None
    return _joined_heads(build, node, attention(build, node, (q, k, v), masks, scale, 0.0))


def attention(
    build: Builder, node: Node, sides: tuple[Any, Any, Any], masks: list[Tensor], scale: float | None, softcap: float
) -> View:
    """The attention of heads, [batch, heads, rows, width] each; several heads may share keys and values."""
    q, k, v = sides
    name, heads = node.outputs[0], q.shape[1]
    if heads % k.shape[1] or k.shape[1] != v.shape[1]:
        raise ValueError(f"{heads} heads of queries can't share {k.shape[1]} of keys and {v.shape[1]} of values")
    k, v = (_repeated(build, node, t, heads) for t in (k, v))
    q = unary(build, f"{name}_q", KERNELS["mul"], q, right=scale or 1 / sqrt(q.shape[-1]))
    turned = k.transposed((0, 1, 3, 2), node)
    rows = (*q.shape[:3], k.shape[2])
    scores = product(build, f"{name}_scores", (q, q.shape), (turned, turned.shape), rows)
    if softcap:
        scores = unary(build, f"{name}_part", KERNELS["mul"], scores, right=1 / softcap)
        scores = unary(build, f"{name}_tanh", KERNELS["tanh"], scores)
        scores = unary(build, f"{name}_capped", KERNELS["mul"], scores, right=softcap)
    for mask in masks:
        scores = binary(build, f"{name}_masked", KERNELS["add"], scores, mask)
    value = build.operand(scores, scores.shape)
    p = build.emit(SoftmaxOp([value], [Value(value.type, build.fresh(f"{name}_p"))], axes=(3,)), scores.shape)
    return product(build, name, (p, p.shape), (v, v.shape), (*rows[:3], v.shape[3]))


def in_heads(build: Builder, node: Node, tensor: Any, count: int) -> Any:
    """[batch, heads, rows, width] of that, or of heads side by side."""
    if len(tensor.shape) == 4:
        return tensor
    if len(tensor.shape) != 3 or not count or tensor.shape[2] % count or not isinstance(tensor, View):
        raise ValueError(f"{text(tensor.shape)} is no tensor of {count} heads")
    batch, rows, width = tensor.shape
    return build.reshaped(tensor, (batch, rows, count, width // count), node).transposed((0, 2, 1, 3), node)


def _joined_heads(build: Builder, node: Node, tensor: View) -> View:
    batch, heads, rows, width = tensor.shape
    return build.reshaped(tensor.transposed((0, 2, 1, 3), node), (batch, rows, heads * width), node)


def _repeated(build: Builder, node: Node, tensor: View, heads: int) -> View:
    """A head of keys or values for each head of queries."""
    batch, count, rows, width = tensor.shape
    if count == heads:
        return tensor
    each = build.reshaped(tensor, (batch, count, 1, rows, width), node)
    return build.reshaped(
        build.repeated(each, (batch, count, heads // count, rows, width), node), (batch, heads, rows, width), node
    )


def _to_add(mask: Tensor) -> Tensor:
    """What is added to scores: of a mask that is true or false, 0 or minus infinity."""
    if isinstance(mask, Const) and mask.array.dtype == np.bool_:
        return Const(mask.name, np.where(mask.array, np.float32(0), np.float32(-np.inf)))
    return mask


def _causal(build: Builder, q: View, k: View, past: int) -> Const:
    """A constant to add, by which each row reads no column behind itself."""
    rows, columns = np.arange(q.shape[2])[:, None], np.arange(k.shape[2])
    return Const("causal", np.where(columns <= rows + past, 0, -np.inf).astype(np.float32))


def import_rotary_embedding(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """The halves x1 and x2 of each row become x1 cos - x2 sin and x1 sin + x2 cos."""
    x, cosine, sine, positions = [*inputs, None][:4]
    if node.attribute("interleaved", 0):
        raise Unsupported("interleaved, it reads every second element")
    flat, rows = len(x.shape) == 3, x.shape[-2]
    heads = in_heads(build, node, x, node.attribute("num_heads", 0))
    width = node.attribute("rotary_embedding_dim", 0) or heads.shape[-1]
    factors = [_factors(build, node, t, positions, rows) for t in (cosine, sine)]
    half, name = width // 2, node.outputs[0]
    if any(f.shape[-1] != half for f in factors):
        raise ValueError(f"half a row has {half} elements, its cosines are {text(cosine.shape)}")

    def part(start: int, size: int, suffix: str) -> View:
        starts, sizes = (0, 0, 0, start), (*heads.shape[:3], size)
        return build.sliced(heads, starts, sizes, node, f"{name}_{suffix}")

    def times(tensor: View, i: int, suffix: str) -> View:
        return binary(build, f"{name}_{suffix}", KERNELS["mul"], tensor, factors[i])

    one, other = part(0, half, "x1"), part(half, half, "x2")
    parts = [
        binary(build, f"{name}_1", KERNELS["sub"], times(one, 0, "x1_cos"), times(other, 1, "x2_sin")),
        binary(build, f"{name}_2", KERNELS["add"], times(one, 1, "x1_sin"), times(other, 0, "x2_cos")),
    ]
    if width < heads.shape[-1]:
        parts.append(part(width, heads.shape[-1] - width, "rest"))
    made = build.joined(parts, 3, node)
    return _joined_heads(build, node, made) if flat else made


def _factors(build: Builder, node: Node, tensor: Tensor, positions: Tensor | None, rows: int) -> Any:
    """The cosines or sines of each row, the same for all heads."""
    if positions is not None:
        if not isinstance(tensor, Const) or not isinstance(positions, Const):
            raise Unsupported("its positions and what is looked up by them must be constant")
        tensor = Const(tensor.name, tensor.array[positions.array])
    if len(tensor.shape) != 3 or tensor.shape[1] != rows:
        raise ValueError(f"{text(tensor.shape)} has no row for each of {rows}")
    shape = (tensor.shape[0], 1, *tensor.shape[1:])
    return Const(tensor.name, tensor.array.reshape(shape)) if isinstance(tensor, Const) else build.reshaped(
        tensor, shape, node
    )  # fmt: skip


HANDLERS: dict[str, tuple[Any, tuple[int, int]]] = {
    "Attention": (import_attention, (3, 6)),
    "RotaryEmbedding": (import_rotary_embedding, (3, 4)),
    "com.microsoft.MultiHeadAttention": (import_multi_head_attention, (3, 10)),
}
"""With how many inputs a node has, at least and at most."""
