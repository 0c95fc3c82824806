"""What a choice of loop nests costs: the tile program that they make, planned by the real planner.

The program is the one that `lower` and `forward` make of the same nests, but for `uop.load`s, which only ask for what
the planner brings anyway: an intermediate is stored if it is returned, and stays on chip for its readers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from .arena import SRAMConfig
from .even_tiles import first_fit_traffic
from .lifetimes import LifetimePlanner, static_addresses
from .liveness import EXEC, STORE, Liveness, Program, Step, liveness_of
from .memory_planner import least_bytes
from .nest_checks import uneven_members, unfit_siblings, unread_lazy, unread_streams
from .nests import Nest, Source, walk
from .placement import WORK
from .residency import NoRoomError, Plan, TrafficLimitError
from .units import UNLIMITED

INFEASIBLE = UNLIMITED
"""The cost of what can't be planned."""

SECOND = 8
"""How much work the second attempt at planning a trial may take, for each step."""

# As for `Event` (`residency.py`): there is a step for each tile operation of thousands of programs.
_step: Callable[[type[Step], tuple[int, int, tuple[int, ...], bool, bool, bool]], Step] = tuple[object, ...].__new__

Steps = tuple[int, int, int, tuple[int, ...]]
"""How many tiles further an operator reads a source for the next row and the next column of its result's tiles, and for
the next k, and for each batch from the first one's: from where batch b begins, b being its number."""

OperatorForm = tuple[tuple[object, ...], ...]
"""How some operators are made up, apart from which tensors they are on: the same for a layer that comes up again."""

Choice = tuple[int, tuple[Nest, ...]]
"""The number of a form, and nests for its operators."""


@dataclass(frozen=True, slots=True)
class TileGrid:
    """A tensor in tiles: rows and columns of tiles (rank 1: one row), bytes of a tile, the number of the operator that
    makes it (-1: an argument), whether it is returned, and how many operators read it."""

    rows: int
    columns: int
    tile_bytes: int
    maker: int = -1
    returned: bool = False
    readers: int = 1


@dataclass(frozen=True, slots=True)
class Operator:
    """A product, a reduction over k, or an elementwise operator: `sources` and `result` number tensors. `k` counts
    tiles; 0: elementwise. `steps` say by source which of its tiles are read. A source more than there are steps is a
    bias. `places` say which tile of its tensor each tile of the result is, none where they are the same; `viewed` which
    sources are read as part of another tensor."""

    sources: tuple[int, ...]
    result: int
    k: int = 0
    steps: tuple[Steps, ...] = ()
    places: tuple[int, ...] = ()
    viewed: tuple[int, ...] = ()

    @property
    def bias(self) -> int:
        """The tensor that starts its sums, -1 for none."""
        return self.sources[-1] if len(self.sources) > len(self.steps) else -1

    @property
    def is_product(self) -> bool:
        """Whether it sums products: what is computed in blocks."""
        return self.k > 0 and len(self.sources) > 1


@dataclass(slots=True)
class TrafficModel:
    """What loop nests for a list of operators cost on a machine: the bytes that a plan of their tile program moves.

    `steps` counts the steps planned so far; `known` has the cost of what was tried (or that it is infeasible) and the
    limit that it was tried with.
    """

    measure: ClassVar[str] = "traffic"
    tensors: list[TileGrid]
    operators: list[Operator]
    config: SRAMConfig
    steps: int = 0
    known: dict[Choice, tuple[int, int]] = field(default_factory=dict[Choice, tuple[int, int]])
    forms: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    numbers: dict[OperatorForm, int] = field(default_factory=dict[OperatorForm, int])
    readers: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    makers: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    def cost(self, nests: Sequence[Nest], first: int = 0, end: int | None = None, limit: int = INFEASIBLE) -> int:
        """Bytes of all loads and stores of the operators from `first` to before `end`, by themselves: what they read
        from operators before is off chip, what operators after them read is stored. `INFEASIBLE` where the nests
        read a tile before it is computed, no plan is found, or it is not less than `limit`."""
        end = len(self.operators) if end is None else end
        key = (self.form(first, end), _relative(nests, first, end))
        known, least = self.known.get(key, (INFEASIBLE, 0))
        if known == INFEASIBLE and least < limit:
            known = self._plan(nests, first, end, limit)
            self.known[key] = known, limit
        return known if known < limit else INFEASIBLE

    def scheduled_cost(self, nests: Sequence[Nest]) -> int:
        """As `cost`, of all operators; a second attempt at planning may take all the work that `schedule` gives it."""
        cost = self.cost(nests)
        program = self.program(nests) if cost == INFEASIBLE else None
        made = self.second_attempt(program, liveness_of(program), WORK) if program is not None else None
        return cost if program is None or made is None else made.traffic(program)

    def form(self, first: int, end: int) -> int:
        """A number for how some operators are made up: the same for those of a layer that comes up again."""
        if (first, end) not in self.forms:
            order = {t: i for i, t in enumerate(program_tensors(self, first, end))}
            parts: list[tuple[object, ...]] = []
            for op in self.operators[first:end]:
                parts.append((op.k, *[order[t] for t in (*op.sources, op.result)]))
            parts += [step for op in self.operators[first:end] for step in op.steps]
            parts += [(op.places, op.viewed) for op in self.operators[first:end] if op.places or op.viewed]
            parts += [self._tensor_form(t, first, end) for t in order]
            self.forms[first, end] = self.numbers.setdefault(tuple(parts), len(self.numbers))
        return self.forms[first, end]

    def _tensor_form(self, tensor: int, first: int, end: int) -> tuple[int, ...]:
        it = self.tensors[tensor]
        made = first <= it.maker < end
        stored = made and self.is_stored(tensor, first, end)
        return it.rows, it.columns, it.tile_bytes, it.maker - first if made else -1, stored, it.returned

    def _plan(self, nests: Sequence[Nest], first: int, end: int, limit: int) -> int:
        program = self.program(nests, first, end)
        if program is None:
            return INFEASIBLE
        self.steps += len(program.steps)
        liveness = liveness_of(program)
        try:
            return first_fit_traffic(program, liveness, self.config, limit)
        except TrafficLimitError:
            return INFEASIBLE
        except NoRoomError:
            made = self.second_attempt(program, liveness, SECOND * len(program.steps), limit)
            return INFEASIBLE if made is None else made.traffic(program)

    def second_attempt(self, program: Program, liveness: Liveness, work: int, limit: int = UNLIMITED) -> Plan | None:
        """What `memory_planner.plan` makes where first fit finds no room, with so much `work`: less finds the same, or
        nothing. None where there is nothing to find, or it moves `limit` bytes or more."""
        if len(set(program.sizes)) == 1 or least_bytes(program, self.config) > self.config.total_bytes:
            return None  # with tiles of one size, first fit finds what there is
        self.steps += len(program.steps)
        static = static_addresses(program, self.config, work)
        if static is None:
            return None
        left = limit - 1 - sum(program.sizes[step.tile] for step in program.steps if step.kind == STORE)
        try:
            return LifetimePlanner(program, liveness, self.config, "cost", static, left).run()
        except (NoRoomError, TrafficLimitError):
            return None

    def enough(self, first: int, end: int) -> int:
        """The cost at which nothing more is tried for some operators."""
        return self.compulsory(first, end)

    def compulsory(self, first: int, end: int) -> int:
        """Bytes that some operators move at least."""
        return sum(self.bytes_of(t) for t in self.moved(first, end))

    def moved(self, first: int, end: int) -> list[int]:
        """The tensors that some operators move at least once: what comes from outside, what is needed outside."""
        operators = self.operators[first:end]
        inside = dict.fromkeys(op.result for op in operators)
        read = [t for t in dict.fromkeys(s for op in operators for s in op.sources) if t not in inside]
        return read + [t for t in inside if self.is_stored(t, first, end)]

    def is_stored(self, tensor: int, first: int, end: int) -> bool:
        """Whether a result of one of the operators from `first` to before `end` is needed beyond them."""
        inner = self.readers_in(tensor, first, end)
        return self.tensors[tensor].returned or inner < self.tensors[tensor].readers or not inner

    def readers_in(self, tensor: int, first: int, end: int) -> int:
        """How many of the operators from `first` to before `end` read a tensor."""
        if not self.readers:
            for i, op in enumerate(self.operators):
                for source in dict.fromkeys(op.sources):
                    self.readers.setdefault(source, []).append(i)
        numbers = self.readers.get(tensor, [])
        return bisect_left(numbers, end) - bisect_left(numbers, first)

    def makers_of(self, tensor: int) -> list[int]:
        """The operators that each make a part of a tensor; none where one makes all of it."""
        if not self.makers:
            for i, op in enumerate(self.operators):
                self.makers.setdefault(op.result if op.places else -1, []).append(i)
        return self.makers.get(tensor, [])

    def bytes_of(self, tensor: int) -> int:
        """The bytes of all tiles of a tensor."""
        it = self.tensors[tensor]
        return it.rows * it.columns * it.tile_bytes

    def program(self, nests: Sequence[Nest], first: int = 0, end: int | None = None) -> Program | None:
        """The tile program of some operators; None where `lower` would refuse the nests: those of a group don't fit
        together, or a tile would be read before it is computed."""
        end = len(self.operators) if end is None else end
        return _ProgramBuilder(self, first, end).build(nests)


def _relative(nests: Sequence[Nest], first: int, end: int) -> tuple[Nest, ...]:
    """Some nests with groups and hosts counted from the first of them."""
    groups: dict[int | None, int | None] = {None: None}
    found: list[Nest] = []
    for nest in nests[first:end]:
        group = groups.setdefault(nest.group, len(groups))
        nest = nest if group == nest.group else replace(nest, group=group)
        found.append(_counted_from(first, nest))
    return tuple(found)


def _counted_from(first: int, nest: Nest) -> Nest:
    """A nest whose hosts and leads are counted from an operator; of one before it nothing is known."""
    if max(nest.after, nest.beside, nest.below) < 0 or not first:
        return nest
    after, beside, below = (max(i - first, -1) for i in (nest.after, nest.beside, nest.below))
    return replace(nest, after=after, beside=beside, below=below)


def program_tensors(model: TrafficModel, first: int, end: int) -> list[int]:
    """The tensors of some operators, in the order in which their tiles are numbered."""
    return list(dict.fromkeys(t for op in model.operators[first:end] for t in (*op.sources, op.result)))


class _ProgramBuilder:
    """Makes one tile program. Tile t of a tensor has the number base + t, row by row."""

    def __init__(self, model: TrafficModel, first: int, end: int):
        self.model = model
        self.operators = model.operators
        self.tensors = model.tensors
        self.first = first
        self.end = end
        self.program = Program()
        self.base: dict[int, int] = {}
        self.done = bytearray()
        for tensor in program_tensors(model, first, end):
            self.place(tensor)

    def place(self, number: int) -> None:
        """Enters a tensor's tiles into the program."""
        tensor = self.tensors[number]
        count = tensor.rows * tensor.columns
        self.base[number] = len(self.program.sizes)
        self.program.sizes += [tensor.tile_bytes] * count
        self.program.names += [None] * count
        makers = self.model.makers_of(number)
        inside = any(self.first <= i < self.end for i in makers or (tensor.maker,))
        self.done += bytes([not inside]) * count
        for i in makers:
            if not self.first <= i < self.end:
                for at in self.operators[i].places:
                    self.done[self.base[number] + at] = 1

    def build(self, nests: Sequence[Nest]) -> Program | None:
        """The tile program of the nests; None where `lower` would refuse them."""
        steps, done = self.program.steps, self.done
        nests = [_counted_from(self.first, nest) for nest in nests[self.first : self.end]]
        sources = self.sources() if any(nest.lazy for nest in nests) else []
        if not self.fit(nests) or (sources and list(unread_lazy(nests, sources))):
            return None
        infos = [self.info(i, nests[i - self.first]) for i in range(self.first, self.end)]
        for i, m, n, k, starts, ends in walk(nests, sources):
            dst, columns, places, reads, sums, bias, per_batch, store = infos[i]
            tile = dst + (places[m * columns + n] if places else m * columns + n)
            if len(reads) == 2 and not per_batch:  # nearly all there is
                (a, a_down, a_across, a_deep, _), (b, b_down, b_across, b_deep, _) = reads
                left, right = a + m * a_down + n * a_across + k * a_deep, b + m * b_down + n * b_across + k * b_deep
                if not (done[left] and done[right]):
                    return None
                read = (left, right) if left != right else (left,)
            else:
                batch, row = divmod(m, per_batch) if per_batch else (0, m)
                read = tuple([at + row * down + n * across + k * deep + below[batch]
                             for at, down, across, deep, below in reads])  # fmt: skip
                if not all(map(done.__getitem__, read)):
                    return None
                if len(read) > 1:
                    read = tuple(dict.fromkeys(read))
            if starts and bias >= 0:
                steps.append(_step(Step, (EXEC, tile, (bias + n,), False, False, False)))
            steps.append(_step(Step, (EXEC, tile, read, sums and (not starts or bias >= 0), False, sums)))
            if ends:
                done[tile] = 1
                if store:
                    steps.append(_step(Step, (STORE, tile, (), False, store > 1, False)))
        return self.program

    def fit(self, nests: Sequence[Nest]) -> bool:
        """Whether the nests of groups, streams and siblings go together."""
        refused = (uneven_members(nests), unread_streams(nests, self.feeds()), unfit_siblings(nests))
        return not any(list(found) for found in refused)

    def feeds(self) -> list[list[int]]:
        """For each operation those of these that make the left operand of a product, or any of another one."""
        found: list[list[int]] = []
        for op in self.operators[self.first : self.end]:
            makers = [self.tensors[source].maker for source in (op.sources[:1] if op.k else op.sources)]
            found.append([maker - self.first for maker in makers if self.first <= maker < self.end])
        return found

    def sources(self) -> list[list[Source]]:
        """What each of these operations reads of the others."""
        found: list[list[Source]] = []
        for op in self.operators[self.first : self.end]:
            steps = list(op.steps)
            if op.bias >= 0:
                steps.append((0, 1, 0, (0,) * len(steps[0][3])))
            makers = [self.tensors[source].maker for source in op.sources]
            found.append([
                Source(maker - self.first, *step)
                for maker, step in zip(makers, steps, strict=True)
                if self.first <= maker < self.end and not self.operators[maker].places
            ])  # fmt: skip
        return found

    def info(
        self, number: int, nest: Nest
    ) -> tuple[int, int, tuple[int, ...], list[tuple[int, int, int, int, tuple[int, ...]]], bool, int, int, int]:
        """Where an operator's result starts, its columns, and its tiles' places if they are others; where its sources
        start, with the steps; whether it sums, where its bias starts (-1: none), the rows of a batch (0: one batch),
        and whether the result is stored (1), and kept besides (2)."""
        operator = self.operators[number]
        store = 0
        if self.model.is_stored(operator.result, self.first, self.end):
            store = 2 if self.model.readers_in(operator.result, self.first, self.end) else 1
        reads = [(self.base[s], *step) for s, step in zip(operator.sources, operator.steps, strict=False)]
        if nest.batch == 1:
            reads = [(at + below[0], down, across, deep, (0,)) for at, down, across, deep, below in reads]
        bias = self.base[operator.bias] if operator.bias >= 0 else -1
        columns = nest.n
        per_batch = nest.m if nest.batch > 1 else 0
        start, sums = self.base[operator.result], operator.k > 0
        return start, columns, operator.places, reads, sums, bias, per_batch, store
