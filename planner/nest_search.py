"""Chooses loop nests that move few bytes: candidates by closed form, judged by the real planner.

Each operation's blocks first, then which are computed together (`nest_groups.py`), then small changes at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .nest_changes import Changes
from .nest_cost import INFEASIBLE, Steps, TrafficModel
from .nests import Nest

BEST = 2
"""How many of what the ways of choosing have found small changes are made to."""

SOON = 0.1
"""The share of the steps that groups of few neighbours may take before all else: often nothing can be better."""

WAYS = 0.7
"""The share of the steps that the ways of choosing may take."""


class Search(Changes):
    """A search over the nests of a function's operations; `run` gives the best ones found, and leaves in `found` what
    else the ways of choosing have led to."""

    def __init__(self, model: TrafficModel, nests: Sequence[Nest]):
        super().__init__(model, nests)
        self.found: list[list[Nest]] = []

    def run(self, known: int = 0, for_variety: bool = False) -> list[Nest]:
        """Never worse than the nests given, as they are scheduled. Where an order that costs `known` is known, no time
        is spent on small changes to worse ones. Unless it is for variety, the search is over when nothing can be
        better."""
        given = list(self.nests)
        self.tell("epilogues")
        self.nests = self.with_epilogues(given)
        self.choose_blocks()
        self.try_ways(known, for_variety)
        return given if self.is_worse(given) else self.nests

    def try_ways(self, known: int, for_variety: bool) -> None:
        """What is computed together is chosen by several ways: what is good for a few operations may bar what is better
        for many. Small changes are made to what all of them find, the best first, as long as there are steps left."""
        limit, enough = self.limit, -1 if for_variety else self.model.enough(0, len(self.nests))
        if not for_variety and self.is_found_soon(enough):
            return
        begun, found = self.nests, [self.nests]
        self.limit = int(WAYS * limit)
        for way in self.ways():
            if self.model.cost(self.nests) <= enough:
                break
            self.nests = begun
            for choose in way:
                choose()
            self.choose_blocks()
            if self.nests not in found:
                found.append(self.nests)
        found.sort(key=self.model.scheduled_cost)
        self.nests, self.found = found[0], found
        self.limit = limit
        changed, least = [found[0]], self.model.scheduled_cost(found[0])
        if (known and least >= known) or least <= enough:
            return
        for left, nests in zip(range(min(BEST, len(found)), 0, -1), found, strict=False):
            self.nests = nests
            self.change_at_random((limit - self.model.steps) // left)
            changed.append(self.nests)
        self.found = [*changed[1:], *found]
        self.nests = min(changed, key=self.model.scheduled_cost)

    def is_found_soon(self, enough: int) -> bool:
        """Whether groups of few neighbours lead to what nothing can be better than, with few steps. If not, the nests
        stay, and no steps are counted: whoever tries the same again has it for nothing."""
        begun, steps, limit = self.nests, self.model.steps, self.limit
        self.limit = steps + int(SOON * limit)
        self.choose_groups()
        self.limit = limit
        if self.model.cost(self.nests) <= enough:
            self.found = [self.nests]
            return True
        self.nests, self.model.steps = begun, steps
        return False

    def is_worse(self, given: list[Nest]) -> bool:
        """Whether the nests found are worse than those given, all operations together, or can't be scheduled."""
        if self.nests == given:
            return False
        self.tell("all operations together")
        before = self.model.scheduled_cost(given)
        if self.model.cost(self.nests, limit=min(before + 1, INFEASIBLE)) < INFEASIBLE:
            return False
        found = self.model.scheduled_cost(self.nests)
        return found == INFEASIBLE or found > before

    def with_epilogues(self, nests: list[Nest]) -> list[Nest]:
        """Elementwise operations go into the epilogue of what makes an operand, where that is possible and they read it
        tile for tile."""
        out = list(nests)
        grouped = any(nest.group is not None for nest in nests)
        for i, operator in enumerate(self.model.operators):
            host = self.host(i, out)
            if host < 0 or out[i].after >= 0 or out[i].group is not None:
                continue
            own = replace(out[i], after=host)
            # What reads nothing computed but its host's tile finds it there. To walk all that comes before it, up to
            # the first of a chain, for each operation of the chain would take the square of the chain's length.
            if grouped or any(self.maker(source) not in (-1, host) for source in operator.sources):
                trial = [*out[:i], own, *out[i + 1 :]]
                if self.model.program(trial, first_with(trial, i), i + 1) is None:
                    continue
            out[i] = own
        return out

    def maker(self, tensor: int) -> int:
        """The operation that makes a tensor, -1 for an argument."""
        return self.model.tensors[tensor].maker

    def host(self, i: int, nests: Sequence[Nest]) -> int:
        """The last operation that makes an operand which an elementwise operation reads tile for tile; -1 for none."""
        operator, nest = self.model.operators[i], nests[i]
        if operator.k:
            return -1
        hosts = [
            made
            for at, (source, steps) in enumerate(zip(operator.sources, operator.steps, strict=True))
            if (made := self.maker(source)) >= 0
            and at not in operator.viewed
            and steps == tile_for_tile(nest)
            and (nests[made].m, nests[made].n, nests[made].batch) == (nest.m, nest.n, nest.batch)
        ]
        return max(hosts, default=-1)

    def choose_blocks(self) -> None:
        """Tries the candidates for each product's block, and its sums backwards."""
        products = self.products()
        for number, i in enumerate(products, 1):
            self.tell(f"blocks of product {number} of {len(products)}")
            for block, order in self.candidates(i, *self.extent(i)):
                if self.spent:
                    return
                self.improve({i: replace(self.nests[i], block=block, order=order, snake=True)})
            self.improve({i: replace(self.nests[i], reverse=not self.nests[i].reverse)})


def tile_for_tile(nest: Nest) -> Steps:
    """The steps of what reads for each tile the one at the same place."""
    return nest.n, 1, 0, tuple(range(0, nest.height * nest.n, nest.m * nest.n))


def first_with(nests: Sequence[Nest], i: int) -> int:
    """The first operation from which on all are computed among themselves up to an epilogue: no host, and none of its
    group, comes before."""
    first = nests[i].after
    at = i
    while at >= first:
        nest = nests[at]
        if nest.after >= 0:
            first = min(first, nest.after)
        else:
            first = min(first, nest.lead) if nest.lead >= 0 else first
            if nest.group is not None:
                first = min(first, next(j for j in range(at + 1) if nests[j].group == nest.group))
        at -= 1
    return first
