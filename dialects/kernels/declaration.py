"""What a kernel is: a tile computation, declared once for all levels.

Every level reads a kernel's facets from here: the verifier which tiles fit, `lower` what it reads, the runtime what it
means, the proof which laws hold for it, `mir-run --compare` how exact it is, the simulator what work it is. A facet
that is left out is an error when the kernel is declared; nothing elsewhere asks for a kernel by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from math import isfinite, isnan, prod
from operator import itemgetter

from ...ir.attributes import UNIT, Attr, FloatAttr
from ...ir.diagnostics import PluginError, did_you_mean
from ...ir.light_typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from ...ir.opdef import REGISTRIES, OpError
from ..tiles import Coord, TiledType

Array = Any
"""An array of whatever module the meaning is given; NumPy's in the interpreter."""


ALL = -1
"""The axis of the destination that an axis of one element goes along, if that counts for all elements of another."""

MULTIPLIES, ELEMENTS = "macs_per_cycle", "elements_per_cycle"
"""The engines' rates, as keys of `sched.target`: what a kernel's work is counted in."""


class Parameter(NamedTuple):
    """A number that an operation gives its kernel, at a place of `params`, or by an attribute of its own; 1 for one
    that is there without a value."""

    name: str
    attribute: str = "params"
    default: float | tuple[()] | None = None
    """What an absent one is, an empty list for one of a list; None where it must be given."""
    finite: bool = False
    """Whether it must be neither an infinity nor NaN."""

    @property
    def is_operand(self) -> bool:
        """Whether it is a number in place of an operand, which has its name: NaN where there is the operand."""
        return isinstance(self.default, float) and isnan(self.default)


class Call(NamedTuple):
    """What a meaning sees beside its sources: parameters, the result's element type, an array to write to if it likes.

    `dtype` belongs to the array module. `out` is of the destination's shape and type; a meaning that returns it has
    written its result there. `types` and `coords` say which tiles they are, destination first, to what combines by
    "part".
    """

    params: tuple[Any, ...] = ()
    dtype: Any = None
    out: Array | None = None
    types: Sequence[TiledType] = ()
    coords: Sequence[Coord] = ()


class Function(NamedTuple):
    """A kernel with its parameters, as a term of the proof has it: `words` say more of it, parameters are their exact
    texts."""

    name: str
    words: str
    params: tuple[str, ...]


Range = tuple[float, float]
"""The least and the greatest number that a kernel lets through."""


if TYPE_CHECKING:  # what kernels are written against; making these classes takes a millisecond of each start
    from typing import Protocol

    TermT = TypeVar("TermT")

    class Activated(Protocol):
        """An operation that may apply a kernel of one tensor to its result."""

        activation: str | None
        activation_params: tuple[FloatAttr, ...] | None

    class Algebra(Protocol[TermT]):
        """How terms of the proof are made; see `analysis/terms.py`."""

        def plus(self, a: TermT, b: TermT) -> TermT:
            """A sum of two, in either order."""
            ...

        def apply(
            self, name: str, params: Sequence[float], *sources: TermT, commutes: bool = False, words: str = ""
        ) -> TermT:
            """An uninterpreted function of its sources: equal if all of this is. `words` say more of it in messages,
            such as "from f32 to f16"."""
            ...

        def parts(self, term: TermT) -> tuple[Any, ...] | None:
            """The function that `apply` made a term of, and its sources; None for a term that comes from elsewhere."""
            ...


Check = Callable[[Sequence[TiledType], object], None]
Meaning = Callable[..., Array]


class Kernel(NamedTuple):
    """A tile computation. All facets must be given; each says who reads it.

    - `sources`: the roles of what it reads, in order (verifier, messages).
    - `parameters`: the numbers that it takes (verifier).
    - `combine`: how `+=` combines onto the destination: "sum", "greatest", "least", "part" (it writes its elements and
      leaves the others), or None where it can't (verifier, runtime, proof).
    - `is_sum`: whether its result is a sum, which may be part of a longer one (messages, runtime).
    - `commutes`: whether its two sources may change places (importer; `algebra` says it to the proof).
    - `idempotent`: whether of two equal sources it gives just that (canonicalize, proof).
    - `clamps(params)`: of what cuts each element to a range and leaves all within it as it is, that range; None for all
      else (canonicalize, proof).
    - `starts`: whether a destination that it writes may be summed onto by another kernel, as a bias is (lower,
      reorder).
    - `in_place`: the sources that it may be written over, by position (verifier).
    - `keeps_zeros`: whether zeros give zeros, so that a store may apply it and leave the padding zero (verifier,
      lower).
    - `dtypes`: the element types that it works on, if all its tiles have one type and one shape; else none (graph,
      verifier).
    - `check(types, op)`: raises `OpError` for tile shapes and element types that don't fit; destination first
      (verifier).
    - `reads(op, shapes)`: for each source along which axes of the destination its own axes go, for an operation on
      tensors of these shapes, destination first: the destination's rank itself stands for the steps k of a sum, `ALL`
      for an axis of one element that counts for all of the destination's (lower, tile, plan, verifier, proof).
    - `meaning(np, call, *sources)`: what it computes, given the array module; integer results in i64, so that an
      overflow can be told (runtime); in f64 where sources and `call.dtype` are f64 (`mir-run --compare`).
    - `algebra(terms, params, dtypes, *sources)`: its term, given the proof's algebra and the element types, destination
      first; a source of lower rank has been marked as repeated (proof). None for a product, which combines by
      "sum" what the proof knows as sums of products.
    - `ulps`: how far its own result may lie from the exact one in f32, in units in the last place; 0 for exact (docs,
      `--compare`).
    - `work(tiles)`, `rate`: its work on tiles of given sizes, destination first, and the engine's rate for it: a key of
      `sched.target` (simulator, bounds, report).
    - `onnx`: the ONNX operator that means the same, or None (importer).
    - `summary`, `example`: a sentence and a line of text (language reference).
    """

    name: str
    sources: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    combine: str | None
    is_sum: bool
    commutes: bool
    idempotent: bool
    clamps: Callable[[Sequence[float]], Range] | None
    starts: bool
    in_place: frozenset[int]
    keeps_zeros: bool
    dtypes: tuple[str, ...]
    check: Check
    reads: Callable[[object, Sequence[Coord]], tuple[Coord, ...]]
    meaning: Meaning
    algebra: Callable[..., Any] | None
    ulps: float
    work: Callable[[Sequence[Sequence[int]]], int]
    rate: str
    onnx: str | None
    summary: str
    example: str

    @property
    def is_activation(self) -> bool:
        """Whether it is a function of one tensor, element by element, that an operation may apply to its result."""
        return len(self.sources) == 1 and bool(self.dtypes)

    def fits(self, op: object, types: Sequence[TiledType], extents: Sequence[Coord]) -> bool:
        """Whether tiles with these valid extents, destination first, have equal ones along each axis that they share.

        If not, what is computed is cut to what the destination has of it, or makes data of padding.
        """
        sizes = dict(enumerate(extents[0]))
        along = self.reads(op, shapes_seen(types))
        return all(
            axis == ALL or sizes.setdefault(axis, size) == size
            for axes, extent in zip(along, extents[1:], strict=True)
            for axis, size in zip(axes, extent, strict=True)
        )

    def count_of(self, op: object) -> int:
        """How many operands an operation has for it: a source less for each that is a number. Raises `OpError` where
        all are."""
        numbers = [p.name for p in self.parameters if p.is_operand and getattr(op, p.attribute, None) is not None]
        if len(numbers) == len(self.sources):
            raise OpError(f"{' and '.join(numbers)} don't go together: one operand is no number", numbers[-1])
        return len(self.sources) - len(numbers)

    def params_of(self, op: object, attribute: str = "params") -> tuple[Any, ...]:
        """The parameters that an operation gives, in order; `attribute` is where it keeps those without a name."""
        given = getattr(op, attribute, None) or ()
        return tuple([self._value(p, i, op, given) for i, p in enumerate(self.parameters)])

    def _value(self, parameter: Parameter, at: int, op: object, given: tuple[FloatAttr, ...]) -> Any:
        if parameter.attribute == "params":
            return given[at].value
        value: Any = getattr(op, parameter.attribute, None)
        if value is None:
            value = parameter.default
        assert value is not None, f"{parameter.name} has no default"
        if value is UNIT:
            return 1
        return value.value if isinstance(value, FloatAttr) else value

    def check_params(self, who: str, given: Attr, key: str) -> None:
        """Raises `OpError` unless a list of parameters without names has as many as the kernel takes, each of them a
        number that it can work with."""
        wanted = [p for p in self.parameters if p.attribute == "params"]
        values: tuple[Any, ...] = given if isinstance(given, tuple) else ()
        if len(values) != len(wanted):
            names = ", ".join(p.name for p in wanted)
            takes = f"takes {key} = [{names}], got {len(values)}" if wanted else f"takes no {key}"
            raise OpError(f"{who} {takes}", key if values or not wanted else "")
        for parameter, value in zip(wanted, values, strict=True):
            if parameter.finite and not isfinite(value.value):
                raise OpError(f"{who}: {parameter.name} must be finite, got {value.value}", key)


def shapes_seen(types: Sequence[TiledType]) -> list[Coord]:
    """The shapes of tensors, destination first, as an operation on a tile of each sees them: a tile of one element
    along an axis where the destination's has more is repeated along it, as all of a tensor of one element is. A buffer
    that holds a view may have more than the view has."""
    dst, *sources = types
    shapes = [dst.tensor.shape]
    for type in sources:
        further = len(dst.tile) - len(type.tile)
        shape = list(type.tensor.shape)
        for i in range(max(-further, 0), len(shape)):
            if type.tile[i] == 1 < dst.tile[i + further]:
                shape[i] = 1
        shapes.append(tuple(shape))
    return shapes


def same_coordinates(op: object, shapes: Sequence[Coord]) -> tuple[Coord, ...]:
    """`reads` of what works element by element; a source of lower rank goes along the last axes."""
    return tuple([leading_axes(shapes[0], shape, len(shape)) for shape in shapes[1:]])


def leading_axes(result: Coord, shape: Coord, count: int) -> Coord:
    """Along which axes of a result the first `count` of a tensor go, of which as many follow as in the result: the
    same from behind, and `ALL` where the tensor has one element and the result more, or the result has no such axis: a
    buffer that holds a view may have more axes than what reads it."""
    further = len(result) - len(shape)
    if further < 0:
        return (ALL,) * min(-further, count) + leading_axes(result, shape[-further:], count + further)
    return tuple([ALL if shape[i] == 1 < result[i + further] else i + further for i in range(count)])


def coords_along(axes: Coord) -> Callable[[tuple[int, ...]], Coord]:
    """What gives the coordinates of a tile along some axes of the destination (`Kernel.reads`), of the destination's
    coordinates with k and 0 behind them."""
    if len(axes) > 1:
        return itemgetter(*axes)
    return lambda place: tuple([place[axis] for axis in axes])


def elements(tiles: Sequence[Sequence[int]]) -> int:
    """`work` of what writes each element of the destination once."""
    return prod(tiles[0])


KERNELS: dict[str, Kernel] = {}
"""The kernels by name, in the order of their declaration."""

REGISTRIES.append(KERNELS)


class KernelError(Exception):
    """A kernel that can't be declared."""


def declare(kernel: Kernel) -> Kernel:
    """Makes a kernel part of the language. Raises `KernelError` for a name that is taken, and for facets that
    contradict each other or that nobody understands."""
    if kernel.name in KERNELS:
        raise KernelError(f"kernel '{kernel.name}' is declared twice")
    wrong = next((words for holds, words in _rules(kernel) if not holds), None)
    if wrong is not None:
        raise KernelError(f"kernel '{kernel.name}': {wrong}")
    KERNELS[kernel.name] = kernel
    return kernel


def _rules(kernel: Kernel) -> Iterator[tuple[bool, str]]:
    """What must hold of facets, and what to say where it does not."""
    kinds = ("sum", "greatest", "least", "part")
    yield kernel.combine in (None, *kinds), f"`combine` is None or one of {', '.join(kinds)}, got {kernel.combine!r}"
    yield (
        (kernel.algebra is None) == (kernel.combine is not None),
        "what combines has no `algebra`, all else has one",
    )
    yield kernel.rate in (MULTIPLIES, ELEMENTS), f"`rate` is '{MULTIPLIES}' or '{ELEMENTS}', got {kernel.rate!r}"
    yield kernel.ulps >= 0, f"`ulps` is 0 or more, got {kernel.ulps}"
    yield kernel.in_place <= set(range(len(kernel.sources))), "`in_place` names sources by position"
    yield kernel.combine in (None, "sum") or len(kernel.sources) == 1, "what combines by order has one source"
    yield not kernel.idempotent or len(kernel.sources) == 2, "what is `idempotent` has two sources"
    yield kernel.clamps is None or kernel.is_activation, "what `clamps` is a function of one tensor"


def find_kernel(name: Attr) -> Kernel | None:
    """The kernel of a name. One that is unknown may be a plugin's: a kernel's name has no dialect, so that all plugins'
    dialects are loaded; `unusable_plugin` says of one that can't be."""
    if not isinstance(name, str):
        return None
    if name not in KERNELS:
        unusable_plugin()
    return KERNELS.get(name)


def unusable_plugin() -> str:
    """Loads all plugins' dialects; why one of them, which might have a kernel that is unknown, can't be used."""
    from ...ir.plugins import DIALECT_PLUGINS

    try:
        DIALECT_PLUGINS.find_all()
    except PluginError as error:
        return str(error)
    return ""


def kernel_name(value: Attr) -> str:
    """A field's check for `kernel`."""
    return "" if find_kernel(value) is not None else _one_of(value, KERNELS)


def activation_name(value: Attr) -> str:
    """A field's check for `activation`: a kernel of one tensor."""
    kernel = find_kernel(value)
    if kernel is not None and kernel.is_activation:
        return ""
    return _one_of(value, [k.name for k in KERNELS.values() if k.is_activation])


def check_activation(who: str, op: Activated, dtype: str) -> None:
    """Raises `OpError` for an activation that does not take elements of a type, or other parameters than are given."""
    if op.activation is None:
        if op.activation_params is not None:
            raise OpError(f"{who}: activation_params go with an activation", "activation_params")
        return
    kernel = KERNELS[op.activation]
    if dtype not in kernel.dtypes:
        allowed = ", ".join(kernel.dtypes)
        raise OpError(f"{who}: activation {kernel.name} takes elements of {allowed}, got {dtype}", "activation")
    kernel.check_params(f"{who}: activation {kernel.name}", op.activation_params, "activation_params")


def _one_of(value: Attr, names: Collection[str]) -> str:
    if not isinstance(value, str):
        return "one of " + ", ".join(names)
    unusable = unusable_plugin()
    plugins = f", or a plugin's ({unusable})" if unusable else ""
    return "one of " + ", ".join(names) + did_you_mean(value, names) + plugins
