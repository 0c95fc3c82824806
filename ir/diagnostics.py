"""Located errors with notes, how they are rendered, and "did you mean" suggestions."""

from __future__ import annotations

from collections.abc import Iterable

from .light_typing import NamedTuple, NoReturn
from .source import UNKNOWN_LOC, Source

MAX_LINE = 200
"""Longest piece of a source line that a diagnostic shows, in characters."""

MAX_SHOWN = 50
"""Most errors that one run prints in full."""


class Note(NamedTuple):
    """A remark at another place than the error's own."""

    message: str
    loc: int = UNKNOWN_LOC


class Diagnostic:
    """One error: a message at an offset of the source, with notes. `focus` is text to put the caret under,
    looked for from `loc` to the end of that line. `cause` is what was raised first, for tools that tell more of it.

    `source` is known once a `DiagnosticError` with it has been raised; from then on `filename`, `line`, `column` and
    `text` say where the error is, as the message printed does.
    """

    __slots__ = ("cause", "focus", "loc", "message", "notes", "source")

    def __init__(self, message: str, loc: int = UNKNOWN_LOC, *, focus: str = "", cause: Exception | None = None):
        self.message = message
        self.loc = loc
        self.notes: list[Note] = []
        self.focus = focus
        self.cause = cause
        self.source: Source | None = None

    def __repr__(self) -> str:
        return f"Diagnostic({self.message!r}, {self.loc})"

    @property
    def filename(self) -> str | None:
        """The name of the text that the error is in; None for what was built in memory."""
        return self.source.name if self.source is not None else None

    @property
    def line(self) -> int | None:
        """The number of the error's line, from 1; None without a place."""
        place = self._place()
        return place and place[0]

    @property
    def column(self) -> int | None:
        """The number of the character that the caret stands under, from 1; None without a place."""
        place = self._place()
        return place and place[1]

    @property
    def text(self) -> str | None:
        """The error's line, without its line end; None without a place."""
        return self.source.line_at(self.loc) if self.source is not None and self.loc >= 0 else None

    def _place(self) -> tuple[int, int] | None:
        if self.source is None or self.loc < 0:
            return None
        return self.source.position(_focus(self.source, self.loc, self.focus))

    def note(self, message: str, loc: int = UNKNOWN_LOC) -> Diagnostic:
        """Adds a note, unless there is one at that place already."""
        if loc < 0 or all(n.loc != loc for n in self.notes):
            self.notes.append(Note(message, loc))
        return self

    def render(self, source: Source | None) -> str:
        """The error and its notes as text, `file:line:col: error: message` first."""
        parts = [_render("error", self.message, _focus(source, self.loc, self.focus), source)]
        parts += [_render("note", note.message, note.loc, source) for note in self.notes]
        return "\n".join(parts)


class PluginError(Exception):
    """A package's addition to the language that can't be used: the message names the package, and the reason."""


class DiagnosticError(Exception):
    """One or more errors in the user's text. `str()` renders them all against `source`; `diagnostics` has them one by
    one, in the order in which they were found."""

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source | None = None):
        self.diagnostics = list(diagnostics)
        self.source = source
        for diagnostic in self.diagnostics if source is not None else ():
            diagnostic.source = source
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        ordered = sorted(self.diagnostics, key=lambda d: d.loc)
        lines = [d.render(self.source) for d in ordered[:MAX_SHOWN]]
        if len(ordered) > MAX_SHOWN:
            lines.append(f"{len(ordered) - MAX_SHOWN} more errors not shown")
        return "\n".join(lines)


def fail(message: str, loc: int = UNKNOWN_LOC, focus: str = "") -> NoReturn:
    """Raises a `DiagnosticError` with a single error."""
    raise DiagnosticError([Diagnostic(message, loc, focus=focus)])


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`" (did you mean X?)"` for the choice that is nearest to the word, or the empty string."""
    import difflib

    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _focus(source: Source | None, loc: int, focus: str) -> int:
    if source is None or loc < 0 or not focus:
        return loc
    end = source.text.find("\n", loc)
    found = source.text.find(focus, loc, end if end >= 0 else len(source.text))
    return found if found >= 0 else loc


def _render(severity: str, message: str, loc: int, source: Source | None) -> str:
    head, _, detail = message.partition("\n")
    detail = "\n" + detail if detail else ""
    if source is None or loc < 0:
        name = source.name if source else "<built in memory>"
        return f"{name}: {severity}: {head}{detail}"
    line, column = source.position(loc)
    text = source.line_at(loc)
    first = max(0, column - 1 - MAX_LINE // 2) if len(text) > MAX_LINE else 0
    shown = "".join(
        c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text[first : first + MAX_LINE]
    )
    indent = "".join("\t" if c == "\t" else " " for c in shown[: column - 1 - first])
    return f"{source.name}:{line}:{column}: {severity}: {head}\n{shown}\n{indent}^{detail}"
