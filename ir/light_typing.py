"""What modules that each start loads take from `typing`: importing that costs a tenth of the time that `opt` takes to
start. Type checkers see `typing` itself; at run time most of it stands in annotations, which nobody evaluates.

What type checkers know by the name that they read (`ClassVar`, `Final`, `Protocol`, `TypeAlias`) is imported from
`typing` itself, for them alone.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import (
        Any,
        Generic,
        NamedTuple,
        NoReturn,
        Self,
        TypeGuard,
        TypeVar,
        dataclass_transform,
    )
else:
    from collections import namedtuple

    Any = NoReturn = Self = TypeGuard = object

    class Generic:
        """A base without meaning; `Generic[T]` and `Base[int]` are the class itself."""

        __slots__ = ()

        def __class_getitem__(cls, parameters):
            return cls

    def TypeVar(name, *constraints, bound=None):
        """Something to stand in an alias."""
        return name

    def dataclass_transform(**options):
        """Leaves the class as it is."""
        return lambda cls: cls

    class _NamedTupleMaker(type):
        def __new__(cls, name, bases, members):
            if not bases:
                return super().__new__(cls, name, bases, members)
            fields = members.get("__annotations__", {})
            defaults = [members[field] for field in fields if field in members]
            made = namedtuple(name, fields, defaults=defaults, module=members["__module__"])
            for key, value in members.items():
                if key not in fields:
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_NamedTupleMaker):
        """As `typing.NamedTuple`, for classes with no other base."""


__all__ = [
    "TYPE_CHECKING",
    "Any",
    "Generic",
    "NamedTuple",
    "NoReturn",
    "Self",
    "TypeGuard",
    "TypeVar",
    "dataclass_transform",
]
