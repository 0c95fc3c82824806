"""How the operators are imported that ONNX Runtime's optimisers write: several of ONNX's in one."""

from __future__ import annotations

from typing import Any

from ...dialects.composites import LayerNormOp, RmsNormOp
from ...dialects.kernels import KERNELS
from .build import Builder, binary, unary
from .model import Node
from .norms import import_rms_norm, normed
from .products import import_matmul, times
from .tensors import Tensor, Unsupported, transposed

Inputs = list[Any]
SKIP_EPSILON = 1e-12
"""What a norm behind a sum adds before the root, where nothing is said."""


def import_fused_matmul(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """alpha A B, either of them transposed."""
    if node.attribute("transBatchA", 0) or node.attribute("transBatchB", 0):
        raise Unsupported("a batch axis in place of the rows")
    sides = []
    for tensor, name in zip(inputs, ("transA", "transB"), strict=True):
        *outer, m, n = range(max(len(tensor.shape), 2))
        turned = node.attribute(name, 0) and len(tensor.shape) > 1
        sides.append(transposed(tensor, (*outer, n, m), node) if turned else tensor)
    return times(build, node.outputs[0], node.attribute("alpha", 1.0), lambda name: import_matmul(
        build, Node(node.index, node.name, "MatMul", node.inputs, [name], node.proto), sides
    ))  # fmt: skip


def import_skip_norm(build: Builder, node: Node, inputs: Inputs) -> list[Tensor]:
    """The norm of a sum of two tensors, and a bias; the sum is an output of its own where it is asked for."""
    name, rms = node.outputs[0], node.op.endswith("SkipSimplifiedLayerNormalization")
    x, skip, scale, *rest = inputs
    shift, bias, *_ = [None, *rest, None] if rms else [*rest, None, None]
    total = binary(build, f"{name}_sum", KERNELS["add"], x, skip)
    if bias is not None:
        total = binary(build, f"{name}_biased", KERNELS["add"], total, bias)
    factors = [scale] if shift is None else [scale, shift]
    axes = (len(total.shape) - 1,)
    made = normed(build, node, RmsNormOp if rms else LayerNormOp, total, factors, axes, SKIP_EPSILON)
    between = any(node.outputs[1:3])
    return [made] if between or len(node.outputs) < 4 else [made, total]


def import_bias_gelu(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """gelu, by Erf or by Tanh, of a tensor plus a bias."""
    name, (x, bias) = node.outputs[0], [*inputs, None][:2]
    kernel = KERNELS["gelu_tanh" if node.op.endswith("FastGelu") else "gelu"]
    return unary(build, name, kernel, x if bias is None else binary(build, f"{name}_biased", KERNELS["add"], x, bias))


def import_quick_gelu(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """x times the sigmoid of alpha x."""
    (x,), name, alpha = inputs, node.outputs[0], node.attribute("alpha", 1.702)
    if alpha == 1:
        return unary(build, name, KERNELS["silu"], x)
    scaled = unary(build, f"{name}_scaled", KERNELS["mul"], x, right=alpha)
    return binary(build, name, KERNELS["mul"], x, unary(build, f"{name}_gate", KERNELS["sigmoid"], scaled))


HANDLERS: dict[str, tuple[Any, tuple[int, int]]] = {
    "SimplifiedLayerNormalization": (import_rms_norm, (2, 2)),
    "com.microsoft.BiasGelu": (import_bias_gelu, (2, 2)),
    "com.microsoft.FastGelu": (import_bias_gelu, (1, 2)),
    "com.microsoft.FusedMatMul": (import_fused_matmul, (2, 2)),
    "com.microsoft.Gelu": (import_bias_gelu, (1, 1)),
    "com.microsoft.QuickGelu": (import_quick_gelu, (1, 1)),
    "com.microsoft.SkipLayerNormalization": (import_skip_norm, (3, 5)),
    "com.microsoft.SkipSimplifiedLayerNormalization": (import_skip_norm, (3, 4)),
}
"""With how many inputs a node has, at least and at most."""
