"""plan: chooses in which order the tiles are computed, and writes it on the operations.

%h = graph.matmul %x, %w {tile = [32, 32, 32]} : ...
->
%h = graph.matmul %x, %w {block = [3, 4], order = "mn", snake, tile = [32, 32, 32]} : ...

What it writes is what a person would: `lower` obeys it, whoever wrote it. A function that has any of it is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from ..dialects.graph import GraphOp, MatmulOp, ViewOp, has_choices
from ..dialects.kernels.products import BIAS
from ..dialects.levels import level_of
from ..dialects.opaque import GraphOpaqueOp
from ..dialects.placement_limits import wishes_of
from ..dialects.target import Target, target_of
from ..dialects.tiles import TiledType
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..lowering.graph_nests import adapters_last, check_execs, described, nests_of, numbered
from ..lowering.rewriting import ValueMap, clone, clone_with, copy_value, map_functions, with_body
from ..lowering.tiling import check_tensors, tile_shapes
from ..lowering.timed_ops import exec_cycles, move_cycles
from ..lowering.views import Views, resolved
from ..planner.arena import SRAMConfig
from ..planner.makespan import LONG, MakespanModel
from ..planner.nest_cost import TrafficModel
from ..planner.nest_search import Search
from ..planner.nest_trials import execs_of
from ..planner.nests import Nest
from .manager import option, read_alignment, read_bytes, read_choice, register_pass

MOST_PLANNED = 2_000_000
"""Most execs of a function that is planned: each is planned many times over."""


@register_pass
@dataclass(frozen=True)
class PlanPass:
    """Chooses blocks, loop orders and which operations to compute depth first, for few bytes moved."""

    name: ClassVar[str] = "plan"
    needs: ClassVar[tuple[str, ...]] = ("decompose", "fuse", "tile")
    sram: int | None = option(read_bytes, "SRAM size to plan for (default 256KiB)", "BYTES")
    align: int | None = option(read_alignment, "alignment of every address in bytes (default 64)", "BYTES")
    objective: str | None = option(
        read_choice("traffic", "makespan"), "what to make small (default traffic)", "traffic|makespan"
    )

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, self.plan_function)

    def plan_function(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if level_of(func) != "graph":
            return func
        check_tensors(func, "plan")
        if has_choices(func):
            return func
        order = adapters_last(func.ops)
        all_ops = [op for op in order if isinstance(op, GraphOp)]
        ops = [op for op in all_ops if not isinstance(op, ViewOp)]
        target = target_of(func, module, sram_bytes=self.sram, alignment=self.align)
        tiled = tiled_types(func, module)
        taken = set_aside(func, tiled, target)
        check_execs(ops, tiled, MOST_PLANNED)
        views = resolved(all_ops, func, tiled)
        nests: dict[GraphOp, Nest] = {}
        for run in runs_between_barriers(order, views):
            made = self.plan_run(run, read_after(run, func, views), tiled, views, taken, target)
            first = max((nest.group + 1 for nest in nests.values() if nest.group is not None), default=0)
            nests |= zip(run, [n if n.group is None else replace(n, group=n.group + first) for n in made], strict=True)
        return _with_choices(func, order, nests)

    def plan_run(
        self,
        ops: list[GraphOp],
        read: Sequence[Value],
        tiled: dict[Value, TiledType],
        views: Views,
        taken: int,
        target: Target,
    ) -> list[Nest]:
        """The nests of operations that no opaque one stands between; `read` are the values that others read off chip,
        and `taken` are the bytes that are set aside."""
        config = SRAMConfig(max(target.sram_bytes - taken, target.alignment), target.alignment)
        tensors, operators = numbered([described(op, tiled) for op in ops], read, tiled, views)
        search = Search(TrafficModel(tensors, operators, config), nests_of(ops, tiled, views))
        nests = search.run(for_variety=self.objective == "makespan")
        if self.objective == "makespan":
            costs = [op_cycles(op, tiled, target) for op in ops]
            moves = partial(move_cycles, target=target)
            timed = MakespanModel(
                tensors, operators, config, exec_cycles=costs, move_cycles=moves, channels=target.dma_channels,
                long=execs_of(nests) > LONG,
            )  # fmt: skip
            nests = Search(timed, min([nests, *search.found], key=timed.scheduled_cost)).run()
        return nests


def runs_between_barriers(ops: Sequence[Operation], views: Views) -> list[list[GraphOp]]:
    """The operations on tensors, in runs that opaque operations and moved views part: none is empty but the only
    one."""
    runs: list[list[GraphOp]] = [[]]
    for op in ops:
        if isinstance(op, GraphOpaqueOp) or (isinstance(op, ViewOp) and op.result in views.moves):
            runs.append([])
        elif isinstance(op, GraphOp) and not isinstance(op, ViewOp):
            runs[-1].append(op)
    return [run for run in runs if run] or runs[:1]


def read_after(run: Sequence[GraphOp], func: FuncOp, views: Views) -> Sequence[Value]:
    """The buffers that a run of operations leaves off chip: those that are returned, or that others read."""
    within = set(run)
    others = [op for op in func.ops if op not in within and not isinstance(op, ViewOp)]
    copied = [part.buffer for parts in views.moves.values() for part in parts]
    return [views.buffer(v) for op in others for v in op.operands] + copied


def tiled_types(func: FuncOp, module: ModuleOp) -> dict[Value, TiledType]:
    """The tiled type that each tensor of a graph function will have."""
    shapes = tile_shapes(func, module)
    return {v: TiledType(v.type, shape) for v, shape in shapes.items()}  # type: ignore[arg-type]


def op_cycles(op: GraphOp, tiled: dict[Value, TiledType], target: Target) -> tuple[int, int]:
    """Cycles of an operation's tile operation, and of the bias that starts a product's tile."""
    shapes = tuple(tiled[v].tile for v in (op.result, *op.operands))
    cycles = exec_cycles(op.kernel, shapes, target)
    return cycles, exec_cycles(BIAS.name, shapes, target) if isinstance(op, MatmulOp) else cycles


def set_aside(func: FuncOp, tiled: dict[Value, TiledType], target: Target) -> int:
    """Bytes of SRAM that pinned and placed arguments and reserved ranges leave no room for."""
    taken = sum(end - start for start, end in target.reserved)
    for value, wish in wishes_of(func).items():
        if value not in tiled:
            continue
        taken += wish.count(tiled[value]) * tiled[value].tile_bytes
    return taken


def _with_choices(func: FuncOp, order: Iterable[Operation], nests: dict[GraphOp, Nest]) -> FuncOp:
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    ops: list[Operation] = []
    for op in order:
        if isinstance(op, GraphOp) and not isinstance(op, ViewOp):
            operands = [values[v] for v in op.operands]
            made = [copy_value(op.result, values)]
            ops.append(clone_with(op, operands, made, **_choices(op, nests[op])))
        else:
            ops.append(clone(op, values))
    return with_body(func, args, ops)


def _choices(op: GraphOp, nest: Nest) -> dict[str, Any]:
    """A nest as attributes; what is the default is left out."""
    found: dict[str, Any] = {}
    if nest.group is not None:
        found |= {"group": nest.group, "rows": nest.rows}
    if nest.lazy:
        found["lazy"] = UNIT
    if nest.after >= 0:
        return found | {"epilogue": UNIT}
    if not isinstance(op, MatmulOp):
        return found
    stream = {"stream": (nest.strip, nest.stream) if nest.strip else nest.stream} if nest.stream else {}
    if nest.lead >= 0:
        return found | stream | {"beside" if nest.beside >= 0 else "below": UNIT}
    if nest.block != (1, 1):
        found["block"] = nest.block
    if nest.order != "mn":
        found["order"] = nest.order
    found |= stream
    return found | {name: UNIT for name in ("reverse", "snake") if getattr(nest, name)}
