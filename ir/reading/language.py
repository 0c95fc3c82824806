"""What all texts have in common, whichever thread reads them, and the readers, of which each text being read has one.

The language is what is registered. Everything in `Language` is made of that and stays as it is, or is a table that only
grows by what is right for every text (shapes, descriptions of terminals). What belongs to one text (its values, its
errors, its lines) and what calls a text's actions is in `Reader`; readers that are idle wait here for the next text.
"""

from __future__ import annotations

import os
from _thread import RLock  # `threading` takes longer to import than a short text to read
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cached_property

from ..diagnostics import DiagnosticError
from ..light_typing import Any
from ..opdef import registry_stamp
from . import cache
from .actions import Actions
from .fast.known_shapes import KnownShapes
from .fast.parser import FastParser
from .fast.tables import Tables
from .grammar import LarkParser, grammar_text, lark_version, make_parser, terminal_words

MAKERS = ("fast/lark_tables.py", "fast/tables.py", "fast/regexes.py")
"""The files that decide what tables look like."""

MOST_IDLE = 8
"""Readers that are kept for the next texts. Each has memos of its own."""


class Language:
    """The grammar of the dialects that are registered, its tables, and the statement shapes made so far."""

    def __init__(self) -> None:
        self.stamp = registry_stamp()  # before anything is looked at: what comes meanwhile makes another language
        self.grammar = grammar_text()
        self.idle: list[Reader] = []
        self.words: dict[str, str] | None = None
        self.tables: Tables | None = None
        self.known: KnownShapes | None = None
        self._make_tables()

    def _make_tables(self) -> None:
        stamp = f"{lark_version()} {cache.makers(MAKERS)}\n{self.grammar}"
        data = cache.load("tables", stamp)
        if data is not None:
            self.tables, self.known = Tables(data), KnownShapes(stamp)
            return
        from .fast.lark_tables import tables_of

        actions = Actions()
        lark = make_parser(self.grammar, actions)
        with suppress(AttributeError):  # another Lark than we know, from within
            self.tables = tables_of(lark)
        if self.tables is not None:
            cache.store("tables", stamp, self.tables.data)
            self.known = KnownShapes(stamp)
        first = Reader(self, actions)
        first.lark = lark
        self.idle.append(first)

    @contextmanager
    def reader(self) -> Generator[Reader, None, None]:
        """A reader for one text. One that anything but an error in the text went through is not used again."""
        try:
            reader = self.idle.pop()
        except IndexError:
            reader = Reader(self, Actions())
        try:
            yield reader
        except DiagnosticError:
            self._give_back(reader)
            raise
        self._give_back(reader)

    def _give_back(self, reader: Reader) -> None:
        if len(self.idle) < MOST_IDLE:
            self.idle.append(reader)


class Reader:
    """One set of actions with what calls them: the tables, and Lark, which speaks of errors. Reads one text at a
    time."""

    def __init__(self, language: Language, actions: Actions):
        self.language = language
        self.actions = actions
        self.fast: FastParser | None = None
        if language.tables is not None and language.known is not None:
            self.fast = FastParser(language.tables, actions, language.known)

    @cached_property
    def lark(self) -> LarkParser:
        return make_parser(self.language.grammar, self.actions)

    def flat_body(self, text: str) -> Any:
        return self.lark.parse(text, start="flat_body")

    def word(self, terminal: str) -> str:
        """What to call a terminal in a diagnostic."""
        words = self.language.words
        if words is None:
            words = self.language.words = terminal_words(self.lark)
        return words.get(terminal, "")


class _Current:
    """The language as it was when somebody last asked."""

    def __init__(self) -> None:
        self.language: Language | None = None
        self.after_fork()

    def after_fork(self) -> None:
        """In the child, where the thread that held the lock may not go on."""
        self.making = RLock()

    def get(self) -> Language:
        found = self.language
        if found is not None and found.stamp is registry_stamp():
            return found
        with self.making:  # so that threads that start together don't make one each; never while a text is read
            found = self.language
            if found is None or found.stamp is not registry_stamp():
                found = self.language = Language()
            return found


_CURRENT = _Current()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CURRENT.after_fork)


def current_language() -> Language:
    """The language as it is registered now."""
    return _CURRENT.get()
