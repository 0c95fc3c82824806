"""Lark's parse tables as plain data, and how they run: enough to read a text without Lark, which makes them.

Only reading is here. What can't be read raises `NotRead`: Lark itself then reads the text again and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...light_typing import TYPE_CHECKING, Any
from .memos import NotRead, Tok
from .regexes import Regex, unpack

if TYPE_CHECKING:
    import re

END = "$END"

Reduce = Callable[[str, list[Any]], Any]
"""Makes the result of a rule, by the action's name, of what its parts gave."""


class Spread(list[Any]):
    """The parts of a rule without a name of its own: they belong to the rule that it stands in."""


def _parts(given: list[Any], picks: tuple[tuple[int, bool], ...]) -> Spread:
    """The parts that count. A repetition is a list that grows by one, not a new list for each: else reading would
    take time by the square of their number."""
    if picks and picks[0][1]:
        parts, picks = given[picks[0][0]], picks[1:]
    else:
        parts = Spread()
    for number, spread in picks:
        if spread:
            parts += given[number]
        else:
            parts.append(given[number])
    return parts


def copy_stack(values: list[Any]) -> list[Any]:
    """A stack of values to go on with in another way: lists that grow are copied."""
    return [Spread(value) if type(value) is Spread else value for value in values]


class Rows(dict[int, dict[str, int]]):
    """What to do in each state, read from its text (`INT 4 COMMA -7`) when the state first comes up: most never do."""

    def __init__(self, texts: list[str]):
        super().__init__()
        self.texts = texts

    def __missing__(self, state: int) -> dict[str, int]:
        words = self.texts[state].split()
        found = self[state] = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        return found


class Tables:
    """What is shifted, reduced and lexed in each state.

    `states[n]` gives, by terminal, the state to go to or the complement of a rule's number; by non-terminal, the state
    to go to. A rule is `(action, origin, size, picks, single)`: of `size` parts those in `picks` count, each
    `(number, whether its own parts do)`; the only part of a `single` rule is its result. `lexers[n]` is the number of
    a state's scanner, `terminals` the terminals of each in order of preference.
    """

    def __init__(self, data: dict[str, Any]):
        self.data = data
        self.states = Rows(data["states"])
        self.starts: dict[str, int] = data["starts"]
        self.ends: dict[str, int] = data["ends"]
        self.rules: list[tuple[str, str, int, tuple[tuple[int, bool], ...], bool]] = data["rules"]
        self.lexers: list[int] = data["lexers"]
        self.terminals: list[tuple[str, ...]] = data["terminals"]
        self.patterns: dict[str, str] = data["patterns"]
        self.ignored: tuple[str, ...] = data["ignored"]
        self.packed: list[Regex] = data["scanners"]
        self.scanners: list[re.Pattern[str] | None] = [None] * len(self.packed)

    def next(self, text: str, at: int, state: int) -> tuple[str, str, int]:
        """The next token from an offset on: its type, text and offset; the type is `$END` at the end."""
        number = self.lexers[state]
        scanner = self.scanners[number]
        if scanner is None:
            scanner = self.scanners[number] = unpack(self.packed[number])
        while at < len(text):
            match = scanner.match(text, at)
            if match is None:
                raise NotRead(text[at : at + 20])
            if match.lastgroup not in self.ignored:
                return match.lastgroup or "", match.group(), at
            at = match.end()
        return END, "", at

    def feed(self, states: list[int], values: list[Any], type: str, value: Any, reduce: Reduce) -> bool:
        """Takes one token: reductions, then the shift; at the end, reductions up to a start symbol. Returns whether a
        statement was completed before it."""
        rows, completed = self.states, False
        last = type == END
        while True:
            action = rows[states[-1]].get(type)
            if action is None:
                raise NotRead(type)
            if action >= 0:
                states.append(action)
                values.append(value)
                return completed
            completed |= self.reduce(states, values, action, reduce) == "statement"
            if last and states[-1] in self.ends.values():
                return completed

    def reduce(self, states: list[int], values: list[Any], action: int, reduce: Reduce) -> str:
        """Makes one reduction: the complement of a rule's number is the action. Returns what it is a reduction to."""
        name, origin, size, picks, single = self.rules[~action]
        given: list[Any] = []
        if size:
            given = values[-size:]
            del states[-size:]
            del values[-size:]
        parts = _parts(given, picks)
        if single and len(parts) == 1:
            values.append(parts[0])
        else:
            values.append(reduce(name, parts) if name else parts)
        states.append(self.states[states[-1]][origin])
        return origin

    def settle(self, states: list[int], values: list[Any], type: str, reduce: Reduce) -> None:
        """Reduces what a token of a type, which comes next, ends; the token itself is not taken."""
        rows = self.states
        while (action := rows[states[-1]].get(type, 0)) < 0:
            self.reduce(states, values, action, reduce)

    def tokens(self, text: str, start: str) -> Iterator[tuple[str, str, int]]:
        """The tokens of a text that is a start symbol as a whole; nothing is made of them."""
        states: list[int] = [self.starts[start]]
        values: list[Any] = []
        at = 0
        while True:
            type, token, at = self.next(text, at, states[-1])
            if type == END:
                return
            yield type, token, at
            self.feed(states, values, type, None, lambda name, parts: None)
            at += len(token)

    def parse(self, text: str, start: str, reduce: Reduce) -> Any:
        """What the rules make of a text that is a start symbol as a whole. Raises `NotRead`."""
        states: list[int] = [self.starts[start]]
        values: list[Any] = []
        at = 0
        while True:
            type, token, at = self.next(text, at, states[-1])
            self.feed(states, values, type, Tok.at(token, at, type), reduce)
            if type == END:
                return values[0]
            at += len(token)
