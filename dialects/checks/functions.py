"""The checks of whole functions, at each level. What replays a function is imported where there is one to replay."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.builtin import FuncOp, ModuleOp
from ...ir.core import Operation, UnregisteredOp
from ...ir.diagnostics import Diagnostic
from ..levels import IN_TILES, MixedLevelsError, is_known, level_of
from ..tiles import TiledType
from ..uop import UOP


@UOP.check
def check_function(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    """Refuses a function that mixes levels, and what no replay can see; replays one in tiles, with its addresses if it
    has them. This is the check of uop and of sched: which of them a function is, is found once."""
    from ..placement_limits import wish_errors

    kinds: set[type[Operation]] = set(map(type, func.ops))
    try:
        level = level_of(func, kinds)
    except MixedLevelsError as error:
        return [error.error]
    errors = list(wish_errors(func, level))
    if not kinds <= IN_TILES:
        errors += unseen_errors(func)
    if level == "sched":
        return errors + check_schedule(func, module)
    if errors or level != "uop":
        return errors
    from .tile_rules import replay_uop

    return replay_uop(func)


def check_schedule(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    """Replays a schedule byte range by byte range and holds its statistics against its text."""
    from .dram import dram_errors
    from .halves import half_errors
    from .queues import queue_errors
    from .schedule_replay import replay_schedule

    errors = replay_schedule(func, module) + dram_errors(func)
    return errors or half_errors(func) + queue_errors(func)


def unseen_errors(func: FuncOp) -> Iterator[Diagnostic]:
    """What no replay can see: unknown operations that touch tiles, operations of ours in the regions of others."""
    for op in func.ops:
        if is_known(op):
            continue
        for inner in op.walk():
            tile = next((v for v in (*inner.operands, *inner.results) if isinstance(v.type, TiledType)), None)
            if inner is not op and not isinstance(inner, UnregisteredOp):
                message = f"{inner.name} stands in a region of {op.name}, which is no operation of this language"
                yield Diagnostic(message, inner.loc).note(f"{op.name} is here", op.loc)
            elif tile is not None:
                message = f"{inner.name}, which is no operation of this language, touches the tiles of %{tile.name}"
                yield Diagnostic(message, inner.loc, focus=f"%{tile.name}")
