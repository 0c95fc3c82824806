"""The version of the language that texts are written in, which they may name:

    module attributes {tilewright.language = "1.0"} {

A text of a newer major version is refused; minor versions only add.
"""

from __future__ import annotations

import re

from .attributes import Attr
from .diagnostics import Diagnostic, DiagnosticError
from .source import Source

LANGUAGE_VERSION = "1.0"
"""The version that is read and printed here: MAJOR.MINOR."""

KEY = "tilewright.language"
"""The module attribute that names a text's version."""

_VERSION = r"([0-9]{1,9})\.([0-9]{1,9})"
_NAMED = rf'^(?:[^\n/"]|"[^"\n]*")*?(tilewright\.language\s*=\s*"{_VERSION}")'


def check_language(value: Attr) -> str:
    """The check of the attribute: what was expected, or the empty string."""
    match = re.fullmatch(_VERSION, value) if isinstance(value, str) else None
    if match is None:
        return f'a version such as "{LANGUAGE_VERSION}"'
    if int(match[1]) > _known()[0]:
        return f"at most {_known()[0]}.x, the version of the language that is understood here"
    return ""


def blame_version(errors: list[Diagnostic], source: Source) -> None:
    """Raises `DiagnosticError` where a text, in which these errors were found, names a newer major version: what is
    wrong in it may be new. Of a newer minor version the first error gets a note."""
    match = re.search(_NAMED, source.text, re.MULTILINE) if KEY in source.text else None
    if match is None or (int(match[2]), int(match[3])) <= _known():
        return
    major, minor = _known()
    if int(match[2]) > major:
        message = f"the text is written in version {match[2]} of the language; {major}.x is understood here"
        raise DiagnosticError([Diagnostic(message, match.start(1))], source) from None
    message = f"the text is written in version {match[2]}.{match[3]} of the language; here is {major}.{minor}"
    for error in sorted(errors, key=lambda error: error.loc)[:1]:
        error.note(message, match.start(1))


def _known() -> tuple[int, int]:
    major, _, minor = LANGUAGE_VERSION.partition(".")
    return int(major), int(minor)
