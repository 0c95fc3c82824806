"""What a run has held of each tensor that rounding may reach: the last value of each, or of each of its tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..dialects.graph import GraphOp
from ..dialects.tile_ops import ExecBase, StoreBase
from ..dialects.tiles import Coord, TiledType, TileRef, tiled
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.types import INTEGERS, TensorType
from .buffers import whole_of
from .numerics import Array, numpy_dtype


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor as a run has held it; below the graph level the sizes of its tiles, and who has written each of them."""

    value: Value
    array: Array
    tile: tuple[int, ...] = ()
    writers: dict[Coord, Operation | None] = field(default_factory=dict)


class Recorder:
    """Takes the last value of each tile that a uop or sched function computes; `last` are the operations to take it
    after."""

    def __init__(self, func: FuncOp):
        self.last = last_writes(func)
        types = {value: tiled(value) for value in dict.fromkeys(op.operands[0] for op in self.last)}
        self.tiles = {v: np.empty((*t.grid, *t.tile), numpy_dtype(t.dtype)) for v, t in types.items()}
        self.writers: dict[Value, dict[Coord, Operation | None]] = {value: {} for value in types}

    def after(self, op: ExecBase | StoreBase, tile: Array) -> None:
        """Keeps a copy of the tile that an operation has just written, if nobody writes it any more."""
        if op not in self.last:
            return
        value, coord = op.operands[0], op.coords[0]
        self.tiles[value][coord] = tile
        self.writers[value][coord] = op

    def held(self) -> dict[str, Held]:
        """The tensors of which all tiles have been written, by name."""
        made: dict[str, Held] = {}
        for value, tiles in self.tiles.items():
            type, writers = tiled(value), self.writers[value]
            if len(writers) == len(type.coords()):
                made[value.name] = Held(value, whole_of(type, tiles), type.tile, writers)
        return made


def is_float(type: object) -> bool:
    """Whether a tensor, or a tiled buffer, has elements that are rounded."""
    return isinstance(type, (TensorType, TiledType)) and type.dtype not in INTEGERS


def is_tensor(type: object) -> bool:
    return isinstance(type, (TensorType, TiledType))


def followed(func: FuncOp) -> Callable[[object], bool]:
    """Of which types the tensors are that rounding may reach: floats, and integers where a function makes either of the
    other."""
    crosses = any(
        len({is_float(v.type) for v in (*op.operands, *op.results) if is_tensor(v.type)}) > 1
        for op in func.ops
        if isinstance(op, (ExecBase, GraphOp))
    )
    return is_tensor if crosses else is_float


def last_writes(func: FuncOp) -> set[Operation]:
    """The operations of a uop or sched function after which a tile that rounding may reach has its last value: the last
    exec on it, or a store that applies an activation."""
    counts = followed(func)
    last: dict[TileRef, Operation] = {}
    for op in func.ops:
        if not isinstance(op, (ExecBase, StoreBase)) or not counts(op.operands[0].type):
            continue
        if isinstance(op, ExecBase) or op.activation is not None:
            last[op.operands[0], op.coords[0]] = op
    return set(last.values())
