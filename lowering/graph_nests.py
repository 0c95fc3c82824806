"""Between a graph function and loop nests: what the operations' attributes say, and what each tile operation reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from ..dialects.graph import ElementwiseOp, GraphOp, MatmulOp
from ..dialects.kernels import KERNELS
from ..dialects.tiles import Coord, TiledType, TileRef, coord_text
from ..ir.attributes import UNIT
from ..ir.core import Operation, Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..planner.arena import SRAMConfig, count_of
from ..planner.nest_cost import Operator, TileGrid, TrafficModel
from ..planner.nests import Nest, uneven_members, unread_streams, walk

Tiled = Mapping[Value, TiledType]


@dataclass(frozen=True, slots=True)
class TileTask:
    """One tile operation of a graph operation: its result's tile, what it reads, whether it starts and finishes it."""

    op: int
    coord: Coord
    sources: tuple[TileRef, ...]
    starts: bool
    ends: bool


def nests_of(ops: Sequence[GraphOp], tiled: Tiled) -> list[Nest]:
    """The loop nest of each operation, as its attributes have it. Raises `DiagnosticError` for those that contradict
    each other."""
    made: dict[Value, int] = {}
    nests: list[Nest] = []
    for i, op in enumerate(ops):
        nests.append(_nest(op, made, nests, tiled))
        made[op.result] = i
    errors = [*_group_errors(ops, nests, made)]
    if errors:
        raise DiagnosticError(errors)
    return nests


def check_execs(ops: Sequence[GraphOp], tiled: Tiled, most: int) -> None:
    """Raises `DiagnosticError` for operations that would become more than `most` execs together, at the one that has
    most of them: before any is made."""
    execs: dict[GraphOp, int] = {}
    for op in ops:
        k = tiled[op.operands[0]].grid[1] if isinstance(op, MatmulOp) else 1
        execs[op] = tiled[op.result].count * k
    total = sum(execs.values())
    if total <= most:
        return
    worst = max(execs, key=execs.__getitem__)
    message = f"{worst.name} %{worst.result.name} would become {execs[worst]:,} execs"
    if execs[worst] < total:
        message += f", the function {total:,}"
    raise DiagnosticError([Diagnostic(f"{message}, more than {most:,}; use larger tiles", worst.loc)])


def _nest(op: GraphOp, made: Mapping[Value, int], nests: list[Nest], tiled: Tiled) -> Nest:
    m, n = grid_of(tiled[op.result])
    group, rows = op.group, op.rows or 0
    if not isinstance(op, MatmulOp):
        after = _host(op, made, nests) if isinstance(op, ElementwiseOp) and op.epilogue is UNIT else -1
        return Nest(m, n, group=group, rows=rows, after=after)
    return Nest(
        m, n, tiled[op.operands[0]].grid[1], op.block or (1, 1), op.order or "mn", op.snake is UNIT,
        op.reverse is UNIT, group, rows, op.stream or 0,
    )  # fmt: skip


def _host(op: GraphOp, made: Mapping[Value, int], nests: list[Nest]) -> int:
    """The operation whose tiles are an epilogue's last operand."""

    def position(i: int) -> tuple[int, int]:
        root = i
        while nests[root].after >= 0:
            root = nests[root].after
        return root, i

    hosts = [made[v] for v in op.operands if v in made and v.type.shape == op.result.type.shape]  # type: ignore[attr-defined]
    if not hosts:
        message = f"{op.name} %{op.result.name} is an epilogue, but no operation makes an operand of its shape"
        raise DiagnosticError([Diagnostic(message, op.loc, focus="epilogue")])
    return max(hosts, key=position)


def _group_errors(ops: Sequence[GraphOp], nests: list[Nest], made: Mapping[Value, int]) -> Iterator[Diagnostic]:
    for first, i in uneven_members(nests):
        one, other = f"%{ops[first].result.name}", f"%{ops[i].result.name}"
        group, rows = nests[first].group, nests[first].rows
        if nests[i].rows != rows:
            message = f"group {group} has rows = {rows} at {one}, rows = {nests[i].rows} at {other}"
        else:
            message = f"group {group} has {count_of(nests[first].m, 'row')} of tiles at {one}, {nests[i].m} at {other}"
        yield Diagnostic(message, ops[i].loc).note(f"{one} is computed here", ops[first].loc)
    for i in unread_streams(nests, [made.get(op.operands[0], -1) for op in ops]):
        message = f"%{ops[i].result.name} is streamed, but no product of its group reads it right after it"
        yield Diagnostic(f"{message} that is not streamed itself", ops[i].loc, focus="stream")


def tasks(ops: Sequence[GraphOp], nests: Sequence[Nest], tiled: Tiled) -> Iterator[TileTask]:
    """All tile operations in order; a bias is read where a sum is started.

    Raises `DiagnosticError` where a tile would be read before it is computed.
    """
    made = {op.result: i for i, op in enumerate(ops)}
    done: set[TileRef] = set()
    flat = [len(tiled[op.result].grid) == 1 for op in ops]
    counts = [len(KERNELS[op.kernel].sources) for op in ops]
    for i, m, n, k, starts, ends in walk(nests):
        op = ops[i]
        coord = (n,) if flat[i] else (m, n)
        read = op.operands[: counts[i]]
        where = KERNELS[op.kernel].reads(coord, k, [len(tiled[v].grid) for v in read])
        sources = tuple(zip(read, where, strict=True))
        for source in sources:
            if source[0] in made and source not in done:
                raise DiagnosticError([_too_early(op, source, ops[made[source[0]]])])
        if ends:
            done.add((op.result, coord))
        yield TileTask(i, coord, sources, starts, ends)


def _too_early(op: GraphOp, source: TileRef, producer: Operation) -> Diagnostic:
    value, coord = source
    message = f"%{op.result.name} would read %{value.name}{coord_text(coord)} before it is computed"
    return Diagnostic(f"{message}; leave out 'group', 'stream' or 'epilogue'", op.loc).note(
        f"%{value.name} is computed here", producer.loc
    )


class Described(NamedTuple):
    """An operation on whole tensors: what it makes, what it reads (A, B and the bias of a product), k in tiles; for one
    that is no product, along which axes of its result those of each source go."""

    result: Value
    sources: tuple[Value, ...]
    k: int
    axes: tuple[Coord, ...] = ()


def described(op: GraphOp, tiled: Tiled) -> Described:
    """A graph operation as plain facts."""
    if isinstance(op, MatmulOp):
        return Described(op.result, op.operands, tiled[op.operands[0]].grid[1])
    ranks = [len(tiled[v].grid) for v in op.operands]
    return Described(op.result, op.operands, 0, KERNELS[op.kernel].axes(len(tiled[op.result].grid), ranks))


def traffic_model_of(
    operations: Sequence[Described], returned: Iterable[Value], tiled: Tiled, config: SRAMConfig
) -> TrafficModel:
    """The operations as numbers, to try nests for them."""
    return TrafficModel(*numbered(operations, returned, tiled), config)


def numbered(
    operations: Sequence[Described], returned: Iterable[Value], tiled: Tiled
) -> tuple[list[TileGrid], list[Operator]]:
    """The tensors and the operations as numbers."""
    makers = {operation.result: i for i, operation in enumerate(operations)}
    results = set(returned)
    readers = Counter(v for operation in operations for v in dict.fromkeys(operation.sources))
    numbers: dict[Value, int] = {}
    tensors: list[TileGrid] = []
    for value in dict.fromkeys(v for operation in operations for v in (*operation.sources, operation.result)):
        rows, columns = grid_of(tiled[value])
        numbers[value] = len(tensors)
        made = makers.get(value, -1)
        tensors.append(TileGrid(rows, columns, tiled[value].tile_bytes, made, value in results, readers[value]))
    operators = [
        Operator(tuple(numbers[v] for v in o.sources), numbers[o.result], o.k, _steps(o, tiled)) for o in operations
    ]
    return tensors, operators


def _steps(operation: Described, tiled: Tiled) -> tuple[tuple[int, int], ...]:
    """By source, how many tiles lie between those read for one tile of the result and for the next one down, and
    across."""
    if operation.k:
        return ()
    last = len(tiled[operation.result].grid) - 1
    found: list[tuple[int, int]] = []
    for value, axes in zip(operation.sources, operation.axes, strict=True):
        grid = tiled[value].grid
        if axes == tuple(range(last + 1)):
            found.append((grid[-1], 1))
            continue
        along = {axis: prod(grid[i + 1 :]) for i, axis in enumerate(axes)}
        found.append((along.get(last - 1, 0), along.get(last, 0)))
    return tuple(found)


def grid_of(type: TiledType) -> tuple[int, int]:
    """Rows and columns of tiles; a vector has one row."""
    return (type.grid[0], type.grid[1]) if len(type.grid) == 2 else (1, type.grid[0])
