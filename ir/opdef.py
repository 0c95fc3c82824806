"""How a dialect declares its operations: kinds of attributes, the registry, construction from the generic form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial

from .attributes import UNIT, Attr, Attributes, FloatAttr, attr_text
from .constructors import constructor, made_when_called
from .core import Block, Operation, OpT, Value
from .diagnostics import Diagnostic, did_you_mean
from .fields import DeclarationError, Field, Kind, with_slots
from .light_typing import Any, TypeGuard, TypeVar
from .parsing import Action
from .types import MAX_RANK, TensorType


class OpError(ValueError):
    """What is wrong with an operation's make-up; whoever knows the place turns it into a diagnostic.

    `focus` is text of the operation to put the caret under; `values` are those whose definitions explain the error.
    """

    def __init__(self, message: str, focus: str = "", values: Iterable[Value] = ()):
        super().__init__(message)
        self.focus = focus
        self.values = tuple(values)

    def diagnostic(self, loc: int) -> Diagnostic:
        """The error at an operation's place, with a note at the definition of each value."""
        diagnostic = Diagnostic(str(self), loc, focus=self.focus)
        for value in dict.fromkeys(self.values):
            diagnostic.note(f"%{value.name} is defined here as {value.type}", value.loc)
        return diagnostic


def string(value: Attr) -> str:
    return "" if type(value) is str else "a string"


def boolean(value: Attr) -> str:
    return "" if type(value) is bool else "true or false"


def unit(value: Attr) -> str:
    return "" if value is UNIT else "no value (the key alone)"


def integer(value: Attr) -> str:
    return "" if type(value) is int else "an i64 integer"


def float32(value: Attr) -> str:
    return "" if isinstance(value, FloatAttr) and value.type.text == "f32" else "a float such as 0.05 : f32"


def numbers(value: Attr) -> str:
    good = type(value) is tuple and value and not any(map(float32, value))
    return "" if good else "a list of numbers such as [0.0 : f32, 6.0 : f32]"


INT_ONLY = frozenset({int})


def integers(value: Attr) -> str:
    return "" if type(value) is tuple and set(map(type, value)) <= INT_ONLY else "a list of i64 integers"


def are_integers(value: Attr) -> TypeGuard[tuple[int, ...]]:
    """Whether an attribute is a list of i64 integers."""
    return type(value) is tuple and set(map(type, value)) <= INT_ONLY


def coordinates(value: Attr) -> str:
    if type(value) is tuple:
        for c in value:
            if type(c) is not tuple or not 1 <= len(c) <= MAX_RANK or type(c[0]) is not int or type(c[-1]) is not int:
                break
            if len(c) > 2 and not INT_ONLY.issuperset(map(type, c)):
                break
        else:
            return ""
    return "a list of tile coordinates such as [[0, 1], [2, 0]]"


def one_of(*choices: Attr) -> Kind:
    """A string or an integer out of a few."""

    def check(value: Attr) -> str:
        if any(type(value) is type(c) and value == c for c in choices):
            return ""
        near = did_you_mean(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else ""
        words = ", ".join(map(attr_text, choices))
        return (words if len(choices) == 1 else f"one of {words}") + near

    return check


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _checked(field: Field, value: Attr) -> Attr:
    expected = field.kind(value)
    if expected:
        text = attr_text(value)
        focus = text if isinstance(value, str) else field.name
        raise OpError(f"attribute '{field.name}' must be {expected}, got {_shorten(text)}", focus)
    return value


def is_discardable(key: str) -> bool:
    """Whether an attribute's name carries a dialect's prefix, as in `sched.sram`."""
    return "." in key


def operation(cls: type[OpT]) -> type[OpT]:
    """Class decorator: gives a class the slots and the constructor of its fields, unless it has one of its own.

    Raises `DeclarationError`.
    """
    made = with_slots(cls)
    if "__init__" not in vars(made):
        made_when_called(made, "__init__", partial(constructor, made))
    unknown = next((slot for slot in made.references if slot not in [f.slot for f in made.fields]), None)
    if unknown is not None:
        raise DeclarationError(f"{cls.__module__}.{cls.__qualname__}: the reference '{unknown}' is no field")
    return made


OPERATIONS: dict[str, type[Operation]] = {}
"""The operations of all dialects by name."""


Reading = Callable[[str], tuple[str, *tuple[object, ...]]]
"""Reads a token that stands for a value: the value's name, and what the token says of it."""

FunctionCheck = Callable[[Any, Any], list[Diagnostic]]
"""Checks a function in its module (`FuncOp` and `ModuleOp`, which are made of what is here)."""

CheckT = TypeVar("CheckT", bound=FunctionCheck)


class Dialect:
    """What a dialect brings: operations, its grammar fragment, readings of tokens, checks of whole functions.

    `terminals` says what each of its terminals is, for messages. `references` has by terminal the reading of a value
    with what stands behind it: its name, and what goes into the slots of `Operation.references`.
    """

    def __init__(
        self,
        name: str,
        grammar: str,
        *,
        terminals: dict[str, str] | None = None,
        references: dict[str, Reading] | None = None,
    ):
        self.name = name
        self.grammar = grammar
        self.terminals = terminals or {}
        self.references = references or {}
        self.ops: dict[str, type[Operation]] = {}
        self.actions: dict[str, Action] = {}
        self.function_attributes: dict[str, Kind] = {}
        self.module_attributes: dict[str, Kind] = {}
        self.argument_attributes: dict[str, Kind] = {}
        self.function_checks: list[FunctionCheck] = []

    def tables(self) -> list[dict[str, Any]]:
        """What grows as operations, actions and attributes are declared."""
        return [self.ops, self.actions, self.function_attributes, self.module_attributes, self.argument_attributes]

    def op(self, cls: type[OpT]) -> type[OpT]:
        """Class decorator: declares an operation; its `parse` answers the grammar rule `dialect_op`.

        Raises `DeclarationError`.
        """
        self._check_name(cls)
        cls = operation(cls)
        self.ops[cls.name] = OPERATIONS[cls.name] = cls
        parse = getattr(cls, "parse", None)
        if parse is not None:
            self.actions[cls.name.replace(".", "_")] = parse
        registered()
        return cls

    def _check_name(self, cls: type[Operation]) -> None:
        where = f"{cls.__module__}.{cls.__qualname__}"
        if "name" not in vars(cls):
            raise DeclarationError(f'{where} has no name; give it one, such as name = "{self.name}.neg"')
        prefix, _, rest = cls.name.partition(".")
        if prefix != self.name or not rest:
            raise DeclarationError(f"{where} is called '{cls.name}'; its dialect's names begin with '{self.name}.'")
        if cls.name in self.ops:
            other = self.ops[cls.name]
            raise DeclarationError(f"{where}: {other.__module__}.{other.__qualname__} is called '{cls.name}' already")

    def action(self, rule: str) -> Callable[[Action], Action]:
        """Decorator: what to do when the grammar rule has been read."""

        def register(function: Action) -> Action:
            self.actions[rule] = function
            registered()
            return function

        return register

    def check(self, function: CheckT) -> CheckT:
        """Decorator: a check of a whole function, run when all its operations are right by themselves."""
        self.function_checks.append(function)
        return function


DIALECTS: dict[str, Dialect] = {}
"""By name. Whoever goes through them takes `all_dialects()`: another thread may register one meanwhile."""

REGISTRIES: list[dict[str, Any]] = [OPERATIONS, DIALECTS]
"""All tables that a module adds to by being imported, those of other folders too: a plugin that fails must leave them
as they were."""

_stamp = object()


def registry_stamp() -> object:
    """Another object each time something has been registered that the reading of texts depends on."""
    return _stamp


def registered() -> None:
    """Has the next text read with what is registered now."""
    global _stamp
    _stamp = object()


def register_dialect(dialect: Dialect) -> Dialect:
    """Makes a dialect part of the language, for every parse that begins after it. Raises `DeclarationError`."""
    if DIALECTS.setdefault(dialect.name, dialect) is not dialect:
        raise DeclarationError(f"there is a dialect '{dialect.name}' already")
    registered()
    return dialect


def all_dialects() -> list[Dialect]:
    """Those registered at this moment."""
    return list(DIALECTS.values())


def all_ops() -> dict[str, type[Operation]]:
    return {name: cls for dialect in all_dialects() for name, cls in list(dialect.ops.items())}


def find_op(name: str) -> type[Operation] | None:
    dialect = DIALECTS.get(name.partition(".")[0])
    return dialect.ops.get(name) if dialect else None


NOTHING: frozenset[str] = frozenset()


@cache
def _slots(cls: type[Operation], given: frozenset[str]) -> tuple[dict[str, Field], frozenset[str]]:
    """The fields that stand in a class's dictionary, by name, and the names of those that must."""
    declared = {f.name: f for f in cls.fields if f.name not in given}
    return declared, frozenset(f.name for f in declared.values() if f.required)


def read_fields(cls: type[Operation], attributes: Attributes, given: frozenset[str] = NOTHING) -> dict[str, Any]:
    """Checks an attribute dictionary against a class's declaration.

    Returns keyword arguments for its constructor, discardable attributes under `extra`. Fields in `given` come from
    elsewhere (the pretty form's own syntax) and may not stand in the dictionary. Raises `OpError` for a missing,
    unknown or wrongly typed attribute.
    """
    declared, required = _slots(cls, given)
    if not required <= attributes.keys():
        return _read_unusual(cls, attributes, given)
    values: dict[str, Any] = {}
    for key, value in attributes.items():
        field = declared.get(key)
        if field is None or field.kind(value):
            return _read_unusual(cls, attributes, given)
        values[field.slot] = value
    return values


def _read_unusual(cls: type[Operation], attributes: Attributes, given: frozenset[str]) -> dict[str, Any]:
    """The same for a dictionary with discardable attributes or with faults, which are reported in a fixed order."""
    declared = [f for f in cls.fields if f.name not in given]
    names = [f.name for f in declared]
    unknown = next((key for key in attributes if key not in names and not is_discardable(key)), None)
    if unknown is not None:
        known = f"; it has {', '.join(names)}" if names else "; it has none"
        raise OpError(f"unknown attribute '{unknown}' on {cls.name}{did_you_mean(unknown, names)}{known}", unknown)
    missing = next((f.name for f in declared if f.required and f.name not in attributes), None)
    if missing is not None:
        raise OpError(f"{cls.name} needs the attribute '{missing}'")
    values: dict[str, Any] = {f.slot: _checked(f, attributes[f.name]) for f in declared if f.name in attributes}
    extra = {key: value for key, value in attributes.items() if key not in names}
    if extra:
        values["extra"] = extra
    return values


def from_generic(
    cls: type[Operation], operands: Sequence[Value], results: Sequence[Value], attributes: Attributes,
    regions: Sequence[Block], loc: int,
) -> Operation:  # fmt: skip
    """Builds a declared operation from the parts of its generic form. Raises `OpError`."""
    if regions:
        raise OpError(f"{cls.name} has no regions")
    return cls(operands, results, loc=loc, **read_fields(cls, attributes))


def expect_tensor(op: Operation, value: Value, what: str) -> TensorType:
    """The value's type as a tensor. Raises `OpError` naming `what` it is."""
    if isinstance(value.type, TensorType):
        return value.type
    raise OpError(f"{op.name}: {what} must be a tensor of static shape, got {value.type}", f"%{value.name}")
