"""schedule: uop to sched; gives every tile its SRAM address and leaves out the loads that are not needed.

uop.load %x[0, 0]                                  sched.load %x[0, 0] @0x0000 {bytes = 4096}
uop.load %w[0, 0]                                  sched.load %w[0, 0] @0x1000 {bytes = 4096}
uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]  ->  sched.exec matmul %h[0, 0] @0x2000 = %x[0, 0] @0x0000, ...
uop.load %x[0, 0]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..dialects.levels import level_of
from ..dialects.placement_limits import Wish, wishes_of
from ..dialects.target import Target, target_of
from ..dialects.tile_ops import TileOp
from ..dialects.tiles import MOST_TILES, TiledType, tile_text
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..lowering.allocs import check_understood, config_of, tidy_allocs
from ..lowering.finished_schedule import settle_off_chip, with_stats
from ..lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from ..lowering.tile_program import ScheduleError, schedule_ops
from .manager import flag, option, read_alignment, read_bytes, read_choice, register_pass


@register_pass
@dataclass(frozen=True)
class SchedulePass:
    """Plans SRAM: first fit, eviction when full, redundant loads left out. On graphs decompose, fuse, tile and
    lower run first."""

    name: ClassVar[str] = "schedule"
    needs: ClassVar[tuple[str, ...]] = ("decompose", "fuse", "tile", "lower")
    sram: int | None = option(read_bytes, "SRAM size (default 256KiB)", "BYTES")
    align: int | None = option(read_alignment, "alignment of every address in bytes (default 64)", "BYTES")
    evict: str | None = option(
        read_choice("lru", "min", "cost"), "which tile goes when the SRAM is full: least recently used, needed again "
        "last (Belady; default), or least bytes to move for the time its room is of use", "lru|min|cost",
    )  # fmt: skip
    double_buffer: bool = flag("label products and their loads with alternating buffers")
    dram: bool = flag("give buffers that are stored their addresses off chip, shared where they are not in use at once")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, self.schedule_function)

    def schedule_function(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if level_of(func) == "sched":
            raise DiagnosticError([Diagnostic(f"function {func.symbol} is scheduled already", func.loc)])
        check_understood(func, "schedule")
        target = target_of(func, module, sram_bytes=self.sram, alignment=self.align, evict=self.evict)
        config = config_of(func, target)
        wishes = wishes_of(func)
        check_wishes(func, wishes, target)
        values: ValueMap = {}
        args = [copy_value(a, values) for a in func.args]
        ops = [op if isinstance(op, TileOp) else clone(op, values) for op in func.ops]
        try:
            scheduled = schedule_ops(ops, config, target.evict, self.double_buffer, values, wishes, target.reserved)
        except ScheduleError as error:
            raise DiagnosticError([Diagnostic(f"schedule: {error}", error.op.loc, cause=error)]) from None
        made = with_body(func, args, tidy_allocs(scheduled))
        settle_off_chip(made, target, self.dram)
        return with_stats(made, target)


def check_wishes(func: FuncOp, wishes: Mapping[Value, Wish], target: Target) -> None:
    """Raises `DiagnosticError` for fixed addresses that are misaligned, beyond the SRAM, or reserved."""
    errors = []
    for value, wish in wishes.items():
        assert isinstance(value.type, TiledType)
        if wish.at is not None and value.type.count > MOST_TILES:
            message = f"%{value.name} has {value.type.count:,} tiles, more than {MOST_TILES:,} that can be placed"
            errors.append(Diagnostic(message, wish.loc))
            continue
        for coord in value.type.each_coord() if wish.at is not None else ():
            address = wish.address(value.type, coord, target.alignment)
            if address is None:
                continue
            end = address + value.type.tile_bytes
            problem = ""
            if address % target.alignment:
                problem = f"is not aligned to {target.alignment} bytes"
            elif end > target.sram_bytes:
                problem = f"ends at byte {end:,}, beyond the SRAM's {target.sram_bytes:,} bytes"
            elif any(address < stop and start < end for start, stop in target.reserved):
                problem = "lies in a reserved range of the SRAM"
            if problem:
                message = f"{tile_text(value, coord)} is asked to be at @0x{address:04x}, which {problem}"
                errors.append(Diagnostic(message, wish.loc))
                break
    if errors:
        raise DiagnosticError(errors)
