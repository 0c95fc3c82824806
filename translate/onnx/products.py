"""How ONNX's products are imported: MatMul, Gemm, Einsum."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ...dialects.kernels import KERNELS
from ...ir.types import MAX_RANK
from .build import Builder, binary, product, unary
from .model import Node
from .quantised import product_of_dequantized
from .tensors import Const, Shape, Tensor, Unsupported, View, broadcast, text, transposed

Inputs = list[Any]
"""A node's inputs, each a view, a constant, or None where it is left out."""


def import_matmul(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """NumPy's rules: a vector is a row as A and a column as B, and leading axes are batches, a product for each."""
    a, b = inputs
    if not a.shape or not b.shape:
        raise Unsupported("a scalar has no product")
    if (made := product_of_dequantized(build, node, inputs)) is not None:
        return made
    left = a.shape if len(a.shape) > 1 else (1, *a.shape)
    right = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    batches = broadcast(left[:-2], right[:-2])
    if batches is None:
        raise ValueError(f"the batches of {text(a.shape)} and {text(b.shape)} can't be broadcast to one shape")
    rank, result = len(batches) + 2, a.shape[-2:-1] + (b.shape[-1:] if len(b.shape) > 1 else ())
    if prod(right[:-2]) == 1:
        right = right[-2:]
        left = _rows(a, left)
    if max(len(left), len(right)) > MAX_RANK:
        raise Unsupported(f"its tensors have rank {rank}; there are ranks up to {MAX_RANK}")
    return product(build, node.outputs[0], (a, left), (b, right), (*batches, *result))


def _rows(a: Tensor, form: Shape) -> Shape:
    """The form of the left side of a product with one matrix: all its rows together where each batch has but one, or
    where they are held so."""
    flat = prod(form[:-1]), form[-1]
    held = a.held.form if isinstance(a, View) and a.in_order else None
    together = form[-2] == 1 and prod(form[:-2]) > 1
    return flat if together or held == flat or len(form) > MAX_RANK or isinstance(a, Const) else form


def import_gemm(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """alpha A B + beta C: the scales and the transpositions go into the constants."""
    a, b, c = inputs if len(inputs) > 2 else [*inputs, None]
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise Unsupported(f"its operands have ranks {len(a.shape)} and {len(b.shape)}, not 2")
    if (made := product_of_dequantized(build, node, inputs)) is not None:
        return made
    a = transposed(a, (1, 0), node) if node.attribute("transA", 0) else a
    b = transposed(b, (1, 0), node) if node.attribute("transB", 0) else b
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    name, shape = node.outputs[0], (a.shape[0], b.shape[1])
    if isinstance(b, Const):
        b, alpha = scaled(b, alpha), 1.0
    elif isinstance(a, Const):
        a, alpha = scaled(a, alpha), 1.0
    if c is None or beta == 0:
        return times(build, name, alpha, lambda own: product(build, own, (a, a.shape), (b, b.shape), shape))
    if broadcast(shape, c.shape) != shape:
        raise ValueError(f"C is {'x'.join(map(str, c.shape))}, which does not broadcast to {shape[0]}x{shape[1]}")
    if isinstance(c, Const):
        c = scaled(c, beta)
        if prod(c.shape[:-1]) == 1 and alpha == 1:
            bias = Const(c.name, np.broadcast_to(c.array.reshape(c.shape[-1:]), shape[1:]))
            return product(build, name, (a, a.shape), (b, b.shape), shape, bias)
    elif beta != 1:
        c = unary(build, f"{name}_scaled", KERNELS["mul"], c, right=beta)
    total = times(build, f"{name}_product", alpha, lambda own: product(build, own, (a, a.shape), (b, b.shape), shape))
    return binary(build, name, KERNELS["add"], total, c)


def times(build: Builder, name: str, factor: float, make: Callable[[str], Any]) -> View:
    """What is made under a name, times a number under that name."""
    if factor == 1:
        return make(name)
    return unary(build, name, KERNELS["mul"], make(f"{name}_unscaled"), right=factor)


def import_einsum(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """A product of two tensors, whichever way they and the result are turned: `ij,kj->ki`, or `bhid,bhjd->bhij`."""
    equation = str(node.attribute("equation", "")).replace(" ", "")
    sides, _, result = equation.partition("->")
    first, _, second = sides.partition(",")
    a, b = inputs
    for letters, tensor in ((first, a), (second, b)):
        if "." not in letters and len(letters) != len(tensor.shape):
            raise ValueError(f"'{equation}' asks for an operand of rank {len(letters)}, it is {text(tensor.shape)}")
    summed = [x for x in first if x in second and x not in result]
    batch = [x for x in result if x in first and x in second]
    own = [[x for x in letters if x in result and x not in batch] for letters in (first, second)]
    letters = (first, second, result)
    once = all(len(set(side)) == len(side) and side.isalpha() for side in letters)
    known = set(result) == {*batch, *own[0], *own[1]} and set(first + second) == {*batch, *own[0], *own[1], *summed}
    if not (once and known and len(summed) == 1 and len(own[0]) == len(own[1]) == 1):
        raise Unsupported(f"'{equation}' is no product of two matrices")
    sizes = dict(zip(first + second, a.shape + b.shape, strict=True))
    if any(sizes[x] != size for x, size in zip(first, a.shape, strict=True)):
        raise ValueError(f"'{equation}' doesn't fit {text(a.shape)} and {text(b.shape)}")
    (m,), (n,) = own
    if result.index(m) > result.index(n):  # what is made is the product the other way round
        a, b, first, second, m, n = b, a, second, first, n, m
    wanted = [*batch, m, *summed], [*batch, *summed, n]
    a, b = (
        transposed(t, tuple([given.index(x) for x in order]), node)
        for t, given, order in zip((a, b), (first, second), wanted, strict=True)
    )
    shape = tuple([sizes[x] for x in (*batch, m, n)])
    made = product(build, node.outputs[0], (a, a.shape), (b, b.shape), shape)
    order = [*batch, m, n]
    return made if list(result) == order else transposed(made, tuple([order.index(x) for x in result]), node)


def scaled(tensor: Const, factor: float) -> Const:
    """The constant times alpha or beta, in its own precision."""
    if factor == 1:
        return tensor
    return Const(tensor.name, tensor.array * tensor.array.dtype.type(factor))
