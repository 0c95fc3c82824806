"""What the `parse` function of an operation may use of the reader that calls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .attributes import Attributes
from .core import Value
from .diagnostics import Diagnostic
from .light_typing import TYPE_CHECKING, Any, TypeGuard
from .types import FunctionType, Type

if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class Token(str):
    """A token of the text and its offset there; the two readers' own tokens have both."""

    __slots__ = ("start_pos",)
    start_pos: int


class ParseContext(Protocol):
    """The text that is being read: what is defined, and what is wrong."""

    values: dict[str, Value]
    """The values of the region being read, by name without `%`. One that isn't there may be defined further out."""

    def value(self, token: Token, name: str = "") -> Value:
        """The value that a token such as `%x` (or the given name, without `%`) stands for; an error if undefined."""
        ...

    def typed_operands(self, tokens: Sequence[Token], signature: FunctionType, name: str, at: int) -> list[Value]:
        """The values of an operation's operands, which must be of the types that the signature states."""
        ...

    def error(self, message: str, at: int, focus: str = "") -> Diagnostic:
        """Notes an error at an offset, with the caret under `focus`; notes can be added to what it returns."""
        ...

    def memo_type(self, token: Token, read: Callable[[str], Type]) -> Type:
        """A type's reading by `read`, made once for each text of the token."""
        ...


def is_attributes(part: object) -> TypeGuard[Attributes]:
    """Whether a part of a rule is an attribute dictionary."""
    return isinstance(part, dict)


Action = Callable[[ParseContext, list[Any]], Any]
"""What to do when a grammar rule has been read: `action(context, parts)`, with what the rule's parts have given."""
