"""Chooses loop nests that move few bytes: candidates by closed form, judged by the real planner.

Each operation's blocks first, then which are computed together (`nest_groups.py`), then small changes at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .nest_cost import INFEASIBLE, Steps
from .nest_groups import GroupChoices
from .nests import Nest


class Search(GroupChoices):
    """A search over the nests of a function's operations; `run` gives the best ones found."""

    def run(self) -> list[Nest]:
        """Never worse than the nests given, as they are scheduled."""
        given = list(self.nests)
        self.tell("epilogues")
        self.nests = self.with_epilogues(given)
        self.choose_blocks()
        self.try_ways()
        return given if self.is_worse(given) else self.nests

    def try_ways(self) -> None:
        """What is computed together is chosen by several ways: what is good for a few operations may bar what is better
        for many. Small changes are made to what all of them find, the best first, as long as there are steps left."""
        begun, found = self.nests, [self.nests]
        for way in self.ways():
            self.nests = begun
            for choose in way:
                choose()
            self.choose_blocks()
            if self.nests not in found:
                found.append(self.nests)
        found.sort(key=self.model.scheduled_cost)
        changed = [found[0]]
        for nests in found:
            if self.spent:
                break
            self.nests = nests
            self.change_at_random()
            changed.append(self.nests)
        self.nests = min(changed, key=self.model.scheduled_cost)

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
            for source, steps in zip(operator.sources, operator.steps, strict=True)
            if (made := self.maker(source)) >= 0
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

    # Small changes

    def change_at_random(self) -> None:
        """Hill climbing by small changes, until the steps are spent or nothing has helped for long."""
        products = self.products()
        if not products:
            return
        failures = 0
        self.tell("small changes")
        while not self.spent and failures < 600:
            changed = self.mutation(self.random.choice(products))
            before = self.model.steps
            failures = 0 if changed and self.improve(changed) else failures + 1
            if self.model.steps == before:
                failures += 1

    def mutation(self, i: int) -> dict[int, Nest]:
        """One operation, or its group, changed a little."""
        nest, pick = self.nests[i], self.random
        kind = pick.choice(("block", "block", "blocks", "order", "reverse", "snake", "rows", "stream", "group"))
        if kind == "block":
            m, n = self.extent(i)
            bm = min(max(nest.block[0] + pick.choice((-1, 0, 0, 1)), 1), m)
            bn = min(max(nest.block[1] + pick.choice((-1, 0, 0, 1)), 1), n)
            return {i: replace(nest, block=(bm, bn))}
        if kind == "order":
            return {i: replace(nest, order="nm" if nest.order == "mn" else "mn")}
        if kind in ("reverse", "snake"):
            return {i: replace(nest, **{kind: not getattr(nest, kind)})}
        if kind == "group":
            return self.leave_or_join(i)
        if nest.group is None:
            return {}
        members = [j for j in self.products() if self.nests[j].group == nest.group]
        if kind == "blocks":
            block = pick.randint(1, nest.rows), pick.choice((1, 1, 2, 3))
            return {j: replace(self.nests[j], block=block) for j in members}
        if kind == "rows":
            rows = min(max(nest.rows + pick.choice((-1, 1)), 1), nest.m)
            return self.together(members, rows=rows)
        if i == members[-1]:
            return {}
        stream = pick.choice((0, 1, 2, 4, nest.block[1]))
        return self.together([i], stream=stream, strip=pick.choice((0, 0, 1, 2)) if stream else 0)

    def leave_or_join(self, i: int) -> dict[int, Nest]:
        """A product joins the group before it, or leaves its group if it is at an end of it."""
        products = self.products()
        at = products.index(i)
        nest = self.nests[i]
        if nest.group is not None:
            return self.together([i], group=None, rows=0, stream=0, strip=0)
        if at == 0 or self.nests[products[at - 1]].height != nest.height:
            return {}
        number = products[at - 1]
        before = self.nests[number]
        if before.group is not None:
            return self.together([i], group=before.group, rows=before.rows)
        return self.together([number, i], group=number, rows=self.random.choice(self.row_counts(nest.height)))


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
