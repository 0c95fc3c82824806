"""Text to module: runs the Lark parser with the actions embedded, and turns its complaints into diagnostics."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..builtin import ModuleOp
from ..collector import collector_off
from ..core import Operation
from ..diagnostics import Diagnostic, DiagnosticError, did_you_mean
from ..language_version import newer_language
from ..opdef import DIALECTS, all_ops
from ..source import Source
from . import cache
from .actions import Actions
from .fast.parser import FastParser
from .fast.tables import Tables
from .grammar import grammar_text, lark_version, make_parser, terminal_words

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

MAKERS = ("fast/lark_tables.py", "fast/tables.py", "fast/regexes.py")
"""The files that decide what tables look like."""

MAX_SYNTAX_ERRORS = 20
MAX_TRAILING = 10_000
TRAILING = re.compile(r"\s*(?:\n[ \t]*//[^\n]*|\s)*\Z")
RESYNC = re.compile(r"\n[ \t]*(?=%|\"|[A-Za-z_]+[.\w]*|\})")
DEFINED = re.compile(r"^[ \t]*(%[\w$.\-]+(?:[ \t]*,[ \t]*%[\w$.\-]+)*)[ \t]*=", re.MULTILINE)
WORD = re.compile(r"[A-Za-z_!#%@^][\w$.\-]*|\S")


class _Frontend:
    """One set of actions with what calls them: the tables, and Lark, which makes them and speaks of errors. Made once
    per process."""

    def __init__(self) -> None:
        self.actions = Actions()
        self.fast: FastParser | None = self._make_fast()
        self.words: dict[str, str] | None = None

    @cached_property
    def lark(self) -> Lark:
        return make_parser(self.actions)

    def _make_fast(self) -> FastParser | None:
        stamp = f"{lark_version()} {cache.makers(MAKERS)}\n{grammar_text()}"
        data = cache.load("tables", stamp)
        if data is not None:
            return FastParser(Tables(data), self.actions, stamp)
        from .fast.lark_tables import tables_of

        try:
            tables = tables_of(self.lark)
        except AttributeError:  # another Lark than we know, from within
            return None
        if tables is None:
            return None
        cache.store("tables", stamp, tables.data)
        return FastParser(tables, self.actions, stamp)

    def flat_body(self, text: str) -> Any:
        return self.lark.parse(text, start="flat_body")

    def word(self, terminal: str) -> str:
        if self.words is None:
            self.words = terminal_words(self.lark)
        return self.words.get(terminal, "")


_frontend: _Frontend | None = None


def parse_source(source: Source, allow_unregistered: bool = False, only_lark: bool = False) -> ModuleOp:
    """Reads a module and checks its SSA form; `only_lark` has Lark read all of it, which changes nothing but time.

    Raises `DiagnosticError` with every independent syntax error, undefined or redefined value, unknown operation and
    malformed attribute found.
    """
    newer = newer_language(source.text)
    if newer is not None:
        raise DiagnosticError([newer], source)
    global _frontend
    if _frontend is None:
        _frontend = _Frontend()
    actions, fast = _frontend.actions, _frontend.fast
    if fast is not None and not only_lark:
        actions.begin(source.text, allow_unregistered)
        actions.subparse = lambda text: fast.whole(text, "flat_body")
        with collector_off():
            done = fast.parse(source.text)
        ops = actions.block.ops
        actions.end()
        if done:
            return _as_module(ops, source)
    return _by_lark(_frontend, source, allow_unregistered)


def _by_lark(frontend: _Frontend, source: Source, allow_unregistered: bool) -> ModuleOp:
    lark, actions = frontend.lark, frontend.actions
    actions.begin(source.text, allow_unregistered)
    actions.subparse = frontend.flat_body
    recovery = _Recovery(frontend, source.text)
    try:
        with collector_off():
            lark.parse(source.text, start="start", on_error=recovery)
        ops = actions.block.ops
        errors = actions.errors
    except DiagnosticError as error:
        raise DiagnosticError(actions.errors + error.diagnostics, source) from None
    except _unexpected() as error:
        raise DiagnosticError(actions.errors + recovery.errors or [recovery.describe(error)], source) from None
    finally:
        actions.end()
    if errors or recovery.errors:
        raise DiagnosticError(errors + recovery.errors, source)
    return _as_module(ops, source)


def _unexpected() -> type[UnexpectedInput]:
    from lark.exceptions import UnexpectedInput

    return UnexpectedInput


def _as_module(ops: list[Operation], source: Source) -> ModuleOp:
    if len(ops) == 1 and isinstance(ops[0], ModuleOp):
        module = ops[0]
    else:
        module = ModuleOp(ops, loc=0)
    module.source = source
    return module


class _Recovery:
    """Called by Lark at each syntax error: notes it, drops the broken statement, and goes on at the next line."""

    def __init__(self, frontend: _Frontend, text: str):
        self.frontend = frontend
        self.text = text
        self.errors: list[Diagnostic] = []

    def __call__(self, error: Any) -> bool:
        self.errors.append(self.describe(error))
        return len(self.errors) < MAX_SYNTAX_ERRORS and self._skip_statement(error)

    def describe(self, error: Any) -> Diagnostic:
        at = self._offset(error)
        if at >= len(self.text):
            return self._at_end(error)
        found = WORD.match(self.text, at)
        word = found.group() if found else self.text[at]
        expected = self._expected(error)
        if word == '"':
            return Diagnostic("string literal is not closed on its line", at)
        if re.fullmatch(r"[a-z_]+\.[\w.$]+", word):
            return self._unknown_op(word, at, expected)
        if word.startswith("^"):
            return Diagnostic(f"unexpected block '{word}': a region has a single block, labelled at its start", at)
        near = did_you_mean(word, [w.strip("'") for w in expected]) if len(word) > 1 else ""
        shown = word[:60] if word.isprintable() else ascii(word)[1:-1]
        return Diagnostic(f"unexpected '{shown}'{near}{_expecting(expected)}", at)

    def _unknown_op(self, word: str, at: int, expected: list[str]) -> Diagnostic:
        ops = all_ops()
        if word in ops or "'func.func'" not in expected:
            return Diagnostic(f"unexpected '{word}'{_expecting(expected)}", at)
        near = did_you_mean(word, [*ops, "func.func", "func.return", "return", "module"])
        error = Diagnostic(f"unknown operation '{word}'{near}", at)
        if word.partition(".")[0] not in DIALECTS:
            error.message += '; an unregistered dialect\'s is written in generic form: "d.op"(%a) : (t) -> u'
        return error

    def _at_end(self, error: Any) -> Diagnostic:
        at = max(0, len(TRAILING.sub("", self.text[-MAX_TRAILING:])) + max(0, len(self.text) - MAX_TRAILING) - 1)
        if not self.frontend.actions.block_stack:
            return Diagnostic(f"the text ends too early{_expecting(self._expected(error))}", at)
        diagnostic = Diagnostic("the text ends too early; expected '}'", at)
        return diagnostic.note("this is still open", self.frontend.actions.block.loc)

    def _offset(self, error: Any) -> int:
        token = getattr(error, "token", None)
        if token is None:
            return error.pos_in_stream
        return len(self.text) if token.type == "$END" else token.start_pos

    def _expected(self, error: Any) -> list[str]:
        """What could have stood here, in the user's words."""
        try:
            terminals = error.interactive_parser.accepts()
        except Exception:  # Lark's trial run calls the actions; whatever they say, fall back on its own list
            terminals = None
        terminals = terminals or getattr(error, "allowed", None) or getattr(error, "expected", ())
        return sorted({w for t in terminals if (w := self.frontend.word(str(t)))})

    def _skip_statement(self, error: Any) -> bool:
        at = self._offset(error)
        start = self.text.rfind("\n", 0, at) + 1
        resume = RESYNC.search(self.text, at)
        state = error.interactive_parser.parser_state
        depth = self._statement_depth(error)
        if resume is None or depth is None:
            return False
        del state.state_stack[depth + 1 :]
        del state.value_stack[depth:]
        self.frontend.actions.forgive(DEFINED.findall(self.text, start, resume.end()))
        # Lark may have read past the error to see what is there; its own count of lines is not used.
        lexer_state = error.interactive_parser.lexer_thread.state
        lexer_state.line_ctr.char_pos = resume.end()
        lexer_state.last_token = None
        return True

    def _statement_depth(self, error: Any) -> int | None:
        """How much of the parser's stack to keep: up to the innermost region's statements, with the last one if it is
        whole. None outside of regions and within the head of a function or module, whose body would be taken apart.
        """
        from lark.parsers.lalr_analysis import Shift

        state = error.interactive_parser.parser_state
        table = state.parse_conf.states
        rows = [table[number] for number in state.state_stack]
        top = len(rows) - 1
        whole = all(token in rows[top] for token in ("FUNC", "RETURN", "RBRACE"))
        inner = [d for d, row in enumerate(rows) if "RBRACE" in row and row.get("FUNC", (None,))[0] is Shift]
        depth = inner[-1] if inner else 0
        if any(getattr(value, "type", "") in ("FUNC", "MODULE") for value in state.value_stack[depth:]):
            return None
        if whole and (inner or rows[top]["FUNC"][1].origin.name == "region_begin"):
            return top
        return depth if inner else None


def _expecting(expected: list[str]) -> str:
    if "'func.func'" in expected:
        return "; expected an operation" + (" or '}'" if "'}'" in expected else "")
    if not 0 < len(expected) <= 8:
        return ""
    return "; expected " + (
        " or ".join(expected) if len(expected) < 3 else ", ".join(expected[:-1]) + " or " + expected[-1]
    )
