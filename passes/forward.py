"""forward: an intermediate that can stay on chip is not stored and loaded again.

uop.exec matmul %h[0, 0] += %x[0, 1], %w[1, 0]        uop.exec matmul %h[0, 0] += ... {activation = "relu"}
uop.store %h[0, 0] {activation = "relu"}
uop.load %h[0, 0]                                 ->
uop.load %v[0, 0]                                     uop.load %v[0, 0]
uop.exec matmul %y[0, 0] = %h[0, 0], %v[0, 0]         uop.exec matmul %y[0, 0] = %h[0, 0], %v[0, 0]

On a machine with unlimited on-chip memory that costs nothing; where the SRAM is too small, `schedule` spills the tile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ..dialects.levels import level_of
from ..dialects.opaque import OpaqueOp
from ..dialects.tile_ops import TileOp, activation_of
from ..dialects.tiles import TileRef, tiled
from ..dialects.uop import ExecOp, StoreOp
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..lowering.allocs import check_understood, tidy_allocs
from ..lowering.rewriting import ValueMap, clone, clone_with, copy_value, map_functions, with_body
from .manager import register_pass


@register_pass
@dataclass(frozen=True)
class ForwardPass:
    """Keeps intermediates on chip instead of storing and loading them. Stores that nobody needs off chip go, those of
    results keep the tile (`retain`); the activation moves to the tile's last exec."""

    name: ClassVar[str] = "forward"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, forward_function)


def forward_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A uop function with its intermediates kept on chip; any other as it is."""
    if level_of(func) != "uop":
        return func
    check_understood(func, "forward")
    changes = find_forwards(func)
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    ops: list[Operation] = []
    for op in func.ops:
        if op in changes.gone:
            continue
        if op in changes.activations:
            ops.append(clone_with(op, [values[v] for v in op.operands], (), **activation_of(changes.activations[op])))
        elif op in changes.retained:
            ops.append(clone_with(op, [values[v] for v in op.operands], (), **activation_of(None), retain=UNIT))
        else:
            ops.append(clone(op, values))
    return with_body(func, args, tidy_allocs(ops))


@dataclass(slots=True)
class Changes:
    """What becomes of the operations: those that go, execs that get a store's activation, stores that keep their
    tile."""

    gone: set[Operation] = field(default_factory=set)
    activations: dict[Operation, StoreOp] = field(default_factory=dict)
    retained: set[Operation] = field(default_factory=set)


@dataclass(slots=True)
class _Definition:
    """A tile's present value: its last write, the stores and loads since, whether a read has followed a store, and
    whether an opaque operation reads it off chip."""

    written: ExecOp
    stores: list[StoreOp] = field(default_factory=list)
    loads: list[Operation] = field(default_factory=list)
    is_read: bool = False
    is_read_off_chip: bool = False


def find_forwards(func: FuncOp) -> Changes:
    """One pass over the function: the value that an exec writes is followed until the tile is written again."""
    returned = set(func.returned())
    changes = Changes()
    definitions: dict[TileRef, _Definition] = {}
    for op in func.ops:
        if isinstance(op, OpaqueOp):
            _keep_stored(op, definitions)
        if not isinstance(op, TileOp):
            continue
        ref = (op.operands[0], op.coords[0])
        if isinstance(op, ExecOp):
            for source in zip(op.operands[1:], op.coords[1:], strict=True):
                if source in definitions and definitions[source].stores:
                    definitions[source].is_read = True
            if ref in definitions:
                _settle(definitions[ref], set(), changes)  # what is overwritten is no result
            definitions[ref] = _Definition(op)
        elif ref in definitions:
            (definitions[ref].stores if isinstance(op, StoreOp) else definitions[ref].loads).append(op)  # type: ignore[arg-type]
    for definition in definitions.values():
        _settle(definition, returned, changes)
    return changes


def _keep_stored(op: OpaqueOp, definitions: dict[TileRef, _Definition]) -> None:
    for value in op.operands:
        for coord in tiled(value).each_coord():
            if (value, coord) in definitions:
                definitions[value, coord].is_read_off_chip = True


def _settle(definition: _Definition, returned: set[Value], changes: Changes) -> None:
    """Decides on the stores of a value that nobody writes any more."""
    if not definition.is_read:
        return
    first = definition.stores[0]
    if first.activation is not None:
        changes.activations[definition.written] = first
    changes.gone.update(definition.loads)
    if definition.is_read_off_chip or first.operands[0] in returned:
        changes.retained.add(first)
        changes.gone.update(definition.stores[1:])
    else:
        changes.gone.update(definition.stores)
