"""Evicting what must be stored first costs two transfers: it has to be needed more than twice as far ahead."""

from __future__ import annotations

import pytest

from tilewright.planner.arena import SRAMConfig, VirtualSRAMArena
from tilewright.planner.eviction import CheapestStretch, Eviction, LeastCost, Request
from tilewright.planner.liveness import EXEC, STORE, Program, Step
from tilewright.planner.memory_planner import plan
from tilewright.planner.residency import FILL, SPILL, Event

CLEAN, DIRTY = 0, 1
SIZE = 8


def summed(tile: int, *sources: int) -> Step:
    return Step(EXEC, tile, sources, product=True)


def of(*steps: Step) -> Program:
    count = 1 + max(tile for step in steps for tile in (step.tile, *step.sources))
    return Program(list(steps), [SIZE] * count, list(range(count)))


def moves(program: Program, tiles: int, evict: str) -> list[tuple[int, int]]:
    """The spills and loads of a plan in so much SRAM, with their tiles."""
    events: list[Event] = plan(program, SRAMConfig(tiles * SIZE, SIZE), evict).events
    return [(event.kind, event.tile) for event in events if event.kind in (SPILL, FILL)]


@pytest.mark.parametrize("now", [0, 10])
@pytest.mark.parametrize(
    ("clean", "dirty", "goes"),
    [(4, 4, CLEAN), (4, 7, CLEAN), (4, 8, CLEAN), (4, 9, DIRTY), (1, 3, DIRTY)],
)
def test_a_dirty_tile_goes_where_it_is_needed_more_than_twice_as_far_ahead(
    now: int, clean: int, dirty: int, goes: int
) -> None:
    policy = LeastCost()
    policy.use(CLEAN, now + clean, 0, 1)
    policy.use(DIRTY, now + dirty, SIZE, 2)
    assert policy.victims(Request(SIZE, now, (), VirtualSRAMArena(SRAMConfig(64, SIZE)))) == [goes]
    assert policy.tiles() == [1 - goes]


@pytest.mark.parametrize(("clean", "dirty", "goes"), [(4, 8, CLEAN), (4, 10, DIRTY)])
def test_so_it_is_with_tiles_of_several_sizes(clean: int, dirty: int, goes: int) -> None:
    arena = VirtualSRAMArena(SRAMConfig(2 * SIZE, SIZE))
    policy: Eviction = CheapestStretch([SIZE, SIZE, SIZE])
    for tile, next_use, transfers in ((CLEAN, clean, 1), (DIRTY, dirty, 2)):
        policy.use(tile, next_use, arena.allocate(SIZE, tile), transfers)
    assert policy.victims(Request(SIZE, 0, (), arena)) == [goes]


READ, OTHER, MADE, SUM, LAST = range(5)
ROOM = [summed(SUM, OTHER), Step(STORE, SUM)]
"""Takes two tiles, where a third is free: of the two that are there one goes."""

USES = [summed(LAST, READ), Step(EXEC, LAST, (MADE,), accumulate=True, product=True), Step(STORE, LAST)]
"""What is only read is needed again first, what was computed next; MIN stores the latter, for two transfers."""


@pytest.mark.parametrize(
    "before",
    [[summed(MADE, READ)], [summed(MADE, OTHER), summed(SUM, MADE, READ), Step(STORE, SUM)]],
    ids=["just finished", "finished and read"],
)
def test_what_was_computed_and_never_stored_counts_twice(before: list[Step]) -> None:
    program = of(*before, *ROOM, *USES)
    assert [move for move in moves(program, 3, "min") if move[1] == MADE] == [(SPILL, MADE), (FILL, MADE)]
    assert [move for move in moves(program, 3, "cost") if move[1] == MADE] == []
    assert moves(program, 3, "cost").count((FILL, READ)) == 2


@pytest.mark.parametrize(
    "before",
    [[summed(MADE, READ)], [summed(MADE, OTHER), summed(SUM, MADE, READ), Step(STORE, SUM)]],
    ids=["at once", "after it was read"],
)
def test_what_has_been_stored_counts_once(before: list[Step]) -> None:
    """The tile is off chip as well as on it: it is loaded again, as cheaply as any other."""
    program = of(*before, Step(STORE, MADE, retain=True), *ROOM, *USES)
    assert [move for move in moves(program, 3, "cost") if move[1] == MADE] == [(FILL, MADE)]
