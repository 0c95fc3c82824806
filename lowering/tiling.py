"""Which tile shape each tensor of a graph function has: one per tensor, from the tile sizes of the operations on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..dialects.graph import GraphOp, MatmulOp, ReduceOp, ViewOp
from ..dialects.kernels import KERNELS
from ..dialects.kernels.declaration import ALL
from ..dialects.opaque import GraphOpaqueOp, opaque_ops
from ..dialects.target import target_of
from ..dialects.tiles import TILEABLE, can_tile
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..ir.types import TensorType
from ..planner.arena import count_of
from .view_sizes import Limits
from .view_tiles import tile_in_operand, tile_in_result

Sizes = tuple[int, int, int]
Shape = tuple[int, ...]


@dataclass(slots=True)
class Tiling:
    """The result: tile sizes per operation (products, and operations that nothing else decides), tile shape per tensor;
    `free` holds the arguments whose shape is only the default."""

    ops: dict[GraphOp, Shape] = field(default_factory=dict)
    tensors: dict[Value, Shape] = field(default_factory=dict)
    free: list[Value] = field(default_factory=list)


_Relation = tuple[GraphOp, Value, Shape, str]
"""An operation with one of its sources: along which axes of its result that goes, and as what it is read."""


@dataclass(slots=True)
class _Claim:
    shape: Shape
    op: Operation
    role: str
    value: Value


def check_tensors(func: FuncOp, who: str) -> None:
    """Raises `DiagnosticError` at what can't be tiled: an unknown operation on a tensor, a tensor of another rank or
    element type."""
    errors = []
    for op in func.ops:
        if isinstance(op, (GraphOp, GraphOpaqueOp)) or op.name == "func.return":
            continue
        touched = [v for inner in op.walk() for v in (*inner.operands, *inner.results) if _is_tensor(v)]
        if touched:
            errors.append(
                Diagnostic(f"{who} does not understand {op.name}, which touches tensor %{touched[0].name}", op.loc)
            )
    for arg in func.args:
        if _is_tensor(arg) and not can_tile(arg.type):
            errors.append(Diagnostic(f"{who} can't tile %{arg.name}: tensors have {TILEABLE}, got {arg.type}", arg.loc))
    for arg, tile in given_tiles(func).items():
        if can_tile(arg.type) and len(tile) != _rank(arg):
            message = (
                f"'graph.tile' of %{arg.name} has {count_of(len(tile), 'size')}, but {arg.type} has rank {_rank(arg)}"
            )
            errors.append(Diagnostic(message, arg.loc))
    if errors:
        raise DiagnosticError(errors)


def _is_tensor(value: Value) -> bool:
    return value.type.text.startswith("tensor<")


def infer(func: FuncOp, sizes: Sizes, arg_tiles: dict[Value, Shape] | None = None) -> Tiling:
    """The tiling of a graph function; `sizes` is what operations without their own `tile` take.

    Where a product's left operand comes from another product, its tk becomes that one's tn. Raises `DiagnosticError`
    where two operations need different tiles of one tensor, naming both and sizes that would do, and at composites.
    """
    _check_decomposed(func)
    solver = _Solver(func, sizes, arg_tiles or {})
    conflict = solver.solve()
    if conflict is not None:
        raise DiagnosticError([_describe(conflict, func, sizes)])
    return solver.tiling


def _check_decomposed(func: FuncOp) -> None:
    whole = [op for op in func.ops if isinstance(op, GraphOp) and op.is_composite]
    if whole:
        message = "{} %{} is made of other operations, which have the tiles; run --decompose before --tile"
        raise DiagnosticError([Diagnostic(message.format(op.name, op.result.name), op.loc) for op in whole])


def given_tiles(func: FuncOp) -> dict[Value, Shape]:
    """The tiles that arguments have by `graph.tile`."""
    attrs = zip(func.args, func.arg_attrs, strict=True)
    return {arg: given["graph.tile"] for arg, given in attrs if "graph.tile" in given}


def tile_shapes(func: FuncOp, module: ModuleOp) -> dict[Value, Shape]:
    """The tile shape of each tensor of a tiled graph function."""
    return infer(func, target_of(func, module).tile, given_tiles(func)).tensors


class _Solver:
    def __init__(self, func: FuncOp, sizes: Sizes, arg_tiles: dict[Value, Shape], own: bool = True):
        self.func = func
        self.sizes = sizes
        self.own = own
        self.arg_tiles = arg_tiles
        self.parent: dict[Value, Value] = {}
        self.claims: dict[Value, _Claim] = {}
        self.tiling = Tiling()
        self.limits = Limits([])

    def solve(self) -> tuple[_Claim, _Claim] | None:
        """Fills `tiling`; the first pair of claims that don't agree, if any."""
        ops = [op for op in self.func.ops if isinstance(op, GraphOp)]
        self.limits = Limits(ops)
        for op in ops:
            self.join(op)
        for claims in (self.result_claims(ops), self.operand_claims(ops), self.default_claims(ops)):
            for claim in claims:
                conflict = self.claim(claim)
                if conflict is not None and not isinstance(claim.op, ViewOp):  # else it is moved
                    return conflict, claim
        for value in self.parent:
            self.tiling.tensors[value] = self.claims[self.find(value)].shape
        for arg in self.func.args:
            if can_tile(arg.type) and arg not in self.parent:
                self.tiling.tensors[arg] = self.cut(arg, self.arg_tiles.get(arg) or self.default_shape(arg))
                self.tiling.free.append(arg)
        for value in (v for op in opaque_ops(self.func) for v in op.results if v not in self.parent):
            self.tiling.tensors[value] = self.cut(value, self.default_shape(value))
        return None

    # Tensors that an operation reads in the tiles of its result

    def find(self, value: Value) -> Value:
        root = value
        while self.parent.setdefault(root, root) is not root:
            root = self.parent[root]
        while self.parent[value] is not root:
            self.parent[value], value = root, self.parent[value]
        return root

    def join(self, op: GraphOp) -> None:
        values = [*op.operands, op.result]
        for value in values:
            self.find(value)
        if isinstance(op, ViewOp):
            return
        for value, axes, _ in sources_of(op):
            if _is_like_result(op, axes):
                self.parent[self.find(value)] = self.find(op.result)

    def claim(self, claim: _Claim) -> _Claim | None:
        """Enters a claim, cut to its tensor; the earlier one that it contradicts, if any."""
        claim = replace(claim, shape=self.cut(claim.value, claim.shape))
        earlier = self.claims.setdefault(self.find(claim.value), claim)
        return earlier if earlier.shape != claim.shape else None

    # What operations ask of tensors

    def own_tile(self, op: MatmulOp) -> Shape | None:
        return op.tile if self.own else None

    def result_claims(self, ops: list[GraphOp]) -> Iterator[_Claim]:
        for op in ops:
            tile = op.result_tile() if self.own else None
            if tile is None and isinstance(op, MatmulOp):
                tile = self.default_shape(op.result)
            if tile is not None:
                yield _Claim(tile, op, "result", op.result)

    def operand_claims(self, ops: list[GraphOp]) -> Iterator[_Claim]:
        for op in ops:
            if not isinstance(op, MatmulOp):
                continue
            m, n = _shape_of(op.result)[-2:]
            k = _shape_of(op.operands[0])[op.depth_axis]
            tm, tn, tk = map(min, self.own_tile(op) or self.fitted(op, self.adapted(op)), (m, n, k))
            self.tiling.ops[op] = (tm, tn, tk)
            left, right = (tm, tk), (tk, tn)
            yield self.of_matrix(op, 0, left if op.transpose_a is None else left[::-1])
            yield self.of_matrix(op, 1, right if op.transpose_b is None else right[::-1])
            if op.bias is not None:
                yield _Claim((tn,), op, "bias", op.bias)
        yield from self.other_claims(ops)

    def adapted(self, op: MatmulOp) -> Shape:
        """The default sizes, with tk as the tile of a left operand that is itself computed has it."""
        tm, tn, _ = self.sizes
        produced = self.claims.get(self.find(op.operands[0]))
        if produced is None or produced.role != "result":
            return self.sizes
        return tm, tn, produced.shape[op.depth_axis]

    def fitted(self, op: MatmulOp, sizes: Shape) -> Shape:
        """A product's tile sizes, none larger than views leave."""
        tm, tn, tk = sizes
        rank, depth = _rank(op.result), _rank(op.operands[0]) + op.depth_axis
        fit = self.limits.fit
        return fit(op.result, rank - 2, tm), fit(op.result, rank - 1, tn), fit(op.operands[0], depth, tk)

    def of_matrix(self, op: MatmulOp, side: int, tile: Shape) -> _Claim:
        """A product's left or right operand, cut in these tiles along its last two axes, and batch by batch."""
        value = op.operands[side]
        return _Claim((1,) * (_rank(value) - 2) + tile, op, ("left operand", "right operand")[side], value)

    def other_claims(self, ops: list[GraphOp]) -> Iterator[_Claim]:
        """A source with other axes than the result, such as a vector with a matrix, is cut as the result is along them,
        and the other way round; so is what follows from that, wherever it stands."""
        waiting = deque(
            (op, *source)
            for op in ops
            for source in sources_of(op)
            if isinstance(op, ViewOp) or not _is_like_result(op, source[1])
        )
        concerned: dict[Value, list[_Relation]] = {}
        for relation in waiting:
            for value in (relation[0].result, relation[1]):
                concerned.setdefault(self.find(value), []).append(relation)
        while waiting:
            claim = self.claim_of(*waiting.popleft())
            if claim is None:
                continue
            root = self.find(claim.value)
            if root not in self.claims:
                waiting += concerned[root]
            yield claim

    def claim_of(self, op: GraphOp, value: Value, axes: Shape, role: str) -> _Claim | None:
        """What follows for an operation's source from its result, or the other way round."""
        result, source = self.claims.get(self.find(op.result)), self.claims.get(self.find(value))
        if isinstance(op, ViewOp):
            return self.claim_of_view(op, value, role, result, source)
        if result is not None:
            sizes = (*result.shape, self.depth(op, value) if isinstance(op, ReduceOp) else 1)
            claim = _Claim(tuple([1 if axis == ALL else sizes[axis] for axis in axes]), op, role, value)
            if isinstance(op, ReduceOp):
                self.tiling.ops[op] = self.cut(value, claim.shape)
            return claim
        if source is None:
            return None
        known = dict(zip(axes, source.shape, strict=True))
        default = self.default_shape(op.result)
        tile = tuple([known.get(i, size) for i, size in enumerate(default)])
        self.tiling.ops[op] = self.cut(op.result, tile)  # the source says nothing of some axes
        return _Claim(tile, op, "result", op.result)

    def claim_of_view(
        self, op: ViewOp, value: Value, role: str, result: _Claim | None, source: _Claim | None
    ) -> _Claim | None:
        """What follows for a view's operand from its result, or the other way round; None where there are no such
        tiles, so that it has to be moved."""
        if result is not None:
            tile = tile_in_operand(op, value, result.shape)
            return None if tile is None else _Claim(tile, op, role, value)
        tile = None if source is None else tile_in_result(op, source.shape)
        return None if tile is None else _Claim(tile, op, "result", op.result)

    def depth(self, op: ReduceOp, value: Value) -> int:
        """The size of a reduction's tiles along its axis."""
        if self.own and op.tile is not None:
            return op.tile[op.axis]
        source = self.claims.get(self.find(value))
        return (source.shape if source is not None else self.default_shape(value))[op.axis]

    def default_claims(self, ops: list[GraphOp]) -> Iterator[_Claim]:
        """What nothing has decided takes the default sizes, noted on the operations."""
        for op in ops:
            if self.find(op.result) in self.claims or isinstance(op, ViewOp):
                continue
            yield _Claim(self.default_shape(op.result), op, "result", op.result)
            self.tiling.ops[op] = self.cut(op.result, self.default_shape(op.result))
        yield from self.other_claims(ops)
        yield from self.view_claims(ops)

    def view_claims(self, ops: list[GraphOp]) -> Iterator[_Claim]:
        """What only views read takes the default sizes, and so do views that do not fall on the grid."""
        views = [op for op in ops if isinstance(op, ViewOp)]
        tensors = [(op, op.operands[0]) for op in views if self.find(op.result) not in self.claims]
        tensors += [(op, value) for op in views for value in (*op.operands, op.result)]
        for op, value in tensors:
            if self.find(value) not in self.claims:
                yield _Claim(self.default_shape(value), op, "operand", value)
                yield from self.other_claims(ops)

    def default_shape(self, value: Value) -> Shape:
        """The default sizes along the last two axes, as far as views leave them, 1 along those before."""
        rank = _rank(value)
        sizes = ((1,) * (rank - 2) + self.sizes[:2])[-rank:]
        return tuple([self.limits.fit(value, axis, size) for axis, size in enumerate(sizes)])

    def cut(self, value: Value, tile: Shape) -> Shape:
        """A tile, none of whose sizes is larger than the tensor along its axis."""
        return tuple(map(min, tile, _shape_of(value)))


def _rank(value: Value) -> int:
    return len(_shape_of(value))


def _shape_of(value: Value) -> Shape:
    assert isinstance(value.type, TensorType)
    return value.type.shape


def _is_like_result(op: GraphOp, axes: Shape) -> bool:
    """Whether a source with these axes is read in the tiles of the result."""
    return axes == tuple(range(_rank(op.result)))


def sources_of(op: GraphOp) -> Iterator[tuple[Value, Shape, str]]:
    """What an operation that is no product reads, along which axes of its result, and as what."""
    if isinstance(op, MatmulOp):
        return
    if isinstance(op, ViewOp):
        yield from ((value, (), "operand") for value in op.operands)
        return
    axes = KERNELS[op.kernel].reads(op, [_shape_of(v) for v in (op.result, *op.operands)])
    roles = ("first operand", "second operand", "third operand") if len(op.operands) > 1 else ("operand",)
    yield from zip(op.operands, axes, roles, strict=False)


def _describe(conflict: tuple[_Claim, _Claim], func: FuncOp, sizes: Sizes) -> Diagnostic:
    first, second = sorted(conflict, key=lambda c: c.op.loc)
    message = (
        f"conflicting tiles of %{second.value.name}: "
        f"{_shape(second.shape)} as the {second.role} of {_name(second.op)}, "
        f"{_shape(first.shape)} as the {first.role} of {_name(first.op)}; {_advice(func, sizes)}"
    )
    return Diagnostic(message, second.op.loc).note(f"the other operation is {_name(first.op)}", first.op.loc)


def _name(op: Operation) -> str:
    return f"{op.name} %{op.results[0].name}"


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _advice(func: FuncOp, sizes: Sizes) -> str:
    """Sizes for `--tile` that were tried and do; with the operations' own tiles where possible."""
    tm, tn, tk = sizes
    own = [(*op.tile,) for op in func.ops if isinstance(op, MatmulOp) and op.tile]
    wanted = [(tm, tn, tn), (tm, tm, tm), (tn, tn, tn), (tk, tk, tk), *own]
    wanted += [(a, b, c) for t in own for a, b, c in ((t[0], t[1], t[1]), (t[0], t[2], t[2]), (t[0],) * 3, (t[1],) * 3)]
    for keeps_own in (True, False):
        for candidate in wanted:
            if _Solver(func, candidate, {}, own=keeps_own).solve() is None:
                hint = "" if keeps_own else " without the operations' own tile"
                return f"sizes={_shape(candidate)}{hint} would do"
    return "no single sizes would do"
