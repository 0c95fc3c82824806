"""Hypothesis strategies: graph functions, and what to compile them with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, prod
from pathlib import Path

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tilewright.dialects.kernels import Kernel
from tilewright.dialects.kernels.elementwise import ELEMENTWISE, FLOATS
from tilewright.dialects.kernels.reductions import REDUCTIONS, RESULT_TYPES, without
from tilewright.dialects.tiles import TiledType
from tilewright.ir.diagnostics import DiagnosticError
from tilewright.ir.opdef import OpError
from tilewright.ir.types import TensorType

if __package__:
    from .choice_strategies import add_mask, add_where
    from .view_strategies import VIEWS
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from choice_strategies import add_mask, add_where  # type: ignore[no-redef]
    from view_strategies import VIEWS  # type: ignore[no-redef]

# --- graph functions ---

ACCUMULATOR = {"f32": "f32", "f16": "f32", "bf16": "f32", "i8": "i32", "ui8": "i32"}
CASTS = {"f32": ("f16", "bf16"), "f16": ("f32",), "bf16": ("f32",), "i32": ("i8", "ui8"), "i8": ("i32",),
         "ui8": ("i32",)}  # fmt: skip
ARGUMENTS = 6.0
"""The greatest magnitude of an argument's elements: random integers have 4, normally distributed numbers rarely
more."""
LARGEST = {"f32": 1e30, "bf16": 1e30, "f16": 6e4, "i32": 2e9, "i8": 128.0, "ui8": 255.0}
"""What an element of a type can hold."""
ENDS = {"i8": (-128, 127), "ui8": (0, 255)}
"""The quantised types, each with its ends."""
UNKNOWN = LARGEST["f16"]
"""What stands for the magnitude of a result that may be an infinity, or NaN: these are the same at every level, where
finite numbers beyond a type's range may come early or late in a sum."""
EDGED = {"div", "equal", "log", "pow", "reciprocal", "rsqrt", "sqrt", "where"}
"""Kernels with a pole, a jump at a point, or an edge of what they are defined on: where a rounded sum comes near it,
`mir-run --compare` can decide nothing. They are drawn on arguments alone."""
WIDTHS = st.sampled_from([1, 2, 3, 4, 5, 7, 8])
BATCHES = st.sampled_from([(), (), (), (), (1,), (2,), (3,), (2, 1), (2, 2), (1, 2, 1), (2, 1, 1, 2)])
"""Axes before the last two."""
MOST_ELEMENTS = 512
"""Of a product's result: batches of both operands multiply."""


@dataclass
class GraphText:
    """A function as it grows: its arguments, its lines, and the tensors that may be used, by name; `most` is the
    greatest magnitude that an element of a tensor can have, where arguments stay within `ARGUMENTS`."""

    args: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    tensors: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)

    def argument(self, shape: tuple[int, ...], dtype: str, param: bool = False) -> str:
        name = f"%arg{len(self.args)}"
        self.args.append(f"{name}: {tensor(shape, dtype)}" + (" {graph.param}" if param else ""))
        self.tensors[name] = (shape, dtype)
        self.most[name] = ARGUMENTS
        return name

    def op(self, text: str, types: str, shape: tuple[int, ...], dtype: str, most: float) -> None:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"  {name} = {text} : {types}")
        self.tensors[name] = (shape, dtype)
        self.most[name] = most

    def type_of(self, name: str) -> str:
        return tensor(*self.tensors[name])

    def signature(self, *names: str) -> str:
        return "(" + ", ".join(map(self.type_of, names)) + ")"


def tensor(shape: tuple[int, ...], dtype: str) -> str:
    return f"tensor<{'x'.join(map(str, shape))}x{dtype}>"


@st.composite
def graph_texts(
    draw: st.DrawFn, max_ops: int = 6, own_tiles: bool = True, views: bool = False, composites: bool = False
) -> str:
    """A graph function: products, biases, residuals, reductions, all elementwise kernels and casts on tensors of odd
    sizes, all ranks and element types, with tensors shared, arguments unused, arguments returned, and now and then an
    operation with a tile of its own. No element leaves the range of its type. With `views` these too, of which many do
    not fall on the tile grid and are moved; with `composites` what has to be decomposed."""
    graph = GraphText()
    dtype = draw(st.sampled_from(["f32", "f32", "f16", "bf16", "i8", "ui8"]))
    graph.argument(draw(shapes()), dtype)
    for _ in range(draw(st.integers(0, max_ops))):
        draw(st.sampled_from([*OPERATIONS, *[add_view] * 2 * views, *[add_composite] * composites]))(
            draw, graph, own_tiles
        )
    if draw(st.booleans()):
        graph.argument(draw(st.sampled_from([(3,), (2, 5)])), draw(st.sampled_from(["f32", "i8"])))
    results = draw(st.lists(st.sampled_from(list(graph.tensors)), min_size=1, max_size=3))
    if draw(st.integers(0, 3)):
        results[0] = list(graph.tensors)[-1]
    types = list(map(graph.type_of, results))
    head = f"func.func @f({', '.join(graph.args)}) -> ({', '.join(types)}) {{"
    return "\n".join([head, *graph.lines, f"  return {', '.join(results)} : {', '.join(types)}", "}", ""])


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """A matrix, or batches of matrices."""
    return (*draw(BATCHES), draw(WIDTHS), draw(WIDTHS))


def broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    """The batches of two operands together, as NumPy has them; None where they don't fit."""
    try:
        return np.broadcast_shapes(one, other)
    except ValueError:
        return None


def right_operand(draw: st.DrawFn, graph: GraphText, a: str, turned: tuple[bool, bool]) -> str:
    """What a tensor is multiplied by: an earlier tensor where one fits, or a new one with all of its batches, or
    fewer."""
    shape, dtype = graph.tensors[a]
    inner = shape[-2 if turned[0] else -1]
    fitting = [
        n
        for n, (other, type) in graph.tensors.items()
        if len(other) > 1 and type == dtype and other[-1 if turned[1] else -2] == inner
        if broadcast(shape[:-2], other[:-2]) is not None
    ]
    if fitting and draw(st.booleans()):
        return draw(st.sampled_from(fitting))
    batches = shape[draw(st.integers(0, len(shape) - 2)) : -2]
    batches = tuple([draw(st.sampled_from([size, size, 1])) for size in batches])
    matrix = (inner, draw(WIDTHS))
    return graph.argument((*batches, *(matrix[::-1] if turned[1] else matrix)), dtype, param=True)


def add_product(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    """A product, by the weights of an earlier one where they fit, with a bias and an activation now and then."""
    choices = [n for n, (shape, dtype) in graph.tensors.items() if len(shape) > 1 and dtype in ACCUMULATOR]
    if not choices:
        return
    a = draw(st.sampled_from(choices))
    turned = draw(st.integers(0, 4)) == 0, draw(st.integers(0, 2)) == 0
    b = right_operand(draw, graph, a, turned)
    (shape, dtype), (other, _) = graph.tensors[a], graph.tensors[b]
    rows, inner = shape[-2:][::-1] if turned[0] else shape[-2:]
    columns = other[-2 if turned[1] else -1]
    operands = [a, b]
    if draw(st.integers(0, 2)) == 0:
        operands.append(graph.argument((columns,), ACCUMULATOR[dtype], param=True))
    attributes = [name for name, turn in zip(("transpose_a", "transpose_b"), turned, strict=True) if turn]
    largest = [graph.most[a], graph.most[b]]
    for i, side in enumerate("ab"):
        if dtype in ENDS and draw(st.integers(0, 2)) == 0:
            attributes.append(f"zero_point_{side} = {draw(st.integers(*ENDS[dtype]))}")
            largest[i] += 255
    most = largest[0] * largest[1] * inner + ARGUMENTS * (len(operands) - 2)
    result = ((*(broadcast(shape[:-2], other[:-2]) or ()), rows, columns), ACCUMULATOR[dtype])
    if most > LARGEST[ACCUMULATOR[dtype]] or prod(result[0]) > MOST_ELEMENTS:
        return
    if draw(st.integers(0, 3)) == 0:
        kernel = draw(kernels(1, ACCUMULATOR[dtype], most, given=are_given(*operands)))
        attributes.append(f'activation = "{kernel.name}"')
        attributes += [f"activation_params = {params}" for params in parameters(draw, kernel)]
        most = LIMITS.get(kernel.name, most_of_same)(most)
    if own_tiles and draw(st.integers(0, 9)) == 0:
        attributes.append(f"tile = {list(draw(tile_sizes()))}")
    shown = f" {{{', '.join(attributes)}}}" if attributes else ""
    types = f"{graph.signature(*operands)} -> {tensor(*result)}"
    graph.op(f"graph.matmul {', '.join(operands)}{shown}", types, *result, most)


def kernels(sources: int, dtype: str, *most: float, given: bool = True) -> st.SearchStrategy[Kernel]:
    """The elementwise kernels of so many sources that can work on elements of a type and of these magnitudes, those of
    `EDGED` on what is `given`; every other time the first one that there was, `add` or `relu`."""
    fitting = [
        kernel
        for kernel in ELEMENTWISE.values()
        if len(kernel.sources) == sources
        and works_on(kernel, dtype)
        and (given or kernel.name not in EDGED)
        and LIMITS.get(kernel.name, most_of_same)(*most) <= LARGEST[dtype]
    ]
    usual = [kernel for kernel in fitting if kernel.name in ("add", "relu")]
    return st.sampled_from([*fitting, *usual * len(fitting)])


def are_given(*names: str) -> bool:
    """Whether all of these are arguments, which all runs have exactly."""
    return all(name.startswith("%arg") for name in names)


def works_on(kernel: Kernel, dtype: str) -> bool:
    """Whether a kernel takes elements of a type, by its own check."""
    type = TiledType(TensorType((4,), dtype), (4,))
    try:
        kernel.check([type] * (1 + len(kernel.sources)), None)
    except OpError:
        return False
    return True


def parameters(draw: st.DrawFn, kernel: Kernel) -> list[str]:
    """A list of values for a kernel's parameters, in rising order, as text; none for a kernel without."""
    if not kernel.parameters:
        return []
    values = sorted(
        draw(st.lists(st.integers(-3, 6), min_size=len(kernel.parameters), max_size=len(kernel.parameters)))
    )
    return [f"[{', '.join(f'{value}.0 : f32' for value in values)}]"]


def most_of_same(*most: float) -> float:
    """The magnitude that a function has which nowhere exceeds its operands' by more than 6, as a clip's bounds may."""
    return max(*most, 6.0)


def most_of_exp(most: float) -> float:
    return exp(most) if most < 80 else inf


LIMITS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "exp": most_of_exp,
    "leaky_relu": lambda a: 6 * a,
    "elu": lambda a: 6 * a,
    **dict.fromkeys(["div", "pow", "log", "rsqrt", "reciprocal"], lambda *operands: UNKNOWN),
}
"""The greatest magnitude of a kernel's result, by those of its operands, where it can exceed them."""


def add_binary(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    """A function of two tensors, in either order, one of them broadcast now and then, from an earlier tensor where one
    fits."""
    choices = [n for n, (_, dtype) in graph.tensors.items() if dtype not in ENDS]
    if not choices:
        return
    a = draw(st.sampled_from(choices))
    shape, dtype = graph.tensors[a]
    if draw(st.integers(0, 3)) == 0:
        add_number(draw, graph, a)
        return
    if draw(st.booleans()):
        wanted = shape
    else:
        kept = draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
        wanted = tuple(size if keep else 1 for size, keep in zip(shape, kept, strict=True))
        wanted = wanted[draw(st.integers(0, len(shape) - 1)) :] if draw(st.booleans()) else wanted
    fitting = [n for n, found in graph.tensors.items() if found == (wanted, dtype)]
    b = draw(st.sampled_from(fitting)) if fitting and draw(st.booleans()) else graph.argument(wanted, dtype)
    kernel = draw(kernels(2, dtype, graph.most[a], graph.most[b], given=are_given(a, b)))
    type = graph.type_of(a)
    if draw(st.booleans()):
        a, b = b, a
    most = LIMITS.get(kernel.name, most_of_same)(graph.most[a], graph.most[b])
    graph.op(f"graph.{kernel.name} {a}, {b}", f"{graph.signature(a, b)} -> {type}", shape, dtype, most)


def add_number(draw: st.DrawFn, graph: GraphText, a: str) -> None:
    """A function of a tensor and a number, on either side."""
    shape, dtype = graph.tensors[a]
    side, number = draw(st.sampled_from(["left", "right"])), float(draw(st.integers(-3, 6)))
    operands = [graph.most[a], abs(number)] if side == "right" else [abs(number), graph.most[a]]
    kernel = draw(kernels(2, dtype, *operands, given=are_given(a)))
    most = LIMITS.get(kernel.name, most_of_same)(*operands)
    graph.op(f"graph.{kernel.name} {a} {{{side} = {number} : f32}}", graph.type_of(a), shape, dtype, most)


def add_unary(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    a = draw(st.sampled_from(list(graph.tensors)))
    shape, dtype = graph.tensors[a]
    kernel = draw(kernels(1, dtype, graph.most[a], given=are_given(a)))
    attributes = [f"params = {params}" for params in parameters(draw, kernel)]
    if own_tiles and draw(st.integers(0, 9)) == 0:
        attributes.append(f"tile = {[draw(st.integers(1, 4)) for _ in shape]}")
    shown = f" {{{', '.join(attributes)}}}" if attributes else ""
    most = LIMITS.get(kernel.name, most_of_same)(graph.most[a])
    graph.op(f"graph.{kernel.name} {a}{shown}", graph.type_of(a), shape, dtype, most)


def add_cast(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    a = draw(st.sampled_from(list(graph.tensors)))
    shape, dtype = graph.tensors[a]
    target = draw(st.sampled_from(CASTS[dtype]))
    most = min(graph.most[a], LARGEST[target]) if target in ENDS else graph.most[a]
    if most > LARGEST[target]:
        return
    scaled = target in ENDS and draw(st.booleans())
    attributes = f" {{scale = 0.05 : f32, zero_point = {draw(st.integers(*ENDS[target]))}}}" if scaled else ""
    most = LARGEST[target] if scaled else most
    graph.op(f"graph.cast {a}{attributes}", f"{graph.type_of(a)} -> {tensor(shape, target)}", shape, target, most)


def add_quantised(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    """f32 quantised, i32 requantised, or integers dequantised."""
    choices = [n for n, (_, dtype) in graph.tensors.items() if dtype in ("f32", "i32", *ENDS)]
    if not choices:
        return
    a = draw(st.sampled_from(choices))
    shape, dtype = graph.tensors[a]
    name = {"f32": "quantize", "i32": draw(st.sampled_from(["requantize", "dequantize"]))}.get(dtype, "dequantize")
    target = "f32" if name == "dequantize" else draw(st.sampled_from(list(ENDS)))
    scale = draw(st.sampled_from([0.05, 0.5, 1.5]))
    quantised = dtype if name == "dequantize" else target
    zero_point = (
        f", zero_point = {draw(st.integers(*ENDS[quantised]))}" if quantised in ENDS and draw(st.booleans()) else ""
    )
    most = (graph.most[a] + 255) * scale if name == "dequantize" else LARGEST[target]
    types = f"{graph.type_of(a)} -> {tensor(shape, target)}"
    graph.op(f"graph.{name} {a} {{scale = {scale} : f32{zero_point}}}", types, shape, target, most)


def add_composite(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    """A softmax, a norm or a mean along one axis or several, of what is small enough for its squares to be summed."""
    choices = [n for n, (_, dtype) in graph.tensors.items() if dtype in FLOATS and graph.most[n] <= 1e4]
    if not choices:
        return
    x = draw(st.sampled_from(choices))
    shape, dtype = graph.tensors[x]
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=2, unique=True))
    kind = draw(st.sampled_from(["softmax", "layer_norm", "rms_norm", "mean"]))
    if kind == "softmax":
        graph.op(f"graph.softmax {x} {{axes = {axes}}}", tensor(shape, dtype), shape, dtype, 1.0)
        return
    if kind == "mean":
        left = tuple(1 if i in axes else size for i, size in enumerate(shape))
        types = f"{tensor(shape, dtype)} -> {tensor(left, 'f32')}"
        graph.op(f'graph.reduce {x} {{axes = {axes}, kind = "mean"}}', types, left, "f32", graph.most[x])
        return
    scale = tuple(size if i in axes else 1 for i, size in enumerate(shape))
    operands = [x, graph.argument(scale, dtype, param=True)]
    if kind == "layer_norm" and draw(st.booleans()):
        operands.append(graph.argument(shape[-1:], dtype, param=True))
    most = ARGUMENTS * (prod(shape) ** 0.5 + 1)
    types = f"{graph.signature(*operands)} -> {tensor(shape, dtype)}"
    graph.op(f"graph.{kind} {', '.join(operands)} {{axes = {axes}, epsilon = 0.5 : f32}}", types, shape, dtype, most)


def add_reduction(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    """A sum, a maximum or a minimum along an axis."""
    a = draw(st.sampled_from(list(graph.tensors)))
    shape, dtype = graph.tensors[a]
    axis = draw(st.integers(0, len(shape) - 1))
    kind = draw(st.sampled_from([kind for kind in REDUCTIONS if dtype in RESULT_TYPES[kind]]))
    result = RESULT_TYPES[kind][dtype]
    most = graph.most[a] * (shape[axis] if kind == "sum" else 1)
    if most > LARGEST[result]:
        return
    attributes = [f'axes = [{axis}], kind = "{kind}"']
    if own_tiles and draw(st.integers(0, 9)) == 0:
        attributes.append(f"tile = {[draw(st.integers(1, 4)) for _ in shape]}")
    kept = without(shape, [axis])
    text = f"graph.reduce {a} {{{', '.join(attributes)}}}"
    graph.op(text, f"{graph.type_of(a)} -> {tensor(kept, result)}", kept, result, most)


def add_view(draw: st.DrawFn, graph: GraphText, own_tiles: bool) -> None:
    """A view of a tensor, or of two that are computed."""
    a = draw(st.sampled_from(list(graph.tensors)))
    shape, dtype = graph.tensors[a]
    kind = draw(st.sampled_from([*VIEWS, "concat"]))
    if kind == "concat":
        add_concat(draw, graph, a)
        return
    attributes, result = VIEWS[kind](draw, shape)
    types = f"{graph.type_of(a)} -> {tensor(result, dtype)}"
    graph.op(f"graph.{kind} {a}{attributes}", types, result, dtype, graph.most[a])


def add_concat(draw: st.DrawFn, graph: GraphText, a: str) -> None:
    """A tensor and another one behind it, which differ along one axis at most."""
    shape, dtype = graph.tensors[a]
    axis = draw(st.integers(0, len(shape) - 1))
    fitting = [
        n
        for n, (other, type) in graph.tensors.items()
        if type == dtype and len(other) == len(shape) and without(other, [axis]) == without(shape, [axis])
    ]
    if not fitting:
        return
    b = draw(st.sampled_from(fitting))
    result = (*shape[:axis], shape[axis] + graph.tensors[b][0][axis], *shape[axis + 1 :])
    types = f"{graph.signature(a, b)} -> {tensor(result, dtype)}"
    graph.op(f"graph.concat {a}, {b} {{axis = {axis}}}", types, result, dtype, max(graph.most[a], graph.most[b]))


OPERATIONS = [add_product, add_product, add_binary, add_unary, add_cast, add_reduction, add_quantised, add_where,
              add_mask]  # fmt: skip
"""What draws an operation other than a view."""


def assume_tiled(error: DiagnosticError) -> None:
    """Gives up an example whose tensors can't be tiled as the operations and views on them ask."""
    assume(not any(words in d.message for d in error.diagnostics for words in UNTILED))


UNTILED = ("conflicting tiles", "is read at uneven steps")


# --- what to compile with ---


def tile_sizes() -> st.SearchStrategy[tuple[int, int, int]]:
    """Mostly cubes, which never conflict."""
    cubes = st.sampled_from([1, 2, 3, 4, 8]).map(lambda size: (size, size, size))
    return cubes | cubes | st.tuples(*[st.sampled_from([2, 3, 4])] * 3)


@dataclass(frozen=True)
class Machine:
    """Options of the schedule pass; `sram` in bytes."""

    sram: int
    align: int
    evict: str
    double_buffer: bool

    def options(self, sram: int | None = None) -> str:
        flag = " double-buffer" if self.double_buffer else ""
        return f"sram={sram or self.sram} align={self.align} evict={self.evict}{flag}"


def machines() -> st.SearchStrategy[Machine]:
    """Alignments from 1 to 256, SRAM from nothing to speak of to more than is needed."""
    return st.builds(
        Machine,
        sram=st.sampled_from([256, 260, 384, 500, 768, 1024, 2048, 1 << 16]),
        align=st.sampled_from([1, 4, 64, 256]),
        evict=st.sampled_from(["min", "lru", "cost", "cost"]),
        double_buffer=st.booleans(),
    )
