"""The declared fields of operation classes: what is checked of them, and the slots that are made of them.

    @SCHED.op
    class LoadOp(PlacedOp):
        name = "sched.load"
        bytes: int = field(integer)
        half: int | None = field(one_of(0, 1), default=None)

A type checker reads the constructor's signature off the annotations (`dataclass_transform`, PEP 681). Classes that are
only inherited from have no slots of their own (`__slots__ = ()`): each operation gets those of all its fields, so that
it may have several such bases. There is no metaclass, which would double the time of every `isinstance`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

from .attributes import Attr
from .light_typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from typing import ClassVar, Final

Kind = Callable[[Attr], str]
"""A field's check: says what was expected, or the empty string if the value will do."""

STRUCTURE: Final = ("extra", "loc", "operands", "results")
"""What every operation has beside its fields."""

REQUIRED: Final = object()

DeclaredT = TypeVar("DeclaredT", bound="Declared")


class DeclarationError(TypeError):
    """What is wrong with the declaration of an operation; it is raised where the class is made."""


class Field:
    """One declared attribute. `default` is what an absent optional one has; it is then not printed.

    `name` is what the text calls it, `slot` what Python does. Without `in_braces` the pretty form has a syntax of its
    own for it.
    """

    __slots__ = ("default", "in_braces", "kind", "name", "required", "slot")

    def __init__(self, kind: Kind, *, default: Any = REQUIRED, name: str = "", in_braces: bool = True):
        self.kind = kind
        self.required = default is REQUIRED
        self.default = None if self.required else default
        self.name = name
        self.slot = ""
        self.in_braces = in_braces

    def __set_name__(self, owner: type, slot: str) -> None:
        self.slot = self.slot or slot
        self.name = self.name or slot

    def printed(self, value: Attr) -> bool:
        """Whether the attribute stands in the text."""
        return self.required or value is not self.default


def field(kind: Kind, *, default: Any = REQUIRED, name: str = "", in_braces: bool = True) -> Any:
    """Declares an attribute of an operation class; one without default is required. See `Field`."""
    return Field(kind, default=default, name=name, in_braces=in_braces)


def structural(*, default: Any = REQUIRED, kw_only: bool = True, converter: Any = None) -> Any:
    """For type checkers alone: an argument of every constructor that is no field."""


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field, structural))
class Declared:
    """Base of classes whose constructors come from declared fields."""

    __slots__ = ()
    fields: ClassVar[tuple[Field, ...]] = ()
    """The declared attributes by name, those of base classes included."""


def with_slots(cls: type[DeclaredT]) -> type[DeclaredT]:
    """The class with a slot for each field and `fields`. Raises `DeclarationError`.

    A class gets its slots when it is made, so that it has to be made again, as `dataclass(slots=True)` does; but not
    one that has them already.
    """
    fields = _collected(cls)
    _check(cls, fields)
    there = {slot for base in cls.__mro__[1:] for slot in own_slots(base)}
    slots = tuple(f.slot for f in fields if f.slot not in there)
    if vars(cls).get("__slots__") == slots:
        cls.fields = fields
        return cls
    left_out = {"__dict__", "__weakref__", *(f.slot for f in fields)}
    members = {key: value for key, value in vars(cls).items() if key not in left_out}
    made: Any = type(cls)(cls.__name__, cls.__bases__, members | {"__slots__": slots, "fields": fields})
    made.__qualname__ = cls.__qualname__
    _mend_super(cls, made)
    return made


def inherited_slots(base: type[Declared]) -> tuple[str, ...]:
    """The slots of a class without fields of its own below a class without slots: given them when it is made, it is
    not made again."""
    return tuple([f.slot for f in _collected(base)])


def own_slots(cls: type) -> tuple[str, ...]:
    """The slots that a class itself adds."""
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def keeps_only_fields(cls: type[Declared]) -> bool:
    """Whether operations of a class hold nothing but their fields and what all operations have."""
    bases = [base for base in cls.__mro__ if base is not object]
    slots = {slot for base in bases for slot in own_slots(base)}
    return all("__slots__" in vars(base) for base in bases) and slots == {*STRUCTURE, *(f.slot for f in cls.fields)}


def _collected(cls: type[Declared]) -> tuple[Field, ...]:
    if "fields" in vars(cls):
        raise DeclarationError(f"{_path(cls)}: 'fields' is made of the fields; declare each as `x: int = field(...)`")
    found: dict[str, Field] = {}
    for base in cls.__mro__[-2::-1]:  # but for `object`
        found |= {f.slot: f for f in vars(base).get("fields", ())}
        found |= {key: value for key, value in vars(base).items() if type(value) is Field}
    shared = next((f"{f.slot}' and '{slot}" for slot, f in found.items() if f.slot != slot), None)
    if shared is not None:
        raise DeclarationError(f"{_path(cls)}: '{shared}' are one field; declare each by itself")
    return tuple(sorted(found.values(), key=lambda f: f.name))


def _check(cls: type[Declared], fields: tuple[Field, ...]) -> None:
    slots = {f.slot for f in fields}
    names = [f.name for f in fields]
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DeclarationError(f"{_path(cls)}: two fields are called '{twice}'")
    for slot in slots:
        if slot.startswith("_"):
            raise DeclarationError(f"{_path(cls)}: the name of the field '{slot}' begins with '_'")
        if slot in STRUCTURE:
            raise DeclarationError(f"{_path(cls)}: a field can't be called '{slot}', which every operation has")
    for base in cls.__mro__[1:]:
        _check_hidden(cls, base, slots)
    for base in cls.__mro__[:-1]:
        if base is not cls and "__slots__" not in vars(base):
            raise DeclarationError(f"{_path(cls)}: its base {_path(base)} needs `__slots__ = ()`")
        _check_declared(base, slots)


def _check_hidden(cls: type[Declared], base: type, slots: set[str]) -> None:
    """A field must not hide what a base class has under its name."""
    members = vars(base)
    for slot in slots & members.keys():
        if slot not in own_slots(base) and not isinstance(members[slot], Field):
            raise DeclarationError(f"{_path(cls)}: the field '{slot}' would hide {base.__name__}.{slot}")


def _check_declared(base: type, slots: set[str]) -> None:
    """Every slot and every annotation must be a field's, but for class variables."""
    annotations = vars(base).get("__annotations__", {})
    for name in (*own_slots(base), *annotations):
        if name not in slots and name not in STRUCTURE:
            if name in own_slots(base):
                what = "slot"
            elif "ClassVar" in str(annotations[name]):
                continue
            else:
                what = "annotation"
            message = f"'{name}' is no field; declare it as `{name}: ... = field(...)`"
            raise DeclarationError(f"{_path(base)}: the {what} {message}")


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _mend_super(old: type, new: type) -> None:
    """Has `super()` in the class's methods mean the class that was made anew: all share one cell."""
    for member in vars(new).values():
        accessors = (member.fget, member.fset, member.fdel) if isinstance(member, property) else (member,)
        for function in (getattr(accessor, "__func__", accessor) for accessor in accessors):
            if not isinstance(function, FunctionType) or "__class__" not in function.__code__.co_freevars:
                continue
            assert function.__closure__ is not None
            cell = function.__closure__[function.__code__.co_freevars.index("__class__")]
            if cell.cell_contents is old:
                cell.cell_contents = new
                return
