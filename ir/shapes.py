"""Statement shapes: what Lark has read once, compiled from its own grammar and tree into a regular expression.

An LALR parse depends on the types of the tokens alone. So statements with the same sequence of token types have the
same tree, and reading one is matching its tokens and calling the actions of that tree. A shape's pattern is made of the
grammar's own terminals, each as an atomic group, kept apart from those that Lark's lexer would prefer there; its
constructor is the tree, as Python source. What a pattern does not match goes to Lark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .first_chars import may_collide, starts_of
from .lines import BLANKS
from .memos import Memos, tok
from .opdef import DIALECTS
from .shape_tables import Node, NotCompilable, Read, Tables
from .shape_writer import UNREADABLE, Source, Writer

if TYPE_CHECKING:
    from lark import Lark


@dataclass(slots=True)
class Shape:
    """A compiled statement: its pattern, which ends right before the next one, and what to do with a match."""

    prefix: str
    first: str
    pattern: re.Pattern[str]
    run: Callable[[re.Match[str], int], None]
    going_on: str
    generic: bool
    reference: str
    token: re.Pattern[str] | None
    reading: Callable[[str], tuple] | None


class Compiler:
    """Makes shapes for one parser and its actions; `memos` are its readings of texts by kind."""

    def __init__(self, lark: Lark, actions: Any, memos: Memos):
        self.tables = Tables(lark)
        self.actions = actions
        self.memos = memos
        self.lark = lark

    def compile(self, tokens: Sequence[Read]) -> Shape:
        """The shape of a statement's tokens. Raises `NotCompilable`."""
        if any(t.type in UNREADABLE for t in tokens):
            raise NotCompilable
        node, states, values = self.tables.tree(tokens, "start", "FAST")
        if not isinstance(node, Node) or node.name != "statement":
            raise NotCompilable
        source = Source()
        writer = Writer(self, tokens, source)
        writer.measure(node)
        writer.literal(node)
        code = writer.statement(node)
        going_on = self.going_on(states, values)
        guard = f"(?![{re.escape(going_on)}])" if going_on else ""
        pattern = re.compile("".join(source.pattern) + BLANKS + guard)
        if pattern.groups != source.groups:
            raise NotCompilable
        (*_, last) = node.parts
        values = {t.type for t in tokens if t.text.startswith("%")}
        reference = values.pop() if len(values) == 1 else ""
        return Shape(
            writer.prefix(), tokens[0].type, pattern, self.build(code, source.groups), going_on,
            isinstance(last, Node) and last.name == "generic_op", *self.reading(reference),
        )  # fmt: skip

    def reading(self, terminal: str) -> tuple[str, re.Pattern[str] | None, Callable[[str], tuple] | None]:
        """A terminal that is a dialect's reference, with its pattern and its reading."""
        for dialect in DIALECTS.values():
            if terminal in dialect.references:
                return terminal, re.compile(self.tables.patterns[terminal]), dialect.references[terminal]
        return "", None, None

    def going_on(self, states: list[int], values: list[Any]) -> str:
        """What must not come next: the characters that anything begins with that would go on with the statement."""
        going_on: set[str] = set()
        for terminal in self.tables.lexers[states[-1]].terminals:
            if terminal.name in self.tables.lexers[states[-1]].ignore_types:
                continue
            try:
                if not self.tables.feed(list(states), list(values), terminal.name, -1):
                    going_on |= starts_of(self.tables.patterns[terminal.name])
            except NotCompilable:
                continue
        return "".join(sorted(going_on))

    def build(self, code: str, groups: int) -> Callable[[re.Match[str], int], None]:
        names = "".join(f"g{i}, " for i in range(1, groups + 1))
        unpack = f"    {names}= m.groups()\n" if groups else ""
        text = f"def run(m, at):\n{unpack}    {code}\n"
        scope: dict[str, Any] = {"A": self.actions, "tok": tok, **self.memos.tables}
        exec(compile(text, "<shape>", "exec"), scope)
        return scope["run"]

    def guard(self, token: Read) -> str:
        """Keeps a token from where Lark's lexer would prefer another terminal."""
        lexer = self.tables.lexers[token.state]
        if token.type in lexer.callback or token.type in lexer.ignore_types:
            raise NotCompilable
        out = ""
        mine = self.tables.patterns[token.type]
        for terminal in lexer.terminals:
            if terminal.name == token.type:
                return out
            other = self.tables.patterns[terminal.name]
            if may_collide(other, mine):
                out += f"(?!{other})"
        raise NotCompilable
