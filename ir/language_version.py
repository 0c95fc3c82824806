"""The version of the language that texts are written in, which they may name:

    module attributes {tilewright.language = "1.0"} {

A text of a newer major version is refused; minor versions only add.
"""

from __future__ import annotations

import re

from .attributes import Attr
from .diagnostics import Diagnostic

LANGUAGE_VERSION = "1.0"
"""The version that is read and printed here: MAJOR.MINOR."""

KEY = "tilewright.language"
"""The module attribute that names a text's version."""

_VERSION = r"([0-9]{1,9})\.[0-9]{1,9}"
_NAMED = rf'^(?:[^\n/"]|"[^"\n]*")*?(tilewright\.language\s*=\s*"{_VERSION}")'


def check_language(value: Attr) -> str:
    """The check of the attribute: what was expected, or the empty string."""
    match = re.fullmatch(_VERSION, value) if isinstance(value, str) else None
    if match is None:
        return f'a version such as "{LANGUAGE_VERSION}"'
    if _is_newer(match[1]):
        return f"at most {_major()}.x, the version of the language that is understood here"
    return ""


def newer_language(text: str) -> Diagnostic | None:
    """The error of a text that names a newer major version, if it does: what else seems wrong in it may be new."""
    match = re.search(_NAMED, text, re.MULTILINE) if KEY in text else None
    if match is None or not _is_newer(match[2]):
        return None
    message = f"the text is written in version {match[2]} of the language; {_major()}.x is understood here"
    return Diagnostic(message, match.start(1))


def _major() -> str:
    return LANGUAGE_VERSION.partition(".")[0]


def _is_newer(major: str) -> bool:
    return int(major) > int(_major())
