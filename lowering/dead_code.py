"""What no result of a function depends on; shared by the passes that remove it and the one that would compute it."""

from __future__ import annotations

from ..dialects.graph import TOGETHER, GraphOp, ViewOp, has_choices
from ..dialects.kernels import KERNELS
from ..dialects.levels import level_of
from ..dialects.opaque import OpaqueOp
from ..dialects.tile_ops import ExecBase, TileOp
from ..dialects.tiles import TileRef, tiled
from ..dialects.uop import AllocOp, LoadOp, StoreOp, is_alloc
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from .allocs import tidy_allocs
from .rewriting import ValueMap, clone, copy_value, with_body


def without_dead(func: FuncOp) -> FuncOp:
    """A graph or uop function without what no result depends on; the same object where all of it is needed, or it is
    at another level, or its operations say with which others they are computed. Its arguments stay, and so do
    operations of which nobody knows what they do."""
    level = level_of(func)
    if level == "graph" and has_choices(func, TOGETHER):
        return func
    dead = set(dead_in_graph(func)) if level == "graph" else dead_in_tiles(func) if level == "uop" else set()
    if not dead:
        return func
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    ops = [clone(op, values) for op in func.ops if op not in dead]
    return with_body(func, args, ops if level == "graph" else tidy_allocs(ops))


def computes(op: Operation) -> bool:
    """Whether an operation is known to do nothing but compute its result."""
    return isinstance(op, GraphOp) and (op.kernel in KERNELS or op.is_composite or isinstance(op, ViewOp))


def dead_in_graph(func: FuncOp) -> list[Operation]:
    """The operations on whole tensors whose results nothing needs, in order."""
    needed: set[Value] = set()
    dead: list[Operation] = []
    for op in reversed(func.ops):
        if computes(op) and needed.isdisjoint(op.results):
            dead.append(op)
        else:
            needed.update([v for inner in op.walk() for v in inner.operands])
    return dead[::-1]


def dead_in_tiles(func: FuncOp) -> set[Operation]:
    """The execs, loads, stores and allocs of a valid uop function that leave its results as they are.

    From the end backwards, each tile's copies are known to be needed or not, on chip and off: a write makes the one
    before of no use, a read or a store that is needed itself makes one needed.
    """
    life = _Needed(func)
    return {op for op in reversed(func.ops) if not life.needs(op)}


class _Needed:
    """Which copies of tiles are needed after the place that has been reached; `values` are the buffers that operations
    name from there on."""

    def __init__(self, func: FuncOp):
        self.values: set[Value] = set()
        self.returned = set(func.returned())
        self.kept = _kept_on_chip(func)
        self.chip: set[TileRef] = set()
        self.off: dict[TileRef, bool] = {}

    def needs(self, op: Operation) -> bool:
        """Whether an operation is needed; if so, what it reads is needed before it, and what it writes is not."""
        if isinstance(op, AllocOp):
            return op.result in self.values
        if not isinstance(op, TileOp):
            self.values.update([v for inner in op.walk() for v in inner.operands])
            if isinstance(op, OpaqueOp):
                self.off |= {(v, c): True for v in op.operands if is_alloc(v) for c in tiled(v).each_coord()}
            return True
        ref = (op.operands[0], op.coords[0])
        needed = self.off.get(ref, ref[0] in self.returned) if isinstance(op, StoreOp) else ref in self.chip
        if not needed:
            return False
        self.values.update(op.operands)
        if isinstance(op, StoreOp):
            self.store(ref)
        elif isinstance(op, LoadOp):
            self.load(op, ref)
        elif isinstance(op, ExecBase):
            self.exec(op, ref)
        return True

    def store(self, ref: TileRef) -> None:
        self.off[ref] = False
        self.chip.add(ref)

    def load(self, op: LoadOp, ref: TileRef) -> None:
        if op in self.kept:
            return
        self.chip.discard(ref)
        self.off[ref] = True

    def exec(self, op: ExecBase, ref: TileRef) -> None:
        if not op.accumulate:
            self.chip.discard(ref)
        self.chip.update(zip(op.operands[1:], op.coords[1:], strict=True))


def _kept_on_chip(func: FuncOp) -> set[LoadOp]:
    """The loads of tiles that are still on chip since an exec has computed them, which therefore move nothing."""
    computed: set[TileRef] = set()
    kept: set[LoadOp] = set()
    for op in func.ops:
        if not isinstance(op, TileOp):
            continue
        ref = (op.operands[0], op.coords[0])
        if isinstance(op, ExecBase):
            computed.add(ref)
        elif isinstance(op, LoadOp) and ref in computed:
            kept.add(op)
        elif isinstance(op, StoreOp) and op.retain is not UNIT:
            computed.discard(ref)
    return kept
