"""Pinned tiles, fixed addresses and reserved ranges on random programs: a plan keeps to them, or says why it can't."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright
from tilewright import DiagnosticError
from tilewright.lowering.tile_program import TileProgram
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.liveness import EXEC, LOAD, STORE, Program, Step
from tilewright.planner.memory_planner import PlanError, least_bytes, plan

from ..plan_replay import replay
from ..tile_programs import random_uops

EVICTIONS = st.sampled_from(["min", "lru", "cost"])
REASONS = re.compile(
    r"beyond the SRAM's|lies in a reserved range of the SRAM|(has|have) to be at the same time|"
    r"\(sram=(?P<needs>[0-9]+)\)"
)


@st.composite
def limited_programs(draw: st.DrawFn) -> Program:
    """A random program with something asked of it."""
    (func,) = tilewright.parse(random_uops(Random(draw(st.integers(0, 1 << 32))), 40)).functions()
    program = TileProgram(func.ops).program
    tiles = st.integers(0, max(0, len(program.sizes) - 1))
    limits = program.limits
    limits.pinned = draw(st.sets(tiles, max_size=3))
    limits.at = draw(st.dictionaries(tiles, st.integers(0, 20).map(lambda n: 16 * n), max_size=3))
    ranges = st.tuples(st.integers(0, 900), st.integers(1, 100)).map(lambda r: (r[0], r[0] + r[1]))
    # What is asked for in a reserved range is refused before the planner sees it.
    limits.reserved = tuple(
        (start, end)
        for start, end in draw(st.lists(ranges, max_size=2))
        if all(at + program.sizes[t] <= start or end <= at for t, at in limits.at.items() if t < len(program.sizes))
    )
    limits.pinned &= set(range(len(program.sizes)))
    limits.at = {t: at for t, at in limits.at.items() if t < len(program.sizes)}
    return program


@settings(max_examples=250, deadline=None)
@given(limited_programs(), st.integers(24, 70), EVICTIONS, st.sampled_from([1, 16]))
def test_a_plan_keeps_to_what_is_asked(program: Program, units: int, evict: str, alignment: int) -> None:
    config = SRAMConfig(16 * units, alignment)
    try:
        made = plan(program, config, evict)
    except PlanError as error:
        if not error.needs:
            check_clash(program, error)
            return
        check_needs(error, program, config)
        config = SRAMConfig(error.needs, alignment)
        made = plan(program, config, evict)
    replay(program, made, config)


def check_needs(error: PlanError, program: Program, config: SRAMConfig) -> None:
    assert error.needs >= max(least_bytes(program, config), config.total_bytes + 1)


def check_clash(program: Program, error: PlanError) -> None:
    """The tile that finds no place really shares bytes with each of those that have to stay."""
    at, sizes = program.limits.at, dict(zip(map(str, program.names), program.sizes, strict=True))
    start = error.cause.request_address
    assert start in at.values()
    assert error.cause.live
    end = start + sizes[str(error.cause.request_tag)]  # type: ignore[operator]
    for other in error.cause.live:
        assert start - sizes[str(other.tag)] < other.address < end  # type: ignore[operator]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([512, 768, 1024, 2048]), EVICTIONS)
def test_schedules_with_limits_verify_and_prove(seed: int, sram: int, evict: str) -> None:
    module = tilewright.parse(random_uops(Random(seed), 40, attributes=True))
    try:
        run_passes_on(module, parse_pipeline(f"schedule{{sram={sram} evict={evict} dram}}"), prove_each=True)
    except DiagnosticError as error:
        needs = needs_of(error)
        if needs:
            options = f"sram={needs} evict={evict} dram"
            run_passes_on(module, parse_pipeline(f"schedule{{{options}}}"), prove_each=True)


def needs_of(error: DiagnosticError) -> str:
    """The SRAM that an error asks for; raises where it is none that a user can cause."""
    reason = REASONS.search(str(error))
    assert reason, error
    return reason["needs"] or ""


# --- examples ---


def program_of(steps: list[Step], count: int) -> Program:
    return Program(steps, [16] * count, [f"t{i}" for i in range(count)])


SUMS = [Step(LOAD, 0), *[step for i in (1, 2, 3) for step in (Step(EXEC, 3 + i, (0, i)), Step(STORE, 3 + i))]]


def test_a_reserved_range_beyond_the_sram_takes_nothing() -> None:
    program = program_of(SUMS, 7)
    program.limits.reserved = ((48, 1000),)
    assert least_bytes(program, SRAMConfig(48, 16)) == 48
    replay(program, plan(program, SRAMConfig(48, 16)), SRAMConfig(48, 16))


def test_two_tiles_at_one_address_take_turns() -> None:
    program = program_of(SUMS, 7)
    program.limits.at = {1: 32, 2: 32, 3: 40}
    config = SRAMConfig(96, 8)
    replay(program, plan(program, config), config)


@pytest.mark.parametrize(("at", "pinned"), [({0: 32, 2: 32}, set()), ({1: 32, 2: 32}, {1, 2}), ({4: 0, 1: 8}, set())])
def test_what_no_size_can_do_ends_at_once(at: dict[int, int], pinned: set[int]) -> None:
    program = program_of([*SUMS, Step(EXEC, 4, (0, 1)), Step(STORE, 4)], 7)
    program.limits.at, program.limits.pinned = at, pinned
    with pytest.raises(PlanError) as raised:
        plan(program, SRAMConfig(16, 8))
    assert raised.value.needs == 0
