"""Located errors with notes, how they are rendered, and "did you mean" suggestions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .light_typing import NamedTuple, NoReturn
from .source import UNKNOWN_LOC, Source

MAX_LINE = 200
"""Longest piece of a source line that a diagnostic shows, in characters."""

MAX_MESSAGE = 1000
"""Longest line of a message, in characters; of a longer one, the middle is left out."""

MAX_SHOWN = 50
"""Most errors that one run prints in full."""

MAX_OF_KIND = 20
"""Most errors of one kind among them, so that a storm of one kind doesn't hide the others."""

MAX_OF_NOTE = 5
"""How often one note, at one place, is printed: a wrong definition is behind an error at each of its uses."""

MAX_CHOICES = 1000
"""Most names that a suggestion is chosen from: those nearest in length."""

MAX_WORD = 60
"""Longest name, in characters, that a suggestion is made for."""


class Note(NamedTuple):
    """A remark at another place than the error's own."""

    message: str
    loc: int = UNKNOWN_LOC


class Diagnostic:
    """One error: a message at an offset of the source, with notes. `focus` is text to put the caret under,
    looked for from `loc` to the end of that line. `cause` is what was raised first, for tools that tell more of it.

    Errors are printed in the order of `order`, an offset: that of the error itself, but for an operation with regions
    that of the last error within it, which may be why the operation is wrong.

    `source` is known once a `DiagnosticError` with it has been raised; from then on `filename`, `line`, `column` and
    `text` say where the error is, as the message printed does.
    """

    __slots__ = ("cause", "focus", "loc", "message", "notes", "order", "source")

    def __init__(self, message: str, loc: int = UNKNOWN_LOC, *, focus: str = "", cause: Exception | None = None):
        self.message = message
        self.loc = loc
        self.order = loc
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

    @property
    def kind(self) -> str:
        """The message without the names, numbers and quotations in it, and without what follows a semicolon: what
        errors of one kind have in common."""
        return re.sub(KIND, "", self.message[:MAX_MESSAGE]).strip()

    def render(self, source: Source | None, severity: str = "error") -> str:
        """The error and its notes as text, `file:line:col: error: message` first; "remark" is another `severity`."""
        return _with_notes(self, source, {}, severity)


class PluginError(Exception):
    """A package's addition to the language that can't be used: the message names the package, and the reason."""


class DiagnosticError(Exception):
    """One or more errors in the user's text. `str()` renders them all against `source`; `diagnostics` has them one by
    one, in the order in which they were found."""

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source | None = None):
        self.diagnostics = _of_source(diagnostics, source)
        self.source = source
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return rendered(self.diagnostics, self.source)


class DiagnosticWarning(UserWarning):
    """One or more things in the user's text that are right, and hardly meant. As `DiagnosticError`, but for that it is
    Python's way to warn."""

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source | None = None):
        self.diagnostics = _of_source(diagnostics, source)
        self.source = source
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return rendered(self.diagnostics, self.source, "warning")


def _of_source(diagnostics: Iterable[Diagnostic], source: Source | None) -> list[Diagnostic]:
    """The diagnostics, which know the text that they are in from here on."""
    found = list(diagnostics)
    for diagnostic in found if source is not None else ():
        diagnostic.source = source
    return found


def rendered(diagnostics: Iterable[Diagnostic], source: Source | None, severity: str = "error") -> str:
    """The text of errors or warnings, in the order of their places; of many, the first of each kind."""
    ordered = sorted(diagnostics, key=lambda d: d.order)
    shown = _first_of_each_kind(ordered)
    noted: dict[Note, int] = {}
    lines = [_with_notes(d, source, noted, severity) for d in shown]
    left = len(ordered) - len(shown)
    if left:
        lines.append(f"{left} more {severity}{'' if left == 1 else 's'} not shown")
    return "\n".join(lines)


MAX_ERRORS = 20
"""Errors after which a check of one function ends: what follows is mostly their consequence."""


def are_enough(errors: list[Diagnostic], loc: int, most: int = MAX_ERRORS) -> bool:
    """Whether a check that has found these errors, the last one at `loc`, ends there; then that one says so."""
    if len(errors) < most:
        return False
    errors[-1].notes.append(Note(f"this check ends here, after {most} errors", loc))
    return True


KIND = r"(?s);.*|\(did you mean.*|'.*?'|[%@!#][\w$.\-\"]*|[0-9]+"


def _first_of_each_kind(ordered: list[Diagnostic]) -> list[Diagnostic]:
    """The errors that are printed: the first of each kind, up to `MAX_SHOWN`."""
    if len(ordered) <= MAX_OF_KIND:
        return ordered
    shown: list[Diagnostic] = []
    counts: dict[str, int] = {}
    for diagnostic in ordered:
        kind = diagnostic.kind
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= MAX_OF_KIND:
            shown.append(diagnostic)
        if len(shown) == MAX_SHOWN:
            break
    return shown


def behind_inner(errors: list[Diagnostic], first: int) -> None:
    """Has the errors from number `first` on, of an operation with regions, printed behind those found within it."""
    for error in errors[first:] if first else ():
        error.order = max(error.order, errors[first - 1].order)


def fail(message: str, loc: int = UNKNOWN_LOC, focus: str = "") -> NoReturn:
    """Raises a `DiagnosticError` with a single error."""
    raise DiagnosticError([Diagnostic(message, loc, focus=focus)])


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """`" (did you mean X?)"` for the choice that is nearest to the word, or the empty string. At most `MAX_CHOICES`
    are compared, and none with a word that is longer than `MAX_WORD`. `prefix` stands before the choice."""
    if len(word) > MAX_WORD:
        return ""
    import difflib

    near = difflib.get_close_matches(word, _alike_in_length(word, choices), n=1, cutoff=CUTOFF)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


CUTOFF = 0.6
"""How alike two names must be for one to be suggested for the other, as `difflib` measures it."""


def _alike_in_length(word: str, choices: Iterable[str]) -> list[str]:
    """The choices whose length lets them be near enough, the nearest in length if there are too many."""
    least, most = CUTOFF / (2 - CUTOFF) * len(word), (2 - CUTOFF) / CUTOFF * len(word)
    found = [choice for choice in choices if least <= len(choice) <= most]
    if len(found) > MAX_CHOICES:
        found.sort(key=lambda choice: abs(len(choice) - len(word)))
    return found[:MAX_CHOICES]


def visible(text: str) -> str:
    """The text in one line that a terminal shows as it is: control characters, and others that can't be seen, as
    escapes such as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


def visible_lines(text: str) -> str:
    """The same for a text of several lines, which stay lines."""
    return "\n".join(map(visible, text.split("\n")))


def _focus(source: Source | None, loc: int, focus: str) -> int:
    if source is None or loc < 0 or not focus:
        return loc
    end = source.text.find("\n", loc)
    found = source.text.find(focus, loc, end if end >= 0 else len(source.text))
    return found if found >= 0 else loc


def _with_notes(error: Diagnostic, source: Source | None, noted: dict[Note, int], severity: str = "error") -> str:
    """An error, or a warning, and its notes. `noted` counts how often each note has been shown: what has been said a
    few times is not said again."""
    parts = [_render(severity, error.message, _focus(source, error.loc, error.focus), source)]
    for note in error.notes:
        noted[note] = noted.get(note, 0) + 1
        if noted[note] <= MAX_OF_NOTE:
            parts.append(_render("note", note.message, note.loc, source))
    return "\n".join(parts)


def _render(severity: str, message: str, loc: int, source: Source | None) -> str:
    head, *detail = [_shortened(visible(line)) for line in message.split("\n")]
    if source is None or loc < 0:
        name = visible(source.name) if source else "<built in memory>"
        return "\n".join([f"{name}: {severity}: {head}", *detail])
    line, column = source.position(loc)
    shown, at = _cut(source.line_at(loc), column - 1)
    indent = "".join("\t" if c == "\t" else " " for c in shown[:at])
    place = f"{visible(source.name)}:{line}:{column}"
    return "\n".join([f"{place}: {severity}: {head}", shown, f"{indent}^", *detail])


def _shortened(line: str) -> str:
    """A line of a message without its middle if it is too long: names and values in it may be of any length."""
    if len(line) <= MAX_MESSAGE:
        return line
    return f"{line[: MAX_MESSAGE * 3 // 4]} ... {line[-MAX_MESSAGE // 4 :]}"


def _cut(line: str, at: int) -> tuple[str, int]:
    """A source line, or of a long one what stands around the place `at`, and where that is in it."""
    first = max(0, at - MAX_LINE // 2) if len(line) > MAX_LINE else 0
    shown = line[first : first + MAX_LINE]
    return "".join([c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in shown]), at - first
