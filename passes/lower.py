"""lower: graph to uop, tile by tile; each operation in full after the one before, in m, n, k order, unless its
attributes say otherwise (`block`, `order`, `snake`, `group`, `rows`, `stream`, `epilogue`: see `nests.py`).

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

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from ..dialects.graph import TOGETHER, GraphOp, MatmulOp, ReduceOp, ViewOp, has_choices
from ..dialects.kernels import KERNELS
from ..dialects.kernels.moves import MOST_MOVED, MOVE
from ..dialects.kernels.products import BIAS
from ..dialects.levels import level_of
from ..dialects.masks import CausalMaskOp, diagonal_of
from ..dialects.opaque import GraphOpaqueOp, OpaqueOp
from ..dialects.placement_limits import wish_errors
from ..dialects.target import target_of
from ..dialects.tile_ops import PARAMETERS, activation_of
from ..dialects.tiles import MOST_TILES, Coord, TiledType
from ..dialects.uop import AllocOp, ExecOp, LoadOp, StoreOp
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..ir.types import TensorType
from ..lowering.allocs import config_of
from ..lowering.dead_code import dead_in_graph
from ..lowering.graph_nests import TileRef, TileTask, check_execs, nests_of, tasks
from ..lowering.masked_tiles import left_out
from ..lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from ..lowering.tile_program import TileProgram
from ..lowering.tiling import Shape, check_tensors, tile_shapes
from ..lowering.views import Views, resolved
from ..planner.arena import SRAMConfig, count_of
from ..planner.liveness import accumulator_residencies
from ..planner.memory_planner import most_needed
from .manager import option, read_alignment, read_bytes, register_pass
from .manager.warnings import warn


@register_pass
@dataclass(frozen=True)
class LowerPass:
    """Turns graph operations into tile loads, execs and stores. Every matmul must have its `tile`."""

    name: ClassVar[str] = "lower"
    needs: ClassVar[tuple[str, ...]] = ()
    sram: int | None = option(read_bytes, "SRAM size that a plan written on the operations must fit in", "BYTES")
    align: int | None = option(read_alignment, "alignment of every address in bytes (default 64)", "BYTES")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, self.lower)

    def lower(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if level_of(func) == "graph":
            warn_of_dead(func)
        made = lower_function(func, module)
        outside = list(wish_errors(made, level_of(made)))
        if outside:
            raise DiagnosticError(outside)
        given = module.attrs.get("sched.target", {}) | func.attrs.get("sched.target", {})
        if has_choices(func) and (self.sram is not None or "sram_bytes" in given):
            target = target_of(func, module, sram_bytes=self.sram, alignment=self.align)
            check_fits(made, config_of(func, target))
        return made


def warn_of_dead(func: FuncOp) -> None:
    """Names the operations of a graph function that will be computed for nothing."""
    remedy = "" if has_choices(func, TOGETHER) else "; --dce removes it"
    for op in dead_in_graph(func):
        value = op.results[0]
        message = f"%{value.name} is computed and stored, but no result depends on it{remedy}"
        warn(Diagnostic(message, value.loc))


def check_fits(func: FuncOp, config: SRAMConfig) -> None:
    """Raises `DiagnosticError`, with the tiles that it takes, for a uop function that needs more than the SRAM has."""
    tiles = TileProgram(func.ops)
    needed, at = most_needed(tiles.program, config)
    if needed <= config.total_bytes:
        return
    sums = [tile for start, end, tile in accumulator_residencies(tiles.program) if start <= at < end]
    step = tiles.program.steps[at]
    own = {step.tile, *step.sources} - set(sums)
    names = Counter(tiles.refs[tile][0].name for tile in sums)
    kept = ", ".join(f"{count_of(count, 'tile')} of %{name}" for name, count in names.items())
    message = (
        f"this plan needs {len(sums) + len(own)} tiles ({needed:,} bytes) at once, the SRAM has {config.total_bytes:,} "
        f"bytes: {kept or 'no tile'} being summed up, and {count_of(len(own), 'tile')} to read"
    )
    raise DiagnosticError([Diagnostic(message, tiles.ops[at].loc)])


def lower_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph function at uop level; any other as it is. Raises `DiagnosticError` for an untiled product."""
    if level_of(func) != "graph":
        return func
    check_tensors(func, "lower")
    _check_tiled(func)
    shapes = tile_shapes(func, module)
    tiled = {v: _tiled_type(v, shapes) for v in shapes}
    graph_ops = [op for op in func.ops if isinstance(op, GraphOp)]
    check_execs([op for op in graph_ops if not isinstance(op, ViewOp)], tiled, MOST_TILES)
    views = resolved(graph_ops, func, tiled)
    check_execs(views.computed(graph_ops), tiled, MOST_TILES)
    _check_moved(views, tiled)
    values: ValueMap = {}
    args = [copy_value(a, values, _tiled(a, shapes)) for a in func.args]
    allocs: list[Operation] = [
        AllocOp((), [copy_value(op.result, values, _tiled(op.result, shapes))], loc=op.loc)
        for op in graph_ops
        if views.is_buffer(op.result)
    ]
    body = lower_tiles(func.ops, tiled, values, views)
    arg_attrs = [{k: v for k, v in attrs.items() if k != "graph.tile"} for attrs in func.arg_attrs]
    results = [values[v].type if v in values else v.type for v in func.returned()]
    return with_body(func, args, allocs + body, result_types=results, arg_attrs=arg_attrs)


def _check_tiled(func: FuncOp) -> None:
    untiled = [op for op in func.ops if isinstance(op, MatmulOp) and op.tile is None]
    if untiled:
        message = "{} %{} has no tile; run --tile before --lower"
        raise DiagnosticError([Diagnostic(message.format(op.name, op.result.name), op.loc) for op in untiled])


def _check_moved(views: Views, tiled: Mapping[Value, TiledType]) -> None:
    """Refuses views that are moved in tiles larger than moves may write."""
    large = [v for v in views.moves if prod(tiled[v].tile) > MOST_MOVED]
    if large:
        message = "%{} is no view on the tile grid, and its tiles have {:,} elements; {:,} at most can be moved"
        raise DiagnosticError(
            [Diagnostic(message.format(v.name, prod(tiled[v].tile), MOST_MOVED), v.loc) for v in large]
        )


def _tiled(value: Value, shapes: dict[Value, Shape]) -> TiledType | None:
    return _tiled_type(value, shapes) if value in shapes else None


def _tiled_type(value: Value, shapes: dict[Value, Shape]) -> TiledType:
    assert isinstance(value.type, TensorType)
    return TiledType(value.type, shapes[value])


def lower_tiles(
    ops: Sequence[Operation], tiled: Mapping[Value, TiledType], values: ValueMap, views: Views
) -> list[Operation]:
    """The uops of all operations, on the values that `values` maps theirs to, in the order that their nests have.

    Opaque operations and those of other dialects stay before the first tile of the graph operation that they
    stand before.
    """
    graph_ops = views.computed([op for op in ops if isinstance(op, GraphOp)])
    lowerings = [_Lowering(op, values, views, tiled) for op in graph_ops]
    others: list[tuple[int, Operation]] = []
    before = 0
    for op in ops:
        if isinstance(op, GraphOp):
            before += not isinstance(op, ViewOp) or op.result in views.moves
        else:
            others.append((before, op))
    others.reverse()
    out: list[Operation] = []
    barrier, passed = 0, None
    kept = [v for op in ops if not isinstance(op, GraphOp) for inner in op.walk() for v in inner.operands]
    left = left_out(graph_ops, tiled, views, kept)
    for task in tasks(graph_ops, nests_of(graph_ops, tiled, views), tiled, views, left):
        while others and others[-1][0] <= task.op:
            place, op = others.pop()
            if isinstance(op, GraphOpaqueOp):
                barrier, passed = place, op
            out.append(_other(op, tiled, values))
        if task.op < barrier and passed is not None:
            raise DiagnosticError([_torn_apart(graph_ops[task.op], passed)])
        lowerings[task.op].run(task, out)
    return out + [_other(op, tiled, values) for _, op in reversed(others)]


def _torn_apart(op: GraphOp, opaque: GraphOpaqueOp) -> Diagnostic:
    """The error of an order of tiles in which an operation goes on behind an opaque one that comes after it."""
    message = f"{op.name} %{op.result.name} is computed together with what stands behind an opaque operation"
    return Diagnostic(message, op.loc).note("nothing passes this one", opaque.loc)


def _other(op: Operation, tiled: Mapping[Value, TiledType], values: ValueMap) -> Operation:
    """An operation that becomes no tile operations: as it is, or, an opaque one, on buffers instead of tensors."""
    if not isinstance(op, GraphOpaqueOp):
        return clone(op, values)
    results = [copy_value(v, values, tiled[v]) for v in op.results]
    return OpaqueOp([values[v] for v in op.operands], results, node=op.node, op=op.op, extra=op.extra, loc=op.loc)


class _Lowering:
    """Makes the uops of one graph operation."""

    def __init__(self, op: GraphOp, values: ValueMap, views: Views, tiled: Mapping[Value, TiledType]):
        self.op = op
        self.tiled = tiled
        self.values = values
        self.views = views
        self.dst = values[views.buffer(op.result)]
        activation = getattr(op, "activation", None)
        at_store = activation is not None and KERNELS[activation].keeps_zeros
        self.of_store = activation_of(op if at_store else None)
        self.of_exec = activation_of(op if activation is not None and not at_store else None)
        self.tile = tiled[op.result].tile
        self.params = {name: getattr(op, name) for name in PARAMETERS if hasattr(op, name)}
        if isinstance(op, ReduceOp):
            self.params["axis"] = views.axis(op)

    def run(self, task: TileTask, out: list[Operation]) -> None:
        """One tile operation: the loads of what it reads, the exec, and the store of a tile that is complete."""
        op, coord = self.op, task.place[1]
        if op.result in self.views.moves:
            self.move(coord, out)
            return
        bias = op.bias if isinstance(op, MatmulOp) else None
        if bias is not None and task.starts:
            self.exec(BIAS.name, coord, [self.views.place(bias, task.coord[-1:])], False, out)
        given = self.params | self.of_exec if task.ends else self.params
        if isinstance(op, CausalMaskOp):
            given = given | {"diagonal": diagonal_of(op, task.coord, self.tile)}
        self.exec(op.kernel, coord, task.sources, bias is not None or not task.starts, out, **given)
        if task.ends:
            out.append(StoreOp((self.dst,), coords=(coord,), loc=op.loc, **self.of_store))

    def move(self, coord: Coord, out: list[Operation]) -> None:
        """A tile of a view that is copied, of all parts that there are."""
        op = self.op
        whole = tuple([(0, size) for size in self.tiled[op.result].tensor.shape])
        for number, (copied, at) in enumerate(self.views.parts(op.result, coord, self.tiled)):
            first, steps, within = copied.placement
            given = {"first": first or None, "steps": steps, "within": within if within != whole else None}
            self.exec(MOVE.name, coord, [(copied.buffer, at)], number > 0, out, **given)
        out.append(StoreOp((self.dst,), coords=(coord,), loc=op.loc))

    def exec(
        self,
        kernel: str,
        coord: Coord,
        sources: Iterable[TileRef],
        accumulate: bool,
        out: list[Operation],
        **given: Any,
    ) -> None:
        mapped = [(self.values[value], where) for value, where in sources]
        loc = self.op.loc
        out += [LoadOp((value,), coords=(where,), loc=loc) for value, where in dict.fromkeys(mapped)]
        out.append(
            ExecOp(
                (self.dst, *[value for value, _ in mapped]),
                kernel=kernel,
                accumulate=accumulate,
                coords=(coord, *[where for _, where in mapped]),
                loc=loc,
                **given,
            )
        )
