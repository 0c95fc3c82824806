"""The data model: values, operations, blocks. Slotted and without use lists, so that a million operations stay cheap.

An operation class declares its own attributes as fields (see `ir/fields.py`); `Operation.attributes` gives any of them
as a dictionary, and only discardable attributes (`dialect.name`) are kept as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from .attributes import Attr, attr_text
from .fields import STRUCTURE, Declared, structural
from .source import UNKNOWN_LOC
from .types import Type

OpT = TypeVar("OpT", bound="Operation")


class Value:
    """An SSA value: its type, its name without the `%`, and its owner (the operation or block that defines it)."""

    __slots__ = ("_loc", "name", "owner", "type")

    def __init__(self, type: Type, name: str = "", owner: Operation | Block | None = None, loc: int = UNKNOWN_LOC):
        self.type = type
        self.name = name
        self.owner = owner
        self._loc = loc

    @property
    def loc(self) -> int:
        """Where the value is defined."""
        return self._loc if self._loc >= 0 or self.owner is None else self.owner.loc

    def __repr__(self) -> str:
        return f"%{self.name or '?'}: {self.type}"


class Block:
    """Arguments and operations in order. A region of this IR is one block."""

    __slots__ = ("args", "loc", "ops")

    def __init__(self, args: Iterable[Value] = (), ops: Iterable[Operation] = (), loc: int = UNKNOWN_LOC):
        self.args = list(args)
        self.ops = list(ops)
        self.loc = loc
        for arg in self.args:
            arg.owner = self

    def append(self, op: OpT) -> OpT:
        """Adds an operation at the end and returns it."""
        self.ops.append(op)
        return op


def _values(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(values)


class Operation(Declared):
    """Base of all operations.

    `operands` and `results` are tuples of values; `extra` holds the discardable attributes, or None;
    `loc` is an offset in the module's source.
    """

    __slots__ = STRUCTURE

    name = ""
    references: ClassVar[tuple[str, ...]] = ()
    """Fields that hold one thing for each operand, which the pretty form writes behind the operand, in this order. What
    integers these are makes no difference to reading."""

    if TYPE_CHECKING:  # arguments of the constructors that are made of fields
        operands: tuple[Value, ...] = structural(default=(), kw_only=False, converter=_values)
        results: tuple[Value, ...] = structural(default=(), kw_only=False, converter=_values)
        extra: dict[str, Attr] | None = structural(default=None)
        loc: int = structural(default=UNKNOWN_LOC)

    def __init__(
        self,
        operands: Iterable[Value] = (),
        results: Iterable[Value] = (),
        *,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.extra = extra or None
        self.loc = loc
        for value in self.results:
            value.owner = self

    @property
    def result(self) -> Value:
        """The single result. Raises ValueError if there is not exactly one."""
        (value,) = self.results
        return value

    @property
    def attributes(self) -> dict[str, Attr]:
        """All attributes of the generic form, declared and discardable, as a new dictionary."""
        present = {f.name: getattr(self, f.slot) for f in self.fields if f.printed(getattr(self, f.slot))}
        return present | self.extra if self.extra else present

    @property
    def regions(self) -> Sequence[Block]:
        """The operation's regions, one block each; most operations have none."""
        return ()

    @property
    def properties(self) -> dict[str, Attr]:
        """What the generic form prints in `<{...}>`; empty but for MLIR's own functions and modules."""
        return {}

    def walk(self) -> Iterator[Operation]:
        """This operation and all within its regions, in order."""
        yield self
        for block in self.regions:
            for op in block.ops:
                yield from op.walk()

    def __repr__(self) -> str:
        return f"<{self.name} {', '.join(map(repr, self.operands))}>"


class UnregisteredOp(Operation):
    """An operation that no dialect declares, kept as it is under `--allow-unregistered-dialect`."""

    __slots__ = ("blocks", "name", "props")
    name: str

    def __init__(
        self,
        name: str,
        operands: Iterable[Value] = (),
        results: Iterable[Value] = (),
        *,
        props: dict[str, Attr] | None = None,
        extra: dict[str, Attr] | None = None,
        regions: Iterable[Block] = (),
        loc: int = UNKNOWN_LOC,
    ):
        super().__init__(operands, results, extra=extra, loc=loc)
        self.name = name
        self.props = props or {}
        self.blocks = list(regions)

    @property
    def regions(self) -> Sequence[Block]:
        return self.blocks

    @property
    def properties(self) -> dict[str, Attr]:
        return self.props


def structurally_equal(a: Operation, b: Operation) -> bool:
    """Whether two operations, their regions included, are the same but for SSA names, locations and attribute order."""
    return _same_op(a, b, {})


def _same_op(a: Operation, b: Operation, values: dict[Value, Value]) -> bool:
    if a.name != b.name or len(a.operands) != len(b.operands) or len(a.results) != len(b.results):
        return False
    if any(values.get(x) is not y for x, y in zip(a.operands, b.operands, strict=True)):
        return False
    if not _same_attributes(a, b) or not _same_values(a.results, b.results, values):
        return False
    return len(a.regions) == len(b.regions) and all(
        _same_block(x, y, values) for x, y in zip(a.regions, b.regions, strict=True)
    )


def _same_attributes(a: Operation, b: Operation) -> bool:
    return attr_text(a.attributes | a.properties) == attr_text(b.attributes | b.properties)


def _same_values(a: Iterable[Value], b: Iterable[Value], values: dict[Value, Value]) -> bool:
    for x, y in zip(a, b, strict=True):
        if x.type != y.type:
            return False
        values[x] = y
    return True


def _same_block(a: Block, b: Block, values: dict[Value, Value]) -> bool:
    if len(a.args) != len(b.args) or len(a.ops) != len(b.ops):
        return False
    return _same_values(a.args, b.args, values) and all(
        _same_op(x, y, values) for x, y in zip(a.ops, b.ops, strict=True)
    )
