"""Statement shapes: what Lark has read once, compiled from its own grammar and tree into a regular expression.

An LALR parse depends on the types of the tokens alone. So statements with the same sequence of token types have the
same tree, and reading one is matching its tokens and calling the actions of that tree. A shape's pattern is made of the
grammar's own terminals, each as an atomic group, kept apart from those that Lark's lexer would prefer there; its
constructor is the tree, as Python source. What a pattern does not match goes to Lark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .first_chars import may_collide, starts_of
from .lines import BLANKS
from .memos import NotRead
from .regexes import pack
from .shape_writer import UNREADABLE, NotCompilable, Read, Reduction, ShapeSource, Writer
from .tables import Spread, Tables, copy_stack


class Compiler:
    """Makes shapes by a parser's tables; `actions` is what is called."""

    def __init__(self, tables: Tables, actions: Any):
        self.tables = tables
        self.actions = actions
        self.origins = {name: origin for name, origin, *_ in tables.rules}

    def compile(self, read: Sequence[tuple[str, str, str]]) -> tuple[Any, ...]:
        """The shape of a statement's tokens (types, texts, the blanks before them) as plain data, which `Shape` takes.
        Raises `NotCompilable`."""
        tokens = [Read(*token) for token in read]
        if any(t.type in UNREADABLE for t in tokens):
            raise NotCompilable
        node, states, values = self.tree(tokens, "start", "FAST")
        if not isinstance(node, Reduction) or node.name != "statement":
            raise NotCompilable
        source = ShapeSource()
        writer = Writer(self, tokens, source)
        writer.measure(node)
        writer.literal(node)
        construction = writer.statement(node)
        going_on = self.going_on(states, values)
        chars = "".join(sorted(frozenset[str]().union(*map(starts_of, going_on))))
        guard = f"(?![{re.escape(chars)}])" if chars else ""
        pattern = re.compile("".join(source.pattern) + BLANKS + guard)
        if pattern.groups != source.groups:
            raise NotCompilable
        (*_, last) = node.parts
        generic = isinstance(last, Reduction) and last.name == "generic_op"
        types = {t.type for t in tokens if t.text.startswith("%")}
        reference = types.pop() if len(types) == 1 else ""
        return (
            pattern.pattern,
            writer.prefix(),
            tokens[0].text[:1],
            tokens[0].type,
            pack(pattern),
            construction,
            self.is_closed(going_on),
            generic,
            reference,
        )

    def tree(self, tokens: Sequence[Read], start: str, end: str) -> tuple[Any, list[int], list[Any]]:
        """The node of a token sequence, read from a start symbol up to an end token, with the parser's stacks before
        that end; enters into each token the state that it was read in. Raises `NotCompilable`."""
        states: list[int] = [self.tables.starts[start]]
        values: list[Any] = []
        for number, token in enumerate(tokens):
            token.state = states[-1]
            self.feed(states, values, token.type, number)
        before = list(states), copy_stack(values)
        self.feed(states, values, end, -1)
        found = values[0]
        while isinstance(found, Spread) and found:
            found = found[0]  # what stands for a repetition in the grammar
        return found, *before

    def feed(self, states: list[int], values: list[Any], type: str, value: Any) -> bool:
        try:
            return self.tables.feed(states, values, type, value, Reduction)
        except NotRead:
            raise NotCompilable from None

    def tokens_of(self, text: str, start: str) -> list[Read]:
        """The tokens of a text that is a start symbol as a whole."""
        found: list[Read] = []
        end = 0
        for type, token, at in self.tables.tokens(text, start):
            found.append(Read(type, token, text[end:at]))
            end = at + len(token)
        return found

    def going_on(self, states: list[int], values: list[Any]) -> list[str]:
        """What must not come next: the patterns of all terminals that would go on with the statement."""
        going_on: list[str] = []
        for terminal in self.tables.terminals[self.tables.lexers[states[-1]]]:
            if terminal in self.tables.ignored:
                continue
            try:
                if not self.feed(list(states), copy_stack(values), terminal, -1):
                    going_on.append(self.tables.patterns[terminal])
            except NotCompilable:
                continue
        return going_on

    def is_closed(self, going_on: list[str]) -> bool:
        """Whether what goes on with a statement can't be taken for what may follow it: other statements, a `}`."""
        start = self.tables.states[self.tables.starts["start"]]
        following = self.tables.states[start["FAST"]].keys() & self.tables.patterns.keys() - {"FAST"}
        return not any(may_collide(mine, self.tables.patterns[other]) for mine in going_on for other in following)

    def guard(self, token: Read) -> str:
        """Keeps a token from where Lark's lexer would prefer another terminal."""
        out = ""
        mine = self.tables.patterns[token.type]
        for terminal in self.tables.terminals[self.tables.lexers[token.state]]:
            if terminal == token.type:
                return out
            other = self.tables.patterns[terminal]
            if may_collide(other, mine):
                out += f"(?!{other})"
        raise NotCompilable
