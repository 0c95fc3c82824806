"""Chooses loop nests that move few bytes: candidates by closed form, judged by the real planner.

Each operation's blocks first, then which neighbours to compute depth first or to stream, then small changes at random.
A choice is tried on a stretch of neighbours, so that the time grows with the number of operations and not with its
square; how much is tried is bounded by planned steps, never by time, so that the same text gives the same plan.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from .nest_cost import INFEASIBLE, TrafficModel
from .nests import ORDERS, Nest
from .progress import tell

EFFORT = 100
"""How often each operation may be planned on average."""

LEAST_STEPS = 500_000
"""Steps that may be planned for a small function."""

CANDIDATES = 10
"""Blocks that are tried of those that the closed form likes best."""

SEED = 2024


class Search:
    """A search over the nests of a function's operations; `run` gives the best ones found."""

    def __init__(self, model: TrafficModel, nests: Sequence[Nest]):
        self.model = model
        self.nests = list(nests)
        self.random = random.Random(SEED)
        self.limit = max(LEAST_STEPS, EFFORT * execs_of(nests))

    def run(self) -> list[Nest]:
        """Never worse than the nests given, as they are scheduled."""
        given = list(self.nests)
        self.tell("epilogues")
        self.nests = self.with_epilogues(given)
        self.choose_blocks()
        self.choose_groups()
        self.choose_blocks()
        self.change_at_random()
        return given if self.is_worse(given) else self.nests

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

    def tell(self, what: str) -> None:
        """Tells listeners what the search is at (`progress.py`)."""
        tell(f"plan for {self.model.measure}: {what}")

    @property
    def spent(self) -> bool:
        """Whether as many steps have been planned as may be."""
        return self.model.steps >= self.limit

    # Trying

    def stretch(self, first: int, end: int) -> tuple[int, int]:
        """The operations to judge a change by: those changed, one more on either side, whole groups and epilogues."""
        first, end = max(first - 1, 0), min(end + 1, len(self.nests))
        while first and self.tied(first - 1, first):
            first -= 1
        while end < len(self.nests) and self.tied(end - 1, end):
            end += 1
        return first, end

    def tied(self, i: int, j: int) -> bool:
        """Whether two neighbours are computed together."""
        if self.nests[j].after >= 0:
            return True
        while self.nests[i].after >= 0:
            i = self.nests[i].after
        group = self.nests[i].group
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

    # Choices

    def with_epilogues(self, nests: list[Nest]) -> list[Nest]:
        """Elementwise operations go into the epilogue of what makes an operand, where that is possible and they read it
        tile for tile."""
        makers = {operator.result: i for i, operator in enumerate(self.model.operators)}
        out = list(nests)
        grouped = any(nest.group is not None for nest in nests)
        for i, operator in enumerate(self.model.operators):
            host = self.host(i, out, makers)
            if host < 0 or out[i].after >= 0 or out[i].group is not None:
                continue
            own = replace(out[i], after=host)
            # What reads nothing computed but its host's tile finds it there. To walk all that comes before it, up to
            # the first of a chain, for each operation of the chain would take the square of the chain's length.
            if grouped or any(makers.get(source, host) != host for source in operator.sources):
                trial = [*out[:i], own, *out[i + 1 :]]
                if self.model.program(trial, first_with(trial, i), i + 1) is None:
                    continue
            out[i] = own
        return out

    def host(self, i: int, nests: Sequence[Nest], makers: dict[int, int]) -> int:
        """The last operation that makes an operand which an elementwise operation reads tile for tile; -1 for none."""
        operator, nest = self.model.operators[i], nests[i]
        if operator.k:
            return -1
        hosts = [
            makers[source]
            for source, steps in zip(operator.sources, operator.steps, strict=True)
            if source in makers
            and steps == (nest.n, 1)
            and (nests[makers[source]].m, nests[makers[source]].n) == (nest.m, nest.n)
        ]
        return max(hosts, default=-1)

    def products(self) -> list[int]:
        """The operators that are products."""
        return [i for i, operator in enumerate(self.model.operators) if operator.k]

    def choose_blocks(self) -> None:
        """Tries the candidates for each product's block, and its sums backwards."""
        products = self.products()
        for number, i in enumerate(products, 1):
            self.tell(f"blocks of product {number} of {len(products)}")
            nest = self.nests[i]
            m = nest.rows if nest.group is not None else nest.m
            for block, order in self.candidates(i, m, nest.n):
                if self.spent:
                    return
                self.improve({i: replace(self.nests[i], block=block, order=order, snake=True)})
            self.improve({i: replace(self.nests[i], reverse=not self.nests[i].reverse)})

    def candidates(self, i: int, m: int, n: int, room: int = 0) -> list[tuple[tuple[int, int], str]]:
        """Blocks and orders by what the closed form says they load, the least first; `room` bytes are taken."""
        operator, k = self.model.operators[i], self.model.operators[i].k
        a, b = (self.model.tensors[s].tile_bytes for s in operator.sources[:2])
        c = self.model.tensors[operator.result].tile_bytes
        capacity = self.model.config.total_bytes - room
        rated: list[tuple[int, int, tuple[int, int], str]] = []
        for bm in _balanced(m):
            for bn in _balanced(n):
                own = bm * bn * c if k > 1 else c  # a sum of one product is complete at once
                if own + a + b > capacity:
                    continue
                for order in ORDERS:
                    loads = _loads((m, n, k), (bm, bn), order, (a, b, own), capacity)
                    rated.append((loads, -bm * bn, (bm, bn), order))
        rated.sort()
        most = rated[0][0] * 1.3 if rated else 0
        return [(block, order) for loads, _, block, order in rated[:CANDIDATES] if loads <= most]

    def choose_groups(self) -> None:
        """Neighbours with equally many rows of tiles are tried as groups and streamed pairs, shortest first."""
        for first, end in self.runs():
            self.tell(f"groups, from operation {first + 1} of {len(self.nests)} on")
            for length in range(2, min(end - first, 4) + 1):
                for start in range(first, end - length + 1):
                    members = [i for i in range(start, start + length) if self.model.operators[i].k]
                    if len(members) > 1 and members[0] == start:
                        self.try_group(start, start + length, members)
                    if self.spent:
                        return

    def runs(self) -> Iterator[tuple[int, int]]:
        """Stretches of products (and epilogues) with as many rows of tiles each."""
        start = 0
        for i in range(1, len(self.nests) + 1):
            if i < len(self.nests) and self.nests[i].m == self.nests[start].m and self.groupable(i):
                continue
            if i - start > 1 and self.groupable(start):
                yield start, i
            start = i

    def groupable(self, i: int) -> bool:
        """Whether an operator can be part of a group: a product, or an epilogue."""
        return self.model.operators[i].k > 0 or self.nests[i].after >= 0

    def try_group(self, start: int, end: int, members: list[int]) -> None:
        """Tries products as one group, with several counts of rows, and a pair of them streamed."""
        for rows in self.row_counts(self.nests[start].m):
            grouped: dict[int, Nest] = {}
            for i in members:
                block = self.group_block(i, rows)
                grouped[i] = replace(
                    self.nests[i], group=start, rows=rows, stream=0, block=block, order="mn", snake=True, reverse=False
                )
            narrow = {i: replace(nest, block=(rows, 1)) for i, nest in grouped.items()}
            self.improve(grouped, self.reversals(grouped))
            self.improve(narrow, self.reversals(narrow))
            if len(members) == 2:
                for h in self.stream_widths(self.nests[members[0]].n):
                    streamed = dict(grouped)
                    streamed[members[0]] = replace(grouped[members[0]], stream=h, block=(rows, h))
                    self.improve(streamed)
            if self.spent:
                return

    def reversals(self, grouped: dict[int, Nest]) -> list[dict[int, Nest]]:
        """The group with some of its first sums backwards."""
        members = list(grouped)
        chosen = [[i] for i in members[:4]] + [members[1::2]] * (len(members) > 3)
        return [{i: replace(grouped[i], reverse=True) for i in some} for some in chosen]

    def group_block(self, i: int, rows: int) -> tuple[int, int]:
        """The block that the closed form likes best for a product on so many rows of tiles."""
        found = self.candidates(i, rows, self.nests[i].n)
        return found[0][0] if found else (1, 1)

    def row_counts(self, m: int) -> list[int]:
        """Counts of rows of tiles to try for a group that has `m` of them, the most first."""
        return sorted(set(_balanced(m)) if m <= 4 else {ceil(m / p) for p in (1, 2, 3, 4, 8)} | {1, 2}, reverse=True)

    def stream_widths(self, n: int) -> list[int]:
        """Counts of columns of tiles to try for a streamed product that has `n` of them."""
        return sorted({ceil(n / p) for p in (2, 3, 4, 6, 8, 16)} | {1, 2, 4} & set(range(1, n)))

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
        kind = pick.choice(("block", "block", "order", "reverse", "snake", "rows", "stream", "group"))
        if kind == "block":
            m = nest.rows if nest.group is not None else nest.m
            bm = min(max(nest.block[0] + pick.choice((-1, 0, 0, 1)), 1), m)
            bn = min(max(nest.block[1] + pick.choice((-1, 0, 0, 1)), 1), nest.n)
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
        if kind == "rows":
            rows = min(max(nest.rows + pick.choice((-1, 1)), 1), nest.m)
            return {j: replace(self.nests[j], rows=rows) for j in members}
        if i == members[-1] or (i > members[0] and self.nests[members[members.index(i) - 1]].stream):
            return {}
        return {i: replace(nest, stream=pick.choice((0, 1, 2, 4, nest.block[1])))}

    def leave_or_join(self, i: int) -> dict[int, Nest]:
        """A product joins the group before it, or leaves its group if it is at an end of it."""
        products = self.products()
        at = products.index(i)
        nest = self.nests[i]
        if nest.group is not None:
            return {i: replace(nest, group=None, rows=0, stream=0)}
        if at == 0 or self.nests[products[at - 1]].m != nest.m:
            return {}
        before = self.nests[products[at - 1]]
        if before.group is not None:
            return {i: replace(nest, group=before.group, rows=before.rows)}
        rows = self.random.choice(self.row_counts(nest.m))
        number = products[at - 1]
        return {
            number: replace(before, group=number, rows=rows),
            i: replace(nest, group=number, rows=rows),
        }


def execs_of(nests: Sequence[Nest]) -> int:
    """How many tile operations some nests come to, biases not counted."""
    return sum(nest.m * nest.n * max(nest.k, 1) for nest in nests)


def first_with(nests: Sequence[Nest], i: int) -> int:
    """The first operation from which on all are computed among themselves up to an epilogue: no host, and none of its
    group, comes before."""
    first = nests[i].after
    at = i
    while at >= first:
        nest = nests[at]
        if nest.after >= 0:
            first = min(first, nest.after)
        elif nest.group is not None:
            first = min(first, next(j for j in range(at + 1) if nests[j].group == nest.group))
        at -= 1
    return first


def _balanced(count: int) -> list[int]:
    """The sizes of equal parts (but for the last) that `count` tiles can be cut into."""
    return sorted({ceil(count / parts) for parts in range(1, count + 1)})


def _loads(
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
