"""Ping/pong buffering, a claim that is checked: the DMA fills one half of a buffer while the engine reads the other.

Execs of one half, up to the next exec of the other half, are a phase. Loaded tiles lie in the half that their load
names and are read by execs of that half only; within a phase nothing is loaded into its half.
"""

from __future__ import annotations

from ...ir.builtin import FuncOp
from ...ir.diagnostics import Diagnostic, are_enough
from ..sched import ExecOp, LoadOp
from ..tiles import tile_text, tiled

Halves = tuple[tuple[int, int], tuple[int, int]]


def half_errors(func: FuncOp) -> list[Diagnostic]:
    """What is wrong with the halves of a schedule that is valid otherwise."""
    ops = [op for op in func.ops if type(op) is ExecOp or type(op) is LoadOp]
    halves = func.attrs.get("sched.sram", {}).get("halves")
    if halves is None:
        stray = [op for op in ops if op.half is not None][:1]
        message = "'half' needs buffering = \"pingpong\" and halves in sched.sram"
        return [Diagnostic(message, op.loc, focus="half") for op in stray]
    check = _Check(halves)
    for op in ops:
        if isinstance(op, LoadOp):
            check.load(op)
        else:
            check.exec(op)
        if are_enough(check.errors, op.loc):
            break
    return check.errors


class _Check:
    """`put` is who has written the copy at each address; `before` the last exec with a half; `waiting` the loads since
    then."""

    def __init__(self, halves: Halves):
        self.halves = halves
        self.errors: list[Diagnostic] = []
        self.put: dict[int, LoadOp | ExecOp] = {}
        self.before: ExecOp | None = None
        self.waiting: list[LoadOp] = []

    def error(self, message: str, op: LoadOp | ExecOp, focus: str = "") -> Diagnostic:
        self.errors.append(Diagnostic(message, op.loc, focus=focus))
        return self.errors[-1]

    def load(self, op: LoadOp) -> None:
        self.put[op.addrs[0]] = op
        if op.half is None:
            self.error("sched.load has no 'half', which ping/pong buffering asks for", op)
        elif not self.within(op, 0, op.half):
            self.error(f"{_name(op, 0)} is not within half {op.half}, {self.text(op.half)}", op, _name(op, 0))
        else:
            self.waiting.append(op)

    def exec(self, op: ExecOp) -> None:
        self.check_phase(op)
        for k in range(1, len(op.addrs)):
            self.check_source(op, k)
        end = op.addrs[0] + _size(op, 0)
        for half, (start, last) in enumerate(self.halves):
            if op.addrs[0] < last and start < end:
                name = _name(op, 0)
                self.error(
                    f"{name} is computed within half {half}, {self.text(half)}, meant for loaded tiles", op, name
                )
        self.put[op.addrs[0]] = op

    def check_source(self, op: ExecOp, k: int) -> None:
        loaded = self.put.get(op.addrs[k])
        if not isinstance(loaded, LoadOp):
            return
        if op.half is None:
            error = self.error(f"an exec that reads the loaded {_name(op, k)} has to have a 'half'", op, _name(op, k))
        elif not self.within(op, k, op.half):
            message = f"{_name(op, k)} is read by an exec of half {op.half}, but was not loaded into that half"
            error = self.error(message, op, _name(op, k))
        else:
            return
        error.note("it was loaded here", loaded.loc)

    def check_phase(self, op: ExecOp) -> None:
        """Before an exec of the same half as the last one nothing may have been loaded into that half."""
        if op.half is None:
            return
        if self.before is not None and self.before.half == op.half:
            for load in [load for load in self.waiting if load.half == op.half][:1]:
                error = self.error(f"loads into half {op.half} while execs are reading from it", load, "half")
                error.note("the last exec of that half is here", self.before.loc)
                error.note("the next one is here; none of the other half is between them", op.loc)
        self.before, self.waiting = op, []

    def within(self, op: LoadOp | ExecOp, k: int, half: int) -> bool:
        start, end = self.halves[half]
        return start <= op.addrs[k] and op.addrs[k] + _size(op, k) <= end

    def text(self, half: int) -> str:
        start, end = self.halves[half]
        return f"[0x{start:04x}, 0x{end:04x})"


def _size(op: LoadOp | ExecOp, k: int) -> int:
    return tiled(op.operands[k]).tile_bytes


def _name(op: LoadOp | ExecOp, k: int) -> str:
    return f"{tile_text(op.operands[k], op.coords[k])} @0x{op.addrs[k]:04x}"
