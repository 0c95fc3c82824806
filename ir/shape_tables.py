"""Lark's tables as statement shapes see them: what is shifted, reduced and preferred, and how trees are built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark


class NotCompilable(Exception):
    """A statement that no shape is made for."""


@dataclass(slots=True)
class Node:
    """A reduction: the action's name, and what its parts gave (nodes, or positions of tokens)."""

    name: str
    parts: list[Any]
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Read:
    """A token as Lark has read it: type, text, the blanks before it, and the state of the parser when it was read."""

    type: str
    text: str
    gap: str = ""
    state: int = -1


class Tables:
    """Lark's tables, seen from here: what it shifts, reduces and prefers, and how its trees are built."""

    def __init__(self, lark: Lark):
        from lark import Tree
        from lark.parse_tree_builder import ParseTreeBuilder

        parser: Any = lark.parser
        self.lexers = parser.lexer.lexers
        self.table = parser.parser._parse_table
        self.ends = set(self.table.end_states.values())
        self.patterns = {t.name: t.pattern.to_regexp() for t in lark.terminals}
        self.origins = {str(r.alias or r.origin.name): str(r.origin.name) for r in lark.rules}
        self.callbacks: Any = ParseTreeBuilder(lark.rules, Tree, False, False, False).create_callback(_Recorder())

    def tree(self, tokens: Sequence[Read], start: str, end: str) -> tuple[Any, list[int], list[Any]]:
        """The node of a token sequence, read from a start symbol up to an end token, with the parser's stacks before
        that end; enters into each token the state that it was read in. Raises `NotCompilable`."""
        states, values = [self.table.start_states[start]], []
        for number, token in enumerate(tokens):
            token.state = states[-1]
            self.feed(states, values, token.type, number)
        before = list(states), list(values)
        self.feed(states, values, end, -1)
        found = values[0]
        while not isinstance(found, Node) and getattr(found, "children", None):
            found = found.children[0]  # what stands for a repetition in the grammar
        return found, *before

    def feed(self, states: list[int], values: list[Any], type: str, value: Any) -> bool:
        """One token: reductions, then the shift; whether a statement was completed before it."""
        from lark.parsers.lalr_analysis import Shift

        completed = False
        while True:
            row = self.table.states[states[-1]]
            if type == "$END" and states[-1] in self.ends:
                return completed
            if type not in row:
                raise NotCompilable
            action, argument = row[type]
            if action is Shift:
                states.append(argument)
                values.append(value)
                return completed
            size = len(argument.expansion)
            parts = values[len(values) - size :]
            del states[len(states) - size :]
            del values[len(values) - size :]
            node = self.callbacks[argument](parts)
            completed |= str(argument.origin.name) == "statement"
            states.append(self.table.states[states[-1]][argument.origin.name][1])
            values.append(node)


class _Recorder:
    """Stands for the actions: every reduction becomes a node."""

    def __getattr__(self, name: str) -> Callable[[list[Any]], Node]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda parts: Node(name, list(parts))


def lex_dict(lark: Lark, text: str) -> list[Read]:
    """The tokens of a dictionary's text."""
    interactive = lark.parse_interactive(text, start="flat_body")
    found = []
    end = 0
    for token in interactive.lexer_thread.lex(interactive.parser_state):
        found.append(Read(token.type, str(token), text[end : token.start_pos]))
        end = token.end_pos
        row = interactive.parser_state
        _shift_only(row, token)
    return found


def _shift_only(state: Any, token: Any) -> None:
    """Goes on in Lark's tables without calling any action."""
    from lark.parsers.lalr_analysis import Shift

    stack = state.state_stack
    table = state.parse_conf.states
    while True:
        action, argument = table[stack[-1]][token.type]
        if action is Shift:
            stack.append(argument)
            return
        size = len(argument.expansion)
        if size:
            del stack[-size:]
        stack.append(table[stack[-1]][argument.origin.name][1])
