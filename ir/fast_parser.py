"""Reads a text with statement shapes where it can, and with Lark everywhere else; Lark alone decides on errors.

Between two statements, as long as the shapes that were made so far match, their actions run and Lark sees none of it,
but for one token that stands for them all. Lark reads what comes then: a statement of a new shape (which is made into
one when it has come up a few times), the head of a function, an end. Whatever goes wrong, the text is read again by
Lark alone, whose errors are the ones that count.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from .attr_actions import MEMO_SIZE
from .attributes import UNIT
from .lines import SKIP, Lines
from .memos import Memos, NotRead
from .shape_tables import NotCompilable, Read
from .shapes import Compiler, Shape

if TYPE_CHECKING:
    from lark import Lark

SIGHTINGS = 8
"""How often a statement must have come up before a shape is made of it."""

MOST_SHAPES = 400
DIGITS = re.compile(r"-?[0-9]+")
KEY = 8
"""Characters of a statement that choose the shapes to try."""


class FastParser:
    """One Lark parser, its actions, and the shapes made so far."""

    def __init__(self, lark: Lark, actions: Any):
        self.lark = lark
        self.actions = actions
        self.memos = Memos(actions, lark, MEMO_SIZE, UNIT)
        self.compiler: Compiler | None = None
        self.shapes: dict[str, list[Shape]] = {}
        self.seen: Counter[tuple[str, ...]] = Counter()
        self.known: set[str] = set()
        self.token_type: Any = None
        self.lines = Lines()

    def parse(self, text: str) -> bool:
        """Reads a text into the actions; False where Lark alone must read it, from the beginning."""
        from lark import Token
        from lark.exceptions import UnexpectedInput

        from .diagnostics import DiagnosticError
        from .opdef import OpError

        self.token_type = Token
        try:
            self._parse(text)
        except (UnexpectedInput, DiagnosticError, OpError, NotRead, AttributeError):
            return False
        finally:
            self.lines.begin()
        return not self.actions.errors

    def _parse(self, text: str) -> None:
        interactive = self.lark.parse_interactive(text, start="start")
        state: Any = interactive.parser_state
        thread: Any = interactive.lexer_thread
        counter = thread.state.line_ctr
        table = state.parse_conf.states
        tokens = thread.lex(state)
        recorder = _Recorder(self, text)
        actions = self.actions
        while True:
            if self.shapes and "FAST" in table[state.state_stack[-1]]:
                at = SKIP.match(text, counter.char_pos).end()  # type: ignore[union-attr]
                first = self._shape_at(text, at)
                if first is not None and self._same_end(table[state.state_stack[-1]], first):
                    actions.statements_ended = 0
                    state.feed_token(self.token_type("FAST", "", at))
                    recorder.ended(actions.statements_ended)
                    counter.char_pos = self._run(text, at)
            try:
                token = next(tokens)
            except StopIteration:
                break
            actions.statements_ended = 0
            state.feed_token(token)
            recorder.took(token, actions.statements_ended)
            if actions.errors or actions.aliases:
                break
        if actions.aliases or actions.errors:
            raise NotRead("left to Lark")
        interactive.feed_eof()

    def _shape_at(self, text: str, at: int) -> Shape | None:
        for shape in self.shapes.get(text[at : at + KEY]) or self.shapes.get(text[at : at + 1], ()):
            if shape.pattern.match(text, at):
                return shape
        return None

    def _same_end(self, row: dict[str, Any], shape: Shape) -> bool:
        """Whether a statement may begin here, as Lark's tables have it: the token that stands for statements and the
        shape's own first one are treated alike."""
        return shape.first in row and row[shape.first][0] is row["FAST"][0]

    def _run(self, text: str, at: int) -> int:
        """Reads statements as long as a line is known or a shape matches; where the first one begins that none does."""
        actions = self.actions
        self.lines.enter(actions.values)
        return self.lines.run(text, at, self._by_shape, actions.block.ops.append)

    def _by_shape(self, text: str, at: int) -> int:
        """Reads one statement; the offset of the next one, or -1."""
        for shape in self.shapes.get(text[at : at + KEY]) or self.shapes.get(text[at : at + 1], ()):
            match = shape.pattern.match(text, at)
            if match is not None:
                shape.run(match, at)
                actions = self.actions
                if actions.errors:
                    raise NotRead("left to Lark")
                behind = match.end()
                self.lines.learn(shape, text, at, behind, actions.block.ops[-1])
                return behind
        return -1

    def learn(self, tokens: list[Read]) -> None:
        """Takes note of a statement that Lark has read; makes a shape of it when it has come up often enough."""
        key = (tokens[0].text if tokens[0].type == "STRING" else "",
               *[t.gap + (t.type if t.type != "FLAT_DICT" else DIGITS.sub("0", t.text)) for t in tokens])  # fmt: skip
        self.seen[key] += 1
        if self.seen[key] != SIGHTINGS or len(self.known) >= MOST_SHAPES:
            return
        if self.compiler is None:
            self.compiler = Compiler(self.lark, self.actions, self.memos)
        try:
            shape = self.compiler.compile(tokens)
        except NotCompilable:
            return
        if shape.pattern.pattern not in self.known:
            self.known.add(shape.pattern.pattern)
            start = shape.prefix[:KEY] if len(shape.prefix) >= KEY else tokens[0].text[:1]
            self.shapes.setdefault(start, []).append(shape)


class _Recorder:
    """Collects the tokens of each statement that Lark reads."""

    def __init__(self, parser: FastParser, text: str):
        self.parser = parser
        self.text = text
        self.tokens: list[Read] | None = None
        self.end = 0

    def ended(self, count: int) -> None:
        """So many statements and region heads have ended; the next one begins with the next token."""
        if self.tokens and count == 1:
            self.parser.learn(self.tokens)
        self.tokens = []

    def took(self, token: Any, ended: int) -> None:
        """Lark has taken a token; `ended` statements and region heads ended before it."""
        if ended:
            self.ended(ended)
        if self.tokens is not None:
            gap = self.text[self.end : token.start_pos] if self.tokens else ""
            self.tokens.append(Read(token.type, str(token), gap))
            self.end = token.end_pos
