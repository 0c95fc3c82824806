"""Orders of execs for programs without the structure of loop nests: list scheduling, then local search.

List scheduling takes next what needs the fewest bytes that are not on chip, with a bounded number of sums open at once
(several bounds are tried). Local search moves execs and whole chains, with a fixed seed and a budget of steps.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from heapq import heapify, heappop, heappush, heapreplace

from .arena import SRAMConfig
from .dependences import NONE, Chains, OrderState, Prerequisite

Key = tuple[bool, int, int]

LIST_EXECS = 20_000
"""Most execs of a program that list scheduling is tried on."""

SEARCH_STEPS = 80_000
"""Steps that local search may plan in all."""

SEED = 2024


def improve_order(chains: Chains, order: list[int], cost: int, config: SRAMConfig) -> tuple[list[int], int]:
    """An order (of the numbers of steps) that moves fewer bytes than `cost`, with what it moves; the one given if none
    was found. Deterministic: the seed is fixed, the effort bounded by `SEARCH_STEPS`."""
    if len(order) <= LIST_EXECS:
        tiles = max(1, config.total_bytes // max(chains.program.sizes))
        for open_sums in sorted({1, 2, 3, 4, 6, 8, tiles // 2, tiles * 3 // 4, tiles - 3} & set(range(1, tiles + 1))):
            listed = _List(chains, config.total_bytes, open_sums).run()
            tried = chains.cost(listed, config, cost)
            if tried is not None and tried < cost:
                order, cost = listed, tried
    return _search(chains, order, cost, config)


class _List:
    """List scheduling on an SRAM of so many bytes, kept as least recently used.

    Waiting execs lie in two heaps, of those that open a sum and of those that go on with one, by `key`. A key that has
    become larger is put right when it comes to the top. Execs that come to the top but have to wait are parked.
    """

    def __init__(self, chains: Chains, capacity: int, open_sums: int):
        self.chains = chains
        self.sizes = chains.program.sizes
        self.state = OrderState(chains)
        self.capacity = capacity
        self.open_sums = open_sums
        self.resident: OrderedDict[int, None] = OrderedDict()
        self.held = 0
        self.readers: dict[int, dict[int, None]] = {}
        self.given = chains.execs[::-1]
        self.waiting = set(self.given)
        self.lacks: dict[int, int] = {}
        self.near = dict.fromkeys(self.waiting, 0)
        for i in chains.execs:
            step = chains.program.steps[i]
            self.lacks[i] = sum(self.sizes[s] for s in step.sources)
            for tile in {*step.sources, step.tile}:
                self.readers.setdefault(tile, {})[i] = None
        self.open: set[int] = set()
        self.opening = [self.key(i) for i in chains.execs]
        self.going: list[Key] = []
        self.parked: dict[Prerequisite, list[int]] = {}
        heapify(self.opening)

    def run(self) -> list[int]:
        """All execs, in the order in which they were picked."""
        order: list[int] = []
        while self.waiting:
            i = self.pick()
            self.state.exec(i)
            self.took(i)
            order.append(i)
        return order

    def key(self, i: int) -> Key:
        """Execs with a tile on chip come first, then those that lack the fewest bytes."""
        return not self.near[i], self.lacks[i], i

    def push(self, i: int) -> None:
        """Enters an exec into the heap that it belongs to."""
        heappush(self.going if self.state.begun[self.chains.chain_of[i]] else self.opening, self.key(i))

    def pick(self) -> int:
        """The ready exec with the least key. A full house forbids to open a sum: if no other exec is ready, it is the
        first one in the given order, which always is."""
        going = self.top(self.going)
        if len(self.open) < self.open_sums:
            opening = self.top(self.opening)
            return min(key for key in (going, opening) if key is not None)[2]
        if going is not None:
            return going[2]
        while self.given[-1] not in self.waiting:
            self.given.pop()
        return self.given[-1]

    def top(self, heap: list[Key]) -> Key | None:
        """The least key of a ready exec in a heap; it stays there."""
        while heap:
            key = heap[0]
            i = key[2]
            if i not in self.waiting or self.state.begun[self.chains.chain_of[i]] != (heap is self.going):
                heappop(heap)
            elif key != self.key(i):
                heapreplace(heap, self.key(i))
            elif (wait := self.state.waits_for(i)) is not None:
                heappop(heap)
                self.parked.setdefault(wait, []).append(i)
            else:
                return key
        return None

    def took(self, i: int) -> None:
        """Books an exec that has been done."""
        self.waiting.discard(i)
        step, number = self.chains.program.steps[i], self.chains.chain_of[i]
        tiles = dict.fromkeys((*step.sources, step.tile))
        for tile in tiles:
            del self.readers[tile][i]
        left = self.state.left[number]
        (self.open.add if left else self.open.discard)(number)
        for tile in tiles:
            self.touch(tile)
        for tile in tiles:
            if not self.readers[tile]:
                self.drop(tile)
        while self.held > self.capacity:
            self.drop(next(iter(self.resident)))
        chain = self.chains.chains[number]
        if left == len(chain.execs) - 1:
            self.wake(("begun", number))
            for other in chain.execs:
                if other in self.waiting:
                    self.push(other)
        if not left:
            self.wake(("complete", number))
        for over in (number, *self.chains.sources[i]):
            self.wake(("over", over))

    def wake(self, wait: Prerequisite) -> None:
        """Enters again what was parked for a prerequisite that is there now."""
        for i in self.parked.pop(wait, ()):
            self.push(i)

    def touch(self, tile: int) -> None:
        """Brings a tile on chip, or makes it the last used one."""
        if tile in self.resident:
            self.resident.move_to_end(tile)
            return
        self.resident[tile] = None
        self.held += self.sizes[tile]
        self.count(tile, 1)
        for i in self.readers[tile]:
            self.push(i)

    def drop(self, tile: int) -> None:
        """A tile is no longer on chip."""
        del self.resident[tile]
        self.held -= self.sizes[tile]
        self.count(tile, -1)

    def count(self, tile: int, change: int) -> None:
        """Tells the execs that read or write a tile that it came (1) or went (-1)."""
        steps = self.chains.program.steps
        for i in self.readers[tile]:
            self.near[i] += change
            if tile in steps[i].sources:
                self.lacks[i] -= change * self.sizes[tile]


def _search(chains: Chains, order: list[int], cost: int, config: SRAMConfig) -> tuple[list[int], int]:
    """Hill climbing: an exec, or all of a chain, moves to another place."""
    generator = random.Random(SEED)
    tries = SEARCH_STEPS // max(1, len(order)) if len(order) > 2 else 0
    for _ in range(tries if tries >= 20 else 0):
        trial = _moved(chains, order, generator)
        tried = chains.cost(trial, config, cost + 1)
        if tried is not None and tried <= cost:
            order, cost = trial, tried
    return order, cost


def _moved(chains: Chains, order: list[int], generator: random.Random) -> list[int]:
    at = generator.randrange(len(order))
    chain = chains.chains[chains.chain_of[order[at]]]
    taken = set(chain.execs) if generator.random() < 0.5 else {order[at]}
    moved = [i for i in order if i in taken]
    if generator.random() < 0.3 and chain.start == NONE:
        moved.reverse()
    rest = [i for i in order if i not in taken]
    reach = max(4, len(order) // 4)
    place = min(max(at + generator.randint(-reach, reach), 0), len(rest))
    return rest[:place] + moved + rest[place:]
