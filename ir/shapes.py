"""Statement shapes: what Lark has read once, compiled from its own grammar and tree into a regular expression.

An LALR parse depends on the types of the tokens alone. So statements with the same sequence of token types have the
same tree, and reading one is matching its tokens and calling the actions of that tree. A shape's pattern is made of the
grammar's own terminals, each as an atomic group, kept apart from those that Lark's lexer would prefer there; its
constructor is the tree, as Python source. What a pattern does not match goes to Lark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .first_chars import may_collide, starts_of

if TYPE_CHECKING:
    from lark import Lark

BLANKS = r"[ \t\r\n]*+(?:(?://[^\n]*+[ \t\r\n]*+)++)?+"
PURE = frozenset({"attr", "plain_type", "type", "function_type", "attr_dict", "flat_body", "entry"})
"""Rules whose meaning is in their text alone (where no alias is in use): read once per text."""

UNREADABLE = frozenset({"RAW", "FUNC", "MODULE", "HASH_ID", "BANG_ID", "BLOCK_ID", "OPAQUE_WORD", "BUILTIN_TYPE"})
"""Terminals of statements that are left to Lark: regions, aliases, verbatim text."""

INTEGERS = r"\[[ \t\r\n]*+(?:(?>-?(?:0x[0-9a-fA-F]+|[0-9]+))[ \t\r\n]*+(?:,[ \t\r\n]*+(?=[-0-9])|(?=\])))++\]"


class Tok(str):
    """A token's text with its place, as the actions see it."""

    __slots__ = ("start_pos",)
    start_pos: int


def tok(text: str, at: int) -> Tok:
    token = Tok(text)
    token.start_pos = at
    return token


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
    """A token as Lark has read it: type, text, and the state of the parser when it was read."""

    type: str
    text: str
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


@dataclass(slots=True)
class Shape:
    """A compiled statement: its pattern, which ends right before the next one, and what to do with a match."""

    prefix: str
    first: str
    pattern: re.Pattern[str]
    run: Callable[[re.Match[str], int], None]


@dataclass(slots=True)
class _Source:
    """The pieces of a shape while it is made."""

    pattern: list[str] = field(default_factory=list)
    groups: int = 0
    captured: dict[int, int] = field(default_factory=dict)


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
        source = _Source()
        writer = _Writer(self, tokens, source)
        writer.measure(node)
        writer.literal(node)
        code = writer.statement(node)
        text = "".join(source.pattern) + BLANKS + self.follow(states, values)
        pattern = re.compile(text)
        if pattern.groups != source.groups:
            raise NotCompilable
        return Shape(writer.prefix(), tokens[0].type, pattern, self.build(code, source.groups))

    def follow(self, states: list[int], values: list[Any]) -> str:
        """What must not come next: anything that would go on with the statement."""
        going_on: set[str] = set()
        for terminal in self.tables.lexers[states[-1]].terminals:
            if terminal.name in self.tables.lexers[states[-1]].ignore_types:
                continue
            try:
                if not self.tables.feed(list(states), list(values), terminal.name, -1):
                    going_on |= starts_of(self.tables.patterns[terminal.name])
            except NotCompilable:
                continue
        return f"(?![{re.escape(''.join(sorted(going_on)))}])" if going_on else ""

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


class _Writer:
    """Writes the pattern and the constructor of one statement, token by token."""

    def __init__(self, compiler: Compiler, tokens: Sequence[Read], source: _Source):
        self.compiler = compiler
        self.tokens = tokens
        self.source = source
        self.at = 0
        self.literals: set[int] = set()
        self.inner = False

    # Which tokens belong to which node

    def measure(self, node: Node) -> None:
        """Finds the first and the last token of each node, punctuation included, by going through them in order."""
        inside = [p for p in node.parts if isinstance(p, Node)]
        for part in inside:
            self.measure(part)
        numbers = [p for p in node.parts if type(p) is int]
        node.first = min([*numbers, *(p.first for p in inside)], default=-1)
        node.last = max([*numbers, *(p.last for p in inside)], default=-1)

    def literal(self, node: Node) -> None:
        """Tokens whose text is part of the shape: names of attributes and of generic operations."""
        if node.name in ("entry", "generic_name") and type(node.parts[0]) is int:
            self.literals.add(node.parts[0])
        for part in node.parts:
            if isinstance(part, Node):
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
        blanks = "[ \\t\\r\\n]*+" if self.inner else BLANKS
        if self.at or self.inner:
            source.pattern.append(blanks)
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

    def token(self, number: int) -> str:
        """A token's text as source."""
        self.upto(number)
        token = self.tokens[number]
        if number in self.literals or _is_keyword(self.compiler.tables.patterns[token.type]):
            self.write(token, group=False)
            return repr(token.text)
        return f"g{self.write(token, group=True)}"

    def placed(self, number: int) -> str:
        """A token with its place as source."""
        if number == 0:
            return f"tok({self.token(number)}, at)"
        self.upto(number)
        group = self.write(self.tokens[number], group=True)
        return f"tok(g{group}, m.start({group}))"

    # The constructor

    def statement(self, node: Node) -> str:
        parts = [self.part(p) for p in node.parts]
        self.upto(len(self.tokens))
        return f"A.statement([{', '.join(parts)}])"

    def part(self, part: Any, placed: bool = False) -> str:
        if type(part) is int:
            return self.placed(part) if placed or part == 0 else self.token(part)
        if not isinstance(part, Node):
            raise NotCompilable
        if self.compiler.tables.origins.get(part.name) in PURE:
            return self.pure(part)
        if not hasattr(self.compiler.actions, part.name):
            raise NotCompilable
        if part.name == "value_list":
            return f"[{', '.join([self.part(p) for p in part.parts])}]"
        # An action that asks another token than its first for its place does so to report an error.
        parts = [self.part(p, place == 0) for place, p in enumerate(part.parts)]
        return f"A.{part.name}([{', '.join(parts)}])"

    def pure(self, node: Node) -> str:
        """A type or an attribute: a reading of its text."""
        memos = self.compiler.memos
        if node.name == "flat_dict":
            return self.flat_dict(node)
        if node.name == "function_type":
            return self.whole(node, "function_type")
        if node.name == "array_attr":
            return self.array(node)
        if node.name == "attr_dict":
            raise NotCompilable
        if len(node.parts) == 1 and type(node.parts[0]) is int:
            return f"{memos.table(node.name)}[{self.token(node.parts[0])}]"
        raise NotCompilable

    def whole(self, node: Node, kind: str) -> str:
        """The signature of a generic operation as one group: it is all that follows the last colon."""
        start = max((i for i, t in enumerate(self.tokens) if t.type == "COLON"), default=-1) + 1
        if start == 0 or (node.first >= 0 and node.first < start):
            raise NotCompilable
        self.upto(start)
        source = self.source
        source.pattern.append(BLANKS + "(")
        source.groups += 1
        group, first = source.groups, self.at
        while self.at < len(self.tokens):
            blanks = BLANKS if self.at > first else ""
            token = self.tokens[self.at]
            text = self.compiler.tables.patterns[token.type]
            source.pattern.append(f"{blanks}{self.compiler.guard(token)}(?>{text})")
            self.at += 1
        source.pattern.append(")")
        return f"{self.compiler.memos.table(kind)}[g{group}]"

    def array(self, node: Node) -> str:
        if node.parts and all(isinstance(p, Node) and p.name == "int_attr" and len(p.parts) == 1 for p in node.parts):
            return self.integers(node)
        if not node.parts:
            raise NotCompilable
        parts = [self.part(p) for p in node.parts]
        return f"({', '.join(parts)},)"

    def integers(self, node: Node) -> str:
        """A list of integers as one group."""
        self.upto(node.first - 1)
        source = self.source
        source.groups += 1
        source.pattern.append(f"[ \\t\\r\\n]*+((?>{INTEGERS}))")
        self.at = node.last + 2
        return f"{self.compiler.memos.table('integers')}[g{source.groups}]"

    def flat_dict(self, node: Node) -> str:
        """A dictionary that is one token: its own tokens, in the grammar of dictionaries."""
        (number,) = node.parts
        self.upto(number)
        text = self.tokens[number].text
        if "/" in text:
            raise NotCompilable
        inner = lex_dict(self.compiler.lark, text)
        if any(t.type in UNREADABLE for t in inner):
            raise NotCompilable
        root, _, _ = self.compiler.tables.tree(inner, "flat_body", "$END")
        if not isinstance(root, Node) or root.name != "flat_body" or not root.parts:
            raise NotCompilable
        self.source.pattern.append(BLANKS + self.compiler.guard(self.tokens[number]))
        writer = _Writer(self.compiler, inner, self.source)
        writer.inner = True
        writer.measure(root)
        writer.literal(root)
        code = writer.entries(root)
        self.at = number + 1
        return code

    def entries(self, root: Node) -> str:
        shown: list[str] = []
        keys: set[str] = set()
        for entry in root.parts:
            key, *value = entry.parts
            name = self.tokens[key].text
            if self.tokens[key].type != "BARE_ID" or name in keys:
                raise NotCompilable
            keys.add(name)
            self.token(key)
            shown.append(f"{name!r}: {self.part(value[0]) if value else self.compiler.memos.unit}")
        self.upto(len(self.tokens))
        return f"{{{', '.join(shown)}}}"


def lex_dict(lark: Lark, text: str) -> list[Read]:
    """The tokens of a dictionary's text."""
    interactive = lark.parse_interactive(text, start="flat_body")
    found = []
    for token in interactive.lexer_thread.lex(interactive.parser_state):
        found.append(Read(token.type, str(token)))
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


KEYWORD = re.compile(r"(?:[A-Za-z0-9_\"]|\\\.)+(?:\(\?![^()]*\))?\Z")


def _is_keyword(pattern: str) -> bool:
    """Whether a terminal has only one text."""
    return KEYWORD.match(pattern) is not None


class Memo(dict[str, Any]):
    """Readings by text; what is not there is read, once."""

    def __init__(self, read: Callable[[str], Any], size: int):
        super().__init__()
        self.read = read
        self.size = size

    def __missing__(self, text: str) -> Any:
        if len(self) >= self.size:
            self.clear()
        value = self[text] = self.read(text)
        return value


class Memos:
    """A memo for each kind of reading, under the name that shapes know it by."""

    unit = "UNIT"

    def __init__(self, actions: Any, lark: Lark, size: int, unit: Any):
        self.actions = actions
        self.size = size
        self.tables: dict[str, Any] = {"UNIT": unit}
        self._add("function_type", lambda text: lark.parse(text, start="function_type"))
        self._add("integers", self.integers)

    def _add(self, kind: str, read: Callable[[str], Any]) -> str:
        self.tables[f"M_{kind}"] = Memo(read, self.size)
        return f"M_{kind}"

    def table(self, kind: str) -> str:
        """The memo of an action that reads a single token."""
        name = f"M_{kind}"
        if name not in self.tables:
            action = getattr(self.actions, kind)
            self._add(kind, lambda text: action([tok(text, 0)]))
        return name

    def integers(self, text: str) -> tuple[int, ...]:
        table = self.tables[self.table("int_attr")]
        return tuple([table[part.strip()] for part in text[1:-1].split(",")])
