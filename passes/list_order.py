"""Orders of execs for programs without the structure of loop nests: list scheduling, then local search. A pure solver.

List scheduling takes next what needs the fewest bytes that are not on chip, with a bounded number of sums open at once
(several bounds are tried). Local search moves execs and whole chains, with a fixed seed and a budget of steps.
"""

from __future__ import annotations

import random
from collections import OrderedDict

from .arena import SRAMConfig
from .chains import NONE, Chains, Progress

LIST_EXECS = 20_000
"""Most execs of a program that list scheduling is tried on."""

SEARCH_STEPS = 80_000
"""Steps that local search may plan in all."""

SEED = 2024


def improve_order(chains: Chains, order: list[int], cost: int, config: SRAMConfig) -> tuple[list[int], int]:
    """An order that moves fewer bytes, with what it moves; the one given if none was found."""
    if len(order) <= LIST_EXECS:
        tiles = max(1, config.total_bytes // max(chains.program.sizes))
        for open_sums in sorted({1, 2, 3, 4, 6, 8, tiles // 2, tiles * 3 // 4, tiles - 3} & set(range(1, tiles + 1))):
            listed = _List(chains, config.total_bytes, open_sums).run()
            tried = chains.cost(listed, config, cost)
            if tried is not None and tried < cost:
                order, cost = listed, tried
    return _search(chains, order, cost, config)


class _List:
    """List scheduling on an SRAM of so many bytes, kept as least recently used."""

    def __init__(self, chains: Chains, capacity: int, open_sums: int):
        self.chains = chains
        self.sizes = chains.program.sizes
        self.progress = Progress(chains)
        self.capacity = capacity
        self.open_sums = open_sums
        self.resident: OrderedDict[int, None] = OrderedDict()
        self.held = 0
        self.readers: dict[int, dict[int, None]] = {}
        self.waiting = dict.fromkeys(chains.execs)
        for i in self.waiting:
            for tile in {*chains.program.steps[i].sources, chains.program.steps[i].tile}:
                self.readers.setdefault(tile, {})[i] = None
        self.open: set[int] = set()

    def run(self) -> list[int]:
        order: list[int] = []
        while self.waiting:
            i = self.pick()
            self.progress.exec(i)
            self.took(i)
            order.append(i)
        return order

    def pick(self) -> int:
        """The ready exec that lacks the fewest bytes; opening a sum counts as its tile, a full house forbids it."""
        near = dict.fromkeys(i for tile in self.resident for i in self.readers.get(tile, ()))
        best = self.best(near, self.open_sums) or self.best(self.waiting, self.open_sums)
        return best if best is not None else next(i for i in self.waiting if self.progress.ready(i))

    def best(self, candidates: dict[int, None], open_sums: int) -> int | None:
        found: tuple[int, int] | None = None
        for i in candidates:
            opens = not self.progress.begun[self.chains.chain_of[i]]
            if opens and len(self.open) >= open_sums:
                continue
            lacks = sum(self.sizes[s] for s in self.chains.program.steps[i].sources if s not in self.resident)
            if (found is None or (lacks, i) < found) and self.progress.ready(i):
                found = lacks, i
        return found[1] if found else None

    def took(self, i: int) -> None:
        del self.waiting[i]
        step, number = self.chains.program.steps[i], self.chains.chain_of[i]
        for tile in {*step.sources, step.tile}:
            del self.readers[tile][i]
            if not self.readers[tile]:
                del self.readers[tile]
        (self.open.add if self.progress.left[number] else self.open.discard)(number)
        for tile in (*step.sources, step.tile):
            if tile not in self.resident:
                self.held += self.sizes[tile]
            self.resident[tile] = None
            self.resident.move_to_end(tile)
        for tile in [t for t in self.resident if t not in self.readers]:
            self.drop(tile)
        while self.held > self.capacity:
            self.drop(next(iter(self.resident)))

    def drop(self, tile: int) -> None:
        del self.resident[tile]
        self.held -= self.sizes[tile]


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
