"""Between the planner's integers and the IR: a uop function as a tile program, a plan as sched operations."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from ..dialects import sched, uop
from ..dialects.kernels import KERNELS
from ..dialects.placement_limits import Wish
from ..dialects.tiles import Coord, TiledType, TileRef, tile_text
from ..ir.attributes import UNIT
from ..ir.constructors import maker
from ..ir.core import Operation, Value
from ..planner.arena import SRAMConfig, count_of
from ..planner.liveness import EXEC, LOAD, STORE, Program, Step
from ..planner.memory_planner import PlanError, plan
from ..planner.residency import FILL, RUN, SET_ASIDE, SPILL, Event


class TileName:
    """A tile's name, made into text only if a message needs it."""

    __slots__ = ("ref",)

    def __init__(self, ref: TileRef):
        self.ref = ref

    def __str__(self) -> str:
        return tile_text(*self.ref)


class _TileNumbers(dict[Value, "_CoordNumbers"]):
    """The numbers of each buffer's tiles."""

    def __init__(self, program: Program, refs: list[TileRef]):
        super().__init__()
        self.program = program
        self.refs = refs

    def __missing__(self, value: Value) -> _CoordNumbers:
        found = self[value] = _CoordNumbers(self.program, self.refs, value)
        return found


class _CoordNumbers(dict[Coord, int]):
    """The numbers of a buffer's tiles; one that comes up for the first time is entered into the program."""

    def __init__(self, program: Program, refs: list[TileRef], value: Value):
        super().__init__()
        self.program = program
        self.refs = refs
        self.value = value

    def __missing__(self, coord: Coord) -> int:
        type, ref = self.value.type, (self.value, coord)
        assert isinstance(type, TiledType)
        found = self[coord] = len(self.refs)
        self.refs.append(ref)
        self.program.sizes.append(type.tile_bytes)
        self.program.names.append(TileName(ref))
        return found


class TileProgram:
    """The tile program of a list of uops. `ops` are the operations that became steps, in order, and `others` those that
    the planner doesn't know, with the number of steps before them. `numbers` has each tile's number by buffer and
    coordinates: looking it up needs no tuple of both.

    Without `asks`, loads right before the exec that reads their tile are left out: the planner brings what an exec
    needs, and time is then counted in execs and stores, as `nest_cost.py` counts it.
    """

    def __init__(self, ops: Iterable[Operation], asks: bool = True):
        self.program = Program()
        self.refs: list[TileRef] = []
        self.numbers = _TileNumbers(self.program, self.refs)
        self.ops: list[Operation] = []
        self.others: list[tuple[int, Operation]] = []
        self._add(ops, asks)

    def limit(self, wishes: Mapping[Value, Wish], reserved: tuple[tuple[int, int], ...], alignment: int) -> None:
        """Enters what is asked of the tiles that the program has."""
        limits = self.program.limits
        limits.reserved = reserved
        for tile, (value, coord) in enumerate(self.refs):
            wish = wishes.get(value)
            if wish is None:
                continue
            assert isinstance(value.type, TiledType)
            address = wish.address(value.type, coord, alignment)
            if address is not None:
                limits.at[tile] = address
            if wish.pins(coord):
                limits.pinned.add(tile)

    def id_of(self, value: Value, coord: Coord) -> int:
        """A tile's number."""
        return self.numbers[value][coord]

    def _add(self, ops: Iterable[Operation], asks: bool) -> None:
        numbers, steps, kept = self.numbers, self.program.steps, self.ops
        loads: dict[int, Step] = {}
        make = tuple.__new__  # half the time of `Step(...)`
        for op in ops:
            if isinstance(op, uop.LoadOp):
                tile = numbers[op.operands[0]][op.coords[0]]
                step = loads.get(tile)
                if step is None:
                    step = loads[tile] = Step(LOAD, tile)
            elif isinstance(op, uop.ExecOp):
                dst, first, *others = op.operands
                coords = op.coords
                tile, left = numbers[dst][coords[0]], numbers[first][coords[1]]
                right = numbers[others[0]][coords[2]] if others else left
                sources = (left,) if left == right else (left, right)
                if len(others) > 1:
                    third = numbers[others[1]][coords[3]]
                    sources = sources if third in sources else (*sources, third)
                if not asks:
                    self._leave_out_loads(sources)
                step = make(Step, (EXEC, tile, sources, op.accumulate, False, KERNELS[op.kernel].combine is not None))
            elif isinstance(op, uop.StoreOp):
                tile = numbers[op.operands[0]][op.coords[0]]
                step = make(Step, (STORE, tile, (), False, op.retain is UNIT, False))
            else:
                self.others.append((len(steps), op))
                continue
            steps.append(step)
            kept.append(op)

    def _leave_out_loads(self, tiles: Sequence[int]) -> None:
        steps = self.program.steps
        while steps and steps[-1].kind == LOAD and steps[-1].tile in tiles:
            steps.pop()
            self.ops.pop()
        at = len(self.others) - 1
        while at >= 0 and self.others[at][0] > len(steps):
            self.others[at] = len(steps), self.others[at][1]
            at -= 1


def schedule_ops(
    ops: Sequence[Operation],
    config: SRAMConfig,
    evict: str = "min",
    double_buffer: bool = False,
    values: Mapping[Value, Value] | None = None,
    wishes: Mapping[Value, Wish] | None = None,
    reserved: tuple[tuple[int, int], ...] = (),
) -> list[Operation]:
    """The sched operations of a list of uops, in order, on the values that `values` maps the uops' own to; `wishes` and
    `reserved` are what is asked of buffers and of the SRAM.

    Operations that are neither load, exec nor store stay in place. Raises `ScheduleError` if they don't fit.
    """
    tiles = TileProgram(ops, asks=evict != "cost")
    tiles.limit(wishes or {}, reserved, config.alignment)
    try:
        events = plan(tiles.program, config, evict).events
    except PlanError as error:
        raise ScheduleError(tiles.ops[error.step], error) from None
    buffers = buffer_ids(tiles.program, events) if double_buffer else [None] * len(events)
    scheduled = event_ops(tiles, events, buffers, values or {})
    return _with_others(tiles, events, scheduled) if tiles.others else scheduled


def _with_others(tiles: TileProgram, events: list[Event], scheduled: list[Operation]) -> list[Operation]:
    """Puts the operations that the planner doesn't know back between those that it does."""
    out: list[Operation] = []
    position = 0
    for steps, op in tiles.others:
        start, position = position, bisect_left(events, steps, position, key=itemgetter(1))
        out += scheduled[start:position]
        out.append(op)
    return out + scheduled[position:]


class ScheduleError(Exception):
    """The SRAM is too small, or what is asked of it can't be; `op` is the uop that finds no room."""

    def __init__(self, op: Operation, plan_error: PlanError):
        super().__init__(op, plan_error)
        self.op = op
        self.plan_error = plan_error

    @property
    def why(self) -> str:
        """The cause in words."""
        if not self.plan_error.shortage:
            return "fragmentation"
        aside = any(str(a.tag) == SET_ASIDE for a in self.plan_error.cause.live)
        return "the tiles needed at once exceed " + ("what is not set aside of the SRAM" if aside else "the SRAM")

    def __str__(self) -> str:
        error = self.plan_error
        cause = self.why
        detail = error.cause
        if detail.request_address is not None:
            others = " and ".join(str(other.tag) for other in detail.live)
            return (
                f"{detail.request_tag} is asked to be at @0x{detail.request_address:04x}, where {others} "
                f"{'has' if len(detail.live) == 1 else 'have'} to be at the same time"
            )
        lines = [
            f"out of SRAM: no room for {detail.request_tag}, {detail.request_bytes:,} bytes; needs at least "
            f"{error.needs:,} bytes (sram={error.needs})",
            f"  capacity:           {detail.capacity:,} bytes",
            f"  live:               {detail.live_bytes:,} bytes in {count_of(len(detail.live), 'allocation')}",
            f"  largest free block: {detail.largest_free_block:,} bytes",
            f"  cause:              {cause}",
        ]
        if detail.live:
            lines.append("  live allocations:")
        lines += [f"    @0x{a.address:04x} {a.bytes:>10,} bytes  {a.tag}" for a in detail.live]
        return "\n".join(lines)


# There are as many of these as of nothing else: constructors with a dozen keywords would take four times as long.
_exec_op = maker(sched.ExecOp, ("operands", "addrs", "buffer"), uop.ExecOp)
_store_op = maker(sched.StoreOp, ("operands", "addrs", "bytes"), uop.StoreOp)
_load_op = maker(sched.LoadOp, ("operands", "coords", "addrs", "bytes", "buffer", "loc"))


def event_ops(
    tiles: TileProgram, events: Iterable[Event], buffers: Iterable[int | None], values: Mapping[Value, Value]
) -> list[Operation]:
    """The sched operations of a plan's events, with the events' addresses, on the mapped values."""
    mapped = _Mapped(values)
    ops, refs, sizes = tiles.ops, tiles.refs, tiles.program.sizes
    made: list[Operation] = []
    for (kind, step, tile, addresses), buffer in zip(events, buffers, strict=True):
        op: Any = ops[step]
        if kind == RUN:
            operands = mapped[op.operands]
            if type(op) is uop.ExecOp:
                if len(addresses) < len(operands):
                    addresses = _of_each(tiles, op, addresses)
                made.append(_exec_op(op, operands, addresses, buffer))
                continue
            made.append(_store_op(op, operands, addresses, sizes[tile]))
            continue
        value, coord = refs[tile]
        operands = mapped[value,]
        if kind == FILL:
            made.append(_load_op(operands, (coord,), addresses, sizes[tile], buffer, op.loc))
        else:
            made.append(sched.StoreOp(
                operands, coords=(coord,), addrs=addresses, bytes=sizes[tile], spill=UNIT, loc=op.loc
            ))  # fmt: skip
    return made


def _of_each(tiles: TileProgram, op: uop.ExecOp, addresses: Sequence[int]) -> tuple[int, ...]:
    """The addresses of an exec's tiles, of those of the destination and of its distinct sources: some of these are read
    twice."""
    sources = [tiles.id_of(v, c) for v, c in zip(op.operands[1:], op.coords[1:], strict=True)]
    places = dict(zip(dict.fromkeys(sources), addresses[1:], strict=True))
    return (addresses[0], *[places[s] for s in sources])


class _Mapped(dict[tuple[Value, ...], tuple[Value, ...]]):
    """Operands on the mapped values; equal ones are one tuple."""

    def __init__(self, values: Mapping[Value, Value]):
        super().__init__()
        self.values_of = values

    def __missing__(self, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        found = self[operands] = tuple([self.values_of.get(v, v) for v in operands])
        return found


def buffer_ids(program: Program, events: list[Event]) -> list[int | None]:
    """The `buffer` of each event: k % 2 for the k-th matmul on its destination's life; for a load that of the first
    exec that reads the tile; None for all else."""
    ids: list[int | None] = [None] * len(events)
    count: dict[int, int] = {}
    waiting: dict[int, int] = {}
    for i, event in enumerate(events):
        if event.kind == FILL:
            waiting[event.tile] = i
            continue
        if event.kind == SPILL:
            continue
        step = program.steps[event.step]
        if step.kind != EXEC:
            continue
        if not step.accumulate:
            count[step.tile] = 0
        if step.product:
            ids[i] = count[step.tile] % 2
            count[step.tile] += 1
        for source in step.sources:
            load = waiting.pop(source, None)
            if load is not None:
                ids[load] = ids[i]
    return ids
