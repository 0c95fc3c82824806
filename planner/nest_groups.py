"""Which operations are computed together: siblings as one product, runs of layers depth first, products that are
streamed into the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil

from .nest_batches import BatchChoices
from .nest_checks import root_of
from .nest_trials import balanced
from .nests import Nest
from .run_cuts import Cut, Layer, best_cuts

LONGEST = 4
"""Products of a group that all neighbours are tried for; longer ones are found by cutting whole runs."""

FORMS: tuple[Callable[[int], tuple[int, int] | None], ...] = (
    lambda rows: None,
    lambda rows: (rows, 1),
    lambda rows: (ceil(rows / 2), 1),
)
"""Blocks of a group's products, by its rows: those that the closed form likes best, and blocks of one column."""

LAZY_WIDTHS = (1, 2, 3, 1000)
"""Columns of tiles of the blocks that are tried for products made on demand, and for what asks for them."""

ROOM = (100, 90, 75, 60)
"""Per cent of the memory that a run is cut for: the closed form leaves out what a plan keeps besides."""


class GroupChoices(BatchChoices):
    """The choices of what is computed together."""

    def together(self, products: Sequence[int], **changes: object) -> dict[int, Nest]:
        """Some products changed, and alike those that continue them."""
        return {j: replace(self.nests[j], **changes) for i in products for j in self.unit(i)}  # type: ignore[arg-type]

    def ways(self) -> list[list[Callable[[], None]]]:
        """The ways to choose what is computed together, the most promising first."""
        ways: list[list[Callable[[], None]]] = [[self.choose_whole_runs], [self.choose_groups]]
        if any(len([i for i in self.products() if first <= i < end]) > 2 for first, end in self.runs()):
            ways.insert(1, [self.choose_runs, self.choose_groups])
        if any(list(self.siblings(side)) for side in (0, 1)):
            ways = [[self.choose_siblings, *way] for way in ways] + ways
        if any(self.without_products()):
            ways = [[self.choose_rows, *way] for way in ways]
        if any(self.batched()):
            ways = [[self.choose_batches, *way] for way in ways]
        if any(self.host_of_product(i) >= 0 for i in self.products()):
            ways = [[self.choose_adapters, *way] for way in ways] + ways
        return ways

    # Products in epilogues

    def choose_adapters(self) -> None:
        """A product whose k is one tile is tried in the epilogue of the operation before it with a result cut alike:
        what it is added to is at hand then, with each of its tiles."""
        for i in self.products():
            host = self.host_of_product(i)
            if host >= 0 and not self.spent:
                self.improve({i: plain(self.nests[i], after=host)})

    def host_of_product(self, i: int) -> int:
        """The operation in whose epilogue a product may be; -1 for none."""
        nest, sources = self.nests[i], self.model.operators[i].sources
        if nest.k != 1 or nest.group is not None or len(self.unit(i)) > 1:
            return -1
        host = next((j for j in reversed(range(i)) if self.is_cut_alike(i, j)), -1)
        root = root_of(self.nests, host) if host >= 0 else host
        return host if all(self.model.tensors[source].maker < root for source in sources) else -1

    def is_cut_alike(self, i: int, j: int) -> bool:
        """Whether two operations' results have as many tiles, row by row."""
        a, b = self.nests[i], self.nests[j]
        return (a.m, a.n, a.batch) == (b.m, b.n, b.batch)

    # Siblings

    def choose_siblings(self) -> None:
        """Neighbours that read one left, or one right, operand are tried as one product."""
        for side, name in ((0, "beside"), (1, "below")):
            for siblings in list(self.siblings(side)):
                if self.spent:
                    return
                self.try_siblings(siblings, name)

    def siblings(self, side: int) -> Iterator[list[int]]:
        """Stretches of neighbouring products that share an operand, and how they are cut along it."""
        found: list[int] = []
        for i in [i for i in range(len(self.nests)) if self.nests[i].after < 0]:
            if found and self.are_siblings(found[0], i, side):
                found.append(i)
                continue
            if len(found) > 1:
                yield found
            found = [i] if self.is_alone(i) else []
        if len(found) > 1:
            yield found

    def is_alone(self, i: int) -> bool:
        """Whether a nest is a product that is not computed together with others."""
        nest = self.nests[i]
        alone = nest.after < 0 and nest.lead < 0 and nest.group is None and nest.batch == 1
        return alone and self.model.operators[i].is_product and len(self.unit(i)) == 1

    def are_siblings(self, i: int, j: int, side: int) -> bool:
        """Whether two products can be computed as one, and nothing is computed with the second."""
        return self.is_alone(j) and self.are_alike(i, j, side)

    def try_siblings(self, siblings: Sequence[int], name: str) -> None:
        """Tries products as one, in the blocks that the closed form likes best."""
        first, *others = siblings
        joined = {i: plain(self.nests[i], **{name: first}) for i in others}
        rows = self.nests[first].m + (sum(self.nests[i].m for i in others) if name == "below" else 0)
        columns = self.nests[first].n + (sum(self.nests[i].n for i in others) if name == "beside" else 0)
        for block, order in self.candidates(first, rows, columns):
            nest = replace(self.nests[first], block=block, order=order, snake=True)
            now = {i: self.nests[i] if self.nests[i].lead >= 0 else joined[i] for i in others}
            self.improve({**now, first: nest}, [{first: replace(nest, reverse=not nest.reverse)}])
            if self.spent:
                return

    # Runs

    def choose_runs(self) -> None:
        """Whole runs of layers are cut into groups of any length, by closed form and then as the planner finds it."""
        for first, end in list(self.runs()):
            products = [i for i in self.products() if first <= i < end]
            if len(products) < 3:
                continue
            self.tell(f"runs of layers, from operation {first + 1} of {len(self.nests)} on")
            m = self.nests[products[0]].height
            layers = [self.layer(i, end) for i in products]
            tried: set[tuple[Cut, ...]] = set()
            for room in ROOM:
                capacity = self.model.config.total_bytes * room // 100
                cuts = tuple(best_cuts(layers, m, self.rows_of(products[0]), capacity))
                if cuts not in tried and any(cut.rows for cut in cuts):
                    tried.add(cuts)
                    self.try_cuts(products, cuts)
                if self.spent:
                    return

    def choose_whole_runs(self) -> None:
        """All of a run is tried as one group, walked layer by layer or on demand."""
        for first, end in list(self.runs()):
            self.tell(f"whole runs, from operation {first + 1} of {len(self.nests)} on")
            products = [i for i in self.products() if first <= i < end]
            others = self.between(first, end)
            if len(products) + len(others) > 1:
                self.try_whole_run(products, others)

    def try_whole_run(self, products: Sequence[int], others: Sequence[int]) -> None:
        """Tries some products, and the reductions and elementwise operations with them, as one group."""
        for rows in self.rows_of(min((*products, *others))):
            forms = self.grouped(products, rows, others)
            for form in (*forms, *(self.on_demand(products, forms[0], rows) if products else ())):
                if self.spent:
                    return
                self.improve(form)

    def layer(self, i: int, end: int) -> Layer:
        """What a product of a run moves, with its epilogues, as the closed form takes it."""
        operators, tensors = self.model.operators, self.model.tensors
        epilogues = self.epilogues_of(i, end)
        last = max([*self.unit(i), *epilogues])
        inside = {operators[j].result for j in (*self.unit(i), *epilogues)}
        weights = sum(self.model.bytes_of(s) for j in self.unit(i) for s in operators[j].sources[1:])
        besides = 0
        for source in [s for j in epilogues for s in operators[j].sources if s not in inside]:
            if tensors[source].rows > 1:
                besides += self.row_of(source)
            else:
                weights += self.model.bytes_of(source)
        alone = self.model.cost(self.nests, *self.whole(i, last + 1))
        return Layer(weights, self.row_of(operators[i].sources[0]), self.row_of(operators[last].result), besides, alone)

    def epilogues_of(self, i: int, end: int) -> list[int]:
        """The operations in the epilogues of a product, and of those that continue it, before an operation."""
        inside = set(self.unit(i))
        found: list[int] = []
        for j in range(i + 1, end):
            if self.nests[j].after in inside:
                inside.add(j)
                found.append(j)
        return found

    def row_of(self, tensor: int) -> int:
        """The bytes of a row of tiles."""
        it = self.model.tensors[tensor]
        return it.columns * it.tile_bytes

    def try_cuts(self, products: Sequence[int], cuts: Sequence[Cut]) -> None:
        """Tries the groups of a run, one by one and all at once."""
        forms: list[dict[int, Nest]] = [{} for _ in FORMS]
        for cut in cuts:
            if not cut.rows:
                continue
            for form, changed in zip(forms, self.grouped(products[cut.start : cut.end], cut.rows), strict=True):
                form |= changed
                self.improve(changed, self.reversals(changed))
        for form in forms:
            self.improve(form, self.reversals(form))

    def grouped(self, members: Sequence[int], rows: int, others: Sequence[int] | None = None) -> list[dict[int, Nest]]:
        """Products as a group, in blocks of each form, with other operations, or with those between them."""
        others = self.between(members[0], members[-1]) if others is None else others
        group = min((*members, *others))
        whole = self.together(members, group=group, rows=rows, stream=0, strip=0, lazy=False, order="mn", reverse=False)
        whole |= {i: replace(self.nests[i], group=group, rows=rows) for i in others}
        found: list[dict[int, Nest]] = []
        for form in FORMS:
            blocks = {i: form(rows) or self.group_block(i, rows) for i in members}
            found.append(whole | {i: replace(whole[i], block=blocks[i], snake=True) for i in members})
        return found

    # Groups

    def choose_groups(self) -> None:
        """Neighbours with equally many rows of tiles are tried as groups and streamed, shortest first."""
        for first, end in list(self.runs()):
            self.tell(f"groups, from operation {first + 1} of {len(self.nests)} on")
            products = [i for i in self.products() if first <= i < end]
            for length in range(2, min(len(products), LONGEST) + 1):
                for at in range(len(products) - length + 1):
                    self.try_group(products[at : at + length])
                    if self.spent:
                        return

    def runs(self) -> Iterator[tuple[int, int]]:
        """Stretches of operations with as many rows of tiles each."""
        start = 0
        for i in range(1, len(self.nests) + 1):
            if i < len(self.nests) and self.nests[i].height == self.nests[start].height and self.groupable(i):
                continue
            if i - start > 1 and self.groupable(start):
                yield start, i
            start = i

    def groupable(self, i: int) -> bool:
        """Whether an operator can be part of a group."""
        return self.nests[i].below < 0

    def between(self, first: int, end: int) -> list[int]:
        """The reductions and elementwise operators of a stretch that are in no epilogue: a group has them, too."""
        return [i for i in range(first, end) if self.nests[i].after < 0 and not self.model.operators[i].is_product]

    def try_group(self, members: Sequence[int]) -> None:
        """Tries products as one group, with several counts of rows, and all but the last streamed into that."""
        streams = self.feeds_all(members)
        for rows in self.rows_of(members[0]):
            forms = self.grouped(members, rows)
            for grouped in forms[:2]:
                self.improve(grouped, self.reversals(grouped))
            grouped = forms[0]
            for h in self.stream_widths(self.nests[members[0]].n) if streams else ():
                self.improve(self.streamed(members, grouped, rows, h))
                if rows > 1:
                    self.improve(self.streamed(members, grouped, rows, h, 1))
            for lazy in self.on_demand(members, grouped, rows) if streams and len(members) > 2 else ():
                self.improve(lazy)
            if self.spent:
                return

    def on_demand(self, members: Sequence[int], grouped: dict[int, Nest], rows: int) -> Iterator[dict[int, Nest]]:
        """A group of which all but the last are made when they are asked for, some columns at a time, and that last in
        blocks of some columns."""
        last = members[-1]
        group = grouped[last].group
        lazy = self.together(members[:-1], lazy=True, group=group, rows=rows, stream=0, strip=0)
        others = [i for i in grouped if i < last and not self.model.operators[i].is_product]
        lazy |= {i: replace(grouped[i], lazy=True) for i in others}
        for width in LAZY_WIDTHS:
            found = grouped | lazy
            found |= {i: replace(lazy[i], block=(rows, width * len(self.unit(i))), snake=True) for i in members[:-1]}
            for across in LAZY_WIDTHS:
                found[last] = replace(found[last], block=(rows, across))
                yield dict(found)

    def streamed(
        self, members: Sequence[int], grouped: dict[int, Nest], rows: int, h: int, strip: int = 0
    ) -> dict[int, Nest]:
        """A group of which all but the last are streamed, h columns at a time of all rows, or of so many."""
        found = dict(grouped)
        for i in members[:-1]:
            unit = self.unit(i)
            found |= {j: replace(grouped[j], stream=h, strip=strip) for j in unit}
            found[i] = replace(found[i], block=(strip or rows, h * len(unit)))
        return found

    def feeds_all(self, members: Sequence[int]) -> bool:
        """Whether the last of some products reads what is made of all the others on its left, tile by tile."""
        *producers, reader = members
        if len({self.nests[i].n for i in producers}) > 1:
            return False
        waiting, found = [self.model.operators[reader].sources[0]], set[int]()
        while waiting:
            i = self.model.tensors[waiting.pop()].maker
            if i < members[0] or i in found:
                continue
            found.add(i)
            if not self.model.operators[i].k:
                waiting += self.model.operators[i].sources
        return all(j in found for i in producers for j in self.unit(i))

    def reversals(self, grouped: dict[int, Nest]) -> list[dict[int, Nest]]:
        """The group with some of its first sums backwards."""
        members = [i for i, nest in grouped.items() if nest.lead < 0]
        chosen = [[i] for i in members[:4]] + [members[1::2]] * (len(members) > 3)
        return [{i: replace(grouped[i], reverse=True) for i in some} for some in chosen]

    def group_block(self, i: int, rows: int) -> tuple[int, int]:
        """The block that the closed form likes best for a product on so many rows of tiles."""
        found = self.candidates(i, rows, self.extent(i)[1])
        return found[0][0] if found else (1, 1)

    def rows_of(self, i: int) -> list[int]:
        """Counts of rows of tiles to try for a group with an operation, the most first: parts of a batch, or all."""
        nest = self.nests[i]
        counts = set(balanced(nest.m)) if nest.m <= 4 else {ceil(nest.m / p) for p in (1, 2, 3, 4, 8)} | {1, 2}
        return sorted(counts | {nest.height}, reverse=True)

    def stream_widths(self, n: int) -> list[int]:
        """Counts of columns of tiles to try for a streamed product that has `n` of them."""
        return sorted({ceil(n / p) for p in (2, 3, 4, 6, 8, 16)} | {1, 2, 4} & set(range(1, n)))


def plain(nest: Nest, **changes: int) -> Nest:
    """A nest that says nothing of its own order, with some changes."""
    return replace(nest, block=(1, 1), order="mn", snake=False, reverse=False, **changes)  # type: ignore[arg-type]
