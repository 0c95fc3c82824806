"""The data model: values, operations, blocks. Slotted and without use lists, so that a million operations stay cheap.

An operation class declares its own attributes as fields (see `ir/fields.py`); `Operation.attributes` gives any of them
as a dictionary, and only discardable attributes (`dialect.name`) are kept as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from .attributes import Attributes, Leaf, attr_text
from .fields import STRUCTURE, Declared, structural
from .light_typing import TYPE_CHECKING, Any, Self, TypeVar
from .source import UNKNOWN_LOC
from .types import Type

if TYPE_CHECKING:
    from typing import ClassVar, TypeAlias

OpT = TypeVar("OpT", bound="Operation")


class Value:
    """An SSA value: its type, its name without the `%`, and its owner (the operation or block that defines it).

    `own_loc` is its own place in the text, if it has one apart from its owner's.

    Copied or pickled alone it has no owner; with its owner see `Operation`.
    """

    __slots__ = ("name", "own_loc", "owner", "type")

    def __init__(self, type: Type, name: str = "", owner: Operation | Block | None = None, loc: int = UNKNOWN_LOC):
        self.type = type
        self.name = name
        self.owner = owner
        self.own_loc = loc

    @property
    def loc(self) -> int:
        """Where the value is defined."""
        return self.own_loc if self.own_loc >= 0 or self.owner is None else self.owner.loc

    def __repr__(self) -> str:
        return f"%{self.name or '?'}: {self.type}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        return Value(self.type, self.name, None, self.own_loc)

    def __reduce__(self) -> tuple[Callable[..., Value], tuple[Any, ...]]:
        return Value, (self.type, self.name, None, self.own_loc)


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

    def __deepcopy__(self, memo: dict[int, Any]) -> Block:
        return _copied(self, memo)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _pickled(self)


def _values(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(values)


class Operation(Declared):
    """Base of all operations.

    `operands` and `results` are tuples of values; `extra` holds the discardable attributes, or None;
    `loc` is an offset in the module's source.

    A copy (`clone`, `copy.deepcopy`) has results and regions of its own, and the operands that are defined outside of
    it in common with the original. A pickle holds those as values without an owner.
    """

    __slots__ = STRUCTURE

    name = ""
    references: ClassVar[tuple[str, ...]] = ()
    """Fields that hold one thing for each operand, which the pretty form writes behind the operand, in this order. What
    integers these are makes no difference to reading."""
    isolated: ClassVar[bool] = False
    """Whether the regions see no value from outside, so that their names are free to be used again."""

    if TYPE_CHECKING:  # arguments of the constructors that are made of fields
        operands: tuple[Value, ...] = structural(default=(), kw_only=False, converter=_values)
        results: tuple[Value, ...] = structural(default=(), kw_only=False, converter=_values)
        extra: Attributes | None = structural(default=None)
        loc: int = structural(default=UNKNOWN_LOC)

    def __init__(
        self,
        operands: Iterable[Value] = (),
        results: Iterable[Value] = (),
        *,
        extra: Attributes | None = None,
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
    def attributes(self) -> Attributes:
        """All attributes of the generic form, declared and discardable, as a new dictionary."""
        present = {f.name: getattr(self, f.slot) for f in self.fields if f.printed(getattr(self, f.slot))}
        return present | self.extra if self.extra else present

    @property
    def regions(self) -> Sequence[Block]:
        """The operation's regions, one block each; most operations have none."""
        return ()

    @property
    def properties(self) -> Attributes:
        """What the generic form prints in `<{...}>`; empty but for MLIR's own functions and modules."""
        return {}

    def walk(self) -> Iterator[Operation]:
        """This operation and all within its regions, in order."""
        yield self
        for block in self.regions:
            for op in block.ops:
                yield from op.walk()

    def clone(self) -> Self:
        """A copy with results and regions of its own, attributes included, on the same operands."""
        return _copied(self, {})

    def __repr__(self) -> str:
        return f"<{self.name} {', '.join(map(repr, self.operands))}>"

    def __copy__(self) -> Self:
        return _with_state(type(self), {slot: getattr(self, slot) for slot in _slots(type(self))} | _instance(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return _copied(self, memo)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _pickled(self)


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
        props: Attributes | None = None,
        extra: Attributes | None = None,
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
    def properties(self) -> Attributes:
        return self.props


def structurally_equal(a: Operation, b: Operation, values: dict[Value, Value] | None = None) -> bool:
    """Whether two operations, their regions included, are the same but for SSA names, locations and attribute order.

    `values` says which value of `b` stands for one of `a` that is defined elsewhere; what they define is entered.
    """
    return _same_op(a, b, {} if values is None else values)


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


# Copying and pickling. Both go by a flat form in which values are numbers: from value to owner to operand and on, a
# function is a chain as long as itself, which `copy` and `pickle` would follow by recursion.

NodeT = TypeVar("NodeT", bound="Operation | Block")


class _Flat:
    """An operation or a block: its class, its slots, those that hold values (or blocks) as numbers (or `_Flat`)."""

    __slots__ = ("cls", "slots")

    def __init__(self, cls: type[Any], slots: dict[str, Any]):
        self.cls = cls
        self.slots = slots


class _Numbered(tuple[int, ...]):
    """Values by number."""

    __slots__ = ()


Held: TypeAlias = "Leaf | Operation | Block | _Flat | tuple[Held, ...] | list[Held] | dict[str, Held]"
"""What a slot holds that isn't one of `VALUES`."""

NESTS: frozenset[type] = frozenset((dict, list, tuple))

DEFINING = ("results", "args")
"""The slots with the values that their operation or block owns."""

VALUES = frozenset(("operands", *DEFINING))


def _flat(node: Operation | Block, numbers: dict[Value, int]) -> _Flat:
    """The flat form; values that have no number yet get the next one."""
    slots: dict[str, Any] = {}
    for slot in _slots(type(node)):
        value = getattr(node, slot)
        if slot in VALUES:
            slots[slot] = _Numbered([numbers.setdefault(v, len(numbers)) for v in value])
        else:
            slots[slot] = _own(value, numbers)
    return _Flat(type(node), slots | {key: _own(value, numbers) for key, value in _instance(node).items()})


def _own(value: Held, numbers: dict[Value, int]) -> Held:
    """What a slot holds, with dictionaries and lists that are nobody else's, and the flat forms of nodes."""
    if type(value) is tuple:
        return tuple([_own(inner, numbers) for inner in value]) if NESTS & set(map(type, value)) else value
    if type(value) is dict:
        return {key: _own(inner, numbers) for key, inner in value.items()}
    if type(value) is list:
        return [_own(inner, numbers) for inner in value]
    return _flat(value, numbers) if isinstance(value, (Operation, Block)) else value


def _unflat(flat: Held, values: Sequence[Value]) -> Any:
    """What a flat form stands for, on the values of its numbers."""
    if type(flat) is _Numbered:
        return tuple([values[number] for number in flat])
    if type(flat) is list:
        return [_unflat(inner, values) for inner in flat]
    if type(flat) is not _Flat:
        return flat
    made = _with_state(flat.cls, {slot: _unflat(value, values) for slot, value in flat.slots.items()})
    if isinstance(made, Block):
        made.args = list(made.args)
    for value in made.results if isinstance(made, Operation) else made.args:
        value.owner = made
    if isinstance(made, Operation):
        _share_defaults(made)
    return made


def _share_defaults(op: Operation) -> None:
    """Gives an operation the very objects that its fields have as defaults: those are told by identity."""
    for field in op.fields:
        if field.default is None:
            continue
        value = getattr(op, field.slot)
        if type(value) is type(field.default) and value == field.default:
            setattr(op, field.slot, field.default)


def _copied(node: NodeT, memo: dict[int, Any]) -> NodeT:
    numbers: dict[Value, int] = {}
    flat = _flat(node, numbers)
    inside = {value for inner in _nodes(node) for value in _defined(inner)}
    values = [memo.get(id(v)) or (Value(v.type, v.name, None, v.own_loc) if v in inside else v) for v in numbers]
    made: NodeT = _unflat(flat, values)
    memo |= zip(map(id, _nodes(node)), _nodes(made), strict=True)
    memo |= zip(map(id, numbers), values, strict=True)
    return made


def _pickled(node: Operation | Block) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    numbers: dict[Value, int] = {}
    flat = _flat(node, numbers)
    return _unpickled, (flat, [(v.type, v.name, v.own_loc) for v in numbers])


def _unpickled(flat: _Flat, values: list[tuple[Type, str, int]]) -> Operation | Block:
    return _unflat(flat, [Value(type, name, None, loc) for type, name, loc in values])


def _defined(node: Operation | Block) -> Sequence[Value]:
    return node.results if isinstance(node, Operation) else node.args


def _nodes(node: Operation | Block) -> Iterator[Operation | Block]:
    """An operation or block and all within it."""
    yield node
    for inner in node.regions if isinstance(node, Operation) else node.ops:
        yield from _nodes(inner)


@cache
def _slots(cls: type[Any]) -> tuple[str, ...]:
    """The slots of a class and of those that it is made of."""
    return tuple(slot for base in cls.__mro__ for slot in vars(base).get("__slots__", ()) if slot != "__dict__")


def _instance(node: Operation | Block) -> dict[str, Any]:
    """What a class without slots keeps in an instance."""
    return getattr(node, "__dict__", {})


def _with_state(cls: type[Any], state: dict[str, Any]) -> Any:
    made = object.__new__(cls)
    for slot, value in state.items():
        setattr(made, slot, value)
    return made
