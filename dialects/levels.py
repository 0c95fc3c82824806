"""Which level a function stands at."""

from __future__ import annotations

from ..ir.builtin import FuncOp, ReturnOp
from ..ir.core import Operation, UnregisteredOp
from ..ir.diagnostics import Diagnostic
from ..ir.opdef import OpError
from .graph import GraphOp, ViewOp
from .kernels import KERNELS
from .opaque import GraphOpaqueOp, OpaqueOp
from .sched import SCHED
from .tiles import TiledType
from .uop import UOP, AllocOp

LEVELS = ("graph", "uop", "sched")

IN_BOTH = frozenset((AllocOp.name, OpaqueOp.name))
"""Operations of uop functions and of schedules alike."""

IN_TILES = frozenset((ReturnOp, *UOP.ops.values(), *SCHED.ops.values()))
"""What functions in tiles are made of. An operation that a plugin adds to these dialects is none of it: nothing that
follows tiles knows of it."""


NOTHING_BUT_RETURN = {ReturnOp}


class MixedLevelsError(OpError):
    """A function with operations of several levels; `error` points at both."""

    def __init__(self, error: Diagnostic):
        super().__init__(error.message)
        self.error = error


def level_of(func: FuncOp, kinds: set[type[Operation]] | None = None) -> str:
    """ "graph", "uop" or "sched". Raises `MixedLevelsError` if the function's operations are not of one level.

    `uop.alloc`, `uop.opaque` and tiled arguments are of both uop and sched functions. Without any operation to tell,
    `sched.sram` makes a function sched, a tiled argument uop, and anything else graph. `kinds` are the operations'
    classes, where they are known.
    """
    if kinds is None:
        kinds = set(map(type, func.ops))
    if kinds == NOTHING_BUT_RETURN and "sched.sram" not in func.attrs:
        return "uop" if any(isinstance(a.type, TiledType) for a in func.args) else "graph"
    found = {_level(kind, kind.name) for kind in kinds - {UnregisteredOp}}
    if UnregisteredOp in kinds:
        found |= {_level(UnregisteredOp, op.name) for op in func.ops}
    levels = [level for level in LEVELS if level in found]
    if len(levels) > 1:
        (one, at), (other, there) = [(level, _first(func, level)) for level in levels[:2]]
        message = f"function {func.symbol} mixes {one} and {other} operations"
        raise MixedLevelsError(Diagnostic(message, there).note(f"the first {one} operation is here", at))
    if "sched.sram" in func.attrs and levels not in ([], ["sched"]):
        message = f"function {func.symbol} has sched.sram, yet it holds {levels[0]} operations"
        raise MixedLevelsError(Diagnostic(message, _first(func, levels[0])))
    if "sched.sram" in func.attrs:
        return "sched"
    tiled = AllocOp in kinds or any(isinstance(a.type, TiledType) for a in func.args)
    if tiled and levels == ["graph"]:
        raise MixedLevelsError(_tiles_in_a_graph(func))
    return levels[0] if levels else "uop" if tiled else "graph"


def _tiles_in_a_graph(func: FuncOp) -> Diagnostic:
    """The error where a function of graph operations has a buffer in tiles, which they know nothing of."""
    alloc = next((op for op in func.ops if type(op) is AllocOp), None)
    if alloc is not None:
        message, loc = f"function @{func.sym_name} mixes graph and uop operations", alloc.loc
    else:
        arg = next(a for a in func.args if isinstance(a.type, TiledType))
        message, loc = f"function @{func.sym_name} takes %{arg.name} in tiles, yet it holds graph operations", arg.loc
    return Diagnostic(message, loc).note("the first graph operation is here", _first(func, "graph"))


def is_known(op: Operation) -> bool:
    """Whether it is known what an operation does to tiles and tensors: one on whole tensors, a plugin's too, by its
    kernel. An opaque one reads and writes them; what, is none of what is asked here."""
    if type(op) in IN_TILES or type(op) is GraphOpaqueOp:
        return True
    return isinstance(op, GraphOp) and (op.kernel in KERNELS or isinstance(op, ViewOp) or op.is_composite)


def _level(kind: type[Operation], name: str) -> str:
    """The level that an operation makes its function one of, or the empty string."""
    if issubclass(kind, GraphOp):
        return "graph"
    dialect = name.partition(".")[0]
    return dialect if dialect in LEVELS and name not in IN_BOTH else ""


def _first(func: FuncOp, level: str) -> int:
    """The place of a function's first operation of a level."""
    return next(op.loc for op in func.ops if _level(type(op), op.name) == level)
