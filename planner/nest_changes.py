"""Small changes to loop nests, at random: what no way of choosing has thought of.

A function that can be planned often enough is annealed as a whole (Kirkpatrick et al., 1983, "Optimization by Simulated
Annealing"): worse nests are taken for a while, ever less often. In a longer one each change is judged on its
neighbours, and only better ones are taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from .nest_cost import INFEASIBLE
from .nest_groups import GroupChoices, plain
from .nest_trials import execs_of
from .nests import Nest

WARM, COLD = 0.03, 0.001
"""How much worse nests may be that are taken, on average: at the beginning and at the end."""

LEAST_PLANS, MOST_PLANS = 50, 600
"""How often a function can be planned at least, for each product, where it is annealed as a whole, and is at most."""

PATIENCE = 600
"""Changes in a row that have not helped before the rest is given up."""


class Changes(GroupChoices):
    """The search by small changes."""

    def change_at_random(self, steps: int) -> None:
        """Small changes until so many steps are planned, or nothing has helped for long."""
        if not self.products():
            return
        self.tell("small changes")
        plans = steps // max(execs_of(self.nests), 1)
        if plans >= LEAST_PLANS * len(self.products()):
            self.anneal(self.model.steps + steps, min(plans, MOST_PLANS))
        else:
            self.climb(self.model.steps + steps)

    def climb(self, until: int) -> None:
        """Hill climbing, each change judged on its stretch of operations."""
        failures = 0
        while self.model.steps < until and failures < PATIENCE:
            changed = self.mutation(self.random.choice(self.products()))
            before = self.model.steps
            failures = 0 if changed and self.improve(changed) else failures + 1
            if self.model.steps == before:
                failures += 1

    def anneal(self, until: int, plans: int) -> None:
        """Simulated annealing by so many plans of the whole; the best nests are kept."""
        best, least = self.nests, self.model.scheduled_cost(self.nests)
        now, enough = least, self.model.enough(0, len(self.nests))
        for number in range(plans):
            if self.model.steps >= until or least <= enough or now == INFEASIBLE:
                break
            before = self.nests
            for _ in range(self.random.choice((1, 1, 1, 2, 2, 3))):
                self.nests = self.changed(self.nests, self.mutation(self.random.choice(self.products())))
            heat = WARM * (COLD / WARM) ** (number / plans)
            worse = int(now * heat * -math.log(1 - self.random.random()))
            cost = self.model.cost(self.nests, limit=min(now + worse + 1, INFEASIBLE))
            if cost == INFEASIBLE:
                self.nests = before
                continue
            now = cost
            if cost < least:
                best, least = self.nests, cost
        self.nests = best

    def mutation(self, i: int) -> dict[int, Nest]:
        """A product, or its group, changed a little; nothing where what is chosen doesn't apply."""
        return self.random.choice(self.kinds)(i)

    @property
    def kinds(self) -> list[Callable[[int], dict[int, Nest]]]:
        """What can be changed, what helps often more than once."""
        return [
            self.new_block, self.new_block, self.new_blocks, self.new_order, self.new_direction, self.new_rows,
            self.new_stream, self.new_lazy, self.new_lazy, self.new_group, self.new_group, self.new_siblings,
        ]  # fmt: skip

    def new_block(self, i: int) -> dict[int, Nest]:
        """A block one tile larger or smaller, or any."""
        (m, n), block, pick = self.extent(i), self.nests[i].block, self.random
        if pick.random() < 0.3:
            return {i: replace(self.nests[i], block=(pick.randint(1, m), pick.randint(1, n)))}
        bm = min(max(block[0] + pick.choice((-1, 0, 0, 1)), 1), m)
        bn = min(max(block[1] + pick.choice((-1, 0, 0, 1)), 1), n)
        return {i: replace(self.nests[i], block=(bm, bn))}

    def new_blocks(self, i: int) -> dict[int, Nest]:
        """The same block for all of a group."""
        if self.nests[i].group is None:
            return {}
        block = self.random.randint(1, self.nests[i].rows), self.random.choice((1, 1, 2, 3))
        return {j: replace(self.nests[j], block=block) for j in self.members(i)}

    def new_order(self, i: int) -> dict[int, Nest]:
        return {i: replace(self.nests[i], order="nm" if self.nests[i].order == "mn" else "mn")}

    def new_direction(self, i: int) -> dict[int, Nest]:
        """Other sums backwards."""
        name = self.random.choice(("reverse", "snake"))
        return {i: replace(self.nests[i], **{name: not getattr(self.nests[i], name)})}

    def new_rows(self, i: int) -> dict[int, Nest]:
        """A group on other rows of tiles at a time, with its blocks or without them."""
        nest, pick = self.nests[i], self.random
        if nest.group is None:
            return {}
        rows = pick.choice((nest.rows - 1, nest.rows + 1, pick.randint(1, nest.height)))
        rows = min(max(rows, 1), nest.height)
        found = self.together(self.members(i), rows=rows) | self.others(i, rows=rows)
        if pick.random() < 0.5:
            found |= {j: replace(n, block=(rows, n.block[1])) for j, n in found.items() if n.lead < 0}
        return found

    def new_stream(self, i: int) -> dict[int, Nest]:
        """A product of a group is streamed into the next one, or not."""
        nest, pick = self.nests[i], self.random
        if nest.group is None or nest.lazy or i == self.members(i)[-1]:
            return {}
        stream = pick.choice((0, 1, 2, 4, nest.block[1]))
        return self.together([i], stream=stream, strip=pick.choice((0, 0, 1, 2)) if stream else 0)

    def new_lazy(self, i: int) -> dict[int, Nest]:
        """A product of a group, or all but the last, waits for its readers, in blocks of all rows or its own."""
        nest, pick = self.nests[i], self.random
        if nest.group is None or i == (members := self.members(i))[-1]:
            return {}
        chosen = [i] if pick.random() < 0.7 else members[:-1]
        found = self.together(chosen, lazy=not nest.lazy, stream=0, strip=0)
        if len(chosen) > 1:
            found |= {j: other for j, other in self.others(i, lazy=not nest.lazy).items() if j < members[-1]}
        width = pick.choice((0, 1, 2, 3, self.extent(i)[1]))
        return found | {j: replace(found[j], block=(nest.rows, width * len(self.unit(j)))) for j in chosen if width}

    def new_siblings(self, i: int) -> dict[int, Nest]:
        """Products that are computed as one go each by itself, or one joins the one before it."""
        unit = self.unit(i)
        if len(unit) > 1:
            return {j: replace(self.nests[j], beside=-1, below=-1, block=self.nests[i].block) for j in unit[1:]}
        products = self.products()
        at = products.index(i)
        lead = self.nests[products[at - 1]]
        if not at or not self.are_alike(products[at - 1], i, 0) or lead.batch > 1:
            return {}
        return {i: replace(plain(self.nests[i], beside=products[at - 1]), group=lead.group, rows=lead.rows,
                           stream=lead.stream, strip=lead.strip, lazy=lead.lazy)}  # fmt: skip

    def new_group(self, i: int) -> dict[int, Nest]:
        """A product leaves its group, or joins the one before it, with all of its own."""
        products, nest, pick = self.products(), self.nests[i], self.random
        at = products.index(i)
        before = self.nests[products[at - 1]] if at else nest
        if nest.group is not None and (not at or before.group == nest.group or pick.random() < 0.3):
            return self.together([i], group=None, rows=0, stream=0, strip=0, lazy=False)
        if not at or before.height != nest.height:
            return {}
        members = self.members(i) if nest.group is not None else [i]
        number = products[at - 1] if before.group is None else before.group
        rows = before.rows or nest.rows or pick.choice(self.rows_of(i))
        joined = [*members, products[at - 1]] if before.group is None else members
        others = self.between(products[at - 1], members[-1])
        return self.together(joined, group=number, rows=rows) | {
            j: replace(self.nests[j], group=number, rows=rows) for j in others if self.nests[j].height == nest.height
        }

    def others(self, i: int, **changes: int) -> dict[int, Nest]:
        """The reductions and elementwise operations of a product's group, changed."""
        group = self.nests[i].group
        found = [j for j in self.between(0, len(self.nests)) if self.nests[j].group == group]
        return {j: replace(self.nests[j], **changes) for j in found}  # type: ignore[arg-type]

    def members(self, i: int) -> list[int]:
        """The products of a product's group."""
        return [j for j in self.products() if self.nests[j].group == self.nests[i].group]
