"""Which tiles a tile program needs on chip when: the program as plain data, and its liveness by backward passes.

Liveness as for registers (Aho, Lam, Sethi, Ullman, Compilers, section 9.2.5), over straight-line code: next uses, and
from when to when tiles have to reside on chip. Ranges of steps are half-open, [start, end).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from .arena import SRAMConfig
from .units import round_down, round_up

LOAD, EXEC, STORE = 0, 1, 2
"""Kinds of step."""

NEVER = 1 << 62
"""The next use of what is not needed again; greater than any step."""


class Step(NamedTuple):
    """One step. A load and a store name `tile`; an exec writes it from `sources` (distinct, in order of first mention).

    `accumulate` is set for `+=`, `retain` for a store that keeps the on-chip copy, `product` for a matmul.
    """

    kind: int
    tile: int
    sources: tuple[int, ...] = ()
    accumulate: bool = False
    retain: bool = False
    product: bool = False


@dataclass(slots=True)
class Limits:
    """What is asked of a plan: tiles that are not evicted before their last use (`pinned`), addresses in bytes that
    tiles must have (`at`: no other tile gets there), and ranges of SRAM bytes [start, end) that no tile may touch."""

    pinned: set[int] = field(default_factory=set[int])
    at: dict[int, int] = field(default_factory=dict[int, int])
    reserved: tuple[tuple[int, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pinned or self.at or self.reserved)


@dataclass(slots=True)
class Program:
    """A tile program, which is what gets planned: the steps in order, and for each tile, by its number, the size in
    bytes and the name for messages."""

    steps: list[Step] = field(default_factory=list[Step])
    sizes: list[int] = field(default_factory=list[int])
    names: list[Hashable] = field(default_factory=list[Hashable])
    limits: Limits = field(default_factory=Limits)

    def set_aside(self, config: SRAMConfig) -> list[tuple[int, int]]:
        """The ranges [start, end) of bytes that are reserved or kept for tiles with fixed addresses: whole aligned
        blocks, in order, joined; only what is within the SRAM's last whole block."""
        alignment, capacity = config.alignment, config.capacity
        ranges = list(self.limits.reserved)
        ranges += [(address, address + self.sizes[tile]) for tile, address in self.limits.at.items()]
        joined: list[tuple[int, int]] = []
        for start, end in sorted((round_down(s, alignment), round_up(e, alignment)) for s, e in ranges):
            start, end = min(start, capacity), min(end, capacity)
            if start == end:
                continue
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((start, end))
        return joined


def next_uses(program: Program) -> list[tuple[int, ...]]:
    """For each step, the next step that needs the on-chip copy of each tile that it names, destination first.

    A read, a `+=` and a store need the copy; a `=` that is not in place makes it worthless, so that `NEVER` stands
    for what is needed no more before that.
    """
    return _next_uses(program)[0]


def _next_uses(program: Program) -> tuple[list[tuple[int, ...]], list[int]]:
    """As `next_uses`, and for each tile the first step that needs a copy which no step before has made."""
    upcoming = [NEVER] * len(program.sizes)
    uses: list[tuple[int, ...]] = []
    i = len(program.steps)
    for kind, tile, sources, accumulate, _, _ in reversed(program.steps):
        i -= 1
        if kind != EXEC:
            uses.append((upcoming[tile],))
            if kind == STORE:
                upcoming[tile] = i
        elif len(sources) == 2:
            first, second = sources
            uses.append((upcoming[tile], upcoming[first], upcoming[second]))
            upcoming[tile] = i if accumulate else NEVER
            upcoming[first] = upcoming[second] = i
        else:
            uses.append((upcoming[tile], *[upcoming[s] for s in sources]))
            upcoming[tile] = i if accumulate else NEVER
            for s in sources:
                upcoming[s] = i
    uses.reverse()
    return uses, upcoming


def finishing_execs(program: Program) -> list[bool]:
    """Whether each step is the exec after which its destination is only read, until it is started again: from then on
    its sum is complete, and it may be spilled (stored off chip, and loaded again for its next use).

    False too where the next step on the tile is its store, which is as good as a spill.
    """
    read_next = [False] * len(program.sizes)
    finishing = [False] * len(program.steps)
    i = len(program.steps)
    for kind, tile, sources, _, _, _ in reversed(program.steps):
        i -= 1
        if kind == LOAD:
            continue
        finishing[i] = kind == EXEC and read_next[tile]
        read_next[tile] = False
        for s in sources:
            read_next[s] = True
    return finishing


class Liveness(NamedTuple):
    """What a program needs when: for each step the next uses of its tiles (`next_uses`), and whether it is the exec
    that finishes its tile (`finishing_execs`); and the tiles that have to be loaded at least once, since no exec has
    made them when they are needed."""

    uses: list[tuple[int, ...]]
    finishing: list[bool]
    outside: list[int]


def liveness_of(program: Program) -> Liveness:
    """A program's next uses and finishing execs, by two backward passes; linear in the number of steps."""
    uses, first = _next_uses(program)
    outside = [tile for tile, step in enumerate(first) if step != NEVER]
    return Liveness(uses, finishing_execs(program), outside)


class Residency(NamedTuple):
    """The steps [start, end) over which a tile has to stay on chip."""

    start: int
    end: int
    tile: int


def accumulator_residencies(program: Program) -> list[Residency]:
    """From when to when tiles that an exec writes can't be evicted, in order of their start.

    That ends with the store, or with the exec that finishes a tile which is read next.
    """
    finishing = finishing_execs(program)
    found: list[Residency] = []
    open_ranges: dict[int, tuple[int, int]] = {}
    for i, (kind, tile, sources, accumulate, _, _) in enumerate(program.steps):
        if kind == EXEC:
            if tile in open_ranges and not accumulate and tile not in sources:
                found.append(Residency(*open_ranges.pop(tile), tile))
            open_ranges[tile] = (open_ranges[tile][0] if tile in open_ranges else i, i + 1)
        if kind == STORE and tile in open_ranges:
            found.append(Residency(open_ranges.pop(tile)[0], i + 1, tile))
        elif finishing[i]:
            found.append(Residency(*open_ranges.pop(tile), tile))
    found += [Residency(start, end, tile) for tile, (start, end) in open_ranges.items()]
    return sorted(found)


def pinned_residencies(program: Program) -> list[Residency]:
    """For each pinned tile the steps from the first to the last that needs it, in order of their start."""
    ranges: dict[int, tuple[int, int]] = {}
    for i, step in enumerate(program.steps):
        for tile in () if step.kind == LOAD else (step.tile, *step.sources):
            if tile in program.limits.pinned:
                ranges[tile] = (ranges[tile][0] if tile in ranges else i, i + 1)
    return sorted(Residency(start, end, tile) for tile, (start, end) in ranges.items())
