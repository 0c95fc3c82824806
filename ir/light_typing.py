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
    try:
        from _collections import _tuplegetter
    except ImportError:  # not in every Python
        from operator import itemgetter

        def _tuplegetter(index, doc):
            return property(itemgetter(index), doc=doc)

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

    class _Named(tuple):
        """What all named tuples have. Unlike those of `collections` they are made without writing any source."""

        __slots__ = ()

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values = _completed(cls, values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changes):
            return type(self)(**(self._asdict() | changes))

        def __repr__(self):
            values = ", ".join([f"{field}={value!r}" for field, value in self._asdict().items()])
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self):
            return tuple(self)

    def _completed(cls, values, named):
        """The values of all fields, in order. Raises TypeError for too many, unknown ones, and ones that lack."""
        given = dict(zip(cls._fields, values, strict=False))
        odd = [name for name in named if name not in cls._fields or name in given]
        given = cls._field_defaults | given | named
        lacking = [field for field in cls._fields if field not in given]
        if odd or lacking or len(values) > len(cls._fields):
            what = f"no {odd[0]!r} here" if odd else f"needs {lacking[0]!r}" if lacking else "got too many values"
            raise TypeError(f"{cls.__name__}: {what}; its fields are {', '.join(cls._fields)}")
        return [given[field] for field in cls._fields]

    class _NamedTupleMaker(type):
        def __new__(cls, name, bases, members):
            if not bases:
                return super().__new__(cls, name, bases, members)
            fields = tuple(members.get("__annotations__", ()))
            defaults = {field: members[field] for field in fields if field in members}
            made = members | {field: _tuplegetter(i, None) for i, field in enumerate(fields)}
            made |= {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
            return type(name, (_Named,), made)

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
