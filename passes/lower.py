"""lower: graph to uop, tile by tile, each operation in full after the one before, in m, n, k order.

    %h = graph.matmul %x, %w {activation = "relu", tile = [32, 32, 32]} : ...
->
    uop.load %x[0, 0]
    uop.load %w[0, 0]
    uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]
    uop.load %x[0, 1]
    ...
    uop.store %h[0, 0] {activation = "relu"}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..dialects.graph import CastOp, GraphOp, MatmulOp
from ..dialects.levels import level_of
from ..dialects.target import target_of
from ..dialects.tiles import KERNELS, Coord, TiledType
from ..dialects.uop import AllocOp, ExecOp, LoadOp, StoreOp
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..ir.types import TensorType
from .manager import map_functions, register_pass
from .rewriting import ValueMap, clone, copy_value, with_body
from .tiling import Shape, check_tensors, infer

TileRef = tuple[Value, Coord]

MAX_EXECS = 20_000_000
"""Most tile operations that one graph operation may become."""


@register_pass
@dataclass(frozen=True)
class LowerPass:
    """Turns graph operations into tile loads, execs and stores. Every matmul must have its `tile`."""

    name: ClassVar[str] = "lower"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, lower_function)


def lower_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph function at uop level; any other as it is. Raises `DiagnosticError` for an untiled product."""
    if level_of(func) != "graph":
        return func
    check_tensors(func, "lower")
    _check_tiled(func)
    given = {
        a: attrs["graph.tile"] for a, attrs in zip(func.args, func.arg_attrs, strict=True) if "graph.tile" in attrs
    }
    shapes = infer(func, target_of(func, module).tile, given).tensors
    _check_size(func, shapes)
    values: ValueMap = {}
    args = [copy_value(a, values, _tiled(a, shapes)) for a in func.args]
    allocs: list[Operation] = [
        AllocOp((), [copy_value(op.result, values, _tiled(op.result, shapes))], loc=op.loc)
        for op in func.ops
        if isinstance(op, GraphOp)
    ]
    body: list[Operation] = []
    for op in func.ops:
        if isinstance(op, GraphOp):
            body += _Lowering(op, values).run()
        else:
            body.append(clone(op, values))
    arg_attrs = [{k: v for k, v in attrs.items() if k != "graph.tile"} for attrs in func.arg_attrs]
    results = [values[v].type if v in values else v.type for v in func.returned()]
    return with_body(func, args, allocs + body, result_types=results, arg_attrs=arg_attrs)


def _check_tiled(func: FuncOp) -> None:
    untiled = [op for op in func.ops if isinstance(op, MatmulOp) and op.tile is None]
    if untiled:
        message = "{} %{} has no tile; run --tile before --lower"
        raise DiagnosticError([Diagnostic(message.format(op.name, op.result.name), op.loc) for op in untiled])


def _check_size(func: FuncOp, shapes: dict[Value, Shape]) -> None:
    """Refuses what would take hours and more memory than there is."""
    for op in func.ops:
        if not isinstance(op, GraphOp):
            continue
        tiled = _tiled(op.result, shapes)
        assert tiled is not None
        execs = prod(tiled.grid)
        if isinstance(op, MatmulOp):
            left = _tiled(op.operands[0], shapes)
            execs *= left.grid[1] if left is not None else 1
        if execs > MAX_EXECS:
            message = (
                f"{op.name} %{op.result.name} would become {execs:,} execs, more than {MAX_EXECS:,}; use larger tiles"
            )
            raise DiagnosticError([Diagnostic(message, op.loc)])


def _tiled(value: Value, shapes: dict[Value, Shape]) -> TiledType | None:
    return TiledType(value.type, shapes[value]) if isinstance(value.type, TensorType) and value in shapes else None


class _Lowering:
    """The uops of one graph operation."""

    def __init__(self, op: GraphOp, values: ValueMap):
        self.op = op
        self.dst = values[op.result]
        self.operands = [values[v] for v in op.operands]
        self.out: list[Operation] = []

    def run(self) -> list[Operation]:
        type = self.dst.type
        assert isinstance(type, TiledType)
        for coord in type.coords():
            if isinstance(self.op, MatmulOp):
                self.product(self.op, coord)
            else:
                self.elementwise(coord)
        return self.out

    def product(self, op: MatmulOp, coord: Coord) -> None:
        m, n = coord
        a, b, *bias = self.operands
        assert isinstance(a.type, TiledType)
        if bias:
            self.exec("bias", coord, [(bias[0], (n,))])
        for k in range(a.type.grid[1]):
            self.exec("matmul", coord, [(a, (m, k)), (b, (k, n))], accumulate=bool(bias) or k > 0)
        self.store(coord, op.activation)

    def elementwise(self, coord: Coord) -> None:
        """One exec of the kernel that has the operation's name; a rank-1 operand is taken along the last axis."""
        kernel = self.op.name.partition(".")[2]
        if kernel not in KERNELS:
            raise DiagnosticError([Diagnostic(f"lower has no kernel for {self.op.name}", self.op.loc)])
        ranks = [len(v.type.grid) for v in self.operands if isinstance(v.type, TiledType)]
        self.exec(kernel, coord, [(v, coord[-rank:]) for v, rank in zip(self.operands, ranks, strict=True)])
        self.store(coord, None)

    def exec(self, kernel: str, coord: Coord, sources: Iterable[TileRef], accumulate: bool = False) -> None:
        sources = list(sources)
        loc = self.op.loc
        self.out += [LoadOp((value,), coords=(where,), loc=loc) for value, where in dict.fromkeys(sources)]
        scale, zero_point = (self.op.scale, self.op.zero_point) if isinstance(self.op, CastOp) else (None, None)
        self.out.append(
            ExecOp(
                (self.dst, *[value for value, _ in sources]),
                kernel=kernel,
                accumulate=accumulate,
                coords=(coord, *[where for _, where in sources]),
                scale=scale,
                zero_point=zero_point,
                loc=loc,
            )
        )

    def store(self, coord: Coord, activation: str | None) -> None:
        self.out.append(StoreOp((self.dst,), coords=(coord,), activation=activation, loc=self.op.loc))
