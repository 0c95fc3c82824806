"""Between the planner's integers and the IR: a uop function as a tile program, a plan as sched operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..dialects import sched, uop
from ..dialects.limits import Wish
from ..dialects.tiles import Coord, TiledType, tile_text
from ..ir.attributes import UNIT
from ..ir.core import Operation, Value
from .arena import SRAMConfig, count_of
from .liveness import EXEC, LOAD, STORE, Program, Step
from .planner import PlanError, plan
from .residency import FILL, SET_ASIDE, SPILL, Event

TileRef = tuple[Value, Coord]


class TileName:
    """A tile's name, made into text only if a message needs it."""

    __slots__ = ("ref",)

    def __init__(self, ref: TileRef):
        self.ref = ref

    def __str__(self) -> str:
        return tile_text(*self.ref)


class TileProgram:
    """The tile program of a list of uops. `ops` are the operations that became steps, in order.

    Without `asks`, loads right before the exec that reads their tile are left out: the planner brings what an exec
    needs, and time is then counted in execs and stores, as `trial.py` counts it.
    """

    def __init__(self, ops: Iterable[Operation], asks: bool = True):
        self.program = Program()
        self.asks = asks
        self.ids: dict[TileRef, int] = {}
        self.refs: list[TileRef] = []
        self.ops: list[Operation] = []
        for op in ops:
            self.add(op)

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
        key = (value, coord)
        found = self.ids.get(key)
        if found is None:
            assert isinstance(value.type, TiledType)
            found = self.ids[key] = len(self.refs)
            self.refs.append(key)
            self.program.sizes.append(value.type.tile_bytes)
            self.program.names.append(TileName(key))
        return found

    def add(self, op: Operation) -> None:
        if isinstance(op, uop.ExecOp):
            operands, coords = op.operands, op.coords
            ids = [self.id_of(v, c) for v, c in zip(operands, coords, strict=True)]
            sources = (ids[1],) if len(ids) == 2 or ids[1] == ids[2] else (ids[1], ids[2])
            if not self.asks:
                self.leave_out_loads(sources)
            step = Step(EXEC, ids[0], sources, op.accumulate, False, op.kernel == "matmul")
        elif isinstance(op, uop.LoadOp):
            step = Step(LOAD, self.id_of(op.operands[0], op.coords[0]))
        elif isinstance(op, uop.StoreOp):
            step = Step(STORE, self.id_of(op.operands[0], op.coords[0]), retain=op.retain is UNIT)
        else:
            return
        self.program.steps.append(step)
        self.ops.append(op)

    def leave_out_loads(self, tiles: tuple[int, ...]) -> None:
        steps = self.program.steps
        while steps and steps[-1].kind == LOAD and steps[-1].tile in tiles:
            steps.pop()
            self.ops.pop()


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
    mapped = values or {}
    scheduled = [event_op(tiles, e, b, mapped) for e, b in zip(events, buffers, strict=True)]
    if len(tiles.ops) == len(ops):
        return scheduled
    return _with_others(ops, tiles, events, scheduled)


def _with_others(
    ops: Sequence[Operation], tiles: TileProgram, events: list[Event], scheduled: list[Operation]
) -> list[Operation]:
    """Puts the operations that the planner doesn't know back between those that it does."""
    out: list[Operation] = []
    step = position = 0
    for op in ops:
        if step < len(tiles.ops) and tiles.ops[step] is op:
            while position < len(events) and events[position].step == step:
                out.append(scheduled[position])
                position += 1
            step += 1
        elif not isinstance(op, uop.LoadOp):
            out.append(op)
    return out


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


def event_op(tiles: TileProgram, event: Event, buffer: int | None, values: Mapping[Value, Value]) -> Operation:
    """The sched operation of a plan's event."""
    """The sched operation of a plan's event, with the event's addresses."""
    op = tiles.ops[event.step]
    if event.kind == FILL or event.kind == SPILL:
        value, coord = tiles.refs[event.tile]
        size = tiles.program.sizes[event.tile]
        operands = (values.get(value, value),)
        if event.kind == FILL:
            return sched.LoadOp(operands, coords=(coord,), addrs=event.addresses, bytes=size, buffer=buffer, loc=op.loc)
        return sched.StoreOp(operands, coords=(coord,), addrs=event.addresses, bytes=size, spill=UNIT, loc=op.loc)
    operands = [values.get(v, v) for v in op.operands]
    if isinstance(op, uop.ExecOp):
        addrs = event.addresses if len(event.addresses) == len(op.operands) else (*event.addresses, event.addresses[1])
        return sched.ExecOp(
            operands, kernel=op.kernel, accumulate=op.accumulate, coords=op.coords, addrs=addrs,
            activation=op.activation, scale=op.scale, zero_point=op.zero_point, buffer=buffer,
            extra=op.extra, loc=op.loc,
        )  # fmt: skip
    assert isinstance(op, uop.StoreOp)
    return sched.StoreOp(
        operands, coords=op.coords, addrs=event.addresses, bytes=tiles.program.sizes[event.tile],
        activation=op.activation, retain=op.retain, extra=op.extra, loc=op.loc,
    )  # fmt: skip


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
