"""The checks of whole functions, at each level. What replays a function is imported where there is one to replay."""

from __future__ import annotations

from ...ir.builtin import FuncOp, ModuleOp
from ...ir.diagnostics import Diagnostic
from ..levels import MixedLevelsError, level_of
from ..sched import SCHED
from ..uop import UOP


@UOP.check
def check_uop_function(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    """Refuses a function that mixes levels; replays a uop function tile by tile."""
    from ..placement_limits import wish_errors

    try:
        level = level_of(func)
    except MixedLevelsError as error:
        return [error.error]
    errors = list(wish_errors(func, level))
    if errors or level != "uop":
        return errors
    from .tile_rules import replay_uop

    return replay_uop(func)


@SCHED.check
def check_sched_function(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    """Replays a schedule byte range by byte range and holds its statistics against its text."""
    try:
        level = level_of(func)
    except MixedLevelsError:
        return []
    if level != "sched":
        return []
    from .dram import dram_errors
    from .halves import half_errors
    from .queues import queue_errors
    from .schedule_replay import replay_schedule

    errors = replay_schedule(func, module) + dram_errors(func)
    return errors or half_errors(func) + queue_errors(func)
