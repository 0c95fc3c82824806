"""Compiled regular expressions as plain data: Python takes longer to compile one than to read a short text with it.

The code is that of the `re` module of this very Python; whoever stores it keeps it under the Python's version. It can
do nothing but match: Python goes through it first (`_validate` in `_sre.c`), and refuses what leads out of it.
"""

from __future__ import annotations

import re
import sys
import zlib
from importlib import import_module

from ...light_typing import Any

Regex = list[Any]


def pack(pattern: re.Pattern[str]) -> Regex:
    """A pattern's text and flags, and its code where this Python shows it."""
    try:
        parsed = import_module("re._parser").parse(pattern.pattern, pattern.flags)
        words = import_module("re._compiler")._code(parsed, pattern.flags)
        code = zlib.compress(b"".join([word.to_bytes(4, sys.byteorder) for word in words])).hex()
        names: dict[str, int] = {str(name): number for name, number in parsed.state.groupdict.items()}
        return [pattern.pattern, pattern.flags, code, parsed.state.groups - 1, names]
    except (ImportError, AttributeError, TypeError):
        return [pattern.pattern, pattern.flags]


def unpack(packed: Regex) -> re.Pattern[str]:
    """The pattern again."""
    text, flags, *code = packed
    try:
        return _from_code(text, flags, *code)
    except (ImportError, AttributeError, TypeError, ValueError, LookupError, RuntimeError, zlib.error):
        return re.compile(text, flags)


def _from_code(text: str, flags: int, code: str, groups: int, names: dict[str, int]) -> re.Pattern[str]:
    words = memoryview(zlib.decompress(bytes.fromhex(code))).cast("I").tolist()
    by_number: list[str | None] = [None] * (groups + 1)
    for name, number in names.items():
        by_number[number] = name
    return import_module("_sre").compile(text, flags, words, groups, names, tuple(by_number))
