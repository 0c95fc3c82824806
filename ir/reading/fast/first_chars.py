"""Which characters a regular expression's matches can start with, and whether two expressions can match at one place.

Both answers are safe: where the expression is too hard to tell, it may start with anything.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

# How `re` takes expressions apart; it says nothing about these modules' types.
codes = import_module("re._constants")
parser = import_module("re._parser")

OTHERS = frozenset({"\u0080"})
ANY = frozenset(map(chr, range(128))) | OTHERS
"""All characters: each of ASCII, and one that stands for all others."""

WORD = frozenset(c for c in ANY if c.isalnum() or c == "_") | {"\u0080"}
SPACE = frozenset(" \t\n\r\f\v") | {"\u0080"}
CATEGORIES: dict[object, frozenset[str]] = {
    codes.CATEGORY_DIGIT: frozenset("0123456789") | {"\u0080"},
    codes.CATEGORY_WORD: WORD,
    codes.CATEGORY_SPACE: SPACE,
}


@cache
def starts_of(pattern: str) -> frozenset[str]:
    """The characters that a match can start with."""
    found, _ = _starts(list(parser.parse(pattern)))
    return found


def _starts(items: list[Any]) -> tuple[frozenset[str], bool]:
    """The first characters of a sequence, and whether it can match nothing."""
    found: frozenset[str] = frozenset()
    for code, argument in items:
        chars, empty = _item(code, argument)
        found |= chars
        if not empty:
            return found, False
    return found, True


def _item(code: Any, argument: Any) -> tuple[frozenset[str], bool]:
    if code is codes.LITERAL:
        return frozenset({chr(argument) if argument < 128 else "\u0080"}), False
    if code is codes.IN:
        return _class(argument), False
    if code in (codes.ASSERT, codes.ASSERT_NOT, codes.AT):
        return frozenset(), True
    if code is codes.BRANCH:
        parts = [_starts(list(branch)) for branch in argument[1]]
        return frozenset[str]().union(*(p[0] for p in parts)), any(p[1] for p in parts)
    if code is codes.SUBPATTERN:
        return _starts(list(argument[3]))
    if code is codes.ATOMIC_GROUP:
        return _starts(list(argument))
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        least, _, body = argument
        chars, empty = _starts(list(body))
        return chars, empty or least == 0
    return ANY, False


def _class(items: list[Any]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    negated = False
    for code, argument in items:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            found |= {chr(argument) if argument < 128 else "\u0080"}
        elif code is codes.RANGE:
            low, high = argument
            found |= frozenset(map(chr, range(low, min(high, 127) + 1))) | (OTHERS if high > 127 else frozenset[str]())
        elif code is codes.CATEGORY and argument in CATEGORIES:
            found |= CATEGORIES[argument]
        else:
            return ANY
    return (ANY - found) | OTHERS if negated else found


@cache
def literal_prefix(pattern: str) -> str:
    """Text that every match starts with, as far as it is plain."""
    text = ""
    for code, argument in parser.parse(pattern):
        if code is not codes.LITERAL:
            break
        text += chr(argument)
    return text


@cache
def may_collide(a: str, b: str) -> bool:
    """Whether two expressions might match at the same place."""
    first, second = literal_prefix(a), literal_prefix(b)
    if not first.startswith(second) and not second.startswith(first):
        return False
    return bool(starts_of(a) & starts_of(b))
