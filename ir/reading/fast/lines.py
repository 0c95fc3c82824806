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

from ...constructors import maker, written
from ...core import Operation, Value
from ...fields import keeps_only_fields
from ...light_typing import TYPE_CHECKING
from ...opdef import OPERATIONS, OpError, Reading
from .forms import MOST_MAKERS, MOST_TEXTS, UNKNOWN, Numbers, Repeats, Tails, Types

if TYPE_CHECKING:
    from .shape import Shape

BLANKS = r"[ \t\r\n]*+(?:(?://[^\n]*+[ \t\r\n]*+)++)?+"
skip: Callable[[str, int], re.Match[str]] = re.compile(BLANKS).match  # type: ignore[assignment]  # it always matches

FIRST_CHUNK, CHUNK = 1 << 10, 1 << 16
"""Characters that are cut into lines at first, and later, at a time."""

LONGEST = 1000
"""Characters before a statement within which its line must begin."""

Copy = Callable[[Operation, int, tuple[Value, ...]], Operation]
Rests = tuple[str | None, ...]
"""What stands behind each reference of a line: between this and the next one."""

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


class Lines:
    """What is known of the lines of one text; of its values, only those of the region being read."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Makes ready for a new text."""
        self.values: dict[str, Value] = {}
        self.tails: dict[str, Tails] = {}
        self.numbers = Numbers()
        self.repeats = Repeats()
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
            if self.repeats.new and self.repeats.are_in_vain(stop, stop - start):
                for tails in self.tails.values():
                    tails.clear()

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
                    op, stated = tails[line[length:]] if tails else UNKNOWN
                    if op is None:
                        op = tails.read(line, length, types, start + indent, operands)
                    else:
                        op = copy(op, start + indent, operands) if stated == types else None
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
        tails = self._tails_of(shape.prefix)
        types = tuple([v.type for v in op.operands])
        tails.learn(line[len(head) :], op, types)
        if len(self.heads) >= MOST_TEXTS:
            self.heads.clear()
        self.heads[head] = (tails, op.operands, types, copy, indent, len(head))

    def _tails_of(self, prefix: str) -> Tails:
        tails = self.tails.get(prefix)
        if tails is None:
            tails = self.tails[prefix] = Tails(self.numbers, self.repeats)
        return tails

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
