"""The memory planner: gives every step of a tile program its SRAM addresses, with the loads that it needs.

First fit first (`residency.py`); where that fails, accumulators are placed over their whole live ranges
(`lifetimes.py`).
"""

from __future__ import annotations

from .arena import OutOfMemoryError, SRAMConfig
from .lifetimes import LifetimePlanner, static_addresses
from .liveness import EXEC, LOAD, Liveness, Program, accumulator_residencies, liveness_of, pinned_residencies
from .residency import FirstFitPlanner, Plan, StepOutOfMemoryError
from .units import ceil_div


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
    """Plans a program: first fit first, then, if that fails, with accumulators placed over their whole live ranges.

    `evict` is "lru" (least recently used), "min" (Belady: needed again last) or "cost" (the fewest bytes to move for
    how long the room is of use); `eviction.py` has them. Raises `PlanError` with the first attempt's state of memory if
    both fail.
    """
    liveness = liveness_of(program)
    try:
        return _attempt(program, liveness, config, evict)
    except StepOutOfMemoryError as full:
        raise _failure(program, liveness, config, evict, full) from None


def _failure(
    program: Program, liveness: Liveness, config: SRAMConfig, evict: str, full: StepOutOfMemoryError
) -> PlanError:
    least = least_bytes(program, config)
    try:
        if _is_clash(full):
            raise full
        needs = _enough(program, liveness, config, evict, max(least, config.total_bytes + config.alignment))
    except StepOutOfMemoryError as clash:
        return PlanError(clash.step, clash.cause, 0, False)
    return PlanError(full.step, full.cause, needs, least > config.total_bytes)


def _is_clash(full: StepOutOfMemoryError) -> bool:
    """Whether two tiles have to be at one address at the same time, which no larger SRAM can help."""
    return full.cause.request_address is not None


def _attempt(program: Program, liveness: Liveness, config: SRAMConfig, evict: str) -> Plan:
    try:
        return FirstFitPlanner(program, liveness, config, evict).run()
    except StepOutOfMemoryError as full:
        if least_bytes(program, config) > config.total_bytes:
            raise
        return _retry(program, liveness, config, evict, full)


def _retry(program: Program, liveness: Liveness, config: SRAMConfig, evict: str, first: StepOutOfMemoryError) -> Plan:
    static = None if _is_clash(first) else static_addresses(program, config)
    if static is None:
        raise first
    return LifetimePlanner(program, liveness, config, evict, static).run()


def least_bytes(program: Program, config: SRAMConfig) -> int:
    """The lower bound on the SRAM in bytes: the largest sum, over all execs, of the exec's own tiles and the
    accumulators live there, each rounded up to the alignment. No schedule of this order needs less, and with a single
    tile size none needs more."""
    return most_needed(program, config)[0]


def most_needed(program: Program, config: SRAMConfig) -> tuple[int, int]:
    """`least_bytes`, and the first step that needs so many."""
    size = [config.rounded(s) for s in program.sizes]
    aside = sum(end - start for start, end in program.set_aside(config))
    for tile in program.limits.at:
        size[tile] = 0
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    pinned = program.limits.pinned
    accumulating = [r for r in accumulator_residencies(program) if r.tile not in pinned]
    for start, end, tile in accumulating + pinned_residencies(program):
        starts.setdefault(start, []).append(tile)
        ends.setdefault(end, []).append(tile)
    live: set[int] = set()
    total = most = at = 0
    for i, step in enumerate(program.steps):
        for tile in ends.get(i, ()):
            live.discard(tile)
            total -= size[tile]
        for tile in starts.get(i, ()):
            live.add(tile)
            total += size[tile]
        own = sum(size[s] for s in step.sources if s not in live)
        if step.kind != EXEC and step.tile not in live:
            own = 0 if step.kind == LOAD else size[step.tile]
        if total + own > most:
            most, at = total + own, i
    return most + aside, at


def _enough(program: Program, liveness: Liveness, config: SRAMConfig, evict: str, least: int) -> int:
    """A size that planning succeeds at, a multiple of the alignment: `least`, or one where a step less fails. Raises
    `StepOutOfMemoryError` if no size will do."""

    def succeeds(units: int) -> bool:
        try:
            _attempt(program, liveness, SRAMConfig(units * config.alignment, config.alignment), evict)
        except StepOutOfMemoryError as full:
            if _is_clash(full):
                raise
            return False
        return True

    high = ceil_div(least, config.alignment)
    low, grow = high - 1, 1
    while not succeeds(high):
        low, high, grow = high, high + grow, grow * 2
    while high - low > 1 and low >= least // config.alignment:
        middle = (low + high) // 2
        low, high = (low, middle) if succeeds(middle) else (middle, high)
    return high * config.alignment
