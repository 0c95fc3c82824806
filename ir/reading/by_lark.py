"""A text that shapes can't read, read by Lark; its complaints as diagnostics, and how reading goes on behind them."""

from __future__ import annotations

import re

from ..collector import collector_off
from ..core import Operation, Value
from ..diagnostics import Diagnostic, DiagnosticError, did_you_mean
from ..light_typing import TYPE_CHECKING, Any
from ..opdef import DIALECTS, all_ops
from ..source import Source
from .language import Reader
from .parts import Result

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

MAX_DESCRIBED = 50
"""Most syntax errors that are told in full."""

MAX_SYNTAX_ERRORS = 10_000
"""Most syntax errors after which reading goes on."""

MAX_TRAILING = 10_000
TRAILING = re.compile(r"\s*(?:\n[ \t]*//[^\n]*|\s)*\Z")
RESYNC = re.compile(r"\n[ \t]*(?=%|\"|[A-Za-z_]+[.\w]*|\})")
DEFINED = re.compile(r"^[ \t]*(%[\w$.\-]+(?:[ \t]*,[ \t]*%[\w$.\-]+)*)[ \t]*=", re.MULTILINE)
OPERATION = re.compile(r'(?:^[ \t]*+|=\s*+)"?([a-z_][a-z_0-9]*)\.[A-Za-z_]', re.MULTILINE)
STRING = re.compile(r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"')
WORD = re.compile(r"[A-Za-z_!#%@^][\w$.\-]*|\S")


def unknown_dialects(text: str) -> set[str]:
    """The prefixes of what looks like operations, in either form, but for those that are known."""
    return set(OPERATION.findall(text)) - DIALECTS.keys() - {"builtin", "func"}


def read_by_lark(reader: Reader, source: Source) -> list[Operation]:
    """The operations of a text, by actions that have begun it. Raises `DiagnosticError`."""
    lark, actions = reader.lark, reader.actions
    recovery = _Recovery(reader, source.text)
    try:
        with collector_off():
            lark.parse(source.text, start="start", on_error=recovery)
        ops = actions.block.ops
        errors = actions.errors
    except DiagnosticError as error:
        raise DiagnosticError(actions.errors + error.diagnostics, source) from None
    except _unexpected() as error:
        raise DiagnosticError(actions.errors or [recovery.describe(error)], source) from None
    finally:
        actions.end()
    if errors:
        raise DiagnosticError(errors, source)
    return ops


def _unexpected() -> type[UnexpectedInput]:
    from lark.exceptions import UnexpectedInput

    return UnexpectedInput


class _Recovery:
    """Called by Lark at each syntax error: notes it, drops the broken statement, and goes on at the next line.

    The first are described; what could have stood there takes long to find out, and those that come after are counted.
    """

    def __init__(self, reader: Reader, text: str):
        self.reader = reader
        self.text = text
        self.count = 0

    def __call__(self, error: Any) -> bool:
        self.count += 1
        described = self.count <= MAX_DESCRIBED or self._offset(error) >= len(self.text)
        found = self.describe(error) if described else Diagnostic("unexpected ''", self._offset(error))
        self.reader.actions.errors.append(found)
        return self.count < MAX_SYNTAX_ERRORS and self._skip_statement(error)

    def describe(self, error: Any) -> Diagnostic:
        at = self._offset(error)
        if at >= len(self.text):
            return self._at_end(error)
        found = STRING.match(self.text, at) or WORD.match(self.text, at)
        word = found.group() if found else self.text[at]
        expected = self._expected(error)
        if word == '"':
            return Diagnostic("string literal is not closed on its line", at)
        if re.fullmatch(r"[a-z_][a-z_0-9]*\.[\w.$]+", word):
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
        dialect = word.partition(".")[0]
        if dialect not in DIALECTS:
            self.reader.actions.unknown_dialects.add(dialect)
            error.message += '; an unregistered dialect\'s is written in generic form: "d.op"(%a) : (t) -> u'
        return error

    def _at_end(self, error: Any) -> Diagnostic:
        at = max(0, len(TRAILING.sub("", self.text[-MAX_TRAILING:])) + max(0, len(self.text) - MAX_TRAILING) - 1)
        if not self.reader.actions.block_stack:
            return Diagnostic(f"the text ends too early{_expecting(self._expected(error))}", at)
        diagnostic = Diagnostic("the text ends too early; expected '}'", at)
        return diagnostic.note("this is still open", self.reader.actions.block.loc)

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
        return sorted({w for t in terminals if (w := self.reader.word(str(t)))})

    def _skip_statement(self, error: Any) -> bool:
        at = self._offset(error)
        start = self.text.rfind("\n", 0, at) + 1
        resume = RESYNC.search(self.text, at)
        state = error.interactive_parser.parser_state
        depth = self._statement_depth(error)
        if resume is None or depth is None:
            return False
        self.reader.actions.forgive(DEFINED.findall(self.text, start, resume.end()))
        self.reader.actions.forgive(names_in(state.value_stack[depth:]))
        self.reader.actions.in_alias = False
        del state.state_stack[depth + 1 :]
        del state.value_stack[depth:]
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


def names_in(parts: list[Any]) -> list[str]:
    """The names, `%` included, of the values that a broken statement or label has defined before it breaks off."""
    flat: list[Any] = []
    for part in parts:
        flat += part if isinstance(part, list) else [part]
    values = [f"%{part.name}" for part in flat if isinstance(part, Value)]
    return values + [f"%{part[0]}" for part in flat if isinstance(part, Result)]


def _expecting(expected: list[str]) -> str:
    if "'func.func'" in expected:
        return "; expected an operation" + (" or '}'" if "'}'" in expected else "")
    if not 0 < len(expected) <= 8:
        return ""
    return "; expected " + (
        " or ".join(expected) if len(expected) < 3 else ", ".join(expected[:-1]) + " or " + expected[-1]
    )
