"""Writes one statement shape: the pattern, and what is made of a match (`construction.py`), token by token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...attributes import unquote
from .construction import Node
from .lines import BLANKS
from .tables import Tables

PURE = frozenset({"attr", "plain_type", "type", "function_type", "attr_dict", "flat_body", "entry"})
"""Rules whose meaning is in their text alone (where no alias is in use): read once per text."""

UNREADABLE = frozenset({"RAW", "FUNC", "MODULE", "HASH_ID", "BANG_ID", "BLOCK_ID", "OPAQUE_WORD", "BUILTIN_TYPE"})
"""Terminals of statements that are left to Lark: regions, aliases, verbatim text."""

INTEGERS = r"\[[ \t\r\n]*+(?:(?>-?(?:0x[0-9a-fA-F]+|[0-9]+))[ \t\r\n]*+(?:,[ \t\r\n]*+(?=[-0-9])|(?=\])))++\]"


class NotCompilable(Exception):
    """A statement that no shape is made for."""


@dataclass(slots=True)
class Reduction:
    """A reduction: the action's name, and what its parts gave (nodes, or positions of tokens)."""

    name: str
    parts: list[Any]
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Read:
    """A token as it was read: type, text, the blanks before it, and the state of the parser when it was read."""

    type: str
    text: str
    gap: str = ""
    state: int = -1


@dataclass(slots=True)
class ShapeSource:
    """The pieces of a shape while it is made."""

    pattern: list[str] = field(default_factory=list[str])
    groups: int = 0


class Trees(Protocol):
    """What a writer asks of the compiler that it works for."""

    tables: Tables
    actions: Any
    origins: dict[str, str]

    def guard(self, token: Read) -> str:
        """Keeps a token from where Lark's lexer would prefer another terminal."""
        ...

    def tokens_of(self, text: str, start: str) -> list[Read]:
        """The tokens of a text that is a start symbol as a whole."""
        ...

    def tree(self, tokens: Sequence[Read], start: str, end: str) -> tuple[Any, list[int], list[Any]]:
        """The node of a token sequence, with the parser's stacks before its end. Raises `NotCompilable`."""
        ...


class Writer:
    """Writes the pattern and the construction of one statement, token by token."""

    def __init__(self, compiler: Trees, tokens: Sequence[Read], source: ShapeSource):
        self.compiler = compiler
        self.tokens = tokens
        self.source = source
        self.at = 0
        self.literals: set[int] = set()
        self.inner = False

    # Which tokens belong to which node

    def measure(self, node: Reduction) -> None:
        """Finds the first and the last token of each node, punctuation included, by going through them in order."""
        inside = [p for p in node.parts if isinstance(p, Reduction)]
        for part in inside:
            self.measure(part)
        numbers = [p for p in node.parts if type(p) is int]
        node.first = min([*numbers, *(p.first for p in inside)], default=-1)
        node.last = max([*numbers, *(p.last for p in inside)], default=-1)

    def literal(self, node: Reduction) -> None:
        """Tokens whose text is part of the shape: names of attributes and of generic operations."""
        if node.name in ("entry", "generic_name") and type(node.parts[0]) is int:
            self.literals.add(node.parts[0])
        for part in node.parts:
            if isinstance(part, Reduction):
                self.literal(part)

    def prefix(self) -> str:
        """Text that every statement of the shape begins with."""
        first = self.tokens[0]
        if 0 in self.literals or _is_keyword(self.compiler.tables.patterns[first.type]):
            return first.text
        return ""

    # The pattern

    def upto(self, number: int) -> None:
        """Writes the tokens before one that need no group."""
        while self.at < number:
            self.write(self.tokens[self.at], group=False)

    def write(self, token: Read, group: bool) -> int:
        """Writes the next token; the number of its group, if it has one."""
        source = self.source
        if self.at:
            source.pattern.append(self.blanks(token))
        text = self.compiler.tables.patterns[token.type]
        guard = self.compiler.guard(token) if self.at or self.inner else ""
        if self.at in self.literals:
            text = re.escape(token.text) + ("" if token.text.endswith('"') else r"(?![A-Za-z0-9_$.])")
        self.at += 1
        if not group:
            source.pattern.append(f"{guard}(?>{text})")
            return 0
        source.groups += 1
        source.pattern.append(f"{guard}((?>{text}))")
        return source.groups

    def blanks(self, token: Read) -> str:
        """What may stand before a token: the one blank or none that was there, or else anything."""
        if token.gap in ("", " "):
            return token.gap
        return "[ \\t\\r\\n]*+" if self.inner else BLANKS

    def token(self, number: int) -> Node:
        """A token's text."""
        self.upto(number)
        token = self.tokens[number]
        if number in self.literals or _is_keyword(self.compiler.tables.patterns[token.type]):
            self.write(token, group=False)
            return token.text
        return self.write(token, group=True)

    def placed(self, number: int) -> Node:
        """A token with its place."""
        if number == 0:
            return ["token", self.token(number), 0]
        self.upto(number)
        group = self.write(self.tokens[number], group=True)
        return ["token", group, group]

    # The construction

    def statement(self, node: Reduction) -> Node:
        parts = [self.part(p) for p in node.parts]
        self.upto(len(self.tokens))
        return ["call", "leaf", *parts] if len(parts) == 1 else ["call", "statement", ["list", *parts]]

    def part(self, part: Any, placed: bool = False) -> Node:
        if type(part) is int:
            return self.placed(part) if placed or part == 0 else self.token(part)
        if not isinstance(part, Reduction):
            raise NotCompilable
        if self.compiler.origins.get(part.name) in PURE:
            return self.pure(part)
        if not hasattr(self.compiler.actions, part.name):
            raise NotCompilable
        if part.name == "generic_op":
            return self.generic(part)
        if part.name == "value_list":
            return ["list", *[self.part(p) for p in part.parts]]
        # An action that asks another token than its first for its place does so to report an error.
        parts = [self.part(p, place == 0) for place, p in enumerate(part.parts)]
        return ["call", part.name, ["list", *parts]]

    def generic(self, node: Reduction) -> Node:
        """A generic operation without regions and properties: its parts, put where they belong."""
        name, *middle, signature = node.parts
        if name.name != "generic_name" or any(p.name in ("properties", "region_list") for p in middle):
            raise NotCompilable
        number: int = name.parts[0]
        if self.tokens[number].text in ('"func.func"', '"builtin.module"'):
            raise NotCompilable
        self.upto(number)
        at = self.write(self.tokens[number], group=number > 0)
        found: dict[str, Node] = {"value_list": ["tuple"], "flat_dict": ["dict"]}
        for part in middle:
            if part.name not in found:
                raise NotCompilable
            found[part.name] = self.part(part)
        name_text = unquote(self.tokens[number].text)
        return ["call", "leaf_op", name_text, ["place", at], *found.values(), self.part(signature)]

    def pure(self, node: Reduction) -> Node:
        """A type or an attribute: a reading of its text."""
        if node.name == "flat_dict":
            return self.flat_dict(node)
        if node.name == "function_type":
            return self.whole(node, "function_type")
        if node.name == "array_attr":
            return self.array(node)
        if node.name == "attr_dict":
            raise NotCompilable
        if not node.parts or not hasattr(self.compiler.actions, node.name):
            raise NotCompilable
        if len(node.parts) == 1 and type(node.parts[0]) is int:
            return ["read", node.name, self.token(node.parts[0])]
        return ["call", node.name, ["list", *[self.part(p, placed=True) for p in node.parts]]]  # such as 4 : i32

    def whole(self, node: Reduction, kind: str) -> Node:
        """The signature of a generic operation as one group: it is all that follows the last colon."""
        start = max((i for i, t in enumerate(self.tokens) if t.type == "COLON"), default=-1) + 1
        if start == 0 or (node.first >= 0 and node.first < start):
            raise NotCompilable
        self.upto(start)
        source = self.source
        source.pattern.append(self.blanks(self.tokens[self.at]) + "(")
        source.groups += 1
        group, first = source.groups, self.at
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            blanks = self.blanks(token) if self.at > first else ""
            text = self.compiler.tables.patterns[token.type]
            source.pattern.append(f"{blanks}{self.compiler.guard(token)}(?>{text})")
            self.at += 1
        source.pattern.append(")")
        return ["read", kind, group]

    def array(self, node: Reduction) -> Node:
        if node.parts and all(
            isinstance(p, Reduction) and p.name == "int_attr" and len(p.parts) == 1 for p in node.parts
        ):
            return self.integers(node)
        if not node.parts:
            raise NotCompilable
        return ["tuple", *[self.part(p) for p in node.parts]]

    def integers(self, node: Reduction) -> Node:
        """A list of integers as one group."""
        self.upto(node.first - 1)
        source = self.source
        source.groups += 1
        source.pattern.append(f"{self.blanks(self.tokens[node.first - 1])}((?>{INTEGERS}))")
        self.at = node.last + 2
        return ["read", "integers", source.groups]

    def flat_dict(self, node: Reduction) -> Node:
        """A dictionary that is one token: its own tokens, in the grammar of dictionaries."""
        number: int
        (number,) = node.parts
        self.upto(number)
        text = self.tokens[number].text
        if "/" in text:
            raise NotCompilable
        inner = self.compiler.tokens_of(text, "flat_body")
        if any(t.type in UNREADABLE for t in inner):
            raise NotCompilable
        root, _, _ = self.compiler.tree(inner, "flat_body", "$END")
        if not isinstance(root, Reduction) or root.name != "flat_body" or not root.parts:
            raise NotCompilable
        self.source.pattern.append(self.blanks(self.tokens[number]) + self.compiler.guard(self.tokens[number]))
        writer = Writer(self.compiler, inner, self.source)
        writer.inner = True
        writer.measure(root)
        writer.literal(root)
        entries = writer.entries(root)
        self.at = number + 1
        return entries

    def entries(self, root: Reduction) -> Node:
        made: list[Node] = ["dict"]
        keys: set[str] = set()
        for entry in root.parts:
            key: int
            key, *value = entry.parts
            name = self.tokens[key].text
            if self.tokens[key].type != "BARE_ID" or name in keys:
                raise NotCompilable
            keys.add(name)
            self.token(key)
            made += [name, self.part(value[0]) if value else ["unit"]]
        self.upto(len(self.tokens))
        return made


KEYWORD = re.compile(r"(?:[A-Za-z0-9_\"]|\\\.)+(?:\(\?![^()]*\))?\Z")


def _is_keyword(pattern: str) -> bool:
    """Whether a terminal has only one text."""
    return KEYWORD.match(pattern) is not None
