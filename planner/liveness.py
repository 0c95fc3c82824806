"""Which tiles a program of tile steps needs when: plain data for the planner, and its next uses by one backward pass.

A pure solver: tiles and steps are integers, not IR.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from .arena import SRAMConfig

LOAD, EXEC, STORE = 0, 1, 2

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
    """What is asked of a plan: tiles that are not evicted before their last use, addresses that tiles must have (no
    other tile gets there), and ranges of SRAM bytes [start, end) that no tile may touch."""

    pinned: set[int] = field(default_factory=set)
    at: dict[int, int] = field(default_factory=dict)
    reserved: tuple[tuple[int, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pinned or self.at or self.reserved)


@dataclass(slots=True)
class Program:
    """What is to be planned: the steps, and per tile its size in bytes and its name for messages."""

    steps: list[Step] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    names: list[Hashable] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)

    def set_aside(self, config: SRAMConfig) -> list[tuple[int, int]]:
        """The ranges that are reserved or kept for tiles with fixed addresses, whole aligned blocks, joined; only what
        is within the SRAM's last whole block."""
        alignment = config.alignment
        capacity = config.total_bytes // alignment * alignment
        ranges = list(self.limits.reserved)
        ranges += [(address, address + self.sizes[tile]) for tile, address in self.limits.at.items()]
        joined: list[tuple[int, int]] = []
        for start, end in sorted((s // alignment * alignment, -(-e // alignment) * alignment) for s, e in ranges):
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
    return uses


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


def accumulator_lives(program: Program) -> list[tuple[int, int, int]]:
    """The lives of tiles that an exec writes, as (first step, last step, tile), inclusive, in order of their start.

    A life ends with the store, or with the exec that finishes a tile which is read next. Until then the tile can't be
    evicted.
    """
    finishing = finishing_execs(program)
    lives: list[tuple[int, int, int]] = []
    open_lives: dict[int, tuple[int, int]] = {}
    for i, (kind, tile, sources, accumulate, _, _) in enumerate(program.steps):
        if kind == EXEC:
            if tile in open_lives and not accumulate and tile not in sources:
                lives.append((*open_lives.pop(tile), tile))
            open_lives[tile] = (open_lives[tile][0] if tile in open_lives else i, i)
        if kind == STORE and tile in open_lives:
            lives.append((open_lives.pop(tile)[0], i, tile))
        elif finishing[i]:
            lives.append((*open_lives.pop(tile), tile))
    lives += [(*span, tile) for tile, span in open_lives.items()]
    return sorted(lives)


def pinned_lives(program: Program) -> list[tuple[int, int, int]]:
    """From the first to the last step that needs each pinned tile, as `accumulator_lives` has them."""
    spans: dict[int, tuple[int, int]] = {}
    for i, step in enumerate(program.steps):
        for tile in () if step.kind == LOAD else (step.tile, *step.sources):
            if tile in program.limits.pinned:
                spans[tile] = (spans[tile][0] if tile in spans else i, i)
    return sorted((first, last, tile) for tile, (first, last) in spans.items())
