"""Reductions and elementwise operations in a row, such as a normalisation, computed row by row; operations on batches,
such as the heads of an attention, batch by batch, and what makes their operands as a batch asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from .arena import SRAMConfig
from .nest_cost import INFEASIBLE, TrafficModel
from .nest_trials import Trials
from .nests import Nest

PARTS = (1, 2, 4, 8)
"""In how many parts the rows of a batch are tried, besides row by row."""

WIDTHS = (1, 2)
"""How many batches' columns are made at a time of what they ask for."""


class BatchChoices(Trials):
    """The choices of what is computed together row by row, or batch by batch."""

    def choose_rows(self) -> None:
        """Neighbours that are no products are tried as a group, row by row, some of them on demand."""
        for roots in list(self.without_products()):
            self.tell(f"rows, from operation {roots[0] + 1} of {len(self.nests)} on")
            counts = dict.fromkeys((1, self.nests[roots[0]].height))
            self.take_best([form for rows in counts for form in self.row_forms(roots, rows)])

    def without_products(self) -> Iterator[list[int]]:
        """Stretches of two operations or more with loops of their own that are no products, with as many rows each, in
        no group."""
        found: list[int] = []
        for i, nest in enumerate(self.nests):
            if nest.after >= 0:
                continue
            alone = nest.group is None and not self.model.operators[i].is_product
            if found and not (alone and nest.height == self.nests[found[0]].height):
                if len(found) > 1:
                    yield found
                found = []
            if alone:
                found.append(i)
        if len(found) > 1:
            yield found

    def row_forms(self, roots: Sequence[int], rows: int) -> Iterator[dict[int, Nest]]:
        """Operations as a group on so many rows at a time: one after the other, the elementwise ones that another of
        them reads on demand, or all such."""
        grouped = {i: replace(self.nests[i], group=roots[0], rows=rows) for i in roots}
        yield grouped
        for waits in ({0}, {nest.k for nest in grouped.values()}):
            yield {i: replace(nest, lazy=nest.k in waits and i != roots[-1]) for i, nest in grouped.items()}

    def choose_batches(self) -> None:
        """Neighbours with equally many batches are tried as one group, on some rows of a batch at a time, and with them
        the operations before them that only they read, made on demand."""
        for first, end in list(self.batched()):
            self.tell(f"batches, from operation {first + 1} of {len(self.nests)} on")
            roots = [i for i in range(first, end) if self.nests[i].after < 0]
            producers = self.producers(first, end)
            m = self.nests[first].m
            counts = sorted({1} | {ceil(m / parts) for parts in PARTS}, reverse=True)
            self.take_best([form for rows in counts for form in self.batch_forms(producers, roots, rows)])

    def take_best(self, forms: Sequence[dict[int, Nest]]) -> None:
        """Takes the one of several changes that costs least, if it is better than none; of those that cost the same the
        one that costs least where there is less memory: with what others have made, and others read, in it."""
        first, end = self.stretch(min(map(min, forms)), max(map(max, forms)) + 1)
        crowded = self.crowded(first, end)
        least = self.model.enough(first, end)
        best, cost, beside = self.nests, self.model.cost(self.nests, first, end), INFEASIBLE
        for form in forms:
            if self.spent or (cost <= least and beside <= least):
                break
            if beside == INFEASIBLE and cost <= least:
                beside = crowded.cost(best, first, end)
            trial = self.changed(self.nests, form)
            found = self.model.cost(trial, first, end, min(cost + 1, INFEASIBLE))
            if found > cost:
                continue
            if found < cost:
                best, cost, beside = trial, found, INFEASIBLE
                continue
            if beside == INFEASIBLE:
                beside = crowded.cost(best, first, end)
            found = crowded.cost(trial, first, end, beside)
            if found < beside:
                best, beside = trial, found
        self.model.steps += crowded.steps
        self.nests = best

    def crowded(self, first: int, end: int) -> TrafficModel:
        """The model with less memory: beside some operations lies what those before them have made and those behind
        them read, though no more than half of it."""
        tensors, config = self.model.tensors, self.model.config
        beside = 0
        for t in range(len(tensors)):
            if 0 <= tensors[t].maker < first and self.model.readers_in(t, end, len(self.nests)):
                beside += self.model.bytes_of(t)
        room = config.total_bytes - min(beside, config.total_bytes // 2) // config.alignment * config.alignment
        return replace(self.model, config=SRAMConfig(room, config.alignment), known={}, steps=0)

    def batched(self) -> Iterator[tuple[int, int]]:
        """Stretches of operations with equally many batches of as many rows each, in no group, two or more of them with
        loops of their own."""
        start = 0
        for i in range(1, len(self.nests) + 1):
            if i < len(self.nests) and (self.nests[i].after >= 0 or self.goes_with(start, i)):
                continue
            roots = sum(nest.after < 0 for nest in self.nests[start:i])
            if roots > 1 and self.nests[start].batch > 1 and self.goes_with(start, start):
                yield start, i
            start = i

    def goes_with(self, i: int, j: int) -> bool:
        """Whether two operations have as many batches and rows, and the second is computed by itself."""
        one, other = self.nests[i], self.nests[j]
        return (one.batch, one.m) == (other.batch, other.m) and other.group is None and other.lead < 0

    def producers(self, first: int, end: int) -> list[int]:
        """The operations with loops of their own right before some others, of whose results, and those in their
        epilogues, only these and each other read any."""
        found: list[int] = []
        operators = self.model.operators
        for i in reversed(range(first)):
            nest = self.nests[i]
            if nest.after >= 0:
                continue
            alone = nest.group is None and nest.lead < 0 and nest.batch == 1
            if not alone or any(self.model.is_stored(operators[j].result, i, end) for j in range(i, first)):
                break
            found.insert(0, i)
        return found

    def batch_forms(self, producers: Sequence[int], roots: Sequence[int], rows: int) -> Iterator[dict[int, Nest]]:
        """Operations on batches as a group on so many rows at a time, by themselves and with what makes their operands;
        walked one by one, or all but the last on demand."""
        batches = self.nests[roots[0]].batch
        for makers in [(), producers] if producers else [()]:
            group = min((*makers, *roots))
            eager = {i: replace(self.nests[i], group=group, rows=rows) for i in roots}
            lazy = {i: replace(eager[i], lazy=i != roots[-1]) for i in roots}
            for made in self.made_on_demand(makers, batches):
                waiting = {i: replace(nest, group=group, rows=rows) for i, nest in made.items()}
                yield waiting | eager
                yield waiting | lazy

    def made_on_demand(self, makers: Sequence[int], batches: int) -> Iterator[dict[int, Nest]]:
        """What makes the operands of batches, lazy, some batches' columns at a time: each by itself, and those that
        share an operand as one."""
        for together in (True, False) if len(makers) > 1 else (False,):
            for width in WIDTHS if makers else WIDTHS[:1]:
                yield self.lazy(makers, width, batches, together)

    def lazy(self, makers: Sequence[int], width: int, batches: int, together: bool) -> dict[int, Nest]:
        """Operations made on demand, the columns of so many batches at a time; together those that share an operand."""
        found: dict[int, Nest] = {}
        lead = -1
        for i in makers:
            nest = replace(self.nests[i], lazy=True)
            if not self.model.operators[i].is_product:
                lead = -1
            elif together and lead >= 0 and self.are_alike(lead, i, 0):
                columns = nest.n * width // batches or 1
                found[lead] = replace(found[lead], block=(nest.height, found[lead].block[1] + columns))
                nest = replace(nest, beside=lead, block=(1, 1), order="mn", snake=False, reverse=False)
            else:
                nest = replace(nest, block=(nest.height, nest.n * width // batches or 1), order="mn", snake=True)
                lead = i
            found[i] = nest
        return found
