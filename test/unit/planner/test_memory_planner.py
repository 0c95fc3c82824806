"""The planner's parts against naive references: liveness, eviction, capacity, and Belady's MIN against an optimum."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tilewright.planner.arena import SRAMConfig, VirtualSRAMArena
from tilewright.planner.eviction import CheapestStretch, FarthestNextUse, LeastRecentlyUsed, Request, make_eviction
from tilewright.planner.liveness import EXEC, LOAD, NEVER, STORE, Program, Step, accumulator_residencies, next_uses
from tilewright.planner.memory_planner import PlanError, least_bytes, plan
from tilewright.planner.residency import RUN, SPILL, Plan

ALIGNMENT = 4


def program(steps: list[Step], sizes: list[int]) -> Program:
    return Program(steps, sizes, [f"t{i}" for i in range(len(sizes))])


@st.composite
def programs(draw: st.DrawFn, sizes: st.SearchStrategy[int], kept: bool = False) -> Program:
    """Valid tile programs: up to three accumulators live at once, loads asked for early or not at all, stored tiles
    read again, retaining stores; with `kept` some tiles are read without ever being stored, or in place."""
    operands, accumulators = 5, 6 if kept else 4
    steps: list[Step] = []
    open_tiles: list[int] = []
    waiting = list(range(operands, operands + accumulators))
    readable = list(range(operands))
    while waiting or open_tiles:
        action = draw(st.sampled_from(["start", "accumulate", "accumulate", "store", "load"]))
        sources = tuple(draw(st.lists(st.sampled_from(readable), min_size=1, max_size=2, unique=True)))
        if action == "load":
            steps += [Step(LOAD, s) for s in sources]
        elif action == "start" and waiting and len(open_tiles) < 3:
            open_tiles.append(waiting.pop(0))
            steps.append(Step(EXEC, open_tiles[-1], sources, product=True))
        elif action == "accumulate" and open_tiles:
            steps.append(Step(EXEC, draw(st.sampled_from(open_tiles)), sources, accumulate=True, product=True))
        elif open_tiles:
            tile = open_tiles.pop(draw(st.integers(0, len(open_tiles) - 1)))
            if kept and draw(st.integers(0, 3)):
                if draw(st.booleans()):
                    steps.append(Step(EXEC, tile, (tile,)))
                readable.append(tile)
                continue
            steps.append(Step(STORE, tile, retain=draw(st.booleans())))
            readable.append(tile)
    count = operands + accumulators
    return program(steps, draw(st.lists(sizes, min_size=count, max_size=count)))


UNIFORM = programs(st.just(8))
MIXED = programs(st.sampled_from([1, 4, 8, 12, 32]))
KEPT = programs(st.just(8), kept=True)
KEPT_MIXED = programs(st.sampled_from([1, 4, 8, 12, 32]), kept=True)


def replay(p: Program, made: Plan, config: SRAMConfig) -> None:
    """Every step happens once, in order, and finds its tiles whole at the plan's addresses, all within the SRAM."""
    content: dict[int, tuple[int, int]] = {}
    version = [0] * len(p.sizes)
    off_chip = [0] * len(p.sizes)  # the version of the copy that is off chip; at first of operands only
    results = {step.tile for step in p.steps if step.kind == EXEC}
    spilled: set[int] = set()

    def write(tile: int, address: int) -> None:
        assert address % config.alignment == 0
        assert 0 <= address <= config.total_bytes - p.sizes[tile]
        content.update((address + k, (tile, version[tile])) for k in range(p.sizes[tile]))

    def read(tile: int, address: int) -> None:
        assert {content.get(address + k) for k in range(p.sizes[tile])} == {(tile, version[tile])}

    done = -1
    for event in made.events:
        step = p.steps[event.step]
        if event.kind == SPILL:
            assert event.step > done
            assert off_chip[event.tile] < version[event.tile]  # what is off chip already need not be spilled
            read(event.tile, event.addresses[0])
            off_chip[event.tile] = version[event.tile]
            spilled.add(event.tile)
            continue
        if event.is_load:
            assert event.step > done
            assert event.tile not in results or off_chip[event.tile] == version[event.tile] > 0
            spilled.discard(event.tile)
            write(event.tile, event.addresses[0])
            continue
        assert all(skipped.kind == LOAD for skipped in p.steps[done + 1 : event.step])
        done = event.step
        for tile, address in zip(step.sources, event.addresses[1:], strict=True):
            read(tile, address)
        if step.kind == STORE or step.accumulate:
            read(step.tile, event.addresses[0])
        if step.kind == STORE:
            off_chip[step.tile] = version[step.tile]
        if step.kind == EXEC:
            version[step.tile] += 1
            write(step.tile, event.addresses[0])
    assert all(skipped.kind == LOAD for skipped in p.steps[done + 1 :])
    assert not spilled  # each is loaded again
    for tile in results:
        stores = [step.kind == STORE for step in p.steps if step.tile == tile]
        assert not any(stores) or off_chip[tile] == version[tile]


# --- liveness ---


def test_next_uses_of_an_example() -> None:
    steps = [
        Step(LOAD, 0),
        Step(EXEC, 2, (0, 1)),
        Step(EXEC, 2, (1,), accumulate=True),
        Step(STORE, 2),
        Step(EXEC, 3, (2,)),
        Step(EXEC, 3, (3,)),
        Step(STORE, 3),
        Step(EXEC, 3, (0,)),
    ]
    assert next_uses(program(steps, [4] * 4)) == [
        (1,),
        (2, 7, 2),
        (3, NEVER),
        (4,),
        (5, NEVER),
        (6, 6),
        (NEVER,),
        (NEVER, NEVER),
    ]


def naive_next_use(p: Program, after: int, tile: int) -> int:
    for i, step in enumerate(p.steps[after + 1 :], after + 1):
        if step.kind == LOAD:
            continue
        if tile in step.sources or (tile == step.tile and (step.kind == STORE or step.accumulate)):
            return i
        if tile == step.tile:
            return NEVER
    return NEVER


@given(UNIFORM)
def test_next_uses_match_a_forward_search(p: Program) -> None:
    for i, (step, uses) in enumerate(zip(p.steps, next_uses(p), strict=True)):
        tiles = (step.tile, *step.sources) if step.kind == EXEC else (step.tile,)
        assert uses == tuple(naive_next_use(p, i, tile) for tile in tiles)


def test_accumulator_residencies_of_an_example() -> None:
    steps = [
        Step(EXEC, 1, (0,)),
        Step(EXEC, 2, (0,)),
        Step(EXEC, 1, (0,), accumulate=True),
        Step(EXEC, 3, (2,)),  # tile 2 is only read from its first exec on
        Step(STORE, 1, retain=True),
        Step(EXEC, 3, (3,)),  # in place: it was finished, and is started again
        Step(EXEC, 3, (1,)),  # overwritten: a new one
        Step(STORE, 3),
    ]
    assert accumulator_residencies(program(steps, [4] * 4)) == [(0, 5, 1), (1, 2, 2), (3, 4, 3), (5, 6, 3), (6, 8, 3)]


@given(UNIFORM)
def test_accumulator_residencies_run_from_the_first_exec_to_the_store(p: Program) -> None:
    starts = {i: step.tile for i, step in enumerate(p.steps) if step.kind == EXEC and not step.accumulate}
    ends = {step.tile: i for i, step in enumerate(p.steps) if step.kind == STORE}
    assert accumulator_residencies(p) == [(i, ends[tile] + 1, tile) for i, tile in starts.items()]


# --- eviction ---

CALLS = st.lists(
    st.tuples(
        st.integers(0, 7), st.integers(0, 30), st.sampled_from([1, 2]),
        st.sampled_from(["use", "use", "drop", "victim"]),
    )
)  # fmt: skip


def request(protected: Collection[int]) -> Request:
    return Request(8, 0, protected, VirtualSRAMArena(SRAMConfig(64, 4)))


class Naive:
    """The evictable tiles with next use, address, time of last use and transfers, searched from end to end."""

    def __init__(self, name: str):
        self.name = name
        self.tiles: dict[int, tuple[int, int, int, int]] = {}

    def victim(self, protected: set[int]) -> int | None:
        def rank(tile: int) -> tuple[float, int, int]:
            next_use, address, used, transfers = self.tiles[tile]
            if self.name == "cost":
                return (-next_use / transfers, transfers, address)
            return (-next_use, 0, address) if self.name == "min" else (used, 0, 0)

        free = [tile for tile in self.tiles if tile not in protected]
        return min(free, key=rank, default=None)


@pytest.mark.parametrize("name", ["lru", "min", "cost"])
@given(CALLS, st.sets(st.integers(0, 7), max_size=3))
def test_eviction_matches_a_search(name: str, calls: list[tuple[int, int, int, str]], protected: set[int]) -> None:
    policy, naive = make_eviction(name), Naive(name)
    for time, (tile, next_use, transfers, call) in enumerate(calls):
        if call == "use":  # a tile stays where it is as long as it is evictable
            address = naive.tiles[tile][1] if tile in naive.tiles else 16 * ((tile * 5 + time) % 8) + tile
            policy.use(tile, next_use, address, transfers)
            naive.tiles[tile] = (next_use, address, time, transfers)
        elif call == "drop":
            policy.drop(tile)
            naive.tiles.pop(tile, None)
        else:
            expected = naive.victim(protected)
            assert policy.victims(request(protected)) == ([] if expected is None else [expected])
            naive.tiles.pop(expected, None)  # type: ignore[arg-type]
        assert sorted(policy.tiles()) == sorted(naive.tiles)


def test_lru_goes_by_use_not_by_allocation() -> None:
    policy = LeastRecentlyUsed()
    for tile in (1, 2, 3, 1):
        policy.use(tile, 9, 0)
    assert [policy.victims(request(())) for _ in range(4)] == [[2], [3], [1], []]


def test_min_breaks_ties_toward_the_lower_address() -> None:
    policy = FarthestNextUse()
    for tile, next_use, address in ((1, 5, 0), (2, 9, 128), (3, 9, 64)):
        policy.use(tile, next_use, address)
    assert [policy.victims(request(kept)) for kept in ({1}, (), ())] == [[3], [2], [1]]


@st.composite
def memories(draw: st.DrawFn) -> tuple[list[tuple[int, int, int]], int]:
    """Blocks in address order, as (address, size, tile), and the capacity."""
    live: list[tuple[int, int, int]] = []
    address = 0
    for tile in range(draw(st.integers(1, 7))):
        address += draw(st.sampled_from([0, 0, 4, 8]))
        size = draw(st.sampled_from([4, 8, 12, 32]))
        live.append((address, size, tile))
        address += size
    return live, address + draw(st.sampled_from([0, 4, 16]))


@settings(max_examples=300)
@given(
    memories(), st.sampled_from([4, 8, 16, 32, 48]), st.sets(st.integers(0, 6), max_size=3),
    st.lists(st.tuples(st.integers(4, 30), st.sampled_from([1, 2])), min_size=7, max_size=7),
    st.sets(st.integers(0, 6), max_size=2),
)  # fmt: skip
def test_with_mixed_sizes_the_cheapest_stretch_that_is_long_enough_goes(
    memory: tuple[list[tuple[int, int, int]], int], size: int, pinned: set[int],
    uses: list[tuple[int, int]], protected: set[int],
) -> None:  # fmt: skip
    live, capacity = memory
    now = 3
    arena = VirtualSRAMArena(SRAMConfig(capacity, 4))
    policy = CheapestStretch([*(block[1] for block in live), size])
    for address, size_there, tile in live:
        arena.allocate_at(address, size_there, tile)
        if tile not in pinned:
            policy.use(tile, uses[tile][0] + 1, address, 3 - uses[tile][1])
            policy.use(tile, uses[tile][0], address, uses[tile][1])

    def cost(tiles: list[int]) -> float:
        return sum(uses[t][1] * live[t][1] / (uses[t][0] - now + 1) for t in tiles)

    def room(tiles: list[int]) -> int:
        start = sum(live[tiles[0] - 1][:2]) if tiles[0] else 0
        return (live[tiles[-1] + 1][0] if tiles[-1] + 1 < len(live) else capacity) - start

    stretches = [list(range(a, b)) for a in range(len(live)) for b in range(a + 1, len(live) + 1)]
    enough = [tiles for tiles in stretches if not {*tiles} & (pinned | protected) and room(tiles) >= size]
    found = policy.victims(Request(size, now, protected, arena))
    assert bool(found) == bool(enough)
    if found:
        assert found in enough
        assert cost(found) == pytest.approx(min(map(cost, enough)))
        assert not {*found} & {*policy.tiles()}
    kept = {tile: (uses[tile][0], uses[tile][1]) for _, _, tile in live if tile not in pinned | protected}
    assert found == swept(live, capacity, kept, size, now)


def swept(
    live: list[tuple[int, int, int]], capacity: int, uses: dict[int, tuple[int, int]], size: int, now: int
) -> list[int]:
    """The cheapest stretch, the first of equal ones, by one sweep over all blocks with a running sum."""
    best: tuple[float, list[int]] | None = None
    first, cost, start = 0, 0.0, 0  # a stretch from byte `start` holds the blocks live[first:i]

    def own(block: tuple[int, int, int]) -> float:
        return uses[block[2]][1] * block[1] / (uses[block[2]][0] - now + 1)

    for i in range(len(live) + 1):
        end = live[i][0] if i < len(live) else capacity
        while end - start >= size and first < i:
            if best is None or cost < best[0]:
                best = cost, [block[2] for block in live[first:i]]
            cost -= own(live[first])
            start = live[first][0] + live[first][1]
            first += 1
        if i < len(live) and live[i][2] in uses:
            cost += own(live[i])
        elif i < len(live):
            first, cost, start = i + 1, 0.0, live[i][0] + live[i][1]
    return best[1] if best else []


# --- capacity ---


def attempt(p: Program, config: SRAMConfig, evict: str) -> Plan | PlanError:
    try:
        return plan(p, config, evict)
    except PlanError as error:
        return error


@settings(max_examples=200)
@given(UNIFORM | KEPT, st.integers(1, 8), st.sampled_from(["lru", "min", "cost"]))
def test_with_one_size_planning_fails_just_where_the_tiles_needed_at_once_do(
    p: Program, tiles: int, evict: str
) -> None:
    config = SRAMConfig(8 * tiles, ALIGNMENT)
    least = least_bytes(p, config)
    made = attempt(p, config, evict)
    if isinstance(made, PlanError):
        assert least > config.total_bytes
        assert (made.needs, made.shortage) == (least, True)
    else:
        assert least <= config.total_bytes
        assert made.arena_peak <= made.high_water <= config.total_bytes
        replay(p, made, config)


@settings(max_examples=200)
@given(MIXED | KEPT_MIXED, st.integers(1, 30), st.sampled_from(["lru", "min", "cost"]), st.sampled_from([1, 4, 16]))
def test_with_mixed_sizes_the_size_in_the_error_is_enough(p: Program, units: int, evict: str, alignment: int) -> None:
    config = SRAMConfig(4 * units + 12, alignment)
    least = least_bytes(p, config)
    made = attempt(p, config, evict)
    if isinstance(made, PlanError):
        assert made.shortage == (least > config.total_bytes)
        assert made.needs >= max(least, config.total_bytes + 1)
        config = SRAMConfig(made.needs, alignment)
        made = plan(p, config, evict)
    assert least <= config.total_bytes
    replay(p, made, config)


@settings(max_examples=50)
@given(KEPT, st.integers(3, 8))
def test_a_finished_tile_is_written_and_read_once_more_where_it_is_spilled(p: Program, tiles: int) -> None:
    """The bytes of a plan are those of its loads, spills and stores."""
    made = attempt(p, SRAMConfig(8 * tiles, ALIGNMENT), "cost")
    assume(isinstance(made, Plan))
    assert isinstance(made, Plan)
    stores = sum(step.kind == STORE for step in p.steps)
    moved = sum(event.kind != RUN for event in made.events)
    assert made.traffic(p) == 8 * (moved + stores)


# --- Belady's MIN against an optimum ---


def fewest_loads(reads: list[tuple[int, ...]], room: int) -> int:
    """Least loads over all choices of what to keep, `room` tiles at a time, by dynamic programming over residents."""
    best = {frozenset[int](): 0}
    for sources in reads:
        after: dict[frozenset[int], int] = {}
        for residents, loads in best.items():
            loads += len(set(sources) - residents)
            others = residents - set(sources)
            for count in range(min(len(others), room - len(sources)) + 1):
                for kept in combinations(sorted(others), count):
                    state = frozenset((*sources, *kept))
                    after[state] = min(loads, after.get(state, loads))
        best = after
    return min(best.values())


READS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True).map(tuple), min_size=1, max_size=14)


@settings(max_examples=300)
@given(READS, st.integers(3, 5), st.sampled_from([1, 2, 4]))
def test_min_loads_no_more_than_an_optimal_choice(reads: list[tuple[int, ...]], tiles: int, run: int) -> None:
    """Each accumulator sums up `run` execs; what it takes is one tile of the SRAM during every exec."""
    assume(len({s for sources in reads for s in sources}) > 2)
    steps: list[Step] = []
    for i, sources in enumerate(reads):
        steps.append(Step(EXEC, 6 + i // run, sources, accumulate=i % run > 0, product=True))
        if i % run == run - 1 or i == len(reads) - 1:
            steps.append(Step(STORE, 6 + i // run))
    p = program(steps, [8] * (6 + len(reads)))
    config = SRAMConfig(8 * tiles, ALIGNMENT)
    made = plan(p, config, "min")
    replay(p, made, config)
    assert sum(event.is_load for event in made.events) == fewest_loads(reads, tiles - 1)
