"""Reads a text by known lines and statement shapes where it can, by the grammar's tables where it can't.

Whatever goes wrong, nothing is said of it here: Lark then reads the text again, from the beginning, and its errors are
the ones that count. What has been read by the tables a few times is made into a shape; shapes are kept in the cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...attributes import UNIT
from ...light_typing import Any
from ..attr_actions import MEMO_SIZE
from ..parts import Header
from .heads import Heads
from .known_shapes import KEY, KnownShapes, Packed
from .lines import Lines, skip
from .memos import Memos, NotRead, Tok
from .shape import Shape
from .tables import END, Spread, Tables

SIGHTINGS = 8
"""How often a statement must have come up before a shape is made of it."""

MOST_TOKENS = 100
"""Longest statement that a shape is made of."""

DIGITS = re.compile(r"-?[0-9]+")


class FastParser:
    """A grammar's tables with one reader's actions, which they call, and the shapes that all readers know."""

    def __init__(self, tables: Tables, actions: Any, known: KnownShapes):
        self.tables = tables
        self.actions = actions
        self.known = known
        self.memos = Memos(actions, MEMO_SIZE, UNIT, self.whole)
        self.shapes = Shapes(known, self._unpack)
        self.lines = Lines()
        self.heads = Heads()
        self.compiler: Any = None
        self.calls: dict[str, Any] = {}

    def parse(self, text: str) -> bool:
        """Reads a text into the actions; False where Lark must read it, from the beginning."""
        from ...diagnostics import DiagnosticError
        from ...opdef import OpError

        self.shapes.refresh()
        try:
            self._parse(text)
        except (DiagnosticError, OpError, NotRead, AttributeError):
            return False
        finally:
            self.lines.begin()
            self.known.store()
        return not self.actions.errors

    def whole(self, text: str, start: str) -> Any:
        """What the actions make of a text that is one of the grammar's start symbols. Raises `NotRead`."""
        return self.tables.parse(text, start, self._reduce)

    def _reduce(self, name: str, parts: list[Any]) -> Any:
        action = self.calls.get(name)
        if action is None:
            action = self.calls[name] = getattr(self.actions, name, Spread)
        return action(parts)

    def _parse(self, text: str) -> None:
        tables, actions, reduce = self.tables, self.actions, self._reduce
        states: list[int] = [tables.starts["start"]]
        values: list[Any] = []
        recorder = _Recorder(self, text)
        at = 0
        while True:
            if self.shapes and "FAST" in tables.states[states[-1]]:
                at = skip(text, at).end()
                first = self._first(text, at)
                if first and self._same_end(states[-1], first):
                    actions.statements_ended = 0
                    tables.feed(states, values, "FAST", None, reduce)
                    recorder.ended(actions.statements_ended)
                    if first == "FUNC":
                        at = self._functions(text, at, states, values, recorder)
                    else:
                        at = self._run(text, at)
            type, token, at = tables.next(text, at, states[-1])
            actions.statements_ended = 0
            tables.feed(states, values, type, Tok.at(token, at, type), reduce)
            if actions.errors or actions.aliases:
                raise NotRead("left to Lark")
            recorder.took(type, token, at, actions.statements_ended)
            if type == "LBRACE" and values[-2].__class__ is Header:
                self.heads.learn(text, at, values[-2])
            if type == END:
                return
            at += len(token)

    def _functions(self, text: str, at: int, states: list[int], values: list[Any], recorder: _Recorder) -> int:
        """Reads functions as long as their heads are known and shapes read their bodies; to the tables all of them are
        one token. Where a body, or what comes behind it, is left to the tables, these are put in the state in which
        they would be there. Returns the offset of what comes next."""
        actions = self.actions
        while (found := self.heads.find(text, at)) is not None:
            header, brace = found
            actions.begin_func(header)
            actions.region_begin([Tok.at("{", brace)])
            at = self._body(text, skip(text, brace + 1).end())
            if actions.errors or actions.aliases:
                raise NotRead("left to Lark")
            if not text.startswith("}", at):
                self._enter(states, values, ("func_header", header), ("region_begin", None))
                self.tables.feed(states, values, "FAST", None, self._reduce)
                return at
            func = actions.func([header, actions.region([])])
            at = skip(text, at + 1).end()
            if text.startswith("loc", at):
                self._enter(states, values, ("op", func))
                recorder.tokens = None  # what comes is no statement
                return at
            actions.leaf(func)
        return at

    def _body(self, text: str, at: int) -> int:
        """Reads the statements of a function; one that begins with its return is not looked at line by line."""
        if not text.startswith("return", at):
            return self._run(text, at)
        shape, match = self._match(text, at)
        if shape is None or match is None:
            return at
        shape.run(match, at)
        return match.end()

    def _enter(self, states: list[int], values: list[Any], *parts: tuple[str, Any]) -> None:
        """Puts the tables in the state after these parts of a function, given what was made of them."""
        self.tables.settle(states, values, "FUNC", self._reduce)
        for part, made in parts:
            values.append(made)
            states.append(self.tables.states[states[-1]][part])

    def _match(self, text: str, at: int) -> tuple[Shape, re.Match[str]] | tuple[None, None]:
        """The shape of the statement at an offset, with its match."""
        for shape in self.shapes[text[at : at + KEY]] or self.shapes[text[at : at + 1]]:
            match = shape.pattern.match(text, at)
            if match is not None:
                return shape, match
        return None, None

    def _first(self, text: str, at: int) -> str:
        """The type of the token that begins here, where it begins a function with a known head or a statement that has
        a shape."""
        if text.startswith("func.func", at):
            return "FUNC" if self.heads.find(text, at) is not None else ""
        shape, _ = self._match(text, at)
        return shape.first if shape is not None else ""

    def _same_end(self, state: int, first: str) -> bool:
        """Whether a statement may begin here, as the tables have it: the token that stands for statements and the
        statement's own first one are treated alike."""
        row = self.tables.states[state]
        mine, other = row["FAST"], row.get(first)
        return other is not None and (mine == other if mine < 0 else other >= 0)

    def _run(self, text: str, at: int) -> int:
        """Reads statements as long as a line is known or a shape matches; where the first one begins that none does."""
        actions = self.actions
        self.lines.enter(actions.values)
        return self.lines.run(text, at, self._by_shape, actions.block.ops.append)

    def _by_shape(self, text: str, at: int) -> int:
        """Reads one statement; the offset of the next one, or -1."""
        shape, match = self._match(text, at)
        if shape is None or match is None:
            return -1
        shape.run(match, at)
        actions = self.actions
        if actions.errors:
            raise NotRead("left to Lark")
        behind = match.end()
        self.lines.learn(shape, text, at, behind, actions.block.ops[-1])
        return behind

    # Making shapes

    def learn(self, tokens: list[tuple[str, str, str]]) -> None:
        """Takes note of a statement that was read by the tables (types, texts, the blanks before them); makes a shape
        of it when it has come up often."""
        kinds = [gap + (type if type != "FLAT_DICT" else DIGITS.sub("0", text)) for type, text, gap in tokens]
        kind = (tokens[0][1] if tokens[0][0] == "STRING" else "", *kinds)
        if self.known.is_full() or self.known.sighted(kind) != SIGHTINGS:
            return
        from .shape_compiler import Compiler, NotCompilable

        if self.compiler is None:
            self.compiler = Compiler(self.tables, self.actions)
        try:
            self.known.add(self.compiler.compile(tokens))
        except NotCompilable:
            return
        self.shapes.refresh()

    def _unpack(self, data: Packed) -> Shape:
        return Shape(data, self.actions, self.memos, self.tables.patterns)


class Shapes(dict[str, list[Shape]]):
    """One reader's shapes by what their statements begin with, unpacked when that first comes up."""

    def __init__(self, known: KnownShapes, unpack: Callable[[Packed], Shape]):
        super().__init__()
        self.known = known
        self.unpack = unpack

    def __bool__(self) -> bool:
        return bool(self.known.all)

    def __missing__(self, key: str) -> list[Shape]:
        packed = self.known.starting.get(key)
        if packed is None:
            return []
        found = self[key] = [self.unpack(data) for data in packed]
        return found

    def refresh(self) -> None:
        """Takes in what this reader and others have made since."""
        for key, shapes in self.items():
            shapes += [self.unpack(data) for data in self.known.starting[key][len(shapes) :]]


class _Recorder:
    """Collects the tokens of each statement that the tables read."""

    def __init__(self, parser: FastParser, text: str):
        self.parser = parser
        self.text = text
        self.tokens: list[tuple[str, str, str]] | None = None
        self.end = 0

    def ended(self, count: int) -> None:
        """So many statements and region heads have ended; the next one begins with the next token."""
        if self.tokens and count == 1 and len(self.tokens) <= MOST_TOKENS:
            self.parser.learn(self.tokens)
        self.tokens = []

    def took(self, type: str, token: str, at: int, ended: int) -> None:
        """A token was taken; `ended` statements and region heads ended before it."""
        if ended:
            self.ended(ended)
        if self.tokens is not None:
            gap = self.text[self.end : at] if self.tokens else ""
            self.tokens.append((type, token, gap))
            self.end = at + len(token)
