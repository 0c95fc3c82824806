"""Which level a function stands at."""

from __future__ import annotations

from ..ir.builtin import FuncOp
from ..ir.core import UnregisteredOp
from ..ir.diagnostics import Diagnostic
from ..ir.opdef import OpError
from .tiles import TiledType

LEVELS = ("graph", "uop", "sched")


class MixedLevelsError(OpError):
    """A function with operations of several levels; `error` points at both."""

    def __init__(self, error: Diagnostic):
        super().__init__(error.message)
        self.error = error


def level_of(func: FuncOp) -> str:
    """ "graph", "uop" or "sched". Raises `MixedLevelsError` if the function's operations are not of one level.

    `uop.alloc` stands in both uop and sched functions. Without any operation to tell, `sched.sram` makes a function
    sched, a tiled argument uop, and anything else graph.
    """
    kinds = {type(op) for op in func.ops}
    names = {op.name for op in func.ops} if UnregisteredOp in kinds else {kind.name for kind in kinds}
    levels = [level for level in LEVELS if any(_stands_at(name, level) for name in names)]
    if len(levels) > 1:
        (one, at), (other, there) = [(level, _first(func, level)) for level in levels[:2]]
        message = f"function @{func.sym_name} mixes {one} and {other} operations"
        raise MixedLevelsError(Diagnostic(message, there).note(f"the first {one} operation is here", at))
    if "sched.sram" in func.attrs and levels not in ([], ["sched"]):
        message = f"function @{func.sym_name} has sched.sram, yet it holds {levels[0]} operations"
        raise MixedLevelsError(Diagnostic(message, _first(func, levels[0])))
    if "sched.sram" in func.attrs:
        return "sched"
    tiled = "uop.alloc" in names or any(isinstance(a.type, TiledType) for a in func.args)
    return levels[0] if levels else "uop" if tiled else "graph"


def _stands_at(name: str, level: str) -> bool:
    """Whether an operation of this name makes its function one of a level."""
    return name.partition(".")[0] == level and name != "uop.alloc"


def _first(func: FuncOp, level: str) -> int:
    """The place of a function's first operation of a level."""
    return next(op.loc for op in func.ops if _stands_at(op.name, level))
