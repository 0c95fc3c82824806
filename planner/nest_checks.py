"""Which loop nests go together: what `walk` can't make sense of.

Each of these yields what is wrong; `lower` reports it, and the search passes it over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from .nests import Nest, Sources, groups_of


def uneven_members(nests: Sequence[Nest]) -> Iterator[tuple[int, int]]:
    """The nests that have other `rows`, or other rows of tiles, than the first of their group, each with that first. Of
    a nest that says which rows it reads, of those read so, and of lazy ones the rows of tiles may be others."""
    for members in groups_of(nests):
        if nests[members[0]].group is None:
            continue
        apart = {reach.nest for i in members for reach in nests[i].reads}
        apart |= {i for i in members if nests[i].reads or nests[i].lazy}
        one = next((i for i in members if not nests[i].lazy), members[0])
        for i in members:
            even = nests[i].height == nests[one].height or i in apart or one in apart
            if nests[i].rows != nests[one].rows or not even:
                yield one, i


def unfit_siblings(nests: Sequence[Nest]) -> Iterator[tuple[int, int]]:
    """The nests that can't be walked together with the one that they continue, each with that: it is not the last one
    before them that is no epilogue and continues none, or their loops don't fit together."""
    lead = -1
    for i, nest in enumerate(nests):
        if nest.after >= 0:
            continue
        if nest.lead < 0:
            lead = i
            continue
        one = nests[lead] if lead >= 0 else nest
        alike = (one.k, one.batch, one.group, one.rows, one.stream, one.strip, one.lazy) == (
            nest.k, nest.batch, nest.group, nest.rows, nest.stream, nest.strip, nest.lazy,
        )  # fmt: skip
        fits = one.m == nest.m if nest.beside >= 0 else one.n == nest.n and one.batch == 1
        mixed = (one_of_axis(nests, lead, i), nest.beside >= 0 and nest.below >= 0)
        if nest.lead != lead or not alike or not fits or not nest.k or any(mixed):
            yield lead, i


def one_of_axis(nests: Sequence[Nest], lead: int, i: int) -> bool:
    """Whether some nest between a lead and another continues the lead along the other axis."""
    return any(
        nests[j].lead == lead and (nests[j].beside >= 0) != (nests[i].beside >= 0) for j in range(max(lead, 0) + 1, i)
    )


def unread_streams(nests: Sequence[Nest], feeds: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """The streamed nests that no product of their group takes up right after them, each with -1; or with that product,
    where it sums over other tiles than their columns, or the first of those that are streamed with it, where these have
    not all the same columns. `feeds[i]` are the nests that make the left operand of a product i, or any operand of an
    elementwise operation."""
    for members in groups_of(nests):
        walked = [i for i in members if not nests[i].lazy]
        for streamed, together in groupby(walked, lambda i: nests[i].stream > 0):
            if not streamed:
                continue
            run = list(together)
            reader = next((i for i in walked if i > run[-1]), -1)
            taken = _behind(nests, feeds, reader) if reader >= 0 and nests[reader].k else set[int]()
            widths = [(nests[i].n, nests[i].stream, nests[i].strip) for i in run]
            for i, width in zip(run, widths, strict=True):
                if width != widths[0]:
                    yield i, run[0]
                elif i not in taken:
                    yield i, -1
                elif nests[reader].k != nests[i].n:
                    yield i, reader


def _behind(nests: Sequence[Nest], feeds: Sequence[Sequence[int]], reader: int) -> set[int]:
    """The nests that a reader's left operand is made of, through epilogues and streamed nests."""
    found: set[int] = set()
    waiting = list(feeds[reader])
    while waiting:
        i = waiting.pop()
        if i in found:
            continue
        found.add(i)
        if nests[i].after >= 0 or (nests[i].stream and not nests[i].k):
            waiting += feeds[i]
    return found


def unread_lazy(nests: Sequence[Nest], sources: Sources) -> Iterator[int]:
    """The lazy nests that are in no group, or of whose tiles, and those in their epilogues, nothing else of their group
    reads any."""
    group = [nests[root_of(nests, i)].group for i in range(len(nests))]
    read: set[int] = set()
    for i in range(len(nests)):
        roots = {root_of(nests, source.nest) for source in sources[i]} - {root_of(nests, i)}
        read.update(root for root in roots if group[root] is not None and group[root] == group[i])
    for i, nest in enumerate(nests):
        if nest.lazy and nest.lead < 0 and i not in read and not any(nests[j].lead == i for j in read):
            yield i


def root_of(nests: Sequence[Nest], i: int) -> int:
    """The nest with a loop of its own in whose epilogues a nest is; itself, if it is in none."""
    while nests[i].after >= 0:
        i = nests[i].after
    return i
