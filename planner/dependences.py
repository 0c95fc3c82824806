"""The dependence graph of a tile program, and the legal orders of its execs.

A chain is one value of a tile: the exec that starts it, the products that are added to it, in any order, and the store
of it. An exec that reads a tile waits for the chain that makes it; the first exec of a chain waits for everything that
the tile's value before it is needed for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .arena import SRAMConfig
from .even_tiles import first_fit_traffic
from .liveness import EXEC, STORE, Program, Step, liveness_of
from .residency import NoRoomError, TrafficLimitError
from .units import UNLIMITED

NONE = -1


@dataclass(slots=True)
class Chain:
    """One value of a tile; the rest are numbers of steps and of chains. `start` is an exec that must come first (NONE
    if any product can), `reads` the execs that read the value, `early` those that read it before it is stored.

    A value is stored once: `store` is the first store of it, further ones change nothing."""

    tile: int
    start: int = NONE
    products: list[int] = field(default_factory=list[int])
    store: int = NONE
    reads: set[int] = field(default_factory=set[int])
    early: set[int] = field(default_factory=set[int])
    before: int = NONE

    @property
    def execs(self) -> list[int]:
        """The chain's execs, the one that must come first before the others."""
        return self.products if self.start == NONE else [self.start, *self.products]


class Emitted(NamedTuple):
    """A step in a new order: whether an exec accumulates there, and whether it is its chain's last."""

    step: int
    accumulate: bool
    last: bool


class Chains:
    """The chains of a tile program, which stand for its dependence graph: for each exec (a number of a step) the chain
    that it belongs to, and those that it reads."""

    def __init__(self, program: Program):
        self.program = program
        self.chains: list[Chain] = []
        self.twins: dict[int, Step] = {}
        self.chain_of: dict[int, int] = {}
        self.sources: dict[int, tuple[int, ...]] = {}
        current: dict[int, int] = {}
        for i, step in enumerate(program.steps):
            if step.kind == EXEC:
                self._exec(i, step, current)
            elif step.kind == STORE and step.tile in current:
                chain = self.chains[current[step.tile]]
                if chain.store == NONE:
                    chain.store = i
                    chain.early |= chain.reads

    def _exec(self, i: int, step: Step, current: dict[int, int]) -> None:
        self.sources[i] = tuple(current[s] for s in step.sources if s in current)
        for source in self.sources[i]:
            self.chains[source].reads.add(i)
        if step.accumulate:
            self.chains[current[step.tile]].products.append(i)
        else:
            chain = Chain(step.tile, before=current.get(step.tile, NONE))
            if step.product:
                chain.products.append(i)
            else:
                chain.start = i
            current[step.tile] = len(self.chains)
            self.chains.append(chain)
        self.chain_of[i] = current[step.tile]

    @property
    def execs(self) -> list[int]:
        """The execs in the program's order."""
        return [i for i, step in enumerate(self.program.steps) if step.kind == EXEC]

    def emit(self, order: Sequence[int]) -> list[Emitted] | None:
        """The steps of the execs in that order, with the stores as soon as they can be; None for an illegal order, or
        one that is not of all execs."""
        if len(order) != len(self.chain_of):
            return None
        state = OrderState(self)
        for i in order:
            if not state.exec(i):
                return None
        return state.out

    def cost(self, order: Sequence[int], config: SRAMConfig, limit: int = UNLIMITED) -> int | None:
        """Bytes that all loads and stores move with that order; None if it is illegal, can't be planned, or moves
        `limit` or more."""
        emitted = self.emit(order)
        if emitted is None:
            return None
        steps = self.program.steps
        given = self.program
        changed = [steps[i] if steps[i].accumulate == adds else self.twin(i) for i, adds, _ in emitted]
        program = Program(changed, given.sizes, given.names, given.limits)
        try:
            return first_fit_traffic(program, liveness_of(program), config, limit)
        except (NoRoomError, TrafficLimitError):
            return None

    def twin(self, i: int) -> Step:
        """A step that accumulates where it does not in the program, or the other way round."""
        if i not in self.twins:
            step = self.program.steps[i]
            self.twins[i] = step._replace(accumulate=not step.accumulate)
        return self.twins[i]


Prerequisite = tuple[str, int]
"""What an exec waits for: that a chain is "complete", "begun", or "over" (stored, and read by all that read it)."""


class OrderState:
    """How far an order has come."""

    def __init__(self, chains: Chains):
        self.all = chains
        self.left = [len(chain.execs) for chain in chains.chains]
        self.begun = [False] * len(chains.chains)
        self.unread = [set(chain.reads) for chain in chains.chains]
        self.stored = [chain.store == NONE for chain in chains.chains]
        self.out: list[Emitted] = []

    def ready(self, i: int) -> bool:
        """Whether an exec may come next."""
        return self.waits_for(i) is None

    def waits_for(self, i: int) -> Prerequisite | None:
        """What has to come before an exec, if anything."""
        for source in self.all.sources[i]:
            if self.left[source]:
                return "complete", source
        number = self.all.chain_of[i]
        if self.begun[number]:
            return None
        chain = self.all.chains[number]
        if chain.start not in (NONE, i):
            return "begun", number
        before = chain.before
        if before == NONE or (self.stored[before] and not self.left[before] and self.unread[before] <= {i}):
            return None
        return "over", before

    def exec(self, i: int) -> bool:
        """Takes an exec next, with the stores that can follow it; False, and nothing changes, if it is not ready."""
        if not self.ready(i):
            return False
        number = self.all.chain_of[i]
        self.left[number] -= 1
        self.out.append(Emitted(i, self.begun[number], not self.left[number]))
        self.begun[number] = True
        for source in self.all.sources[i]:
            self.unread[source].discard(i)
            self.store(source)
        self.store(number)
        return True

    def store(self, number: int) -> None:
        """The store of a chain, once it is complete and what read it before has."""
        chain = self.all.chains[number]
        if self.stored[number] or self.left[number] or chain.early & self.unread[number]:
            return
        self.stored[number] = True
        self.out.append(Emitted(chain.store, False, False))
