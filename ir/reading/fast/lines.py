"""Statements on a line of their own whose parts have been read before: put together from those, without reading.

A line of the generic form is cut at the end of its operands: what stands before that (name and operands) and what comes
after (attributes and types) are looked up as texts. Any other line is cut where its references begin, at each `%`: a
reference is a value with what a dialect's token says of it (`%x[0, 0] @0x1000`). The new operation is then a copy of
one that was read from the same texts, on the line's own operands. Nothing is known here but what shapes have read:
a line that can't be put together is left to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache

from ...attributes import Attr, attr_text
from ...constructors import maker, written
from ...core import Operation, Value
from ...fields import keeps_only_fields
from ...light_typing import TYPE_CHECKING, Any
from ...opdef import OPERATIONS, OpError, Reading
from ...types import Type

if TYPE_CHECKING:
    from .shape import Shape

BLANKS = r"[ \t\r\n]*+(?:(?://[^\n]*+[ \t\r\n]*+)++)?+"
skip: Callable[[str, int], re.Match[str]] = re.compile(BLANKS).match  # type: ignore[assignment]  # it always matches

INTEGER, INTEGER_GROUP = re.compile("(?<![0-9A-Za-z_])[0-9]+"), "(0|[1-9][0-9]{0,17})"

END_OF_ATTRIBUTES = "} : ("

MOST_TEXTS = 100_000
"""Most texts that one table keeps."""

MOST_TAILS = 20_000
"""Most texts behind the operands of one operation that are known as a whole; others are known by their form."""

MOST_MAKERS = 500
"""Functions that make operations, of one kind, that are kept."""

MOST_FORMS = 32
"""Forms of such texts that are tried, the one that did last time first."""

FIRST_CHUNK, CHUNK = 1 << 10, 1 << 16
"""Characters that are cut into lines at first, and later, at a time."""

LONGEST = 1000
"""Characters before a statement within which its line must begin."""

Copy = Callable[[Operation, int, tuple[Value, ...]], Operation]
Rests = tuple[str | None, ...]
"""What stands behind each reference of a line: between this and the next one."""

Types = tuple[Type, ...]
Match = Callable[[str, int], "re.Match[str] | None"]
Make = Callable[[Operation, int, tuple[Value, ...], tuple[str, ...]], Operation]
Join = Callable[[list[str], "Pieces", dict[Rests, Operation], int], Operation | None]

Piece = tuple[str | None, Value | None, *tuple[object, ...]]
"""`(rest, value, ...)`, where `rest` is the text behind the token and `...` what the token says of the value; all None
for what can't be read."""


class Pieces(dict[str, Piece]):
    """References by text, from behind one `%` to the next."""

    def __init__(self, token: re.Pattern[str], read: Reading, scope: dict[str, Value], width: int):
        super().__init__()
        self.match = token.match
        self.read = read
        self.scope = scope
        self.unknown: Piece = (None, None, *(None,) * (width - 2))

    def __missing__(self, piece: str) -> Piece:
        token = self.match("%" + piece)
        if token is None:
            return self.unknown
        try:
            name, *said = self.read(token.group())
        except OpError:
            return self.unknown
        value = self.scope.get(name)
        if value is None:
            return self.unknown
        if len(self) >= MOST_TEXTS:
            self.clear()
        found = self[piece] = (piece[token.end() - 1 :], value, *said)
        return found


class Tails(dict[str, tuple[Operation, Types]]):
    """What follows the operands of one operation, by text: an operation with these attributes, and its operands' types.

    Texts that differ in the integers of `Operation.references` alone (`coords = [[0, 1]]`) are one form, known once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[Match, str, Types, Make, Operation]] = []

    def read(self, line: str, at: int, types: Types, loc: int, operands: tuple[Value, ...]) -> Operation | None:
        """The operation of a line whose text from `at` on is of a form that is known, on operands of these types."""
        for number, (match, signature, stated, make, like) in enumerate(self.forms):
            found = match(line, at)
            if found is None or stated != types or line[found.end() :] != signature:
                continue
            op = make(like, loc, operands, found.groups())
            if number:
                self.forms.insert(0, self.forms.pop(number))
            if len(self) < MOST_TAILS:
                self[line[at:]] = op, types
            return op
        return None

    def learn(self, tail: str, op: Operation, types: Types) -> None:
        """Takes note of an operation that was read with this text behind its operands."""
        if len(self) < MOST_TAILS:
            self[tail] = op, types
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
        del self.forms[MOST_FORMS:]


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


def _list_pattern(slot: str, value: Attr) -> str:
    """A regular expression of a list like this one, with a group for each integer."""
    return INTEGER.sub(INTEGER_GROUP, re.escape(_list_text(slot, value)))


def _sizes(value: tuple[Any, ...]) -> tuple[int, ...] | int:
    """How many integers stand in a list, or in each of the lists in it."""
    return tuple(map(len, value)) if value and type(value[0]) is tuple else len(value)


class Lines:
    """What is known of the lines of one text; of its values, only those of the region being read."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Makes ready for a new text."""
        self.values: dict[str, Value] = {}
        self.tails: dict[str, Tails] = {}
        self.heads: dict[str, tuple[Tails, tuple[Value, ...], Types, Copy, int, int]] = {}
        self.places: dict[tuple[str, int], tuple[Join, Pieces, dict[Rests, Operation], int]] = {}
        self.made = 0  # in all places together
        self.pieces: dict[str, Pieces] = {}

    def enter(self, values: dict[str, Value]) -> None:
        """Statements with these values in scope come next."""
        if self.values is not values:
            self.values = values
            self.heads, self.places, self.pieces, self.made = {}, {}, {}, 0

    def run(self, text: str, at: int, read: Callable[[str, int], int], append: Callable[[Operation], None]) -> int:
        """Goes from statement to statement; `read` reads those of lines that are not known yet, and gives the offset of
        the next one, or -1. Returns where the first statement begins that it can't read."""
        size = min(FIRST_CHUNK, CHUNK)
        while True:
            start = text.rfind("\n", max(0, at - LONGEST), at) + 1
            stop = text.rfind("\n", at, start + size)
            size = min(2 * size, CHUNK)
            if stop < 0 or (start == 0 and at > LONGEST):
                behind = read(text, at)
                if behind < 0:
                    return at
                at = behind
                continue
            behind = self._lines(text, at, start, stop, read, append)
            if behind < 0:
                return ~behind
            at = behind

    def _lines(
        self, text: str, at: int, start: int, stop: int, read: Callable[[str, int], int],
        append: Callable[[Operation], None],
    ) -> int:  # fmt: skip
        """The statements from an offset on, up to a line end; `start` is where the offset's line begins. Returns the
        offset of the next one, or the complement of the first that can't be read."""
        heads, places = self.heads, self.places
        for line in text[start:stop].split("\n"):
            after = start + len(line) + 1
            if at >= after:  # read with a statement before it
                start = after
                continue
            if at <= start or not text[start:at].strip():
                known = heads.get(line.partition(")")[0]) if heads else None
                if known is not None:
                    tails, operands, types, copy, indent, length = known
                    found = tails.get(line[length:])
                    if found is None:
                        op = tails.read(line, length, types, start + indent, operands)
                    else:
                        op = copy(found[0], start + indent, operands) if found[1] == types else None
                    if op is not None:
                        append(op)
                        start = after
                        continue
                else:
                    pieces = line.split("%")
                    place = places.get((pieces[0], len(pieces)))
                    if place is not None:
                        join, memo, made, indent = place
                        op = join(pieces, memo, made, start + indent)
                        if op is not None:
                            append(op)
                            start = after
                            continue
            here = skip(text, max(at, start)).end()
            while here < after:
                at = read(text, here)
                if at < 0:
                    return ~here
                here = at
            at, start = here, after
        return max(at, skip(text, stop).end())

    def learn(self, shape: Shape, text: str, at: int, behind: int, op: Operation) -> None:
        """Takes note of a statement from `at` up to the next one at `behind`, which a shape has read as `op`."""
        start = text.rfind("\n", max(0, at - LONGEST), at) + 1
        stop = text.find("\n", at, behind)
        if stop < 0 or op.results or OPERATIONS.get(op.name) is not type(op) or text[start:at].strip(" \t"):
            return
        if not shape.closed:  # what stands in the next line would have to be looked at each time
            return
        if skip(text, stop).end() != behind:  # it goes on in the next line
            return
        line = text[start:stop]
        if shape.generic:
            self._learn_generic(shape, line, at - start, op)
        elif shape.reference and op.references:
            self._learn_pieces(shape, line, at - start, op)

    def _learn_generic(self, shape: Shape, line: str, indent: int, op: Operation) -> None:
        copy = copier(type(op))
        if copy is None or not op.operands or ")" in shape.prefix or not line.startswith(shape.prefix + "(", indent):
            return
        head = line.partition(")")[0]
        tails = self.tails.setdefault(shape.prefix, Tails())
        types = tuple([v.type for v in op.operands])
        tails.learn(line[len(head) :], op, types)
        if len(self.heads) >= MOST_TEXTS:
            self.heads.clear()
        self.heads[head] = (tails, op.operands, types, copy, indent, len(head))

    def _learn_pieces(self, shape: Shape, line: str, indent: int, op: Operation) -> None:
        pieces = line.split("%")
        join = joiner(type(op), len(op.operands))
        if join is None or len(pieces) != len(op.operands) + 1:
            return
        memo = self._pieces_of(shape, 2 + len(op.references))
        rests, *columns = zip(*[memo[piece] for piece in pieces[1:]], strict=True)
        if columns != [op.operands, *[getattr(op, slot) for slot in op.references]]:
            return
        if self.made >= MOST_TEXTS:
            self.places.clear()
            self.made = 0
        known = self.places.setdefault((pieces[0], len(pieces)), (join, memo, {}, indent))
        if known[0] is not join or known[1] is not memo:
            return
        known[2][rests] = op
        self.made += 1

    def _pieces_of(self, shape: Shape, width: int) -> Pieces:
        memo = self.pieces.get(shape.reference)
        if memo is None:
            assert shape.reading is not None
            memo = self.pieces[shape.reference] = Pieces(re.compile(shape.token), shape.reading, self.values, width)
        return memo


@cache
def copier(cls: type[Operation]) -> Copy | None:
    """`copy(op, loc, operands)`: an operation of the class like `op`, at another place, on other operands.

    None for a class that keeps more than its declared attributes.
    """
    return maker(cls, ("loc", "operands"), cls) if keeps_only_fields(cls) else None


@lru_cache(MOST_MAKERS)
def form_maker(cls: type[Operation], slots: tuple[tuple[str, tuple[int, ...] | int], ...]) -> Make:
    """`make(op, loc, operands, texts)`: an operation like `op`, at another place, on other operands, with the integers
    that the texts are in these slots: so many in each, or in each of the lists in it."""
    values = {"loc": "loc", "operands": "operands"}
    count = 0
    for slot, sizes in slots:
        lists: list[str] = []
        for size in (sizes,) if isinstance(sizes, int) else sizes:
            lists.append(_tuple("n", range(count, count + size)))
            count += size
        values[slot] = lists[0] if isinstance(sizes, int) else "(" + "".join(f"{x}, " for x in lists) + ")"
    names = "".join(f"n{i}, " for i in range(count))
    return written(cls, "_op, loc, operands, texts", values, cls, [f"{names}= map(int, texts)"])


@lru_cache(MOST_MAKERS)
def joiner(cls: type[Operation], count: int) -> Join | None:
    """`join(pieces, memo, made, loc)`: a copy of the operation that was made of the same rests, if there is one, on the
    references of so many pieces, the first of which is no reference."""
    if not keeps_only_fields(cls):
        return None
    said = range(len(cls.references))
    lines = ["_, " + "".join(f"p{i}, " for i in range(count)) + "= pieces"]
    lines += [f"r{i}, v{i}" + "".join(f", s{n}_{i}" for n in said) + f" = memo[p{i}]" for i in range(count)]
    lines += [f"_op = made.get({_tuple('r', range(count))})", "if _op is None: return None"]
    values = {"loc": "loc", "operands": _tuple("v", range(count))}
    values |= {slot: _tuple(f"s{n}_", range(count)) for n, slot in enumerate(cls.references)}
    return written(cls, "pieces, memo, made, loc", values, cls, lines)


def _tuple(name: str, numbers: Iterable[int]) -> str:
    return "(" + "".join(f"{name}{i}, " for i in numbers) + ")"
