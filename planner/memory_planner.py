"""The memory planner: gives every step of a tile program its SRAM addresses, with the loads that it needs.

A pure solver: it knows integers, not IR. First fit first (`residency.py`); where that fails, accumulators are placed
over their whole lives (`lifetimes.py`).
"""

from __future__ import annotations

from .arena import OutOfMemoryError, SRAMConfig
from .lifetimes import LifetimePlanner, find_homes
from .liveness import EXEC, LOAD, Program, accumulator_lives, pinned_lives
from .residency import Full, Plan, Planner, Timeline, timeline_of


class PlanError(Exception):
    """No plan at this SRAM size. `needs` is a size in bytes at which planning was run again and succeeded; `shortage`
    tells tiles needed at once that exceed the SRAM from fragmentation.

    `needs` is 0 if no size will do: a tile has to be at `cause.request_address`, where the tiles `cause.live` have to
    be at the same time."""

    def __init__(self, step: int, cause: OutOfMemoryError, needs: int, shortage: bool):
        super().__init__(step, cause, needs, shortage)
        self.step = step
        self.cause = cause
        self.needs = needs
        self.shortage = shortage


def plan(program: Program, config: SRAMConfig, evict: str = "min") -> Plan:
    """Plans a program; first fit first, then, if that fails, with accumulators placed over their whole lifetimes.

    Raises `PlanError` with the first attempt's state of memory if both fail.
    """
    timeline = timeline_of(program)
    try:
        return _attempt(program, timeline, config, evict)
    except Full as full:
        raise _failure(program, timeline, config, evict, full) from None


def _failure(program: Program, timeline: Timeline, config: SRAMConfig, evict: str, full: Full) -> PlanError:
    least = least_bytes(program, config)
    try:
        if _is_clash(full):
            raise full
        needs = _enough(program, timeline, config, evict, max(least, config.total_bytes + config.alignment))
    except Full as clash:
        return PlanError(clash.step, clash.cause, 0, False)
    return PlanError(full.step, full.cause, needs, least > config.total_bytes)


def _is_clash(full: Full) -> bool:
    """Whether two tiles have to be at one address at the same time, which no larger SRAM can help."""
    return full.cause.request_address is not None


def _attempt(program: Program, timeline: Timeline, config: SRAMConfig, evict: str) -> Plan:
    try:
        return Planner(program, timeline, config, evict).run()
    except Full as full:
        if least_bytes(program, config) > config.total_bytes:
            raise
        return _retry(program, timeline, config, evict, full)


def _retry(program: Program, timeline: Timeline, config: SRAMConfig, evict: str, first: Full) -> Plan:
    homes = None if _is_clash(first) else find_homes(program, config)
    if homes is None:
        raise first
    return LifetimePlanner(program, timeline, config, evict, homes).run()


def least_bytes(program: Program, config: SRAMConfig) -> int:
    """The largest sum, over all execs, of the exec's own tiles and the accumulators live there, each rounded up to the
    alignment: no schedule of this order needs less, and with a single tile size none needs more."""
    return most_needed(program, config)[0]


def most_needed(program: Program, config: SRAMConfig) -> tuple[int, int]:
    """`least_bytes`, and the first step that needs so many."""
    size = [-(-s // config.alignment) * config.alignment for s in program.sizes]
    aside = sum(end - start for start, end in program.set_aside(config))
    for tile in program.limits.at:
        size[tile] = 0
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    pinned = program.limits.pinned
    lives = [life for life in accumulator_lives(program) if life[2] not in pinned]
    for first, last, tile in lives + pinned_lives(program):
        starts.setdefault(first, []).append(tile)
        ends.setdefault(last, []).append(tile)
    live: set[int] = set()
    total = most = at = 0
    for i, step in enumerate(program.steps):
        for tile in starts.get(i, ()):
            live.add(tile)
            total += size[tile]
        own = sum(size[s] for s in step.sources if s not in live)
        if step.kind != EXEC and step.tile not in live:
            own = 0 if step.kind == LOAD else size[step.tile]
        if total + own > most:
            most, at = total + own, i
        for tile in ends.get(i, ()):
            live.discard(tile)
            total -= size[tile]
    return most + aside, at


def _enough(program: Program, timeline: Timeline, config: SRAMConfig, evict: str, least: int) -> int:
    """A size that planning succeeds at, a multiple of the alignment: `least`, or one where a step less fails. Raises
    `Full` if no size will do."""

    def succeeds(units: int) -> bool:
        try:
            _attempt(program, timeline, SRAMConfig(units * config.alignment, config.alignment), evict)
        except Full as full:
            if _is_clash(full):
                raise
            return False
        return True

    high = -(-least // config.alignment)
    low, grow = high - 1, 1
    while not succeeds(high):
        low, high, grow = high, high + grow, grow * 2
    while high - low > 1 and low >= least // config.alignment:
        middle = (low + high) // 2
        low, high = (low, middle) if succeeds(middle) else (middle, high)
    return high * config.alignment
