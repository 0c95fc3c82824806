"""What stands behind an operation's operands in the generic form: known as a whole, or but for its integers, by one
regular expression with groups for these."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from ...attributes import Attr, attr_text
from ...constructors import written
from ...core import Operation, Value
from ...light_typing import Any
from ...types import Type

INTEGER = "[0-9]{1,18}"

END_OF_ATTRIBUTES = "} : ("

MOST_TEXTS = 100_000
"""Most texts that one table keeps."""

MOST_TAILS = 20_000
"""Most texts behind the operands of one operation that are known as a whole; others are known by their form."""

IN_VAIN, SAMPLE = 7 / 8, 1 << 20
"""The share of characters in lines that are not known as a whole, in a chunk behind so many, from which on no more of
them are taken note of."""

MOST_MAKERS = 500
"""Functions that make operations, of one kind, that are kept."""

MOST_FORMS = 32
"""Forms of such texts that are tried, the one that did last time first."""

FEW, FAR = 32, 50_000
"""How many of one operation's texts are read before their forms are taken note of, and how many characters lie between
two forms when there are many: making an expression of a form takes as long as reading a hundred lines."""

Types = tuple[Type, ...]
Sizes = tuple[int, ...] | int
"""How many integers stand in a list, or in each of the lists in it."""

Match = Callable[[str, int], "re.Match[str] | None"]
Make = Callable[[Operation, int, tuple[Value, ...], tuple[str, ...], "Numbers"], Operation]


class Numbers(dict[str, Any]):
    """Integers by text, and tuples of several by their list's text: coordinates come again and again."""

    def __missing__(self, text: str) -> int | tuple[int, ...]:
        if len(self) >= MOST_TEXTS:
            self.clear()
        found = self[text] = tuple(map(int, text.split(", "))) if "," in text else int(text)
        return found


class Repeats:
    """How many characters stood in lines that were known by their form alone, and whether such lines are taken note of:
    not any more when hardly one comes again."""

    def __init__(self) -> None:
        self.new = 0
        self.expected = True

    def are_in_vain(self, at: int, read: int) -> bool:
        """Looks at the chunk before an offset, of so many characters: whether hardly a line came again there."""
        if at > SAMPLE and self.new > IN_VAIN * read:
            self.expected = False
        self.new = 0
        return not self.expected


UNKNOWN = (None, ())


class Tails(dict[str, tuple[Operation | None, Types]]):
    """What follows the operands of one operation, by text: an operation with these attributes, and its operands' types.

    Texts that differ in the integers of `Operation.references` alone (`coords = [[0, 1]]`) are one form, known once.
    """

    def __init__(self, numbers: Numbers, repeats: Repeats) -> None:
        super().__init__()
        self.numbers = numbers
        self.repeats = repeats
        self.forms: list[tuple[Match, str, Types, Make, Operation]] = []
        self.learned = 0
        self.next_form = 0  # offset before which no more are made

    def __missing__(self, tail: str) -> tuple[None, Types]:
        return UNKNOWN

    def read(self, line: str, at: int, types: Types, loc: int, operands: tuple[Value, ...]) -> Operation | None:
        """The operation of a line whose text from `at` on is of a form that is known, on operands of these types."""
        for number, (match, signature, stated, make, like) in enumerate(self.forms):
            found = match(line, at)
            if found is None or stated != types or line[found.end() :] != signature:
                continue
            op = make(like, loc, operands, found.groups(), self.numbers)
            if number:
                self.forms.insert(0, self.forms.pop(number))
            if self.repeats.expected:
                self.repeats.new += len(line)
                if len(self) < MOST_TAILS:
                    self[line[at:]] = op, types
            return op
        return None

    def learn(self, tail: str, op: Operation, types: Types) -> None:
        """Takes note of an operation that was read with this text behind its operands."""
        if len(self) < MOST_TAILS and self.repeats.expected:
            self[tail] = op, types
        self.learned += 1
        if self.learned > FEW and op.loc >= self.next_form:
            self._learn_form(tail, op, types)

    def _learn_form(self, tail: str, op: Operation, types: Types) -> None:
        attributes, end, signature = tail.partition(END_OF_ATTRIBUTES)
        places = _places_of_lists(op, attributes) if end and op.references else None
        if places is None:
            return
        pattern, behind = "", 0
        for at, slot in places:
            value = getattr(op, slot)
            pattern += re.escape(attributes[behind:at]) + _list_pattern(slot, value)
            behind = at + len(_list_text(slot, value))
        pattern += re.escape(attributes[behind:] + end)
        slots = tuple([(slot, _sizes(getattr(op, slot))) for _, slot in places])
        self.forms.insert(0, (re.compile(pattern).match, signature, types, form_maker(type(op), slots), op))
        if len(self.forms) > MOST_FORMS:
            self.forms.pop()
            self.next_form = op.loc + FAR


def _places_of_lists(op: Operation, attributes: str) -> list[tuple[int, str]] | None:
    """Where the lists of `Operation.references` stand in the text of its attributes, in order, with their slots; None
    where they can't be told from what a string spells (`"coords = [[0, 1]]"`), another name ends like theirs, there are
    other lists, or an integer is negative."""
    quoted = attributes.split('"')
    if "\\" in attributes or len(quoted) % 2 == 0 or any("[" in string for string in quoted[1::2]):
        return None
    texts = {slot: _list_text(slot, getattr(op, slot)) for slot in op.references}
    lists = "".join(texts.values())
    if attributes.count("[") != lists.count("[") or "-" in lists:
        return None
    places = sorted((attributes.find(text), slot) for slot, text in texts.items())
    return None if any(at < 1 or attributes[at - 1] not in " {" for at, _ in places) else places


def _list_text(slot: str, value: Attr) -> str:
    return f"{slot} = {attr_text(value)}"


def _list_pattern(slot: str, value: tuple[Any, ...]) -> str:
    """A regular expression of a list like this one, with a group for each integer, or for each list in it."""
    sizes = _sizes(value)
    parts = [f"({INTEGER})"] * sizes if isinstance(sizes, int) else [_inner_pattern(size) for size in sizes]
    return re.escape(f"{slot} = ") + r"\[" + ", ".join(parts) + r"\]"


def _inner_pattern(size: int) -> str:
    return rf"\[({', '.join([INTEGER] * size)})\]" if size else r"\[\]"


def _sizes(value: tuple[Any, ...]) -> Sizes:
    return tuple(map(len, value)) if value and type(value[0]) is tuple else len(value)


@lru_cache(MOST_MAKERS)
def form_maker(cls: type[Operation], slots: tuple[tuple[str, Sizes], ...]) -> Make:
    """`make(op, loc, operands, texts, numbers)`: an operation like `op`, at another place, on other operands, with the
    integers that the texts are in these slots: so many in each, or in each of the lists in it."""
    names = [f"t{i}" for i in range(sum([_texts(sizes) for _, sizes in slots]))]
    left = iter(names)
    values = {"loc": "loc", "operands": "operands"} | {slot: _list_source(sizes, left) for slot, sizes in slots}
    unpacked = "".join(f"{name}, " for name in names)
    return written(cls, "_op, loc, operands, texts, numbers", values, cls, [f"{unpacked}= texts"])


def _texts(sizes: Sizes) -> int:
    """How many texts a list of these sizes is made of: one of each integer, or of each list in it that has any."""
    return sizes if isinstance(sizes, int) else sum(map(bool, sizes))


def _list_source(sizes: Sizes, texts: Iterator[str]) -> str:
    """Source of such a list, made of the texts that come next."""
    if isinstance(sizes, int):
        parts = [f"numbers[{next(texts)}]" for _ in range(sizes)]
    else:
        parts = [_inner_source(size, texts) for size in sizes]
    return f"({''.join(f'{part}, ' for part in parts)})"


def _inner_source(size: int, texts: Iterator[str]) -> str:
    if not size:
        return "()"
    return f"numbers[{next(texts)}]" if size > 1 else f"(numbers[{next(texts)}], )"
