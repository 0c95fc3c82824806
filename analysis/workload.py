"""A function's workload, for `bounds.py`: which bytes it has to read and write, and its products, at any level."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ..dialects.graph import GraphOp, ViewOp
from ..dialects.kernels import KERNELS
from ..dialects.kernels.declaration import MULTIPLIES
from ..dialects.levels import is_known, level_of
from ..dialects.opaque import OpaqueBase, opaque_ops
from ..dialects.tile_ops import ExecBase
from ..dialects.tiles import Coord, TiledType, TileRef, tiled
from ..dialects.uop import is_alloc
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from ..planner.bounds import Layer, Product, Workload


def macs_of(op: ExecBase) -> int:
    """tm * tn * tk of a product's tiles; other kernels multiply nothing."""
    kernel = KERNELS[op.kernel]
    if kernel.rate != MULTIPLIES:
        return 0
    return kernel.work([v.type.tile for v in op.operands])  # type: ignore[attr-defined]


def buffers_of(func: FuncOp) -> list[Value]:
    """The tensors of a function in order: arguments, then what its operations define."""
    values = [*func.args, *(v for op in func.ops for v in op.results)]
    return [v for v in values if isinstance(v.type, (TiledType, TensorType))]


def workload_of(func: FuncOp) -> Workload | None:
    """What the bounds need to know of a function at any level; None if an operation on tensors is unknown.

    Tensors count in whole padded tiles, at graph level by their elements. Only what results depend on is counted.
    """
    if any(not is_known(op) and _touches_tensor(op) for op in func.ops):
        return None
    index = {value: i for i, value in enumerate(buffers_of(func))}
    parts = _WorkloadBuilder(index)
    if level_of(func) == "graph":
        for op in needed_graph_ops(func):
            parts.add_graph_op(op)
    else:
        for op in needed_execs(func):
            parts.add_exec(op)
    return parts.workload(func)


def _touches_tensor(op: Operation) -> bool:
    return any(isinstance(v.type, (TensorType, TiledType)) for o in op.walk() for v in (*o.operands, *o.results))


def needed_graph_ops(func: FuncOp) -> list[GraphOp]:
    """The operations that the results depend on, in order."""
    needed = set(func.returned())
    kept: list[GraphOp] = []
    for op in reversed(func.ops):
        if isinstance(op, OpaqueBase):
            needed.update(op.operands)
        elif isinstance(op, GraphOp) and op.result in needed:
            needed.update(op.operands)
            kept.append(op)
    return kept[::-1]


def needed_execs(func: FuncOp) -> list[ExecBase]:
    """The execs that the results depend on, in order: tile liveness from the end, as for registers."""
    needed: set[TileRef] = {
        (v, c) for v in func.returned() if isinstance(v.type, TiledType) and is_alloc(v) for c in v.type.each_coord()
    }
    kept: list[ExecBase] = []
    for op in reversed(func.ops):
        if isinstance(op, OpaqueBase):
            needed.update((v, c) for v in op.operands if is_alloc(v) for c in tiled(v).each_coord())
        if not isinstance(op, ExecBase):
            continue
        dst, *sources = zip(op.operands, op.coords, strict=True)
        if dst not in needed:
            continue
        if not op.accumulate:
            needed.discard(dst)
        needed.update(sources)
        kept.append(op)
    return kept[::-1]


class _WorkloadBuilder:
    """Gathers a workload from the operations that are needed: sizes in bytes of the tiles (or whole tensors) named."""

    def __init__(self, index: dict[Value, int]):
        self.index = index
        self.written: dict[Value, dict[Coord, int]] = {}
        self.read: dict[Value, dict[Value, dict[Coord, int]]] = {}
        self.products: dict[tuple[Value, Value, Value], dict[tuple[Coord, ...], int]] = {}

    def add(self, refs: list[tuple[Value, Coord, int]], macs: int) -> None:
        """One computation: destination and sources as value, coordinates and bytes; `macs` is 0 unless a product."""
        (dst, where, size), *sources = refs
        self.written.setdefault(dst, {})[where] = size
        reads = self.read.setdefault(dst, {})
        for value, coord, source_size in sources:
            if value is not dst:
                reads.setdefault(value, {})[coord] = source_size
        if macs:
            a, b = sources[:2]
            self.products.setdefault((dst, a[0], b[0]), {})[where, a[1], b[1]] = macs

    def add_exec(self, op: ExecBase) -> None:
        tiles = zip(op.operands, op.coords, strict=True)
        self.add([(v, c, v.type.tile_bytes) for v, c in tiles], macs_of(op))  # type: ignore[attr-defined]

    def add_graph_op(self, op: GraphOp) -> None:
        values = [op.result, *op.operands]
        refs = [(v, (), prod(v.type.shape) * v.type.element_bytes) for v in values if isinstance(v.type, TensorType)]
        if isinstance(op, ViewOp):
            return
        kernel = None if op.is_composite else KERNELS[op.kernel]
        multiplies = kernel is not None and kernel.rate == MULTIPLIES
        macs = kernel.work([v.type.shape for v in values]) if multiplies else 0  # type: ignore[attr-defined]
        self.add(refs, macs)

    def workload(self, func: FuncOp) -> Workload:
        reads: dict[int, dict[Coord, int]] = {}
        for operands in self.read.values():
            for value, tiles in operands.items():
                if value not in self.written:
                    reads.setdefault(self.index[value], {}).update(tiles)
        opaque = opaque_ops(func)
        stored = [*func.returned(), *(v for op in opaque for v in op.operands)]
        writes = {self.index[v]: sum(self.written[v].values()) for v in stored if v in self.written}
        moved = sum(op.read_bytes + op.written_bytes for op in opaque)
        return Workload({i: sum(tiles.values()) for i, tiles in reads.items()}, writes, tuple(self.layers()), moved)

    def layers(self) -> Iterator[Layer]:
        for dst, tiles in self.written.items():
            reads = {self.index[v]: sum(sizes.values()) for v, sizes in self.read[dst].items()}
            products = [self.product(key) for key in self.products if key[0] is dst]
            yield Layer(reads, sum(tiles.values()), tuple(products))

    def product(self, key: tuple[Value, Value, Value]) -> Product:
        """One product; of C the tiles that it computes."""
        dst, a, b = key
        multiplied = self.products[key]
        c_bytes = sum(self.written[dst][where] for where in {triple[0] for triple in multiplied})
        widths = tuple(_width(v) for v in (a, b, dst))
        return Product(self.index[a], self.index[b], sum(multiplied.values()), c_bytes, widths)  # type: ignore[arg-type]


def _width(value: Value) -> int:
    """Bytes of one element."""
    tensor = value.type.tensor if isinstance(value.type, TiledType) else value.type
    assert isinstance(tensor, TensorType)
    return tensor.element_bytes
