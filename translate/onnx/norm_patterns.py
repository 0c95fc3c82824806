"""Norms that exporters write out, by means, a root and a quotient, as the one operation that each of them is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ...dialects.composites import LayerNormOp, RmsNormOp
from ...dialects.graph import BinaryOp, GraphOp, ReduceOp
from ...ir.attributes import FloatAttr
from ...ir.core import Operation, Value
from .search import Search, is_number


@dataclass(frozen=True, slots=True)
class _Root:
    """sqrt(mean(x^2) + epsilon) of a tensor, and the operations that make it."""

    tensor: Value
    axes: tuple[int, ...]
    epsilon: FloatAttr
    chain: list[Operation]


def replace_norms(search: Search) -> None:
    """`layer_norm` or `rms_norm` in place of the last operation of each norm by a constant scale; nothing else may read
    what lies between. A norm that is not scaled is left as it is."""
    products = [op for op in search.build.ops if isinstance(op, BinaryOp) and op.kernel == "mul"]
    readers = {v: op for op in search.build.ops for v in op.operands if isinstance(op, BinaryOp)}
    for product in products:
        if product in search.gone:
            continue
        found = _norm(search, product)
        if found is None:
            continue
        made, chain = found
        last = readers.get(product.result)
        if isinstance(made, LayerNormOp) and last is not None and (bias := _bias(search, product, last)) is not None:
            made = LayerNormOp([*made.operands, bias], last.results, axes=made.axes, epsilon=made.epsilon)
            chain, product = [*chain, product], last
        if _is_closed(search, product, chain):
            made.verify()
            search.replace(product, chain, made)


def _norm(search: Search, product: BinaryOp) -> tuple[LayerNormOp | RmsNormOp, list[Operation]] | None:
    """The norm that a product with a constant scale comes to, and what makes its factors."""
    number, values, inner = search.factors(product)
    scales = [v for v in values if v in search.build.origin]
    others = [v for v in values if v not in search.build.origin]
    if len(scales) != 1 or not is_number(number, 1):
        return None
    for tensor, root, chain in _quotients(others):
        found = _root(root)
        if found is None or not _is_along(scales[0], tensor, found.axes):
            continue
        chain = [*inner, *chain, *found.chain]
        if tensor is found.tensor:
            centred = _centred(tensor, found.axes)
            if centred is not None:
                x, ops = centred
                args = {"axes": found.axes, "epsilon": found.epsilon}
                return LayerNormOp([x, scales[0]], product.results, **args), [*chain, *ops]
            return RmsNormOp([tensor, scales[0]], product.results, axes=found.axes, epsilon=found.epsilon), chain
    return None


def _quotients(factors: list[Value]) -> list[tuple[Value, Value, list[Operation]]]:
    """The ways in which a product is a tensor over a root: a / b, or a times 1 / b."""
    if len(factors) == 1:
        op = factors[0].owner
        good = isinstance(op, BinaryOp) and op.kernel == "div" and len(op.operands) == 2
        return [(op.operands[0], op.operands[1], [op])] if good and isinstance(op, BinaryOp) else []
    if len(factors) != 2:
        return []
    found: list[tuple[Value, Value, list[Operation]]] = []
    for tensor, inverse in (factors, factors[::-1]):
        op = inverse.owner
        if not isinstance(op, GraphOp):
            continue
        number = op.left if isinstance(op, BinaryOp) and op.kernel == "div" else None
        if op.kernel == "reciprocal" or (number is not None and is_number(number.value, 1)):
            found.append((tensor, op.operands[0], [op]))
    return found


def _root(value: Value) -> _Root | None:
    """What a value is the root of."""
    root = value.owner
    added = root.operands[0].owner if isinstance(root, GraphOp) and root.kernel == "sqrt" else None
    if not isinstance(added, BinaryOp) or added.kernel != "add" or added.right is None or not added.right.value >= 0:
        return None
    mean = added.operands[0].owner
    if not isinstance(mean, ReduceOp) or mean.kind != "mean":
        return None
    square = mean.operands[0].owner
    if not isinstance(square, BinaryOp):
        return None
    power = square.kernel == "pow" and square.right is not None and square.right.value == 2
    twice = square.kernel == "mul" and len(square.operands) == 2 and square.operands[0] is square.operands[1]
    if not (power or twice):
        return None
    assert isinstance(root, GraphOp)
    return _Root(square.operands[0], mean.axes, added.right, [root, added, mean, square])


def _centred(value: Value, axes: tuple[int, ...]) -> tuple[Value, list[Operation]] | None:
    """The tensor that a value is without its mean, and the operations that take that off."""
    op = value.owner
    if not isinstance(op, BinaryOp) or op.kernel != "sub" or len(op.operands) != 2:
        return None
    mean = op.operands[1].owner
    good = isinstance(mean, ReduceOp) and mean.kind == "mean" and mean.axes == axes
    return (op.operands[0], [op, mean]) if good and mean.operands[0] is op.operands[0] else None  # type: ignore


def _is_along(scale: Value, tensor: Value, axes: tuple[int, ...]) -> bool:
    """Whether a factor is the same for all that is normed: it has one element along every other axis."""
    shape, rank = scale.type.shape, len(tensor.type.shape)  # type: ignore[attr-defined]
    return all(size == 1 or rank - len(shape) + i in axes for i, size in enumerate(shape))


def _bias(search: Search, product: BinaryOp, last: BinaryOp) -> Value | None:
    """What is added to a product that nothing else reads, if that is a constant."""
    if last.kernel != "add" or search.uses[product.result] != 1 or last.result.type != product.result.type:
        return None
    return next((v for v in last.operands if v in search.build.origin), None)


def _is_closed(search: Search, last: Operation, chain: list[Operation]) -> bool:
    """Whether nothing but these operations reads what those of the chain make."""
    within = Counter(v for op in {last, *chain} for v in op.operands)
    return all(search.uses[v] == within[v] for op in chain for v in op.results)
