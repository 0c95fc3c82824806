"""reorder: another order of the execs of a uop function, which moves fewer bytes on an SRAM of a given size.

uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]         uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]
uop.exec matmul %h[0, 0] += %x[0, 1], %w[1, 0]   ->   uop.exec matmul %h[0, 1] = %x[0, 0], %w[0, 1]
uop.exec matmul %h[0, 1] = %x[0, 0], %w[0, 1]         uop.exec matmul %h[0, 0] += %x[0, 1], %w[1, 0]
uop.exec matmul %h[0, 1] += %x[0, 1], %w[1, 1]        uop.exec matmul %h[0, 1] += %x[0, 1], %w[1, 1]

The dependences are recovered from the text. Where whole products are found in it, they are ordered as `plan` orders
those of a graph; else by list scheduling and local search. Loads are derived anew. Never worse than its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..dialects.levels import level_of
from ..dialects.opaque import opaque_ops
from ..dialects.placement_limits import wishes_of
from ..dialects.target import Target, target_of
from ..dialects.tile_ops import activation_of
from ..dialects.uop import ExecOp, LoadOp, StoreOp
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation
from ..lowering.allocs import check_understood, config_of
from ..lowering.rewriting import ValueMap, clone, clone_with, map_functions, with_tile_ops
from ..lowering.tile_program import TileProgram
from ..lowering.uop_nests import NoOperationError, plain_order, raise_nests
from ..planner.arena import SRAMConfig
from ..planner.dependences import Chains, Emitted
from ..planner.local_search import improve_order
from ..planner.memory_planner import PlanError, plan
from ..planner.units import UNLIMITED
from .manager import option, read_alignment, read_bytes, register_pass
from .manager.remarks import remark

SMALL = 400
"""Execs of a program on which local search is tried even where loop nests have been found."""

UNPLANNED = UNLIMITED


@register_pass
@dataclass(frozen=True)
class ReorderPass:
    """Reorders the execs of a uop function so that fewer bytes move, and derives its loads anew."""

    name: ClassVar[str] = "reorder"
    needs: ClassVar[tuple[str, ...]] = ()
    sram: int | None = option(read_bytes, "SRAM size to order for (default 256KiB)", "BYTES")
    align: int | None = option(read_alignment, "alignment of every address in bytes (default 64)", "BYTES")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, self.reorder_function)

    def reorder_function(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if level_of(func) != "uop":
            return func
        check_understood(func, "reorder")
        for op in opaque_ops(func)[:1]:
            remark(f"reorder: {func.symbol} stays in its order, since nothing passes this opaque operation", op.loc)
            return func
        target = target_of(func, module, sram_bytes=self.sram, alignment=self.align)
        config = config_of(func, target)
        tiles = program_of(func, target)
        given = traffic(tiles, config)
        order = find_order(tiles, func, config, given)
        if order is None:
            return func
        made = in_order(func, tiles, order)
        # The search plans without loads; `schedule` takes the new function's as it takes the given one's.
        return made if traffic(program_of(made, target), config) < given else func


def program_of(func: FuncOp, target: Target) -> TileProgram:
    """The function's tile program as `schedule` makes it for eviction by cost."""
    tiles = TileProgram(func.ops, asks=False)
    tiles.limit(wishes_of(func), target.reserved, target.alignment)
    return tiles


def traffic(tiles: TileProgram, config: SRAMConfig) -> int:
    """Bytes that the schedule moves, with eviction by cost; more than any does where there is none."""
    try:
        return plan(tiles.program, config, "cost").traffic(tiles.program)
    except PlanError:
        return UNPLANNED


def find_order(tiles: TileProgram, func: FuncOp, config: SRAMConfig, given: int) -> list[Emitted] | None:
    """An order of the steps that moves fewer bytes than `given`, or None."""
    if given <= least_traffic(tiles, func):
        return None
    chains = Chains(tiles.program)
    best, cost = chains.execs, given
    if not best:
        return None
    raised = _order_of_nests(tiles, func, chains, config, given)
    tried = chains.cost(raised, config, cost) if raised else None
    if raised and tried is not None:
        best, cost = raised, tried
    if not raised or len(best) <= SMALL:
        best, cost = improve_order(chains, best, cost, config)
    if raised and len(best) <= SMALL:  # what was planned may be a place that no small change leads out of
        plain = plain_order(tiles, chains)
        begun = chains.cost(plain, config)
        other, moved = improve_order(chains, plain, begun, config) if begun is not None else (best, cost)
        best, cost = (other, moved) if moved < cost else (best, cost)
    return chains.emit(best) if cost < given else None


def _order_of_nests(
    tiles: TileProgram, func: FuncOp, chains: Chains, config: SRAMConfig, known: int
) -> list[int] | None:
    """The execs in the order of loop nests, if they are those of whole operations; if not, a remark says why not."""
    try:
        return raise_nests(tiles, func, chains, config, known)
    except NoOperationError as found:
        message = (
            f"reorder: no loop nests for {func.symbol}, since this exec is part of no whole operation: {found.why}"
        )
        remark(message, tiles.ops[found.step].loc)
        return None


def least_traffic(tiles: TileProgram, func: FuncOp) -> int:
    """Bytes that any order moves at least: each tile that comes from outside once, and each result's once."""
    sizes, refs = tiles.program.sizes, tiles.refs
    execs = [op for op in tiles.ops if isinstance(op, ExecOp)]
    made = {tiles.id_of(op.operands[0], op.coords[0]) for op in execs}
    used = {tiles.id_of(*ref) for op in execs for ref in zip(op.operands, op.coords, strict=True)}
    returned = set(func.returned())
    return sum(sizes[t] for t in used - made) + sum(sizes[t] for t in made if refs[t][0] in returned)


def in_order(func: FuncOp, tiles: TileProgram, order: Sequence[Emitted]) -> FuncOp:
    """The function with its tile operations in another order, and with the loads that this takes."""
    return with_tile_ops(func, lambda values: _Rewrite(tiles, values).run(order))


class _Rewrite:
    """Uops in a new order."""

    def __init__(self, tiles: TileProgram, values: ValueMap):
        self.tiles = tiles
        self.values = values
        self.gone: set[int] = set()
        self.made: set[int] = set()
        self.out: list[Operation] = []

    def run(self, order: Sequence[Emitted]) -> list[Operation]:
        chains = Chains(self.tiles.program)
        activations: dict[int, ExecOp] = {}
        for i, number in chains.chain_of.items():
            op = self.tiles.ops[i]
            if isinstance(op, ExecOp) and op.activation is not None:
                activations[number] = op
        for emitted in order:
            op = self.tiles.ops[emitted.step]
            if isinstance(op, ExecOp):
                number = chains.chain_of[emitted.step]
                self.exec(op, emitted, activations.get(number) if emitted.last else None)
            else:
                self.store(op)
        return self.out

    def exec(self, op: ExecOp, emitted: Emitted, activated: ExecOp | None) -> None:
        step = self.tiles.program.steps[emitted.step]
        for tile in step.sources:
            if tile in self.made and tile not in self.gone:
                continue
            value, coord = self.tiles.refs[tile]
            self.out.append(LoadOp((self.values[value],), coords=(coord,), loc=op.loc))
            self.gone.discard(tile)
        operands = [self.values[v] for v in op.operands]
        self.out.append(clone_with(op, operands, (), accumulate=emitted.accumulate, **activation_of(activated)))
        self.made.add(step.tile)
        self.gone.discard(step.tile)

    def store(self, op: Operation) -> None:
        assert isinstance(op, StoreOp)
        self.out.append(clone(op, self.values))
        if op.retain is not UNIT:
            self.gone.add(self.tiles.id_of(op.operands[0], op.coords[0]))
