"""The list scheduler alone: when stores may start, and that every operation finds on chip what it reads."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.planner.arena import SRAMConfig
from tilewright.planner.list_schedule import Job, ScheduledJob, SchedulingProblem, list_schedule
from tilewright.planner.liveness import EXEC, LOAD, STORE

SIZE = 64
X, SLOW, MADE, SUM = range(4)


def problem(items: list[Job], tiles: int = 16, channels: int = 1, distance: int = 1 << 60) -> SchedulingProblem:
    count = 1 + max(tile for item in items for tile in (item.tile, *item.sources))
    return SchedulingProblem(items, [SIZE] * count, SRAMConfig(tiles * SIZE, SIZE), channels, distance)


def starts(given: SchedulingProblem) -> list[int]:
    """When each item starts, in their order."""
    placed = list_schedule(given)
    assert placed is not None
    return [p.start for p in sorted(placed)]


@pytest.mark.parametrize(("retain", "start"), [(False, 12), (True, 3)])
def test_a_store_that_ends_a_tiles_life_waits_for_those_that_read_it(retain: bool, start: int) -> None:
    """`MADE` is there at 3, but its reader waits for a slow load until 12; the store has a channel of its own."""
    items = [
        Job(LOAD, 2, X),
        Job(EXEC, 1, MADE, (X,)),
        Job(LOAD, 12, SLOW),
        Job(EXEC, 4, SUM, (MADE, SLOW)),
        Job(STORE, 2, MADE, retain=retain),
    ]
    assert starts(problem(items, channels=2)) == [0, 2, 0, 12, start]


def test_a_store_waits_for_all_that_is_added_to_its_sum() -> None:
    items = [
        Job(LOAD, 2, X),
        Job(EXEC, 1, MADE, (X,)),
        Job(LOAD, 12, SLOW),
        Job(EXEC, 4, MADE, (SLOW,), accumulate=True),
        Job(STORE, 2, MADE),
    ]
    assert starts(problem(items, channels=2)) == [0, 2, 0, 12, 16]


def test_a_load_waits_until_its_tile_is_off_chip() -> None:
    items = [
        Job(LOAD, 2, X),
        Job(EXEC, 1, MADE, (X,)),
        Job(STORE, 5, MADE),
        Job(LOAD, 2, MADE),
        Job(EXEC, 1, SUM, (MADE,)),
    ]
    assert starts(problem(items, channels=2)) == [0, 2, 3, 8, 10]


@st.composite
def problems(draw: st.DrawFn) -> SchedulingProblem:
    """Operands 0 to 2 are loaded for each use. Results are read and added to while they are on chip, stored, read after
    that where they were retained, and loaded again. All transfers of a tile take as long."""
    cycles = st.integers(1, 6)
    moving = draw(st.lists(cycles, min_size=15, max_size=15))
    items: list[Job] = []
    on_chip: list[int] = []
    off_chip = [0, 1, 2]
    fresh = 3
    for _ in range(draw(st.integers(1, 12))):
        if on_chip and draw(st.integers(0, 2)) == 0:
            tile = draw(st.sampled_from(on_chip))
            retain = draw(st.booleans())
            items.append(Job(STORE, moving[tile], tile, retain=retain))
            if not retain:
                on_chip.remove(tile)
                off_chip.append(tile)
            continue
        sources = draw(st.lists(st.sampled_from(on_chip + off_chip), min_size=1, max_size=2, unique=True))
        items += [Job(LOAD, moving[tile], tile) for tile in sources if tile not in on_chip]
        sums = [tile for tile in on_chip if tile not in sources]
        if sums and draw(st.booleans()):
            items.append(Job(EXEC, draw(cycles), draw(st.sampled_from(sums)), tuple(sources), accumulate=True))
            continue
        items.append(Job(EXEC, draw(cycles), fresh, tuple(sources)))
        on_chip.append(fresh)
        fresh += 1
    count = draw(st.integers(3, 12))
    return SchedulingProblem(
        items, [SIZE] * fresh, SRAMConfig(count * SIZE, SIZE), draw(st.integers(1, 3)), draw(st.sampled_from([1, 99]))
    )


def versions(items: list[Job]) -> list[dict[int, int]]:
    """For each item, which value of each of its tiles it reads, counted by the execs on it."""
    count: dict[int, int] = {}
    found = []
    for item in items:
        reads = list(item.sources) if item.kind == EXEC else [item.tile]
        if item.accumulate:
            reads.append(item.tile)
        found.append({tile: count.get(tile, 0) for tile in reads})
        if item.kind == EXEC:
            count[item.tile] = count.get(item.tile, 0) + 1
    return found


def check_legal(given: SchedulingProblem, placed: list[ScheduledJob]) -> None:
    """Every read finds its value, written before it starts and not written over before it ends; a tile's life doesn't
    end before an exec that reads it has started."""
    items, wanted = list(given.jobs), versions(list(given.jobs))
    by_item = {p.job: (order, p, p.start + items[p.job].cycles) for order, p in enumerate(placed)}
    written = []  # address, start, end, tile, value
    for p in placed:
        item = items[p.job]
        if item.kind != STORE:
            value = wanted[p.job].get(item.tile, 0)
            made = value if item.kind == LOAD else versions_after(items, p.job)
            written.append((p.addresses[0], p.start, by_item[p.job][2], item.tile, made))
    for p in placed:
        item, (_, _, end) = items[p.job], by_item[p.job]
        at = dict(zip((item.tile, *item.sources), p.addresses, strict=True))
        for tile, value in wanted[p.job].items():
            if item.kind == LOAD:
                stores = [by_item[i][2] for i in range(p.job) if items[i].kind == STORE and items[i].tile == tile]
                assert all(stored <= p.start for stored in stores)
                continue
            there = [w for w in written if w[0] == at[tile] and w[1] < end and (w[3], w[1]) != (item.tile, p.start)]
            assert max(there, key=lambda w: w[2])[3:] == (tile, value)
            assert all(w[2] <= p.start for w in there)
        if item.kind == STORE and not item.retain:
            readers = [i for i in range(p.job) if items[i].kind == EXEC and item.tile in items[i].sources]
            assert all(by_item[i][0] < by_item[p.job][0] for i in readers)


def versions_after(items: list[Job], number: int) -> int:
    return sum(item.kind == EXEC and item.tile == items[number].tile for item in items[: number + 1])


@settings(max_examples=200)
@given(problems())
def test_random_orders_are_legal(given: SchedulingProblem) -> None:
    placed = list_schedule(given)
    if placed is not None:
        check_legal(given, placed)
