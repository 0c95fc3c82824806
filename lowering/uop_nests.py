"""Finds whole operations in a uop function, so that its execs can be ordered as loop nests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from ..dialects.kernels import KERNELS
from ..dialects.kernels.declaration import coords_along, shapes_seen
from ..dialects.tiles import Coord, TiledType, number_within, tile_text, tiled
from ..dialects.uop import ExecOp, is_alloc
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..planner.arena import SRAMConfig
from ..planner.dependences import NONE, Chain, Chains
from ..planner.nest_search import Search
from ..planner.nests import Nest, Sources, walk
from .graph_nests import Described, nest_of, sources_of, traffic_model_of
from .tile_program import TileProgram


class Raised(NamedTuple):
    """An operation that makes all of a buffer: what it reads (A, B and the bias of a product), and which exec computes
    which tile, by row, column and k (an elementwise operation's k is 0; NONE: the bias). `partial`: not all are. `axes`
    are those of `Described`."""

    result: Value
    sources: tuple[Value, ...]
    k: int
    execs: Mapping[tuple[int, int, int], int]
    partial: bool
    axes: tuple[Coord, ...] = ()


SHARE = 4
"""The part of a graph's steps that is spent on operations found in uops, which a plan has often ordered
already."""


class NoOperationError(Exception):
    """An exec, by its step, that is part of no operation that makes all of a buffer, and why."""

    def __init__(self, step: int, why: str):
        super().__init__(step, why)
        self.step = step
        self.why = why


def raise_nests(tiles: TileProgram, func: FuncOp, chains: Chains, config: SRAMConfig, known: int) -> list[int] | None:
    """The execs in the order of the best loop nests found, which may be worse than the given one that moves `known`
    bytes; None where none are found.
    Raises `NoOperationError` where some exec is part of no operation."""
    found = find_operations(tiles, chains)
    types = {v: tiled(v) for o in found for v in (*o.sources, o.result)}
    operations = [Described(o.result, o.sources, o.k, o.axes) for o in found]
    nests = [nest_of(types[o.result], o.k) for o in found]
    search = Search(traffic_model_of(operations, func.returned(), types, config), nests)
    if any(o.partial for o in found) or search.model.program(nests) is None:
        return _best_blocks(found, nests, search, chains, config)
    search.limit //= SHARE
    return _order(found, search.run(known), sources_of(operations, types))


def plain_order(tiles: TileProgram, chains: Chains) -> list[int]:
    """The execs of whole operations one after the other, each in m, n, k order. Raises `NoOperationError` where some
    exec is part of no operation."""
    found = find_operations(tiles, chains)
    return _order(found, [nest_of(o.result.type, o.k) for o in found if isinstance(o.result.type, TiledType)])


def _order(found: list[Raised], nests: list[Nest], sources: Sources = ()) -> list[int]:
    """The execs that there are, in the nests' order; a bias comes right before the first product of its tile."""
    order: list[int] = []
    begun: set[int] = set()
    for i, m, n, k, _, _ in walk(nests, sources):
        execs = found[i].execs
        if (m, n, k) not in execs:
            continue
        bias = execs.get((m, n, NONE), NONE)
        if bias != NONE and bias not in begun:
            begun.add(bias)
            order.append(bias)
        order.append(execs[m, n, k])
    return order


def _best_blocks(
    found: list[Raised], nests: list[Nest], search: Search, chains: Chains, config: SRAMConfig
) -> list[int] | None:
    """Blocks for operations that lack some products, one operation after the other, judged on the whole program."""
    best, cost = None, chains.cost(_order(found, nests), config)
    for i, operation in enumerate(found):
        if not operation.k or len(operation.sources) < 2:
            continue
        for block, order in search.candidates(i, nests[i].m, nests[i].n):
            trial = [*nests[:i], replace(nests[i], block=block, order=order, snake=True), *nests[i + 1 :]]
            ordered = _order(found, trial)
            tried = chains.cost(ordered, config)
            if tried is not None and (cost is None or tried < cost):
                nests, best, cost = trial, ordered, tried
    return best


def find_operations(tiles: TileProgram, chains: Chains) -> list[Raised]:
    """All operations, in the order of their first execs. Raises `NoOperationError` if some chain is part of none."""
    by_buffer: dict[Value, dict[Coord, Chain]] = {}
    for chain in chains.chains:
        value, coord = tiles.refs[chain.tile]
        if coord in by_buffer.setdefault(value, {}):
            raise NoOperationError(chain.execs[0], f"{tile_text(value, coord)} has a value before")
        if not is_alloc(value):
            raise NoOperationError(chain.execs[0], f"%{value.name} is an argument")
        by_buffer[value][coord] = chain
    return [_operation(tiles, value, parts) for value, parts in by_buffer.items()]


def _operation(tiles: TileProgram, value: Value, parts: dict[Coord, Chain]) -> Raised:
    sources: tuple[Value, ...] | None = None
    execs: dict[tuple[int, int, int], int] = {}
    axes: dict[tuple[Coord, ...], None] = {}
    for coord, chain in parts.items():
        read = _chain_sources(tiles, chain, coord, execs)
        axes[_axes(tiles.ops[chain.products[0] if chain.products else chain.start])] = None
        if sources is None or _has_bias_too(read, sources, chain):
            sources = read
        elif len(axes) > 1 or (read != sources and not _has_bias_too(sources, read, chain)):
            raise NoOperationError(chain.execs[0], f"another tile of %{value.name} is made of other operands")
    type = value.type
    assert isinstance(type, TiledType)
    depth, along = 0, next(iter(axes), ())
    product = next((chain.products[0] for chain in parts.values() if chain.products), NONE)
    if product != NONE:
        along = _axes(tiles.ops[product])
        depth = _step(along, [tiled(v).grid for v in sources or ()], len(type.grid))
    missing = prod(type.grid) * max(depth, 1) - sum(k != NONE for _, _, k in execs)
    return Raised(value, sources or (), depth, execs, missing > 0, along)


def _axes(op: Operation) -> tuple[Coord, ...]:
    """Along which axes of its destination an exec's sources go."""
    assert isinstance(op, ExecOp)
    return KERNELS[op.kernel].reads(op, shapes_seen([tiled(v) for v in op.operands]))


def _step(axes: tuple[Coord, ...], read: Sequence[Coord], rank: int) -> int:
    """The step k of an exec that reads sources along these axes at some places; of their grids, how many there are."""
    return next((at for along, where in zip(axes, read, strict=False) for axis, at in zip(along, where, strict=True)
                 if axis == rank), 0)  # fmt: skip


def _are_read(axes: tuple[Coord, ...], coord: Coord, k: int, read: Sequence[Coord]) -> bool:
    """Whether sources that go along these axes are read at the places that belong to a tile and a step."""
    place = (*coord, k, 0)
    return all(coords_along(along)(place) == where for along, where in zip(axes, read, strict=True))


def _has_bias_too(more: tuple[Value, ...], fewer: tuple[Value, ...], chain: Chain) -> bool:
    """Whether a product's tile has a bias, where another one has none."""
    return bool(chain.products) and len(more) == 3 and more[:2] == fewer


def _chain_sources(
    tiles: TileProgram, chain: Chain, coord: Coord, execs: dict[tuple[int, int, int], int]
) -> tuple[Value, ...]:
    """What a chain reads, if it is one tile of an operation; its execs are entered."""
    read: tuple[Value, ...] = ()
    found: set[tuple[Coord, ...]] = set()
    m, n = number_within(tiled(tiles.refs[chain.tile][0]).grid[:-1], coord[:-1]), coord[-1]
    for i in chain.products:
        op = tiles.ops[i]
        assert isinstance(op, ExecOp)
        factors = op.operands[1:]
        axes = _axes(op)
        k = _step(axes, op.coords[1:], len(coord))
        found.add(axes)
        if len(found) > 1 or not _are_read(axes, coord, k, op.coords[1:]):
            raise NoOperationError(i, "these are not the tiles that a product reads for that place")
        if (m, n, k) in execs:
            raise NoOperationError(i, f"the products for k = {k} are added twice")
        if read and read != factors:
            raise NoOperationError(i, "the sum goes over the products of several pairs of buffers")
        read = factors
        execs[m, n, k] = i
    if chain.start == NONE:
        return read
    op = tiles.ops[chain.start]
    assert isinstance(op, ExecOp)
    if not _are_read(_axes(op), coord, 0, op.coords[1:]):
        raise NoOperationError(chain.start, f"these are not the tiles that {op.kernel} reads for that place")
    if chain.products and not KERNELS[op.kernel].starts:
        raise NoOperationError(chain.start, f"products are added to what {op.kernel} has made")
    execs[m, n, NONE if chain.products else 0] = chain.start
    return (*read, *op.operands[1:])
