"""Between a graph function and loop nests: what the operations' attributes say, and what each tile operation reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from ..dialects.graph import ElementwiseOp, GraphOp, MatmulOp, ViewOp
from ..dialects.kernels import KERNELS
from ..dialects.kernels.declaration import ALL, coords_along
from ..dialects.tiles import Coord, TiledType, TileRef, coord_text, coords_within
from ..ir.attributes import UNIT
from ..ir.core import Operation, Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..planner.arena import SRAMConfig, count_of
from ..planner.nest_checks import root_of, uneven_members, unfit_siblings, unread_lazy, unread_streams
from ..planner.nest_cost import Operator, Steps, TileGrid, TrafficModel
from ..planner.nests import Nest, Source, walk
from .left_out import LeftOut
from .views import Views

Tiled = Mapping[Value, TiledType]


@dataclass(frozen=True, slots=True)
class TileTask:
    """One tile operation of a graph operation: its result's tile, and that of the buffer that this is, what it reads,
    whether it starts and finishes it."""

    op: int
    coord: Coord
    place: TileRef
    sources: tuple[TileRef, ...]
    starts: bool
    ends: bool


def nests_of(ops: Sequence[GraphOp], tiled: Tiled, views: Views | None = None) -> list[Nest]:
    """The loop nest of each operation, as its attributes have it. Raises `DiagnosticError` for those that contradict
    each other."""
    views = views or Views()
    made: dict[Value, int] = {}
    nests: list[Nest] = []
    for i, op in enumerate(ops):
        nests.append(_nest(op, made, ops, nests, tiled))
        made[op.result] = i
    errors = [*_group_errors(ops, nests, views), *_lazy_errors(ops, nests, tiled, views)]
    if errors:
        raise DiagnosticError(errors)
    return nests


def check_execs(ops: Sequence[GraphOp], tiled: Tiled, most: int) -> None:
    """Raises `DiagnosticError` for operations that would become more than `most` execs together, at the one that has
    most of them: before any is made."""
    execs: dict[GraphOp, int] = {}
    for op in ops:
        execs[op] = tiled[op.result].count * max(depth_of(op, tiled), 1)
    total = sum(execs.values())
    if total <= most:
        return
    worst = max(execs, key=execs.__getitem__)
    message = f"{worst.name} %{worst.result.name} would become {execs[worst]:,} execs"
    if execs[worst] < total:
        message += f", the function {total:,}"
    raise DiagnosticError([Diagnostic(f"{message}, more than {most:,}; use larger tiles", worst.loc)])


def _nest(op: GraphOp, made: Mapping[Value, int], ops: Sequence[GraphOp], nests: list[Nest], tiled: Tiled) -> Nest:
    k = depth_of(op, tiled)
    plain = replace(nest_of(tiled[op.result], k), group=op.group, rows=op.rows or 0)
    if not isinstance(op, MatmulOp):
        after = _host(op, made, nests) if isinstance(op, ElementwiseOp) and op.epilogue is UNIT else -1
        return replace(plain, after=after, lazy=op.lazy is UNIT)
    if op.epilogue is UNIT:
        return replace(plain, after=_product_host(op, k, made, tiled))
    strip, stream = (0, op.stream or 0) if not isinstance(op.stream, tuple) else op.stream
    nest = replace(
        plain, block=op.block or (1, 1), order=op.order or "mn", snake=op.snake is UNIT, reverse=op.reverse is UNIT,
        stream=stream, strip=strip, lazy=op.lazy is UNIT,
    )  # fmt: skip
    if op.beside is not UNIT and op.below is not UNIT:
        return nest
    lead = _lead(op, ops, nests)
    return replace(nest, **{name: lead for name in ("beside", "below") if getattr(op, name) is UNIT})


def _host(op: GraphOp, made: Mapping[Value, int], nests: list[Nest]) -> int:
    """The operation whose tiles are an epilogue's last operand."""

    def position(i: int) -> tuple[int, int]:
        return root_of(nests, i), i

    hosts = [made[v] for v in op.operands if v in made and v.type.shape == op.result.type.shape]  # type: ignore[attr-defined]
    if not hosts:
        message = f"{op.name} %{op.result.name} is an epilogue, but no operation makes an operand of its shape"
        raise DiagnosticError([Diagnostic(message, op.loc, focus="epilogue")])
    return max(hosts, key=position)


def _product_host(op: MatmulOp, k: int, made: Mapping[Value, int], tiled: Tiled) -> int:
    """The last operation before a product in an epilogue that makes a tensor cut as its result is; a vector is one
    row."""
    hosts = [i for v, i in made.items() if grid_of(tiled[v]) == grid_of(tiled[op.result])]
    if not hosts or k != 1:
        why = f"its k is {k} tiles, not one" if k != 1 else "no operation before it makes a tensor of as many tiles"
        message = f"{op.name} %{op.result.name} is an epilogue, but {why}"
        raise DiagnosticError([Diagnostic(message, op.loc, focus="epilogue")])
    return hosts[-1]


def _lead(op: MatmulOp, ops: Sequence[GraphOp], nests: Sequence[Nest]) -> int:
    """The product whose columns or rows this one continues: the last before it that is no epilogue and continues
    none. Raises `DiagnosticError` where that is no product."""
    found = next((i for i in reversed(range(len(nests))) if nests[i].after < 0 and nests[i].lead < 0), -1)
    if found >= 0 and isinstance(ops[found], MatmulOp):
        return found
    name = "beside" if op.beside is UNIT else "below"
    why = "there is none before it" if found < 0 else f"%{ops[found].result.name} before it is none"
    raise DiagnosticError(
        [Diagnostic(f"{op.name} %{op.result.name} is {name} a product, but {why}", op.loc, focus=name)]
    )


def _group_errors(ops: Sequence[GraphOp], nests: list[Nest], views: Views) -> Iterator[Diagnostic]:
    for first, i in uneven_members(nests):
        one, other = f"%{ops[first].result.name}", f"%{ops[i].result.name}"
        group, rows = nests[first].group, nests[first].rows
        if nests[i].rows != rows:
            message = f"group {group} has rows = {rows} at {one}, rows = {nests[i].rows} at {other}"
        else:
            heights = nests[first].height, nests[i].height
            message = f"group {group} has {count_of(heights[0], 'row')} of tiles at {one}, {heights[1]} at {other}"
        yield Diagnostic(message, ops[i].loc).note(f"{one} is computed here", ops[first].loc)
    yield from _sibling_errors(ops, nests, views)
    made = {views.buffer(op.result): i for i, op in reversed(list(enumerate(ops)))}
    for i, other in unread_streams(nests, [_feeds(op, made, views) for op in ops]):
        one = f"%{ops[i].result.name} is streamed"
        if other >= 0 and nests[other].stream:
            message = f"{one} together with %{ops[other].result.name}, which has other columns of tiles or 'stream'"
        elif other >= 0:
            message = f"{one}, but %{ops[other].result.name} reads a view of it that has other columns of tiles"
        else:
            message = f"{one}, but no product of its group reads it right after it that is not streamed itself"
        yield Diagnostic(message, ops[i].loc, focus="stream")


def _lazy_errors(ops: Sequence[GraphOp], nests: Sequence[Nest], tiled: Tiled, views: Views) -> Iterator[Diagnostic]:
    """Operations that wait for a reader in vain: of their own epilogues, and of what reads the tensor that they are a
    part of, none is asked for them."""
    for i in unread_lazy(nests, _sources(ops, nests, tiled, views)):
        buffer = views.buffer(ops[i].result)
        group = [op for j, op in enumerate(ops) if nests[root_of(nests, j)].group == nests[i].group is not None]
        read = any(views.buffer(v) is buffer for op in group for v in op.operands)
        apart = ", but in its epilogues" if read else ""
        if read and buffer is not ops[i].result:
            apart = f", but %{buffer.name}, of which it is a part"
        message = f"%{ops[i].result.name} is lazy, but nothing else of its group reads it{apart}"
        yield Diagnostic(message, ops[i].loc, focus="lazy")


def _sources(ops: Sequence[GraphOp], nests: Sequence[Nest], tiled: Tiled, views: Views) -> list[list[Source]]:
    """What each operation reads of the others; not asked for where none is lazy."""
    if not any(nest.lazy for nest in nests):
        return [[] for _ in nests]
    return sources_of([described(op, tiled) for op in ops], tiled, views)


def adapters_last(ops: Sequence[Operation]) -> list[Operation]:
    """The operations in an order in which a low-rank product's second half stands behind what it is added to, and its
    first half before that: `x * a`, `x * w`, `(x * a) * b` in `x * w + (x * a) * b`. Then it can be an epilogue.

    Operations that this language doesn't know keep all others where they are.
    """
    order = list(ops)
    if any(not isinstance(op, GraphOp) for op in order[:-1]):
        return order
    places: dict[Operation, int] = {op: i for i, op in enumerate(order)}
    for op in ops:
        made = [v.owner for v in op.operands if isinstance(v.owner, MatmulOp)]
        if not isinstance(op, ElementwiseOp) or len(made) != 2:
            continue
        half, whole = sorted(made, key=_depth)
        first = half.operands[0].owner
        if _depth(half) == _depth(whole) or not isinstance(first, MatmulOp):
            continue
        if places[first] > places[whole]:
            _move(order, places, first, places[whole])
        if places[half] < places[whole]:
            _move(order, places, half, places[whole] + 1)
    return order


def _depth(op: MatmulOp) -> int:
    """The elements that a product sums over."""
    return op.operands[0].type.shape[op.depth_axis]  # type: ignore[attr-defined]


def depth_of(op: GraphOp, tiled: Tiled) -> int:
    """The tiles that an operation sums over; 0 for one that sums nothing."""
    return 0 if op.depth_axis is None else tiled[op.operands[0]].grid[op.depth_axis]


def _move(order: list[Operation], places: dict[Operation, int], op: Operation, to: int) -> None:
    """Moves an operation up to before place `to`, or down to before it, unless one on its way stands against that.
    `places` says where each operation is."""
    at = places[op]
    if at < to and not any(v in op.results for other in order[at + 1 : to] for v in other.operands):
        order.insert(to - 1, order.pop(at))
    elif at > to and not any(v.owner in order[to:at] for v in op.operands):
        order.insert(to, order.pop(at))
    places.update((order[i], i) for i in range(min(at, to), min(max(at + 1, to), len(order))))


def _sibling_errors(ops: Sequence[GraphOp], nests: Sequence[Nest], views: Views) -> Iterator[Diagnostic]:
    """Products that are beside or below another one, and don't fit there."""
    unfit = {i for _, i in unfit_siblings(nests)}
    for i, nest in enumerate(nests):
        if nest.lead < 0:
            continue
        op, lead = ops[i], ops[nest.lead]
        name, side = ("beside", 0) if nest.beside >= 0 else ("below", 1)
        at = Diagnostic("", op.loc, focus=name).note(f"%{lead.result.name} is computed here", lead.loc)
        if views.buffer(op.operands[side]) is not views.buffer(lead.operands[side]):
            which = ("left", "right")[side]
            at.message = f"%{op.result.name} is {name} %{lead.result.name}, but their {which} operands differ"
            yield at
        elif i in unfit:
            at.message = (
                f"%{op.result.name} is {name} %{lead.result.name}, but they differ in 'group', 'rows', 'lazy' or "
                f"'stream', or in the tiles that they share, or others come between them"
            )
            yield at


def _feeds(op: GraphOp, made: Mapping[Value, int], views: Views) -> list[int]:
    """The operations that make the left operand of a product, or any of another one, be it by way of views."""
    operands = op.operands[:1] if isinstance(op, MatmulOp) else op.operands
    buffers = [views.buffer(v) for v in operands]
    return [made[v] for v in buffers if v in made]


def tasks(
    ops: Sequence[GraphOp], nests: Sequence[Nest], tiled: Tiled, views: Views | None = None, left: LeftOut | None = None
) -> Iterator[TileTask]:
    """All tile operations in order, but those that are `left` out; a bias is read where a sum is started.

    Raises `DiagnosticError` where a tile would be read before it is computed.
    """
    views = views or Views()
    made = {views.buffer(op.result): i for i, op in enumerate(ops)}
    done: set[TileRef] = set()
    outer = [list(coords_within(tiled[op.result].grid[:-1])) for op in ops]
    reads = [[(v, coords_along(axes)) for v, axes in zip(op.operands, axes_of(op, tiled), strict=False)] for op in ops]
    for i, m, n, k, starts, ends in walk(nests, _sources(ops, nests, tiled, views)):
        op = ops[i]
        coord = (*outer[i][m], n)
        turn = left.turn(i, coord, k, starts, ends) if left else (starts, ends)
        if turn is None:
            continue
        starts, ends = turn
        place = (*coord, k, 0)
        if op.result in views.moves:
            sources = tuple([(copied.buffer, at) for copied, at in views.parts(op.result, coord, tiled)])
        else:
            sources = tuple([views.place(value, along(place)) for value, along in reads[i]])
        for source in sources:
            if source[0] in made and source not in done:
                raise DiagnosticError([_too_early(op, source, ops[made[source[0]]])])
        if ends:
            done.add(views.place(op.result, coord))
        yield TileTask(i, coord, views.place(op.result, coord), sources, starts, ends)


def _too_early(op: GraphOp, source: TileRef, producer: Operation) -> Diagnostic:
    value, coord = source
    message = f"%{op.result.name} would read %{value.name}{coord_text(coord)} before it is computed"
    given = [f"'{name}', " for name in ("beside", "below") if getattr(op, name, None) is not None]
    given += ["'lazy', "] if getattr(producer, "lazy", None) is not None else []
    return Diagnostic(f"{message}; leave out {''.join(given)}'group', 'stream' or 'epilogue'", op.loc).note(
        f"%{value.name} is computed here", producer.loc
    )


class Described(NamedTuple):
    """An operation on whole tensors: what it makes, what it reads (A, B and the bias of a product), k in tiles; along
    which axes of its result those of each source go (`Kernel.reads`), but of a bias."""

    result: Value
    sources: tuple[Value, ...]
    k: int
    axes: tuple[Coord, ...] = ()


def described(op: GraphOp, tiled: Tiled) -> Described:
    """A graph operation as plain facts."""
    return Described(op.result, op.operands, depth_of(op, tiled), axes_of(op, tiled))


def axes_of(op: GraphOp, tiled: Tiled) -> tuple[Coord, ...]:
    """Along which axes of its result the sources of an operation go, but a bias; nothing is said of moves."""
    if isinstance(op, ViewOp):
        return ()
    kernel = KERNELS[op.kernel]
    return kernel.reads(op, [tiled[v].tensor.shape for v in (op.result, *op.operands[: len(kernel.sources)])])


def traffic_model_of(
    operations: Sequence[Described], returned: Iterable[Value], tiled: Tiled, config: SRAMConfig
) -> TrafficModel:
    """The operations as numbers, to try nests for them."""
    return TrafficModel(*numbered(operations, returned, tiled), config)


def numbered(
    operations: Sequence[Described], returned: Iterable[Value], tiled: Tiled, views: Views | None = None
) -> tuple[list[TileGrid], list[Operator]]:
    """The buffers and the operations as numbers."""
    views = views or Views()
    makers = {views.buffer(operation.result): i for i, operation in reversed(list(enumerate(operations)))}
    results = set(returned)
    buffers = {v: views.buffer(v) for operation in operations for v in (*operation.sources, operation.result)}
    readers = Counter(v for o in operations for v in dict.fromkeys(buffers[source] for source in o.sources))
    numbers: dict[Value, int] = {}
    tensors: list[TileGrid] = []
    for value in dict.fromkeys(buffers.values()):
        rows, columns = grid_of(tiled[value])
        numbers[value] = len(tensors)
        made = makers.get(value, -1)
        tensors.append(TileGrid(rows, columns, tiled[value].tile_bytes, made, value in results, readers[value]))
    own = {operation.result for operation in operations}
    alone = {v for v in buffers if v not in views.homes and (v in own or v not in makers)}
    operators = [
        Operator(
            tuple(numbers[buffers[v]] for v in o.sources),
            numbers[buffers[o.result]],
            o.k,
            _steps(o, tiled, views),
            _places(o.result, tiled, views),
            tuple([i for i, v in enumerate(o.sources) if v not in alone]),
        )
        for o in operations
    ]
    return tensors, operators


def sources_of(operations: Sequence[Described], tiled: Tiled, views: Views | None = None) -> list[list[Source]]:
    """What each operation reads of the others' results, in tiles; of a result that lies in another tensor, nothing."""
    views = views or Views()
    makers = {operation.result: i for i, operation in enumerate(operations) if operation.result not in views.homes}
    found: list[list[Source]] = []
    for operation in operations:
        batches = prod(tiled[operation.result].grid[:-2])
        steps = [*_steps(operation, tiled, views), (0, 1, 0, (0,) * batches)]  # the last one: a product's bias
        buffers = map(views.buffer, operation.sources)
        found.append([Source(makers[v], *step) for v, step in zip(buffers, steps, strict=False) if v in makers])
    return found


def _places(value: Value, tiled: Tiled, views: Views) -> tuple[int, ...]:
    """Which tile of its buffer each tile of a result is; none where it is its own buffer."""
    if value not in views.homes:
        return ()
    buffer, coords = views.homes[value]
    return tuple([tiled[buffer].number(coords[coord]) for coord in tiled[value].each_coord()])


def _steps(operation: Described, tiled: Tiled, views: Views) -> tuple[Steps, ...]:
    """By source, how many tiles lie between those read for one tile of the result and for the next one down, and
    across, and for the next k, and between the first batch and each. Of a product's bias nothing is said."""
    result = tiled[operation.result].grid
    rank = len(result)
    found: list[Steps] = []
    for value, axes in zip(operation.sources, operation.axes, strict=False):
        if value in views.homes:
            found.append(_steps_of_view(operation, value, axes, tiled, views))
            continue
        grid = tiled[value].grid
        along = {axis: prod(grid[i + 1 :]) for i, axis in enumerate(axes) if axis != ALL}
        batches = coords_within(result[:-2])
        below = tuple([sum(along.get(axis, 0) * at for axis, at in enumerate(batch)) for batch in batches])
        found.append((along.get(rank - 2, 0), along.get(rank - 1, 0), along.get(rank, 0), below))
    return tuple(found)


def _steps_of_view(operation: Described, value: Value, axes: Coord, tiled: Tiled, views: Views) -> Steps:
    """As `_steps`, within the buffer that a view lies in; of each batch from the buffer's first tile on."""
    numbers, type = _places(value, tiled, views), tiled[value]
    *outer, rows, columns = (1, *tiled[operation.result].grid)[-max(len(tiled[operation.result].grid), 2) :]
    along = coords_along(axes)

    def at(batch: Coord, m: int, n: int, k: int) -> int:
        place = (*batch, m, n) if len(tiled[operation.result].grid) > 1 else (n,)
        return numbers[type.number(along((*place, k, 0)))]

    batches = list(coords_within(tuple(outer)))
    first = [at(batch, 0, 0, 0) for batch in batches]
    steps = [
        at(batches[0], *[int(axis == moved) for axis in range(3)]) - first[0] if size > 1 else 0
        for moved, size in enumerate((rows, columns, operation.k))
    ]
    even = all(
        at(batch, m, n, k) == start + m * steps[0] + n * steps[1] + k * steps[2]
        for batch, start in zip(batches, first, strict=True)
        for m in range(rows) for n in range(columns) for k in range(max(operation.k, 1))
    )  # fmt: skip
    if not even:
        owner = value.owner
        message = f"%{value.name} is read at uneven steps of %{views.buffer(value).name}"
        raise DiagnosticError([Diagnostic(message, owner.loc if isinstance(owner, Operation) else value.loc)])
    return (*steps, tuple(first))  # type: ignore[return-value]


def grid_of(type: TiledType) -> tuple[int, int]:
    """Rows of tiles, those of all batches together, and columns of tiles; a vector has one row."""
    return prod(type.grid[:-1]), type.grid[-1]


def nest_of(type: TiledType, k: int) -> Nest:
    """The loops over a tensor's tiles, one after the other; axes before the last two are batches."""
    rows, columns = grid_of(type)
    batch = prod(type.grid[:-2])
    return Nest(rows // batch, columns, k, batch=batch)
