"""What every scheduled function has in the end, whichever pass made it: tidy allocs, off-chip addresses, statistics."""

from __future__ import annotations

from collections.abc import Mapping

from ..dialects.dram import dram_errors, off_chip_lives
from ..dialects.levels import level_of
from ..dialects.limits import off_chip_bytes
from ..dialects.sched_replay import schedule_stats
from ..dialects.target import Target
from ..dialects.tiles import TiledType
from ..dialects.uop import AllocOp
from ..ir.attributes import Attr
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from .placement import Life, place_lives


def expect_schedules(module: ModuleOp, who: str) -> None:
    """Raises `DiagnosticError` for a module in which a pass on schedules finds functions, but no scheduled one."""
    levels = [(func, level_of(func)) for func in module.functions() if any(op.operands for op in func.ops[:-1])]
    if not levels or any(level == "sched" for _, level in levels):
        return
    func, level = levels[0]
    message = f"{who} works on schedules, and @{func.sym_name} is at {level} level; run --schedule (or -O1) first"
    raise DiagnosticError([Diagnostic(message, func.loc)], module.source)


def settle_off_chip(func: FuncOp, target: Target, renew: bool) -> None:
    """Takes the addresses off chip from what is not stored and, to `renew` them, gives new ones to what is.

    Raises `DiagnosticError` where those that were given before clash.
    """
    lives = off_chip_lives(func)
    for op in func.ops:
        if isinstance(op, AllocOp) and op.result not in lives:
            op.dram = None
    if renew:
        place_off_chip(func, lives, target)
    errors = dram_errors(func)
    if errors:
        raise DiagnosticError(errors)


def place_off_chip(func: FuncOp, lives: Mapping[Value, tuple[int, int]], target: Target) -> None:
    """Gives every buffer that is stored its address off chip; those that are not in use at once share bytes.

    With several DMA channels none do: what comes later in the text may move earlier, and nothing makes it wait.
    """
    if target.dma_channels > 1:
        lives = dict.fromkeys(lives, (0, len(func.ops)))
    allocs = [op for op in func.ops if isinstance(op, AllocOp)]
    for op in allocs:
        op.dram = None
    ops = [op for op in allocs if op.result in lives]
    spans = []
    for op in ops:
        assert isinstance(op.result.type, TiledType)
        size = -(-off_chip_bytes(op.result.type) // target.alignment) * target.alignment
        spans.append(Life(*lives[op.result], size))
    for op, address in zip(ops, place_lives(spans, sum(span.size for span in spans)) or (), strict=True):
        op.dram = address


def with_stats(func: FuncOp, module: ModuleOp, target: Target) -> FuncOp:
    """The scheduled function with `sched.sram` and `sched.stats`, the latter from its text."""
    sram: dict[str, Attr] = {"alignment": target.alignment, "total_bytes": target.sram_bytes}
    if target.reserved:
        sram["reserved"] = target.reserved
    func.attrs = func.attrs | {"sched.sram": sram}
    func.attrs = func.attrs | {"sched.stats": schedule_stats(func, module)}
    return func
