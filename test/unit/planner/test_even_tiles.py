"""The traffic of tiles of one size, found without a plan, against that of the plan."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.planner.arena import SRAMConfig
from tilewright.planner.even_tiles import EvenTiles, NoRoomError
from tilewright.planner.liveness import EXEC, LOAD, STORE, Program, Step, liveness_of
from tilewright.planner.residency import FirstFitPlanner, StepOutOfMemoryError, TrafficLimitError
from tilewright.planner.units import UNLIMITED

from .test_memory_planner import KEPT, UNIFORM, program

SIZE = 8


def planned(p: Program, tiles: int, limit: int = UNLIMITED) -> int | None:
    """Bytes that first fit's plan moves, None if it finds none or they are more than the limit."""
    stored = SIZE * sum(step.kind == STORE for step in p.steps)
    try:
        planner = FirstFitPlanner(p, liveness_of(p), SRAMConfig(SIZE * tiles, 4), "cost", limit - stored)
        return planner.run().traffic(p)
    except (StepOutOfMemoryError, TrafficLimitError):
        return None


def counted(p: Program, tiles: int, limit: int = UNLIMITED) -> int | None:
    try:
        return EvenTiles(p, liveness_of(p), tiles, limit).traffic()
    except (NoRoomError, TrafficLimitError):
        return None


def check(p: Program, tiles: int) -> None:
    """The same bytes, also where they are just within a limit, and neither finds anything below that."""
    moved = planned(p, tiles)
    assert counted(p, tiles) == moved
    if moved is not None:
        assert counted(p, tiles, moved) == planned(p, tiles, moved) == moved
        assert counted(p, tiles, moved - 1) is None
        assert planned(p, tiles, moved - 1) is None


@settings(max_examples=300)
@given(UNIFORM | KEPT, st.integers(1, 8))
def test_small_programs_move_what_their_plan_moves(p: Program, tiles: int) -> None:
    check(replace(p, steps=[step for step in p.steps if step.kind != LOAD]), tiles)


def random_sums(seed: int) -> Program:
    """Two hundred sums of some products each, up to four at a time, of twenty arguments and sums that are complete;
    every third is stored, and kept or not."""
    pick = random.Random(seed)
    steps: list[Step] = []
    readable, begun = list(range(20)), dict[int, int]()
    for tile in range(20, 220):
        while len(begun) > pick.randint(0, 3):
            one = pick.choice(list(begun))
            steps.append(Step(EXEC, one, tuple(pick.sample(readable[-30:], 2)), begun[one] > 0, product=True))
            begun[one] += 1
            if pick.random() < 0.3:
                del begun[one]
                if one % 3 == 0:
                    steps.append(Step(STORE, one, retain=one % 2 == 0))
                readable.append(one)
        begun[tile] = 0
    return program(steps, [SIZE] * 220)


@pytest.mark.parametrize("seed", range(12))
def test_long_programs_move_what_their_plan_moves(seed: int) -> None:
    p = random_sums(seed)
    for tiles in (4, 6, 9, 14, 25, 60):
        check(p, tiles)
