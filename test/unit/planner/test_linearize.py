"""The order of a graph's nodes: the fewest bytes live, by brute force, whatever the nodes' numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.planner.linearize import cuts, linearize
from tilewright.planner.live_bytes import Cost, Dataflow, part_of


def names_of(flow: Dataflow) -> list[str]:
    return [f"n{i}" for i in range(len(flow.reads))]


@st.composite
def graphs(draw: st.DrawFn, most: int = 8, live: bool = False) -> Dataflow:
    """Nodes of up to three operands; `live`: every one leads to a result. The numbers are a topological order."""
    count = draw(st.integers(1, most))
    arguments = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    reads = [
        draw(st.lists(st.integers(-len(arguments), i - 1), min_size=1, max_size=3, unique=draw(st.booleans())))
        if i + len(arguments) >= 3
        else [-1]
        for i in range(count)
    ]
    read = {source for sources in reads for source in sources}
    returned = [i for i in range(count) if (live and i not in read) or draw(st.booleans())]
    sizes = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    products = draw(st.sets(st.integers(0, count - 1)))
    return Dataflow(reads, sizes, arguments, draw(st.permutations(returned)), products)


def renumbered(flow: Dataflow, place: Sequence[int]) -> Dataflow:
    """The graph with node i as number `place[i]`."""
    given = [place.index(i) for i in range(len(place))]
    reads = [[s if s < 0 else place[s] for s in flow.reads[i]] for i in given]
    sizes = [flow.sizes[i] for i in given]
    return Dataflow(reads, sizes, flow.arguments, [place[i] for i in flow.returned], {place[i] for i in flow.products})


def orders(flow: Dataflow, begun: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All topological orders."""
    if len(begun) == len(flow.reads):
        yield begun
    for i, sources in enumerate(flow.reads):
        if i not in begun and all(s < 0 or s in begun for s in sources):
            yield from orders(flow, (*begun, i))


def cost(flow: Dataflow, order: Sequence[int]) -> Cost:
    """By the definition: at each node what has been made and will be read, and what is being read and made."""
    place = {node: i for i, node in enumerate(order)}
    readers = {value: [place[i] for i in nodes] for value, nodes in flow.readers().items()}
    peak = total = 0
    for at, _ in enumerate(order):
        results = sum(
            size for i, size in enumerate(flow.sizes) if place[i] <= at <= max([place[i], *readers.get(i, [])])
        )
        arguments = sum(
            size
            for a, size in enumerate(flow.arguments)
            if ~a in readers and min(readers[~a]) <= at <= max(readers[~a])
        )
        peak, total = max(peak, results), total + results + arguments
    apart = sum(flow.sizes[one] for one, other in pairwise([*order, -1]) if other < 0 or one not in flow.reads[other])
    return Cost(peak, apart, total)


@given(graphs(most=7))
def test_a_part_finds_the_least_peak_and_of_those_the_least_sum(flow: Dataflow) -> None:
    part = part_of(flow, flow.readers(), range(len(flow.reads)), lambda value: 0)
    best = part.best(1 << 7)
    assert best is not None
    assert part.is_legal(best)
    assert part.cost(best) == cost(flow, best)
    costs = [cost(flow, order) for order in orders(flow)]
    assert (part.cost(best).peak, part.cost(best).total) == min((cost.peak, cost.total) for cost in costs)
    assert part.best(1) is None or len(flow.reads) == 1


@given(graphs(most=7, live=True))
def test_the_peak_is_the_least_that_any_order_has(flow: Dataflow) -> None:
    """Siblings side by side, and parts by themselves, cost no peak."""
    order = linearize(flow, names_of(flow))
    assert cost(flow, order).peak == min(cost(flow, other).peak for other in orders(flow))


@given(graphs(most=12), st.randoms(use_true_random=False))
def test_the_numbers_of_the_nodes_make_no_difference(flow: Dataflow, generator: random.Random) -> None:
    place = list(range(len(flow.reads)))
    generator.shuffle(place)
    names = [names_of(flow)[place.index(i)] for i in range(len(place))]
    other = linearize(renumbered(flow, place), names)
    assert [place.index(i) for i in other] == linearize(flow, names_of(flow))


@given(graphs(most=12))
def test_it_is_a_topological_order_with_what_nobody_needs_at_its_end(flow: Dataflow) -> None:
    order = linearize(flow, names_of(flow))
    place = {node: i for i, node in enumerate(order)}
    assert sorted(order) == list(range(len(flow.reads)))
    assert all(place[s] < place[i] for i, sources in enumerate(flow.reads) for s in sources if s >= 0)
    needed: set[int] = set()
    for i in reversed(range(len(flow.reads))):
        if i in flow.returned or any(i in flow.reads[j] for j in needed):
            needed.add(i)
    assert set(order[: len(needed)]) == needed


@given(graphs(most=7, live=True))
def test_a_cut_comes_at_one_place_in_every_order(flow: Dataflow) -> None:
    found = cuts(flow, flow.readers())
    places: dict[int, set[int]] = {}
    for order in orders(flow):
        for at, node in enumerate(order):
            places.setdefault(node, set()).add(at)
    assert found == [node for node, at in sorted(places.items()) if len(at) == 1 and is_comparable(flow, node)]


def is_comparable(flow: Dataflow, node: int) -> bool:
    """Whether a path leads between a node and each other one."""

    def before(i: int) -> set[int]:
        return {j for s in flow.reads[i] if s >= 0 for j in {s, *before(s)}}

    return all(i == node or i in before(node) or node in before(i) for i in range(len(flow.reads)))


def branches(count: int) -> Dataflow:
    """Independent pairs of nodes, the first of each large, the second small; all of the small ones are added up."""
    reads = [[i - 1] if i % 2 else [-1] for i in range(2 * count)]
    reads += [[2 * i + 1, 2 * count + i - 2 if i > 1 else 1] for i in range(1, count)]
    return Dataflow(reads, [8, 1] * count + [1] * (count - 1), [1], [len(reads) - 1])


@pytest.mark.parametrize("count", [2, 4, 200])
def test_large_graphs_go_branch_by_branch(count: int) -> None:
    """Breadth first, all the large values would be live at once."""
    flow = branches(count)
    assert cost(flow, linearize(flow, names_of(flow))).peak == 8 + 1 + (count > 1)


def test_nodes_beyond_counting() -> None:
    """Independent nodes have 2^n sets that can come first: only so many are looked at."""
    count = 1000
    flow = Dataflow([[-1]] * count + [[*range(count)]], [1] * (count + 1), [1], [count])
    assert len(linearize(flow, names_of(flow))) == count + 1


def seconds_of_chain(count: int) -> float:
    """The least CPU time of three runs on a chain whose nodes all read one argument."""
    flow = Dataflow([[-1], *([i, -1] for i in range(count - 1))], [1] * count, [1], [count - 1])
    found: list[float] = []
    for _ in range(3):
        start = process_time()
        assert linearize(flow, names_of(flow)) == [*range(count)]
        found.append(process_time() - start)
    return min(found)


def test_time_grows_with_the_number_of_nodes_however_many_read_one_value() -> None:
    assert seconds_of_chain(8000) < 24 * seconds_of_chain(1000)


SIBLINGS = Dataflow([[-1], [0, -2], [0, -3], [1, 2], [0, -4], [3, 4]], [1] * 6, [1] * 4, [5], {1, 2, 3, 4, 5})
"""Node 0 is read by the products 1, 2 and 4; what 1 and 2 make is multiplied before 4 is needed."""


def test_products_of_one_left_operand_stand_side_by_side_where_that_costs_no_peak() -> None:
    order = linearize(SIBLINGS, names_of(SIBLINGS))
    assert order == [0, 1, 2, 4, 3, 5]
    apart = Dataflow(SIBLINGS.reads, SIBLINGS.sizes, SIBLINGS.arguments, SIBLINGS.returned)
    assert linearize(apart, names_of(apart)) == [0, 1, 2, 3, 4, 5]
    large = Dataflow(SIBLINGS.reads, [1, 1, 1, 1, 3, 1], SIBLINGS.arguments, SIBLINGS.returned, SIBLINGS.products)
    assert linearize(large, names_of(large)) == [0, 1, 2, 3, 4, 5]


def test_a_chain_stays_as_it_is() -> None:
    flow = Dataflow([[-1], [0], [1], [2]], [4, 3, 2, 1], [9], [3])
    assert linearize(flow, names_of(flow)) == [0, 1, 2, 3]
    assert all(b - a == 1 for a, b in pairwise(cuts(flow, flow.readers())))
