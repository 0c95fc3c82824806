"""Functions that make operations, written from the declared fields: constructors, copies, moves between classes.

Slots read and set by name in a loop take several times as long as statements do, and operations are made by the
million. So each function is compiled from its source, for the classes that are in use, when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from .core import Operation, OpT
from .fields import STRUCTURE, DeclarationError, keeps_only_fields
from .light_typing import Any
from .source import UNKNOWN_LOC

ABSENT = {"extra": "None", "loc": str(UNKNOWN_LOC), "results": "()"}
"""What an operation has, as source, of what is not given and is no field."""


def made_when_called(cls: type, name: str, make: Callable[[], Callable[..., Any]]) -> None:
    """Gives a class a method that is made at its first call: a program uses few of the classes that it imports."""

    def first(*args: Any, **kwargs: Any) -> Any:
        method = make()
        setattr(cls, name, method)
        return method(*args, **kwargs)

    setattr(cls, name, first)


def constructor(cls: type[Operation]) -> Callable[..., None]:
    """The `__init__` of a class: operands and results, and by keyword its fields, `extra` and `loc`."""
    keywords = [f.slot if f.required else f"{f.slot}={_default(cls, f.slot)}" for f in cls.fields]
    arguments = ", ".join([*keywords, "extra=None", f"loc={UNKNOWN_LOC}"])
    values = {f.slot: f.slot for f in cls.fields}
    values |= {"operands": "_tuple(operands)", "results": "()", "extra": "extra or None", "loc": "loc"}
    lines = [*_filled(cls, values, None), "if results:", " _new.results = _tuple(results)"]
    lines += [" for _value in _new.results: _value.owner = _new"]
    made = _compiled(cls, f"_new, operands=(), results=(), *, {arguments}", lines)
    made.__name__, made.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
    return made


@cache
def maker(cls: type[OpT], given: tuple[str, ...], like: type[Operation] | None = None) -> Callable[..., OpT]:
    """A function of an operation of the class `like`, if there is one, and of the slots in `given`, in that order.

    It makes an operation of `cls`: what is not given is taken from the other operation where that has it too, and is
    absent where it has not. Nothing is converted or checked: operands are a tuple, results not owned yet.
    """
    arguments = ", ".join([*(["_op"] if like is not None else []), *given])
    return written(cls, arguments, {slot: slot for slot in given}, like)


def written(
    cls: type[OpT], arguments: str, values: Mapping[str, str], like: type[Operation] | None = None,
    before: Iterable[str] = (),
) -> Callable[..., OpT]:  # fmt: skip
    """The same with the source of each slot's value, and of statements that come before."""
    return _compiled(cls, arguments, [*before, "_new = _make(_cls)", *_filled(cls, values, like), "return _new"])


def _filled(cls: type[Operation], values: Mapping[str, str], like: type[Operation] | None) -> list[str]:
    """Source that sets every slot of `_new`. Raises `DeclarationError` for a value that comes from nowhere."""
    if not keeps_only_fields(cls):
        raise DeclarationError(f"{cls.__name__} keeps more than its fields")
    shared = (*STRUCTURE, *(f.slot for f in like.fields)) if like is not None else ()
    absent = ABSENT | {f.slot: _default(cls, f.slot) for f in cls.fields if not f.required}
    sources = absent | {slot: f"_op.{slot}" for slot in shared} | dict(values)
    slots = (*STRUCTURE, *(f.slot for f in cls.fields))
    missing = next((slot for slot in slots if slot not in sources), None)
    if missing is not None:
        whence = f"{like.__name__} has none" if like is not None else "there is none"
        raise DeclarationError(f"{cls.__name__} needs '{missing}', and {whence}")
    return [f"_new.{slot} = {sources[slot]}" for slot in slots]


def _default(cls: type[Operation], slot: str) -> str:
    """Source of a field's default: the object itself, for printing asks whether it is that."""
    default = next(f.default for f in cls.fields if f.slot == slot)
    return "None" if default is None else f"_default_{slot}"


def _compiled(cls: type[Operation], arguments: str, lines: Iterable[str]) -> Any:
    scope: dict[str, Any] = {f"_default_{f.slot}": f.default for f in cls.fields}
    scope |= {"_make": object.__new__, "_cls": cls, "_tuple": tuple, "__name__": cls.__module__}
    body = "".join(f" {line}\n" for line in lines)
    exec(f"def made({arguments}):\n{body}", scope)  # no `compile`: its first call takes a millisecond of the start
    return scope["made"]
