"""A second way to run tiles, for a judge that trusts nobody: no code of the verifier, the proof or `mir-run`.

Values are in double precision and rounded to the element type where a tile is written. NaN is in all padding, in every
byte that nobody has written, and in what another tile's write has destroyed: an exec reads what the buffers' types say
is no padding, and where two of them disagree, NaN comes in. What bits don't show is checked by itself: races of queues,
addresses, halves, figures.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.dialects import sched, uop
from tilewright.dialects.tiles import TiledType
from tilewright.ir.builtin import FuncOp
from tilewright.ir.core import Operation, Value

if __package__:
    from .strict_moves import moved, parts_together
else:
    from strict_moves import moved, parts_together  # type: ignore[no-redef]

Array = np.ndarray[Any, Any]
LOADS = (sched.LoadOp, uop.LoadOp)
EXECS = (sched.ExecOp, uop.ExecOp)
STORES = (sched.StoreOp, uop.StoreOp)
PLACED = (sched.LoadOp, sched.ExecOp, sched.StoreOp)
OFF_CHIP = 1 << 40
"""Where buffers without `dram` lie off chip, one after the other."""


# What kernels compute, from the language's words.


_erf = np.vectorize(math.erf, otypes=[float])


def _known(compare: Any) -> Any:
    """A comparison, or a power, that gives NaN where an operand is one: that may be what nobody has written."""
    return lambda a, b: np.where(np.isnan(a) | np.isnan(b), np.nan, compare(a, b))


REDUCED: dict[str, Any] = {"reduce_sum": np.add, "reduce_max": np.maximum, "reduce_min": np.minimum}

ELEMENTWISE: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": _known(np.power),
    "max": np.maximum,
    "min": np.minimum,
    **{name: _known(getattr(np, name)) for name in ("less", "less_equal", "greater", "greater_equal", "equal")},
    "where": lambda c, a, b: np.where(np.isnan(c), np.nan, np.where(c != 0, a, b)),
    "neg": lambda x: -x,
    "abs": np.abs,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "erf": _erf,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x, alpha, beta: np.minimum(np.maximum(alpha * x + beta, 0), 1),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "hard_swish": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(x), x),
    "softplus": lambda x: np.log1p(np.exp(x)),
}
EXACT = frozenset({
    "add", "sub", "mul", "max", "min", "less", "less_equal", "greater", "greater_equal",
    "equal", "where", "neg", "abs", "relu", "clip",
})  # fmt: skip
"""The kernels whose results are told by their bits."""
INEXACT = ELEMENTWISE.keys() - EXACT


def rounded(dtype: str, values: Array) -> Array:
    """Values as an element type holds them, in double precision; NaN stays."""
    if dtype == "i32":
        return (values + 2.0**31) % 2.0**32 - 2.0**31
    if dtype == "i8":
        return np.clip(values, -128, 127)
    if dtype == "ui8":
        return np.clip(values, 0, 255)
    if dtype == "bf16":
        import ml_dtypes

        return values.astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float64)
    return values.astype({"f32": np.float32, "f16": np.float16}[dtype]).astype(np.float64)


def valid(type: TiledType, coord: tuple[int, ...]) -> tuple[int, ...]:
    """How many elements of a tile along each axis are no padding."""
    return tuple(max(0, min(t, d - c * t)) for t, d, c in zip(type.tile, type.tensor.shape, coord, strict=True))


def corner(tile: Array, sizes: tuple[int, ...]) -> Array:
    """The first elements of a tile, NaN where it has fewer."""
    part = tile[tuple(map(slice, sizes))]
    out = np.full(sizes, np.nan)
    out[tuple(map(slice, part.shape))] = part
    return out


class Memory:
    """Tiles at ranges of bytes. A write destroys whatever it overlaps; a read wants the very range, shape and type."""

    def __init__(self, total: float = math.inf):
        self.total = total
        self.tiles: dict[int, tuple[int, tuple[object, ...], Array]] = {}

    def write(self, start: int, type: TiledType, tile: Array) -> None:
        end = start + type.tile_bytes
        for at in [a for a, (last, *_) in self.tiles.items() if a < end and start < last]:
            del self.tiles[at]
        if start >= 0 and end <= self.total:
            self.tiles[start] = end, (type.tile, type.dtype), tile

    def read(self, start: int, type: TiledType) -> Array:
        end, key, tile = self.tiles.get(start, (0, (), np.empty(0)))
        found = (end, key) == (start + type.tile_bytes, (type.tile, type.dtype))
        return tile.copy() if found else np.full(type.tile, np.nan)


class StrictRun:
    """One run of a uop or sched function."""

    def __init__(self, func: FuncOp):
        self.func = func
        sram = func.attrs.get("sched.sram") or {"total_bytes": 262144}
        self.chip = Memory(sram["total_bytes"])
        self.off = Memory()
        self.bases: dict[Value, int] = {}
        self.loose: dict[tuple[Value, tuple[int, ...]], Array] = {}

    def off_chip(self, value: Value, coord: tuple[int, ...]) -> int:
        """The address of a tile off chip."""
        owner, type = value.owner, tiled(value)
        own = owner.dram if isinstance(owner, uop.AllocOp) else None
        base = self.bases.setdefault(value, OFF_CHIP * (1 + len(self.bases)) if own is None else own)
        return base + int(np.ravel_multi_index(coord, type.grid)) * type.tile_bytes

    def run(self, inputs: list[object]) -> list[object]:
        """The results: arrays in double precision, and what is no tensor as it came in."""
        given = dict(zip(self.func.args, inputs, strict=True))
        for arg, data in given.items():
            if isinstance(arg.type, TiledType) and isinstance(data, np.ndarray):
                for coord in arg.type.coords():
                    start = tuple(slice(c * t, (c + 1) * t) for c, t in zip(coord, arg.type.tile, strict=True))
                    self.off.write(self.off_chip(arg, coord), arg.type, corner(data[start], arg.type.tile))
        with np.errstate(all="ignore"):
            for op in self.func.ops:
                self.step(op)
        return [self.result(v, given) for v in self.func.ops[-1].operands] if self.func.ops else []

    def step(self, op: Operation) -> None:
        if isinstance(op, LOADS):
            (value,), (coord,) = op.operands, op.coords
            if isinstance(op, uop.LoadOp) and (value, coord) in self.loose:
                return
            self.put(op, 0, self.off.read(self.off_chip(value, coord), tiled(value)))
        elif isinstance(op, EXECS):
            self.put(op, 0, self.computed(op))
        elif isinstance(op, STORES):
            (value,), (coord,) = op.operands, op.coords
            tile = rounded(tiled(value).dtype, activated(op, self.get(op, 0)))
            self.off.write(self.off_chip(value, coord), tiled(value), tile)
            if isinstance(op, uop.StoreOp) and op.retain is None:
                self.loose.pop((value, coord), None)

    def get(self, op: Any, index: int) -> Array:
        value, coord = op.operands[index], op.coords[index]
        if isinstance(op, PLACED):
            return self.chip.read(op.addrs[index], tiled(value))
        return self.loose.get((value, coord), np.full(tiled(value).tile, np.nan)).copy()

    def put(self, op: Any, index: int, tile: Array) -> None:
        value, coord = op.operands[index], op.coords[index]
        if isinstance(op, PLACED):
            self.chip.write(op.addrs[index], tiled(value), tile)
        else:
            self.loose[value, coord] = tile

    def computed(self, op: Any) -> Array:
        type = tiled(op.operands[0])
        part = valid(type, op.coords[0])
        sources = [self.get(op, k) for k in range(1, len(op.operands))]
        combine = REDUCED.get(op.kernel, np.add)
        if op.kernel == "move":
            made = moved(op, part, valid(tiled(op.operands[1]), op.coords[1]), sources[0])
            combine = parts_together
        elif op.kernel in REDUCED:
            made = reduction(op, part, sources[0])
        else:
            made = product(op, part, sources) if op.kernel == "matmul" else elementwise(op, type, part, sources)
            made = np.broadcast_to(made, part)
        if op.accumulate:
            made = combine(made, corner(self.get(op, 0), part))
        made = rounded(type.dtype, activated(op, rounded(type.dtype, made)))
        return corner(made, type.tile)

    def result(self, value: Value, given: dict[Value, Any]) -> object:
        if value in given or not isinstance(value.type, TiledType):
            return given.get(value)
        type = value.type
        whole = np.full([g * t for g, t in zip(type.grid, type.tile, strict=True)], np.nan)
        for coord in type.coords():
            place = tuple(slice(c * t, (c + 1) * t) for c, t in zip(coord, type.tile, strict=True))
            whole[place] = self.off.read(self.off_chip(value, coord), type)
        return whole[tuple(map(slice, type.tensor.shape))]


def tiled(value: Value) -> TiledType:
    assert isinstance(value.type, TiledType)
    return value.type


def activated(op: Any, tile: Array) -> Array:
    if op.activation is None:
        return tile
    return ELEMENTWISE[op.activation](tile, *(p.value for p in op.activation_params or ()))


def product(op: Any, part: tuple[int, ...], sources: list[Array]) -> Array:
    """Over all k that either of the two says is no padding."""
    left, right = (valid(tiled(v), c)[-2:] for v, c in zip(op.operands[1:], op.coords[1:], strict=True))
    a, b = (source.reshape(source.shape[-2:]) for source in sources)
    if op.transpose_a is not None:
        left, a = left[::-1], a.T
    if op.transpose_b is not None:
        right, b = right[::-1], b.T
    k = max(left[1], right[0])
    a, b = corner(a, (part[-2], k)) - (op.zero_point_a or 0), corner(b, (k, part[-1])) - (op.zero_point_b or 0)
    return (a @ b).reshape(part)


def reduction(op: Any, part: tuple[int, ...], source: Array) -> Array:
    """Over all that is no padding along the axis; along the others, from behind, as much as the result's tile has."""
    sizes = [*(1,) * source.ndim, *part][-source.ndim :]
    sizes[op.axis] = valid(tiled(op.operands[1]), op.coords[1])[op.axis]
    return REDUCED[op.kernel].reduce(corner(source, tuple(sizes)), axis=op.axis, keepdims=True).reshape(part)


def _own(part: tuple[int, ...], result: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """How much of a source's tile is read for a part of the result's: one element along an axis that is broadcast."""
    pairs = zip(part[-len(shape) :], result[-len(shape) :], shape, strict=True)
    return tuple(1 if own == 1 < whole else size for size, whole, own in pairs)


def elementwise(op: Any, type: TiledType, part: tuple[int, ...], sources: list[Array]) -> Array:
    rank = len(part)  # a buffer that holds a view may have further axes of one element before those of the result
    shapes = [tiled(v).tensor.shape[-rank:] for v in op.operands]
    sources = [s.reshape(s.shape[-rank:]) if s.ndim > rank else s for s in sources]
    values = [corner(s, _own(part, shapes[0], shape)) for s, shape in zip(sources, shapes[1:], strict=True)]
    if op.kernel == "bias":
        return np.broadcast_to(values[0], part)
    if op.left is not None:
        values.insert(0, np.array(op.left.value))
    if op.right is not None:
        values.append(np.array(op.right.value))
    if op.kernel.endswith("quantize"):
        return quantised(op, values[0])
    if op.kernel == "causal_mask":
        return np.where(np.tri(part[-2], part[-1], op.diagonal or 0) > 0, values[0], -np.inf)
    if op.kernel != "cast":
        return ELEMENTWISE[op.kernel](*values, *(p.value for p in op.params or ()))
    (value,) = values
    if op.scale is not None:
        value = np.rint(value * op.scale.value)
    return value + (op.zero_point or 0)


def quantised(op: Any, value: Array) -> Array:
    """Steps of a scale, counted from a zero point: in f32."""
    scale, zero_point = np.float32(op.scale.value), op.zero_point or 0
    if op.kernel == "dequantize":
        return ((value - zero_point).astype(np.float32) * scale).astype(np.float64)
    steps = value.astype(np.float32) / scale if op.kernel == "quantize" else value.astype(np.float32) * scale
    return np.rint(steps).astype(np.float64) + zero_point
