"""A topological order of a graph in which few bytes are live at once, and none for longer than needed.

It depends on the graph alone, not on how its nodes are numbered: they are numbered anew, depth first from what is
returned, and every choice goes by those numbers. Nodes that all others come before or after cut the graph into parts
that don't depend on each other; the best order of a small part is found exactly, by dynamic programming over the sets
of nodes that can come first (Ahn et al., 2020, "Ordering Chaos: Memory-Aware Scheduling of Irregularly Wired Neural
Networks for Edge Devices"). A large part takes the best of three orders, depth first in two ways (Sethi and Ullman,
1970, "The Generation of Optimal Code for Arithmetic Expressions") and by list scheduling, improved a few nodes at a
time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from .live_bytes import Dataflow, Part, part_of

MOST_STATES, MOST_NODES = 4096, 64
"""Sets of nodes that the exact search of a part may look at (all those of twelve independent nodes), and its nodes."""

STATES, STATES_BY_NODE = 20_000, 50
"""Sets that all searches of a graph may look at: so many, and so many more for each of its nodes."""

WINDOW = 8
"""Neighbours whose order is improved together in a part that is too large for the exact search."""

SOON = 4
"""How many places a product may be moved to stand beside one with the same left operand."""


def linearize(flow: Dataflow, names: Sequence[str]) -> list[int]:
    """All nodes in an order that keeps few bytes live: at most at once, first of all, then between a node and its
    reader, then summed over the nodes (`live_bytes.Cost`). What is returned is live until its last reader; an argument,
    from its first reader to its last, counts for the sum only.

    What nothing returned needs comes last; `names`, one for each node, tell such nodes apart.
    """
    live = depth_first(flow.reads, flow.returned)
    order = [live[i] for i in _least_live(_renumbered(flow, live))]
    order = batch_by_batch(flow, order)
    read = {source for sources in flow.reads for source in sources}
    unread = sorted((i for i in range(len(flow.reads)) if i not in read), key=lambda i: names[i])
    return order + depth_first(flow.reads, unread, order)


def batch_by_batch(flow: Dataflow, order: Sequence[int]) -> list[int]:
    """The order in which what nodes of equal batches don't need is computed before the first of them, or behind the
    last: then a batch can go through all of them at once, and few bytes of them are live."""
    found = list(order)
    if not any(flow.batches):
        return found
    place = {node: i for i, node in enumerate(order)}
    readers = flow.readers()
    for start, first in enumerate(order):
        if not flow.batches[first] or found[start] != first:
            continue
        inside, end, latest = {first}, start + 1, start
        at = start
        while at <= latest:
            node = order[at]
            if node in inside or (flow.batches[node] == flow.batches[first] and inside.intersection(flow.reads[node])):
                inside.add(node)
                end = at + 1
                latest = max([latest, *[place[reader] for reader in readers.get(node, ()) if reader in place]])
            at += 1
        behind = set(inside)
        for node in order[start:end]:
            if behind.intersection(flow.reads[node]):
                behind.add(node)
        found[start:end] = sorted(order[start:end], key=lambda node: node in behind)
    return found


def depth_first(reads: Sequence[Sequence[int]], roots: Iterable[int], done: Iterable[int] = ()) -> list[int]:
    """What the roots need, each node behind its operands, but for what is done."""
    seen = set(done)
    order: list[int] = []
    for root in roots:
        stack = [(root, 0)] * (root not in seen)
        seen.add(root)
        while stack:
            node, at = stack.pop()
            sources = reads[node]
            while at < len(sources) and (sources[at] < 0 or sources[at] in seen):
                at += 1
            if at == len(sources):
                order.append(node)
                continue
            seen.add(sources[at])
            stack += [(node, at + 1), (sources[at], 0)]
    return order


def _renumbered(flow: Dataflow, live: Sequence[int]) -> Dataflow:
    """The nodes of a list alone, each with its place there as its number."""
    number = {node: i for i, node in enumerate(live)}
    reads = [[source if source < 0 else number[source] for source in flow.reads[node]] for node in live]
    sizes = [flow.sizes[node] for node in live]
    products = {number[node] for node in flow.products if node in number}
    return Dataflow(reads, sizes, flow.arguments, [number[node] for node in flow.returned], products)


def _least_live(flow: Dataflow) -> list[int]:
    """The order of a graph whose nodes' numbers are a topological order."""
    readers = flow.readers()
    orders = [list(range(len(flow.reads))), _by_need(flow), _by_growth(flow, readers)]
    ordering = _Ordering(flow, readers, STATES + STATES_BY_NODE * len(flow.reads))
    start = 0
    for cut in cuts(flow, readers):
        ordering.add([order[start : cut + 1] for order in orders])
        start = cut + 1
    ordering.add([order[start:] for order in orders])
    return ordering.order


def cuts(flow: Dataflow, readers: dict[int, list[int]]) -> list[int]:
    """The nodes that every other one comes before or after in any order; numbers are a topological order.

    All before node i lead to it if each has a reader up to i: that one does too, or is i. So for what comes after."""
    count = len(flow.reads)
    reached = [True] * count
    latest = count
    for node in range(count - 1, -1, -1):
        reached[node] = latest >= node
        latest = min(latest, max(flow.reads[node], default=-1))
    found: list[int] = []
    waiting = -1
    for node in range(count):
        if waiting <= node and reached[node]:
            found.append(node)
        waiting = max(waiting, readers[node][0] if node in readers else count)
    return found


# Whole orders


def _by_need(flow: Dataflow) -> list[int]:
    """Depth first, the operand first that needs most beyond its own size (Sethi and Ullman): best for trees."""
    need: list[int] = []
    ordered: list[list[int]] = []
    for node, sources in enumerate(flow.reads):
        made = [source for source in dict.fromkeys(sources) if source >= 0]
        made.sort(key=lambda source: flow.sizes[source] - need[source])
        held = most = 0
        for source in made:
            most = max(most, held + need[source])
            held += flow.sizes[source]
        need.append(max(most, held + flow.sizes[node]))
        ordered.append(made)
    return depth_first(ordered, flow.returned)


def _by_growth(flow: Dataflow, readers: dict[int, list[int]]) -> list[int]:
    """List scheduling: next comes what leaves the fewest bytes more, of those what goes on with the latest result."""
    left = {value: len(nodes) for value, nodes in readers.items()}
    sources = [[source for source in dict.fromkeys(read) if source >= 0] for read in flow.reads]
    waits = [len(made) for made in sources]
    place = [-1] * len(flow.reads)
    known: dict[int, tuple[int, int, int]] = {}
    heap: list[tuple[int, int, int]] = []
    order: list[int] = []

    def push(node: int) -> None:
        freed = sum(flow.sizes[source] for source in sources[node] if left[source] == 1)
        growth = flow.sizes[node] * (node in readers) - freed
        known[node] = growth, -max([place[source] for source in sources[node]], default=-1), node
        heappush(heap, known[node])

    for node, count in enumerate(waits):
        if not count:
            push(node)
    while heap:
        key = heappop(heap)
        node = key[2]
        if place[node] >= 0 or key != known[node]:
            continue
        place[node] = len(order)
        order.append(node)
        for source in sources[node]:
            left[source] -= 1
            last = [i for i in readers[source] if place[i] < 0 and not waits[i]] if left[source] == 1 else ()
            for reader in last:
                push(reader)
        for reader in readers.get(node, ()):
            waits[reader] -= 1
            if not waits[reader]:
                push(reader)
    return order


# Parts


class _Ordering:
    """An order that grows part by part; what it holds is done. `left`: sets that may still be looked at; `read`: how
    many of the nodes done read a value."""

    def __init__(self, flow: Dataflow, readers: dict[int, list[int]], left: int):
        self.flow = flow
        self.readers = readers
        self.left = left
        self.order: list[int] = []
        self.read: Counter[int] = Counter()

    def add(self, orders: Sequence[list[int]]) -> None:
        """The nodes of one part in the best order found, of which some are given."""
        part = self.part(orders[0])
        order = min(orders, key=part.cost)
        if len(order) > 2:
            exact = part.best(self.most_states()) if len(order) <= MOST_NODES else None
            self.left -= part.states
            if exact is None:
                order = self.by_windows(order)
            elif part.cost(exact) < part.cost(order):
                order = exact
            order = self.beside_siblings(order)
        self.take(order)

    def part(self, nodes: Sequence[int]) -> Part:
        """The nodes as a part of the graph whose nodes before are done."""
        return part_of(self.flow, self.readers, nodes, self.read.__getitem__)

    def count(self, nodes: Iterable[int], by: int = 1) -> None:
        """Takes nodes for done, or (-1) for not done any more."""
        for node in nodes:
            for source in dict.fromkeys(self.flow.reads[node]):
                self.read[source] += by

    def most_states(self) -> int:
        """How many sets the next search may look at."""
        return max(min(MOST_STATES, self.left), 0)

    def take(self, order: Sequence[int]) -> None:
        """Appends the nodes."""
        self.order += order
        self.count(order)

    def by_windows(self, order: list[int]) -> list[int]:
        """A few neighbours after the other in their best order."""
        order = list(order)
        for start in range(0, len(order), WINDOW // 2):
            window = order[start : start + WINDOW]
            part = self.part(window)
            best = part.best(self.most_states())
            self.left -= part.states
            if best is not None and part.cost(best) < part.cost(window):
                order[start : start + WINDOW] = best
            self.count(order[start : start + WINDOW // 2])
        self.count(order, -1)
        return order

    def beside_siblings(self, order: list[int]) -> list[int]:
        """Products that come soon after one with the same left operand are put right behind it, where that makes no
        more bytes live at once."""
        order = list(order)
        for i, node in enumerate(order):
            for j in range(i + 2, min(i + 1 + SOON, len(order))):
                if not self.are_siblings(node, order[j]) or self.are_siblings(node, order[i + 1]):
                    continue
                moved = [node, order[j], *order[i + 1 : j]]
                part = self.part(moved)
                if part.is_legal(moved) and part.cost(moved)[0] <= part.cost(order[i : j + 1])[0]:
                    order[i : j + 1] = moved
            self.count([node])
        self.count(order, -1)
        return order

    def are_siblings(self, one: int, other: int) -> bool:
        """Whether two nodes are products with the same left operand."""
        products, reads = self.flow.products, self.flow.reads
        return one in products and other in products and reads[one][0] == reads[other][0]
