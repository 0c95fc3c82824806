"""Whether a schedule, which has its addresses already, fits the SRAM of the machine that it is to run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...ir.attributes import Attributes
from ...ir.builtin import FuncOp, ModuleOp
from ...ir.diagnostics import Diagnostic, DiagnosticError
from ..levels import level_of
from ..tiles import tile_text, tiled
from .queues import Placed, placed_ops

Rule = Callable[[int, int], str]
"""What is wrong with bytes [address, end) of the SRAM; empty where nothing is."""


def scheduled_names(module: ModuleOp) -> set[str]:
    """The functions whose `sched.sram` says which SRAM they were scheduled for."""
    return {func.sym_name for func in module.functions() if "sched.sram" in func.attrs and level_of(func) == "sched"}


def check_machine(module: ModuleOp, names: set[str], *, hint: str = "", when: str = "") -> None:
    """Raises `DiagnosticError` where valid schedules, those of these names, don't fit the SRAM that `sched.target`
    states: tiles beyond its size, at addresses that are no multiples of its alignment, in its reserved ranges. What
    it doesn't state is right. `hint` is a last note on the first error, `when` what its message begins with."""
    errors: list[Diagnostic] = []
    for func, parent in module.scoped_functions():
        if func.sym_name in names:
            errors += _misfits(func, parent.attrs.get("sched.target", {}) | func.attrs.get("sched.target", {}))
    if errors and hint:
        errors[0].note(hint)
    if errors:
        errors[0].message = when + errors[0].message
        raise DiagnosticError(errors, module.source)


def _misfits(func: FuncOp, stated: Attributes) -> Iterator[Diagnostic]:
    """One error for each rule that is broken, at the first tile that breaks it."""
    sram = func.attrs.get("sched.sram", {})
    for rule in _rules(stated):
        wrong = [(op, k, text) for op in placed_ops(func) for k, text in _broken(rule, op)]
        if not wrong:
            continue
        op, k, text = wrong[0]
        where = f"{tile_text(op.operands[k], op.coords[k])} @0x{op.addrs[k]:04x}"
        more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
        error = Diagnostic(f"{where} {text}{more}", op.loc, focus=where)
        if sram:
            size, alignment = sram["total_bytes"], sram["alignment"]
            error.note(f"scheduled for an SRAM of {size:,} bytes, aligned to {alignment:,}", func.loc)
        yield error


def _broken(rule: Rule, op: Placed) -> Iterator[tuple[int, str]]:
    """The tiles of an operation that break a rule, by position."""
    for k, (value, address) in enumerate(zip(op.operands, op.addrs, strict=True)):
        text = rule(address, address + tiled(value).tile_bytes)
        if text:
            yield k, text


def _rules(stated: Attributes) -> Iterator[Rule]:
    """What the machine asks of addresses."""
    if "sram_bytes" in stated:
        size: int = stated["sram_bytes"]
        yield (
            lambda _, end: (
                f"ends at byte {end:,}, beyond the {size:,} bytes of the machine's SRAM" if end > size else ""
            )
        )
    if "alignment" in stated:
        unit: int = stated["alignment"]
        yield lambda address, _: f"is not aligned to the machine's {unit:,} bytes" if address % unit else ""
    if stated.get("reserved"):
        ranges: tuple[tuple[int, int], ...] = stated["reserved"]
        yield (
            lambda address, end: (
                "lies in a range of the SRAM that the machine reserves"
                if any(address < stop and end > start for start, stop in ranges)
                else ""
            )
        )
