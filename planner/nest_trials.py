"""Trying other loop nests: a change is judged by the real planner on a stretch of neighbours, so that the time grows
with the number of operations and not with its square. How much is tried is bounded by planned steps, never by time, so
that the same text gives the same plan.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import ceil

from .nest_checks import root_of
from .nest_cost import INFEASIBLE, TrafficModel
from .nests import ORDERS, Nest
from .progress import tell

EFFORT = 100
"""How often each operation may be planned on average."""

LEAST_STEPS = 600_000
"""Steps that may be planned for a small function."""

CANDIDATES = 10
"""Blocks that are tried of those that the closed form likes best."""

SEED = 2024


class Trials:
    """The nests of a function's operations, and other ones that are tried in their place."""

    def __init__(self, model: TrafficModel, nests: Sequence[Nest]):
        self.model = model
        self.nests: list[Nest] = list(nests)
        self.random = random.Random(SEED)
        self.limit: int = max(LEAST_STEPS, EFFORT * execs_of(nests))

    def tell(self, what: str) -> None:
        """Tells listeners what the search is at (`progress.py`)."""
        tell(f"plan for {self.model.measure}: {what}")

    @property
    def spent(self) -> bool:
        """Whether as many steps have been planned as may be."""
        return self.model.steps >= self.limit

    def stretch(self, first: int, end: int) -> tuple[int, int]:
        """The operations to judge a change by: those changed, one more on either side, whole groups and epilogues."""
        return self.whole(max(first - 1, 0), min(end + 1, len(self.nests)))

    def whole(self, first: int, end: int) -> tuple[int, int]:
        """Some operations with all that are computed together with them."""
        while first and self.tied(first - 1, first):
            first -= 1
        while end < len(self.nests) and self.tied(end - 1, end):
            end += 1
        return first, end

    def tied(self, i: int, j: int) -> bool:
        """Whether two neighbours are computed together."""
        if self.nests[j].after >= 0 or self.nests[j].lead >= 0:
            return True
        group = self.nests[root_of(self.nests, i)].group
        return group is not None and group == self.nests[j].group

    def improve(self, changed: dict[int, Nest], also: Sequence[dict[int, Nest]] = ()) -> bool:
        """Takes a change if it costs less on its stretch of operations; those in `also` are tried on top of it, if it
        is not much worse, and the best of all is taken."""
        first, end = self.stretch(min(changed), max(changed) + 1)
        now = self.model.cost(self.nests, first, end)
        if now <= self.model.enough(first, end):
            return False
        trial = self.changed(self.nests, changed)
        cost = self.model.cost(trial, first, end, now + now // 8 if also else now)
        if cost == INFEASIBLE:
            return False
        best = None
        if cost < now:
            now, best = cost, trial
        for more in also:
            tried = self.changed(trial, more)
            cost = self.model.cost(tried, first, end, now)
            if cost < now:
                now, best = cost, tried
        self.nests = best or self.nests
        return best is not None

    def changed(self, nests: list[Nest], changes: dict[int, Nest]) -> list[Nest]:
        """A copy of the nests with some of them changed."""
        trial = list(nests)
        for i, nest in changes.items():
            trial[i] = nest
        return trial

    def products(self) -> list[int]:
        """The operators that are products with blocks of their own: in no epilogue, and continuing no other."""
        operators = self.model.operators
        return [i for i, nest in enumerate(self.nests) if operators[i].is_product and nest.after < 0 and nest.lead < 0]

    def unit(self, i: int) -> list[int]:
        """A product and those that continue it."""
        found = [i]
        for j in range(i + 1, len(self.nests)):
            if self.nests[j].after < 0 and self.nests[j].lead != i:
                break
            if self.nests[j].lead == i:
                found.append(j)
        return found

    def extent(self, i: int) -> tuple[int, int]:
        """Rows and columns of tiles that the blocks of a product are cut from, those that continue it included."""
        lead, *others = [self.nests[j] for j in self.unit(i)]
        rows = lead.rows if lead.group is not None else lead.height + sum(n.height for n in others if n.below >= 0)
        return rows, lead.n + sum(n.n for n in others if n.beside >= 0)

    def are_alike(self, i: int, j: int, side: int) -> bool:
        """Whether two products share an operand, and are cut alike along it and along k."""
        one, other = self.model.operators[i], self.model.operators[j]
        if one.k != other.k or one.sources[side] != other.sources[side]:
            return False
        a, b = self.nests[i], self.nests[j]
        sizes = [self.model.tensors[o.sources[1 - side]].tile_bytes for o in (one, other)]
        return (a.m == b.m if side == 0 else a.n == b.n) and sizes[0] == sizes[1]

    def candidates(self, i: int, m: int, n: int, room: int = 0) -> list[tuple[tuple[int, int], str]]:
        """Blocks and orders by what the closed form says they load, the least first; `room` bytes are taken."""
        operator, k = self.model.operators[i], self.model.operators[i].k
        a, b = (self.model.tensors[s].tile_bytes for s in operator.sources[:2])
        c = self.model.tensors[operator.result].tile_bytes
        capacity = self.model.config.total_bytes - room
        rated: list[tuple[int, int, tuple[int, int], str]] = []
        for bm in balanced(m):
            for bn in balanced(n):
                own = bm * bn * c if k > 1 else c  # a sum of one product is complete at once
                if own + a + b > capacity:
                    continue
                for order in ORDERS:
                    loads = loads_of((m, n, k), (bm, bn), order, (a, b, own), capacity)
                    rated.append((loads, -bm * bn, (bm, bn), order))
        rated.sort()
        most = rated[0][0] * 1.3 if rated else 0
        return [(block, order) for loads, _, block, order in rated[:CANDIDATES] if loads <= most]


def execs_of(nests: Sequence[Nest]) -> int:
    """How many tile operations some nests come to, biases not counted."""
    return sum(nest.m * nest.n * max(nest.k, 1) for nest in nests)


def balanced(count: int) -> list[int]:
    """The sizes of equal parts (but for the last) that `count` tiles can be cut into."""
    return sorted({ceil(count / parts) for parts in range(1, count + 1)})


def loads_of(
    sizes: tuple[int, int, int], block: tuple[int, int], order: str, bytes_of: tuple[int, int, int], capacity: int
) -> int:
    """Bytes of A and B that a blocked product loads: each block reads its rows and columns, unless they stay for the
    next block or the whole operand fits."""
    (m, n, k), (bm, bn), (a, b, own) = sizes, block, bytes_of
    a_times, b_times = ceil(n / bn), ceil(m / bm)
    if m * k * a + own + b <= capacity or (order == "mn" and bm * k * a + own + b <= capacity):
        a_times = 1
    if n * k * b + own + a <= capacity or (order == "nm" and bn * k * b + own + a <= capacity):
        b_times = 1
    held = min(bm * a, bn * b)
    if own + held + max(a, b) > capacity:
        a_times, b_times = 2 * a_times, 2 * b_times  # neither side's tiles can be held for a whole k
    return m * k * a * a_times + k * n * b * b_times
