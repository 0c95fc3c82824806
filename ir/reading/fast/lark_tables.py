"""Takes Lark's parse tables out of a Lark parser, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..grammar import LarkParser
from .regexes import pack
from .tables import Tables


def tables_of(lark: LarkParser) -> Tables | None:
    """The tables of a Lark parser (LALR with the contextual lexer); None if it tells terminals apart by more than
    regular expressions."""
    from lark.parsers.lalr_analysis import Shift

    parser: Any = lark.parser
    table = parser.parser._parse_table
    numbers = {rule: number for number, rule in enumerate(lark.rules)}
    rows: list[str] = []
    for state in range(len(table.states)):
        row = table.states[state]
        rows.append(" ".join(f"{k} {a if kind is Shift else ~numbers[a]}" for k, (kind, a) in row.items()))
    lexers = parser.lexer.lexers
    distinct = {_key(lexer): lexer for lexer in lexers.values()}
    order = {key: number for number, key in enumerate(distinct)}
    if any(lexer.scanner and (lexer.callback or len(lexer.scanner._mres) != 1) for lexer in distinct.values()):
        return None
    return Tables({
        "states": rows,
        "starts": {str(k): n for k, n in table.start_states.items()},
        "ends": {str(k): n for k, n in table.end_states.items()},
        "rules": _rules(lark),
        "lexers": [order[_key(lexers[state])] for state in range(len(rows))],
        "terminals": list(distinct),
        "scanners": [pack(lexer.scanner._mres[0]) for lexer in distinct.values()],
        "patterns": {str(t.name): str(t.pattern.to_regexp()) for t in lark.terminals},
        "ignored": tuple(sorted(map(str, parser.lexer.root_lexer.ignore_types))),
    })  # fmt: skip


def _key(lexer: Any) -> tuple[str, ...]:
    """What tells a state's lexer from others: its terminals, in order of preference."""
    return tuple([str(terminal.name) for terminal in lexer.terminals])


def _rules(lark: LarkParser) -> list[tuple[str, str, int, tuple[tuple[int, bool], ...], bool]]:
    """The rules as Lark's own tree builder treats them: it is asked, with parts that can be told apart."""
    from lark import Tree
    from lark.parse_tree_builder import ParseTreeBuilder

    make: Any = ParseTreeBuilder
    builder = make(lark.rules, Tree, False, False, False).create_callback(_Asked())
    found: list[tuple[str, str, int, tuple[tuple[int, bool], ...], bool]] = []
    for rule in lark.rules:
        size = len(rule.expansion)
        made = builder[rule]([Tree("part", [_Inner(number)]) for number in range(size)])
        single = bool(rule.options.expand1) and not rule.alias
        if isinstance(made, _Called):
            name, parts = made.name, made.parts
        elif made.data == "part":
            name, parts = str(rule.origin.name), [made]
        else:
            name, parts = "", made.children
        picks = tuple([(p.number, True) if isinstance(p, _Inner) else (p.children[0].number, False) for p in parts])
        found.append((name, str(rule.origin.name), size, picks, single))
    return found


class _Inner(NamedTuple):
    """What a part is made of: found by itself where the part's own parts were taken."""

    number: int


class _Called(NamedTuple):
    """A call of an action."""

    name: str
    parts: list[Any]


class _Asked:
    """Stands for the actions: says which was called, and with what."""

    def __getattr__(self, name: str) -> Callable[[Sequence[Any]], _Called]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda parts: _Called(str(name), list(parts))
