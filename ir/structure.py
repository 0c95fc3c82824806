"""Whether operations that Python has made or changed hold what the reader would have put there: values, types,
attributes of the kinds that are declared. The verifier takes that for granted: it is so in every text that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from .attributes import FloatAttr, IntAttr, OpaqueAttr, SymbolRef, Unit, attr_text
from .core import Block, Operation, UnregisteredOp, Value
from .diagnostics import Diagnostic
from .fields import Field
from .light_typing import Any
from .types import Type

MAX_ERRORS = 20
"""Errors after which nothing more is looked at."""

MAX_SHOWN = 60
"""Longest text of a value in a message."""

INTS = {int}
LEAST, MOST = -(1 << 63), (1 << 63) - 1
VISIBILITIES = ("", "public", "private", "nested")


def structure_errors(op: Operation) -> list[Diagnostic]:
    """What is wrong with an operation and all within it, at most `MAX_ERRORS`; what they mean is not looked at."""
    found = _Structure()
    found.operation(op)
    return found.errors[:MAX_ERRORS]


def exactly(value: Any, kind: type) -> bool:
    """Whether a value is of a class, and of none below it."""
    return type(value) is kind


def _class_of(op: Operation) -> type[Operation]:
    return type(op)


def attribute_fault(value: Any) -> str:
    """Why a value can't be an attribute; empty where it can."""
    if exactly(value, int):
        return "" if LEAST <= value <= MOST else "an integer that does not fit in 64 bits"
    if exactly(value, tuple):
        if value and set(map(type, value)) == INTS and min(value) >= LEAST and max(value) <= MOST:
            return ""
        return _first_fault(value)
    if exactly(value, dict):
        keys = [key for key in value if not exactly(key, str)]
        return f"a key that is no string, {shown(keys[0])}" if keys else _first_fault(value.values())
    return "" if _is_leaf(value) else f"no attribute, {shown(value)}"


def _first_fault(values: Iterable[Any]) -> str:
    for value in values:
        fault = attribute_fault(value)
        if fault:
            return fault
    return ""


def _is_leaf(value: Any) -> bool:
    if exactly(value, FloatAttr):
        return exactly(value.value, float) and isinstance(value.type, Type)
    if exactly(value, IntAttr):
        return exactly(value.value, int) and isinstance(value.type, Type)
    if exactly(value, OpaqueAttr):
        return exactly(value.text, str)
    if exactly(value, SymbolRef):
        return exactly(value.path, tuple) and all(exactly(name, str) for name in value.path)
    return exactly(value, str) or exactly(value, bool) or exactly(value, Unit) or isinstance(value, Type)


def shown(value: Any) -> str:
    """A value of any type, for messages: as an attribute's text where it has one."""
    try:
        text = attr_text(value) if not attribute_fault(value) else repr(value)
    except Exception:  # a foreign object's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


Plan = tuple[Callable[[Any], tuple[Any, ...]], list[tuple[Any, dict[int, Any], Field]]]


class _Structure:
    """What has been found so far. `around` are the operations that what is looked at stands in, `defined` the values
    that operations and blocks have defined. Values, and attributes that can't be changed, are looked at once: `typed`
    has the identities of values, `plans` those of each field's attributes."""

    def __init__(self) -> None:
        self.errors: list[Diagnostic] = []
        self.around: list[Any] = []
        self.defined: set[Value] = set()
        self.typed: set[int] = set()
        self.plans: dict[type[Operation], Plan] = {}

    def error(self, message: str, loc: Any) -> None:
        self.errors.append(Diagnostic(message, loc if exactly(loc, int) else -1))

    def operation(self, op: Any) -> None:
        if not isinstance(op, Operation):
            where = self.around[-1].loc if self.around else -1
            return self.error(f"{shown(op)} stands where an operation belongs", where)
        try:
            self._whole(op)
        except AttributeError as error:  # a slot that was never set, or deleted
            self.error(f"{type(op).__name__} has no {getattr(error, 'name', None) or 'value in a slot'}", -1)

    def _whole(self, op: Any) -> None:
        if type(op.name) is not str or type(op.loc) is not int:
            return self.error(f"the operation's name must be a string and its loc an integer: {shown(op.name)}", op.loc)
        if not exactly(op.operands, tuple) or not self.typed.issuperset(map(id, op.operands)):
            self._values(op, "operands")
        if op.results != ():
            self._values(op, "results")
        if op.extra is not None:
            self._extra(op)
        cls = _class_of(op)
        values, plan = self.plans.get(cls) or self._plan(cls)
        for value, (absent, right, field) in zip(values(op), plan, strict=True):
            if value is not absent and right.get(id(value), right) is not value:
                self._field(op, field, value, right)
        if cls.regions is not Operation.regions:
            self._with_regions(op)

    def _plan(self, cls: type[Operation]) -> Plan:
        """How to look at a class's fields: all their values at once, and of each the one that stands for none, those
        that are right, and the field."""
        slots = [field.slot for field in cls.fields]

        def values(op: Any) -> tuple[Any, ...]:
            return tuple([getattr(op, slot) for slot in slots])

        fields = [(self if field.required else field.default, dict[int, Any](), field) for field in cls.fields]
        made = self.plans[cls] = (attrgetter(*slots) if len(slots) > 1 else values), fields
        return made

    def _with_regions(self, op: Any) -> None:
        if op.name == "func.func":
            self._function(op)
        elif op.name == "builtin.module":
            self._module(op)
        elif exactly(op, UnregisteredOp) and (not exactly(op.props, dict) or attribute_fault(op.props)):
            self.error(f"{op.name}: properties hold {attribute_fault(op.props) or 'no dictionary'}", op.loc)
        self._regions(op)

    def _values(self, op: Any, slot: str) -> None:
        values = getattr(op, slot)
        if not exactly(values, tuple) or not all(isinstance(v, Value) for v in values):
            return self.error(f"{op.name}: {slot} must be a tuple of values, got {shown(values)}", op.loc)
        for value in values if slot == "results" else ():
            if value.owner is not op:
                self.error(f"{op.name}: its result %{value.name} belongs to another operation", op.loc)
        self._typed(op, values, slot == "results")

    def _typed(self, op: Any, values: Iterable[Value], defines: bool) -> None:
        for value in values:
            if defines and value in self.defined:
                self.error(f"{op.name}: %{value.name} is defined twice", op.loc)
            if not isinstance(value.type, Type) or not exactly(value.name, str) or not exactly(value.own_loc, int):  # pyright: ignore[reportUnnecessaryIsInstance]
                kinds = f"type {shown(value.type)}, name {shown(value.name)}, place {shown(value.own_loc)}"
                self.error(
                    f"{op.name}: a value must have a type, a string for its name and a place, got {kinds}", op.loc
                )
            self.typed.add(id(value))
        if defines:
            self.defined.update(values)

    def _extra(self, op: Any) -> None:
        if not exactly(op.extra, dict) or attribute_fault(op.extra):
            self.error(f"{op.name}: attributes hold {attribute_fault(op.extra) or shown(op.extra)}", op.loc)

    def _field(self, op: Any, field: Field, value: Any, right: dict[int, Any]) -> None:
        try:
            expected = field.kind(value)
        except Exception:  # a kind looks at attributes alone
            expected = ""
        fault = attribute_fault(value)
        if expected:
            self.error(f"{op.name}: attribute '{field.name}' must be {expected}, got {shown(value)}", op.loc)
        elif fault:
            self.error(f"{op.name}: attribute '{field.name}' is {fault}", op.loc)
        elif not exactly(value, dict):  # no field holds a list of dictionaries
            right[id(value)] = value

    def _regions(self, op: Any) -> None:
        blocks = op.regions
        if not blocks:
            return
        if any(op is outer for outer in self.around):
            return self.error(f"{op.name} stands within itself", op.loc)
        self.around.append(op)
        for block in blocks:
            if not isinstance(block, Block) or not exactly(block.args, list) or not exactly(block.ops, list):
                self.error(f"{op.name}: a region must be a block with lists of arguments and operations", op.loc)
                continue
            if not all(isinstance(arg, Value) for arg in block.args):  # pyright: ignore[reportUnnecessaryIsInstance]
                self.error(f"{op.name}: arguments must be values, got {shown(tuple(block.args))}", op.loc)
                continue
            self._typed(op, block.args, True)
            for inner in block.ops:
                if len(self.errors) >= MAX_ERRORS:
                    break
                self.operation(inner)
        self.around.pop()

    def _function(self, op: Any) -> None:
        if not exactly(op.sym_name, str) or op.visibility not in VISIBILITIES:
            name, visibility = shown(op.sym_name), shown(op.visibility)
            self.error(f"a function has a string for its name and a visibility, got {name} and {visibility}", op.loc)
        if not exactly(op.result_types, tuple) or not all(isinstance(t, Type) for t in op.result_types):
            self.error(f"result_types of a function must be a tuple of types, got {shown(op.result_types)}", op.loc)
            return
        args = op.body.args if isinstance(op.body, Block) else ()
        for slot, count in (("arg_attrs", len(args)), ("result_attrs", len(op.result_types))):
            found = getattr(op, slot)
            if not exactly(found, list) or len(found) != count or any(not exactly(d, dict) for d in found):
                self.error(f"{slot} of a function must be a list of {count} dictionaries, got {shown(found)}", op.loc)
            elif fault := attribute_fault(tuple(found)):
                self.error(f"{slot} of a function hold {fault}", op.loc)

    def _module(self, op: Any) -> None:
        if not exactly(op.sym_name, str):
            self.error(f"a module's name must be a string, got {shown(op.sym_name)}", op.loc)
        names: set[str] = set()
        for inner in op.body.ops if isinstance(op.body, Block) else ():
            name = getattr(inner, "sym_name", "") if getattr(inner, "name", "") == "func.func" else ""
            if name and name in names:
                self.error(f"redefinition of function @{name}", inner.loc)
            names.add(name)
