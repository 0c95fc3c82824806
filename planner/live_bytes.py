"""How many bytes are live while nodes of a graph are computed in some order, and the order in which the fewest are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Dataflow:
    """A graph of values. `reads[i]` has the operands of node i in order: a number from 0 is the node that makes it, ~a
    is argument a. `sizes` are the bytes of the nodes' results, `arguments` those of the arguments. `returned` has the
    nodes that are results, in order; `products` are those that are computed together with others that read their first
    operand. Of `batches`, nodes with equal ones that read each other are computed one batch after the other; () for
    nodes that have none."""

    reads: Sequence[Sequence[int]]
    sizes: Sequence[int]
    arguments: Sequence[int]
    returned: Sequence[int]
    products: Collection[int] = ()
    batches: Sequence[tuple[int, ...]] = ()

    def readers(self) -> dict[int, list[int]]:
        """The nodes that read a value, each once and in order, by the value's number."""
        readers: dict[int, list[int]] = {}
        for node, sources in enumerate(self.reads):
            for source in dict.fromkeys(sources):
                readers.setdefault(source, []).append(node)
        return readers


class Live(NamedTuple):
    """What is live once some nodes have been computed: bytes of results, and of arguments that are to be read again."""

    results: int
    arguments: int


NOTHING = Live(0, 0)


class Cost(NamedTuple):
    """Of an order: the most bytes that are live at once, the bytes of results that the next node doesn't read, and the
    bytes live summed over its nodes; but for what is live all the time, whatever the order."""

    peak: int
    apart: int
    total: int


@dataclass(slots=True)
class _Value:
    """A value of a part: its size, the nodes of the part behind all of which it is live no more (a set; -1: later nodes
    read it too), and, for an argument that no node before has read, those the first of which it is live from."""

    size: int
    last: int
    first: int = 0


@dataclass(slots=True)
class Part:
    """Some nodes, all of whose operands from outside are there. A set of them is a number, with bit i for `nodes[i]`.

    `states`: how many sets have been looked at so far."""

    nodes: list[int]
    needs: list[int] = field(default_factory=list[int])
    sizes: list[int] = field(default_factory=list[int])
    results: list[list[_Value]] = field(default_factory=list[list[_Value]])
    arguments: list[list[_Value]] = field(default_factory=list[list[_Value]])
    given: Live = NOTHING
    states: int = 0

    def cost(self, order: Sequence[int]) -> Cost:
        """What an order of the nodes costs."""
        bits = {node: i for i, node in enumerate(self.nodes)}
        done, live, peak, total = 0, self.given, 0, 0
        for node in order:
            during = self.during(bits[node], done, live)
            done |= 1 << bits[node]
            live = self.after(bits[node], done, during)
            peak, total = max(peak, during.results), total + during.results + during.arguments
        near = sum(
            [self.sizes[bits[one]] for one, other in pairwise(order) if self.needs[bits[other]] >> bits[one] & 1]
        )
        return Cost(peak, sum(self.sizes) - near, total)

    def is_legal(self, order: Sequence[int]) -> bool:
        """Whether each of the nodes comes behind its operands."""
        bits = {node: i for i, node in enumerate(self.nodes)}
        done = 0
        for node in order:
            if self.needs[bits[node]] & ~done:
                return False
            done |= 1 << bits[node]
        return True

    def during(self, i: int, done: int, live: Live) -> Live:
        """What is live while node i is computed after those that are done, behind which `live` is."""
        begun = sum([value.size for value in self.arguments[i] if value.first and not value.first & done])
        return Live(live.results + self.sizes[i], live.arguments + begun)

    def after(self, i: int, done: int, during: Live) -> Live:
        """What is live behind node i, which is among those that are done."""
        ended = sum([value.size for value in self.results[i] if not value.last & ~done])
        closed = sum([value.size for value in self.arguments[i] if not value.last & ~done])
        return Live(during.results - ended, during.arguments - closed)

    def best(self, most: int) -> list[int] | None:
        """The order with the least peak, and of those the least total; None if more than `most` sets would have to be
        looked at for the one or for the other."""
        found = self._search(most, None)
        if found is None:
            return None
        return self._search(most, self.cost(found).peak)

    def _search(self, most: int, limit: int | None) -> list[int] | None:
        """The order with the least peak; with a limit for the peak, that with the least total."""
        level: dict[int, tuple[int, Live]] = {0: (0, self.given)}
        came: dict[int, int] = {}
        while len(level) <= most:
            if (1 << len(self.nodes)) - 1 in level:
                return self._trace(came)
            level = self._next(level, came, limit, most)
            self.states += len(level)
            most -= len(level)
        return None

    def _next(
        self, level: dict[int, tuple[int, Live]], came: dict[int, int], limit: int | None, most: int
    ) -> dict[int, tuple[int, Live]]:
        """The sets with one node more than those of a level, each with its least cost and what is live behind it. Ends
        early with more than `most`. `came` gets the node that each ends with."""
        upper: dict[int, tuple[int, Live]] = {}
        for done, (cost, live) in level.items():
            if len(upper) > most:
                break
            for i, needed in enumerate(self.needs):
                if done >> i & 1 or needed & ~done:
                    continue
                during = self.during(i, done, live)
                if limit is not None and during.results > limit:
                    continue
                now = max(cost, during.results) if limit is None else cost + during.results + during.arguments
                made = done | 1 << i
                if made not in upper or now < upper[made][0]:
                    upper[made] = now, upper[made][1] if made in upper else self.after(i, made, during)
                    came[made] = i
        return upper

    def _trace(self, came: dict[int, int]) -> list[int]:
        """The order that ends with all nodes, by the node that has come last in each set."""
        done = (1 << len(self.nodes)) - 1
        order: list[int] = []
        while done:
            i = came[done]
            order.append(self.nodes[i])
            done ^= 1 << i
        return order[::-1]


def part_of(flow: Dataflow, readers: dict[int, list[int]], nodes: Sequence[int], read: Callable[[int], int]) -> Part:
    """The nodes as a part of a graph, behind those that are done; `read` says how many of the nodes done read a value.

    Takes time by the operands of the nodes alone, however many others read these."""
    part = Part(sorted(nodes))
    bits = {node: 1 << i for i, node in enumerate(part.nodes)}
    inside: dict[int, int] = {}
    for node in part.nodes:
        for source in dict.fromkeys(flow.reads[node]):
            inside[source] = inside.get(source, 0) | bits[node]
    values: dict[int, _Value] = {}
    for node in part.nodes:
        sources = dict.fromkeys(flow.reads[node])
        part.needs.append(sum(bits[source] for source in sources if source in bits))
        part.sizes.append(flow.sizes[node])
        for value in (*sources, node):
            if value not in values:
                begun, count = read(value), len(readers.get(value, ()))
                values[value] = _value(flow, value, inside.get(value, 0), bits.get(value, 0), begun, count)
        part.results.append([values[value] for value in (*sources, node) if value >= 0])
        part.arguments.append([values[value] for value in sources if value < 0])
    outside = [value for value in values if value not in bits]
    part.given = Live(
        sum(values[value].size for value in outside if value >= 0),
        sum(values[value].size for value in outside if value < 0 and not values[value].first),
    )
    return part


def _value(flow: Dataflow, value: int, inside: int, own: int, begun: int, count: int) -> _Value:
    """A value of a part: `inside` are its readers there and `own` the node that makes it, both as sets; `begun` of its
    `count` readers are done."""
    stays = begun + inside.bit_count() < count
    last = -1 if stays else inside | own
    if value >= 0:
        return _Value(flow.sizes[value], last)
    return _Value(flow.arguments[~value], last, 0 if begun else inside)
