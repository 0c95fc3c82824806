"""Views: operations on whole tensors that only say where each element is found. No tile is computed for them.

Each is made of two functions: `view(np, *arrays)`, what it is of whole arrays, and `source(place)`, where an element of
the result lies: the number of the operand and the place there.
"""

from __future__ import annotations

from math import prod

from ..ir.attributes import Attr
from ..ir.core import Value
from ..ir.fields import field
from ..ir.light_typing import TYPE_CHECKING, Any
from ..ir.opdef import OpError, are_integers, expect_tensor, integer
from ..ir.types import DTYPE_BYTES, MAX_RANK, TensorType
from .graph import GRAPH, ViewOp

if TYPE_CHECKING:
    from .tiles import Coord


def whole_numbers(value: Attr) -> str:
    good = are_integers(value) and 1 <= len(value) <= MAX_RANK and all(x >= 0 for x in value)
    return "" if good else "an integer, 0 or more, for each axis"


def _shape(value: Value) -> Coord:
    """The shape of an operand or a result that has been found right."""
    assert isinstance(value.type, TensorType)
    return value.type.shape


def _types(op: ViewOp) -> tuple[TensorType, TensorType]:
    """The operand's type and the result's. Raises `OpError` for what is no tensor, or of other elements."""
    op.check_counts(1)
    source = expect_tensor(op, op.operands[0], "the operand")
    result = expect_tensor(op, op.result, "the result")
    for tensor in (source, result):
        if not 1 <= tensor.rank <= MAX_RANK or tensor.dtype not in DTYPE_BYTES:
            raise OpError(f"{op.name}: tensors have ranks from 1 to {MAX_RANK}, got {tensor}")
    if source.dtype != result.dtype:
        raise OpError(f"{op.name}: element types differ: {source} and {result}")
    return source, result


def _expect_shape(op: ViewOp, shape: Coord, found: TensorType) -> None:
    wanted = TensorType(shape, found.dtype)
    if found != wanted:
        raise OpError(f"{op.name}: the result must be {wanted}, got {found}")


@GRAPH.op
class TransposeOp(ViewOp):
    """The axes in another order: axis i of the result is axis `permutation[i]` of the operand."""

    name = "graph.transpose"
    permutation: tuple[int, ...] = field(whole_numbers)

    def check(self) -> None:
        source, result = _types(self)
        if sorted(self.permutation) != list(range(source.rank)):
            shown = ", ".join(map(str, range(source.rank)))
            message = f"{self.name}: 'permutation' must have each of {shown} once, got {list(self.permutation)}"
            raise OpError(message, "permutation")
        _expect_shape(self, tuple([source.shape[axis] for axis in self.permutation]), result)

    def view(self, np: Any, *arrays: Any) -> Any:
        return np.transpose(arrays[0], self.permutation)

    def source(self, place: Coord) -> tuple[int, Coord]:
        found = dict(zip(self.permutation, place, strict=True))
        return 0, tuple([found[axis] for axis in range(len(place))])


@GRAPH.op
class ReshapeOp(ViewOp):
    """The same elements, row by row, under another shape."""

    name = "graph.reshape"

    def check(self) -> None:
        source, result = _types(self)
        counts = prod(source.shape), prod(result.shape)
        if counts[0] != counts[1]:
            raise OpError(f"{self.name}: {source} has {counts[0]:,} elements, {result} has {counts[1]:,}")

    def view(self, np: Any, *arrays: Any) -> Any:
        return arrays[0].reshape(_shape(self.result))

    def source(self, place: Coord) -> tuple[int, Coord]:
        number = 0
        for at, size in zip(place, _shape(self.result), strict=True):
            number = number * size + at
        found: list[int] = []
        for size in reversed(_shape(self.operands[0])):
            number, at = divmod(number, size)
            found.append(at)
        return 0, tuple(reversed(found))


@GRAPH.op
class SliceOp(ViewOp):
    """`sizes` elements along each axis, from `starts` on."""

    name = "graph.slice"
    starts: tuple[int, ...] = field(whole_numbers)
    sizes: tuple[int, ...] = field(whole_numbers)

    def check(self) -> None:
        source, result = _types(self)
        for key in ("starts", "sizes"):
            if len(getattr(self, key)) != source.rank:
                count = len(getattr(self, key))
                raise OpError(f"{self.name}: '{key}' must have a number for each axis of {source}, got {count}", key)
        for axis, (start, size, extent) in enumerate(zip(self.starts, self.sizes, source.shape, strict=True)):
            if not size or start + size > extent:
                message = f"elements {start} to {start + size} of axis {axis} lie outside {source}"
                raise OpError(f"{self.name}: {message if size else f'axis {axis} is left without elements'}", "sizes")
        _expect_shape(self, self.sizes, result)

    def view(self, np: Any, *arrays: Any) -> Any:
        return arrays[0][tuple([slice(a, a + n) for a, n in zip(self.starts, self.sizes, strict=True)])]

    def source(self, place: Coord) -> tuple[int, Coord]:
        return 0, tuple([start + at for start, at in zip(self.starts, place, strict=True)])


@GRAPH.op
class BroadcastOp(ViewOp):
    """Repeated along axes of which the operand has one element."""

    name = "graph.broadcast"

    def check(self) -> None:
        source, result = _types(self)
        fits = source.rank == result.rank
        if not fits or any(a not in (1, b) for a, b in zip(source.shape, result.shape, strict=True)):
            raise OpError(
                f"{self.name}: {source} can't be repeated to {result}: along each axis it has 1 element, or as many"
            )

    def view(self, np: Any, *arrays: Any) -> Any:
        return np.broadcast_to(arrays[0], _shape(self.result))

    def source(self, place: Coord) -> tuple[int, Coord]:
        shape = _shape(self.operands[0])
        return 0, tuple([0 if size == 1 else at for at, size in zip(place, shape, strict=True)])


@GRAPH.op
class ConcatOp(ViewOp):
    """Tensors one behind the other along `axis`."""

    name = "graph.concat"
    axis: int = field(integer)

    def check(self) -> None:
        if not self.operands:
            raise OpError(f"{self.name} takes at least one operand")
        types = [expect_tensor(self, v, "an operand") for v in self.operands]
        result = expect_tensor(self, self.result, "the result")
        first = types[0]
        if not 0 <= self.axis < first.rank:
            raise OpError(f"{self.name}: 'axis' is {self.axis}, but {first} has axes 0 to {first.rank - 1}", "axis")
        for other in types:
            if other.dtype != first.dtype or self._others(other) != self._others(first):
                raise OpError(f"{self.name}: {first} and {other} must differ along axis {self.axis} alone")
        total = sum(t.shape[self.axis] for t in types)
        _expect_shape(self, (*first.shape[: self.axis], total, *first.shape[self.axis + 1 :]), result)

    def _others(self, type: TensorType) -> tuple[int | None, ...]:
        """The sizes along all axes but the one that they are laid along."""
        return (*type.shape[: self.axis], None, *type.shape[self.axis + 1 :])

    def view(self, np: Any, *arrays: Any) -> Any:
        return np.concatenate(arrays, self.axis)

    def source(self, place: Coord) -> tuple[int, Coord]:
        at = place[self.axis]
        for number, value in enumerate(self.operands):
            size = _shape(value)[self.axis]
            if at < size:
                return number, (*place[: self.axis], at, *place[self.axis + 1 :])
            at -= size
        raise AssertionError("the place lies outside the result")
