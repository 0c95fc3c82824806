"""The graph dialect: what to compute, on whole tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..ir.attributes import UNIT, Attributes, FloatAttr, Unit, dict_text
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.fields import DeclarationError, field, inherited_slots
from ..ir.light_typing import TYPE_CHECKING, Any
from ..ir.opdef import (
    REGISTRIES,
    Dialect,
    OpError,
    expect_tensor,
    float32,
    integer,
    numbers,
    one_of,
    read_fields,
    register_dialect,
    unit,
)
from ..ir.parsing import ParseContext, is_attributes
from ..ir.printer import Names
from ..ir.reading.grammar import grammar_beside
from ..ir.types import DTYPE_BYTES, MAX_RANK, FunctionType, TensorType, Type
from .graph_fields import (
    argument_tile,
    axis_numbers,
    group_number,
    product_sizes,
    stream_sizes,
    tile_count,
    tile_counts,
    tile_sizes,
    unit_or_true,
)
from .kernels import KERNELS, Kernel, activation_name, check_activation
from .kernels.elementwise import ELEMENTWISE, check_number
from .kernels.products import MATMUL, check_zero_points
from .kernels.reductions import REDUCTIONS, RESULT_TYPES, without
from .result_types import result_of_elementwise, result_of_matmul, result_of_reduce

if TYPE_CHECKING:
    from typing import ClassVar

GRAPH = register_dialect(Dialect("graph", grammar_beside(__file__)))

CHOICES = ("below", "beside", "block", "epilogue", "group", "lazy", "order", "reverse", "rows", "snake", "stream")
"""The attributes that say in which order an operation's tiles are computed."""

TOGETHER = ("below", "beside", "epilogue", "group", "lazy", "rows", "stream")
"""Those of them that name others by their place: an operation's neighbours are part of what they say."""


GRAPH.argument_attributes["graph.param"] = unit_or_true
GRAPH.argument_attributes["graph.tile"] = argument_tile


class GraphOp(Operation):
    """An operation on whole tensors with one result. `tile` has a size for each axis of the result (of rank 1 or 2 also
    [tm, tn, tk]), or is None until it is tiled.

    `group` and `rows` say that neighbours of one group are computed depth first, `rows` rows of tiles at a time, `lazy`
    that each block comes right before what reads it.
    """

    __slots__ = ()
    kernel: ClassVar[str] = ""
    """What computes its tiles (`dialects/kernels/`)."""
    depth_axis: ClassVar[int | None] = None
    """The axis of its first operand that it sums along, counted from behind; None for what sums nothing."""
    is_composite: ClassVar[bool] = False
    """Whether it is made of other operations (`composites.py`), and no kernel computes it tile by tile."""

    tile: tuple[int, ...] | None = field(tile_sizes, default=None)
    group: int | None = field(group_number, default=None)
    rows: int | None = field(tile_count, default=None)
    lazy: Unit | None = field(unit, default=None)

    def __init_subclass__(cls) -> None:
        """Raises `DeclarationError` for an operation whose kernel has not been declared."""
        super().__init_subclass__()
        declared: Any = cls.kernel  # a property where an attribute chooses it
        if "name" not in vars(cls) or isinstance(declared, property) or issubclass(cls, ViewOp) or cls.is_composite:
            return
        if declared not in KERNELS:
            raise DeclarationError(f"{cls.__module__}.{cls.__qualname__}: there is no kernel '{cls.kernel}'")

    @classmethod
    def parse(cls, context: ParseContext, parts: list[Any]) -> GraphOp:
        token, operand_tokens = parts[0], parts[1]
        attributes: Attributes = parts[2] if is_attributes(parts[2]) else {}
        rest = parts[3:] if is_attributes(parts[2]) else parts[2:]
        signature = _signature(rest, len(operand_tokens))
        operands = context.typed_operands(operand_tokens, signature, cls.name, token.start_pos)
        if len(signature.results) != 1:
            raise OpError(f"{cls.name} has one result")
        return cls(operands, [Value(signature.results[0])], loc=token.start_pos, **read_fields(cls, attributes))

    def pretty(self, names: Names) -> str:
        attributes = self.attributes
        operands = ", ".join(names[v] for v in self.operands)
        return f"{self.name} {operands}{' ' + dict_text(attributes) if attributes else ''} : {self.shown_type()}"

    def verify(self) -> None:
        self.check_group()
        try:
            self.check()
            self.check_tile()
        except OpError as error:
            error.values = error.values or self.operands
            raise

    def check(self) -> None:
        """Raises `OpError` for operands or attributes that don't fit."""

    def check_group(self) -> None:
        if (self.group is None) != (self.rows is None):
            missing = "rows" if self.rows is None else "group"
            raise OpError(f"{self.name}: 'group' and 'rows' go together; '{missing}' is missing", self.name)
        for other in ("epilogue", "stream"):
            if self.lazy is UNIT and getattr(self, other, None) is not None:
                raise OpError(f"{self.name}: 'lazy' doesn't go with '{other}'", "lazy")

    def check_tile(self) -> None:
        """Refuses tile sizes of which there are more or fewer than the result has axes."""
        if self.tile is None:
            return
        result = expect_tensor(self, self.result, "the result")
        if len(self.tile) != result.rank and not (len(self.tile) == 3 and result.rank < 3):
            message = f"{self.name}: 'tile' must have a size for each of the result's {result.rank} axes"
            raise OpError(f"{message}, got {len(self.tile)}", "tile")

    def check_untiled(self, why: str) -> None:
        """Refuses tile sizes, and a place in an order of tiles."""
        for name in ("tile", "group", "lazy"):
            if getattr(self, name) is not None:
                raise OpError(f"{self.name} {why} and takes no '{name}'", name)

    def result_tile(self) -> tuple[int, ...] | None:
        """The tile of its result that an operation asks for by itself."""
        if self.tile is None or len(self.tile) == self.result.type.rank:  # type: ignore[attr-defined]
            return self.tile
        return self.tile[2 - self.result.type.rank : 2]  # type: ignore[attr-defined]

    def shown_type(self) -> str:
        return FunctionType(tuple(v.type for v in self.operands), (self.result.type,)).text

    def check_counts(self, *counts: int) -> None:
        if len(self.operands) not in counts:
            wanted = " or ".join(map(str, counts))
            noun = "operand" if wanted == "1" else "operands"
            raise OpError(f"{self.name} takes {wanted} {noun}, got {len(self.operands)}")
        if len(self.results) != 1:
            raise OpError(f"{self.name} has one result")


class ViewOp(GraphOp):
    """An operation that only says where each element of its result is found (`views.py`): no kernel computes it, so it
    takes no tiles and no place in an order of its own."""

    __slots__ = ()

    def check_tile(self) -> None:
        self.check_untiled("moves nothing")

    def shown_type(self) -> str:
        types = [v.type.text for v in (*self.operands, self.result)]
        return " -> ".join(types) if len(types) == 2 else super().shown_type()

    def view(self, np: Any, *arrays: Any) -> Any:
        """What it is of whole arrays, given the array module."""
        raise NotImplementedError

    def source(self, place: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """Where an element of the result lies: the number of the operand, and the place there."""
        raise NotImplementedError


def has_choices(func: FuncOp, names: Sequence[str] = CHOICES) -> bool:
    """Whether some operation of a graph function says by one of these attributes in which order its tiles are
    computed."""
    return any(getattr(op, name, None) is not None for op in func.ops if isinstance(op, GraphOp) for name in names)


def _signature(types: list[Any], operand_count: int) -> FunctionType:
    if isinstance(types[0], FunctionType):
        return types[0]
    return FunctionType((types[0],) * operand_count, (types[-1],))


def _dtype(op: Operation, tensor: TensorType, allowed: Iterable[str] = DTYPE_BYTES) -> str:
    if tensor.dtype not in allowed:
        raise OpError(f"{op.name}: element type must be one of {', '.join(allowed)}, got {tensor}")
    if not 1 <= tensor.rank <= MAX_RANK:
        raise OpError(f"{op.name}: tensors have ranks from 1 to {MAX_RANK}, got {tensor}")
    return tensor.dtype


def check_axes(name: str, axes: tuple[int, ...], tensor: TensorType) -> None:
    """Raises `OpError` for axes that a tensor doesn't have."""
    other = next((axis for axis in axes if not 0 <= axis < tensor.rank), None)
    if other is not None:
        raise OpError(f"{name}: axes of {tensor} are 0 to {tensor.rank - 1}, got {other}", "axes")


def _expect(op: Operation, what: str, found: Type, wanted: Type) -> None:
    if found != wanted:
        raise OpError(f"{op.name}: {what} must be {wanted}, got {found}")


@GRAPH.op
class MatmulOp(GraphOp):
    """`C[m,n] = sum_k A[m,k] B[k,n] (+ bias[n])`, then the activation; the result has the accumulator's type.

    Axes before the last two are batches, broadcast where one operand has 1 or none. With `transpose_a` A is [k,m], with
    `transpose_b` B is [n,k]. `zero_point_a` is taken from each element of A, `zero_point_b` from each of B.

    `block`, `order`, `reverse`, `snake` and `stream` say in which order `lower` computes its tiles, `beside` and
    `below` that they are further columns, or rows, of the product before it, and `epilogue`, of one whose k is one
    tile, that each comes right after another operation's (`planner/nests.py`).
    """

    name = "graph.matmul"
    kernel = MATMUL.name
    tile: tuple[int, ...] | None = field(product_sizes, default=None)
    activation: str | None = field(activation_name, default=None)
    activation_params: tuple[FloatAttr, ...] | None = field(numbers, default=None)
    below: Unit | None = field(unit, default=None)
    beside: Unit | None = field(unit, default=None)
    block: tuple[int, int] | None = field(tile_counts, default=None)
    epilogue: Unit | None = field(unit, default=None)
    order: str | None = field(one_of("mn", "nm"), default=None)
    reverse: Unit | None = field(unit, default=None)
    snake: Unit | None = field(unit, default=None)
    stream: int | tuple[int, int] | None = field(stream_sizes, default=None)
    transpose_a: Unit | None = field(unit, default=None)
    transpose_b: Unit | None = field(unit, default=None)
    zero_point_a: int | None = field(integer, default=None)
    zero_point_b: int | None = field(integer, default=None)

    @property
    def depth_axis(self) -> int:  # type: ignore[override]
        """The axis of the left operand that the sums go along, counted from behind."""
        return -1 if self.transpose_a is None else -2

    @property
    def bias(self) -> Value | None:
        return self.operands[2] if len(self.operands) > 2 else None

    def check(self) -> None:
        self.check_counts(2, 3)
        self.check_order()
        a = expect_tensor(self, self.operands[0], "the first operand")
        b = expect_tensor(self, self.operands[1], "the second operand")
        result = result_of_matmul(a, b, self.transpose_a, self.transpose_b)
        _expect(self, "the result", self.result.type, result)
        check_zero_points(self.name, self, a.dtype, b.dtype)
        if self.bias is not None:
            _expect(self, "the bias", self.bias.type, TensorType(result.shape[-1:], result.dtype))
        check_activation(self.name, self, result.dtype)

    def check_tile(self) -> None:
        """Any three sizes will do."""

    def result_tile(self) -> tuple[int, ...] | None:
        if self.tile is None:
            return None
        return (1,) * (self.result.type.rank - 2) + self.tile[:2]  # type: ignore[attr-defined]

    def check_order(self) -> None:
        """Refuses an order of its own where the order is another operation's."""
        own = ("block", "order", "reverse", "snake")
        others = {"epilogue": (*own, "below", "beside", "stream", "group"), "beside": (*own, "below"), "below": own}
        for name, excluded in others.items():
            too = [other for other in excluded if getattr(self, other) is not None]
            if getattr(self, name) is not None and too:
                raise OpError(f"{self.name}: '{too[0]}' doesn't go with '{name}'", too[0])


@GRAPH.op
class ReduceOp(GraphOp):
    """The sum, the mean, the maximum or the minimum along axes, of which one element is left. A sum and a mean have the
    accumulator's type: f32 for the shorter floats, a sum i32 for i8.

    A mean, and what goes along several axes, is made of others (`decompose`).
    """

    name = "graph.reduce"
    axes: tuple[int, ...] = field(axis_numbers)
    kind: str = field(one_of(*RESULT_TYPES))

    @property
    def is_composite(self) -> bool:  # type: ignore[override]
        """Whether it takes more than one kernel."""
        return self.kind not in REDUCTIONS or len(self.axes) > 1

    @property
    def kernel(self) -> str:  # type: ignore[override]
        """The kernel of its kind."""
        return "" if self.is_composite else REDUCTIONS[self.kind].name

    @property
    def axis(self) -> int:
        """The axis that is reduced, where there is one alone."""
        return self.axes[0]

    @property
    def depth_axis(self) -> int:  # type: ignore[override]
        """That axis, counted from behind."""
        return self.axis - self.result.type.rank  # type: ignore[attr-defined]

    def check(self) -> None:
        self.check_counts(1)
        a = expect_tensor(self, self.operands[0], "the operand")
        _dtype(self, a, RESULT_TYPES[self.kind])
        check_axes(self.name, self.axes, a)
        _expect(self, "the result", self.result.type, result_of_reduce(a, self.kind, self.axes))

    def check_tile(self) -> None:
        if self.is_composite:
            self.check_untiled("is made of other operations")
        super().check_tile()

    def result_tile(self) -> tuple[int, ...] | None:
        """Its own `tile` is the operand's."""
        return None if self.tile is None else without(self.tile, self.axes)

    def shown_type(self) -> str:
        return " -> ".join([self.operands[0].type.text, self.result.type.text])


class ElementwiseOp(GraphOp):
    """An operation element by element; `epilogue` has it computed tile by tile, right after its last operand's tile."""

    __slots__ = ()
    epilogue: Unit | None = field(unit, default=None)


class MappedOp(ElementwiseOp):
    """An operation by a kernel of the table (`kernels/elementwise.py`)."""

    __slots__ = ()
    params: tuple[FloatAttr, ...] | None = field(numbers, default=None)

    def check(self) -> None:
        kernel = KERNELS[self.kernel]
        self.check_operands(kernel)
        names = (
            ("the operand",) if len(self.operands) == 1 else ("the first operand", "the second operand", "the third")
        )
        types = [expect_tensor(self, v, name) for v, name in zip(self.operands, names, strict=False)]
        for type in types:
            _dtype(self, type, kernel.dtypes)
        check_number(self.name, types[0].dtype, self)
        _expect(self, "the result", self.result.type, result_of_elementwise(self.name, types))
        kernel.check_params(self.name, self.params, "params")

    def check_operands(self, kernel: Kernel) -> None:
        """Raises `OpError` for more or fewer operands than the kernel takes."""
        self.check_counts(len(kernel.sources))

    def shown_type(self) -> str:
        return self.result.type.text if len(self.operands) == 1 else super().shown_type()


class BinaryOp(MappedOp):
    """Of two tensors, broadcast to one shape; or of one, and `left` or `right` is a number in place of the other."""

    __slots__ = ()
    left: FloatAttr | None = field(float32, default=None)
    right: FloatAttr | None = field(float32, default=None)

    def check_operands(self, kernel: Kernel) -> None:
        count = kernel.count_of(self)
        if len(self.operands) == 1 and count == 2:
            raise OpError(f"{self.name} takes 2 operands, got 1, and no number 'left' or 'right' in place of the other")
        self.check_counts(count)


class TernaryOp(MappedOp):
    """Of three tensors, broadcast to one shape; `left` or `right`, or both, are numbers in place of the second and the
    third."""

    __slots__ = ()
    left: FloatAttr | None = field(float32, default=None)
    right: FloatAttr | None = field(float32, default=None)

    def check_operands(self, kernel: Kernel) -> None:
        self.check_counts(kernel.count_of(self))


BASES: dict[int, type[MappedOp]] = {1: MappedOp, 2: BinaryOp, 3: TernaryOp}
"""What the operations of the table are made of, by how many sources their kernels have."""

MAPPED_SLOTS = {count: inherited_slots(base) for count, base in BASES.items()}

MAPPED: dict[str, type[MappedOp]] = {}
"""The operations of the table by their kernels' names, those of plugins included."""

REGISTRIES.append(MAPPED)


def mapped_operation(dialect: Dialect, kernel: Kernel, module: str) -> type[MappedOp]:
    """Declares the operation of a kernel of the table: `demo.softsign` in the dialect `demo`, which the grammar rule
    `demo_softsign` reads. `module` is the `__name__` of the module that keeps the class under its own name, or copies
    of modules can't be pickled. Raises `DeclarationError`."""
    name = "".join(word.title() for word in kernel.name.split("_"))
    members = {
        "__module__": module,
        "__doc__": f"{kernel.summary}, element by element.",
        "name": f"{dialect.name}.{kernel.name}",
        "kernel": kernel.name,
        "__slots__": MAPPED_SLOTS[len(kernel.sources)],
    }
    base = BASES[len(kernel.sources)]
    made: type[MappedOp] = dialect.op(type(f"{name}Op", (base,), members))
    MAPPED[kernel.name] = made
    return made


for _kernel in ELEMENTWISE.values():
    _made = mapped_operation(GRAPH, _kernel, __name__)
    globals()[_made.__name__] = _made


@GRAPH.action("graph_conversion")
@GRAPH.action("graph_composite")
@GRAPH.action("graph_view")
@GRAPH.action("graph_unary")
@GRAPH.action("graph_binary")
def _read_by_name(context: ParseContext, parts: list[Any]) -> GraphOp:
    return GRAPH.ops[parts[0]].parse(context, parts)  # type: ignore[attr-defined]
