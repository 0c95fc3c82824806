"""Which level a function stands at."""

from __future__ import annotations

from ..ir.builtin import FuncOp
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
    first: dict[str, int] = {}
    tiled = any(isinstance(a.type, TiledType) for a in func.args)
    seen: set[str] = set()
    for op in func.ops:
        if op.name in seen:
            continue
        seen.add(op.name)
        dialect = op.name.partition(".")[0]
        if op.name == "uop.alloc":
            tiled = True
        elif dialect in LEVELS and dialect not in first:
            first[dialect] = op.loc
    if len(first) > 1:
        (one, at), (other, there) = sorted(first.items(), key=lambda item: LEVELS.index(item[0]))[:2]
        message = f"function @{func.sym_name} mixes {one} and {other} operations"
        raise MixedLevelsError(Diagnostic(message, there).note(f"the first {one} operation is here", at))
    if "sched.sram" in func.attrs or "sched" in first:
        if first and "sched" not in first:
            (other,) = first
            message = f"function @{func.sym_name} has sched.sram, yet it holds {other} operations"
            raise MixedLevelsError(Diagnostic(message, first[other]))
        return "sched"
    return next(iter(first), "uop" if tiled else "graph")
