"""What every scheduled function has in the end, whichever pass made it: tidy allocs, off-chip addresses, statistics."""

from __future__ import annotations

from ..dialects.dram import off_chip_lives
from ..dialects.limits import off_chip_bytes
from ..dialects.sched_replay import schedule_stats
from ..dialects.target import Target
from ..dialects.tiles import TiledType
from ..dialects.uop import AllocOp
from ..ir.attributes import Attr
from ..ir.builtin import FuncOp, ModuleOp
from .placement import Life, place_lives


def place_off_chip(func: FuncOp, target: Target) -> None:
    """Gives every buffer that is stored its address off chip; those that are not in use at once share bytes.

    With several DMA channels none do: what comes later in the text may move earlier, and nothing makes it wait.
    """
    alignment = target.alignment
    lives = off_chip_lives(func)
    if target.dma_channels > 1:
        lives = dict.fromkeys(lives, (0, len(func.ops)))
    allocs = [op for op in func.ops if isinstance(op, AllocOp)]
    for op in allocs:
        op.dram = None
    ops = [op for op in allocs if op.result in lives]
    spans = []
    for op in ops:
        assert isinstance(op.result.type, TiledType)
        size = -(-off_chip_bytes(op.result.type) // alignment) * alignment
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
