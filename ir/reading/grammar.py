"""The assembled Lark grammar and its cached LALR parser."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Collection
from importlib.util import find_spec

from ..light_typing import TYPE_CHECKING, Any
from ..opdef import all_dialects
from .cache import cache_folder

if TYPE_CHECKING:
    from typing import Protocol

    from lark.exceptions import UnexpectedInput
    from lark.lexer import TerminalDef
else:
    Protocol = object

STARTS = ["start", "flat_body", "function_type"]

CORE_TERMINALS = {
    "VALUE": "a value such as %x",
    "BLOCK_ID": "a block label",
    "SYMBOL": "a symbol such as @main",
    "HASH_ID": "an attribute such as #name",
    "BANG_ID": "a type such as !name",
    "BARE_ID": "an attribute name",
    "TENSOR": "a type such as tensor<128x64xf32>",
    "BUILTIN_TYPE": "",
    "SCALAR_TYPE": "",
    "OPAQUE_WORD": "",
    "HASH_ATTR": "",
    "FLOAT": "",
    "INT": "an integer",
    "STRING": "a string",
    "FLAT_DICT": "",
    "RAW": "",
    "BLANK": "",
    "FAST": "",
    "$END": "the end of the text",
}
"""How a diagnostic names a terminal; an empty name is left out of lists."""


def grammar_text() -> str:
    """The structural rules followed by the fragment of each dialect that is registered now."""
    with open(os.path.join(os.path.dirname(__file__), "core.lark"), encoding="utf-8") as file:
        core = file.read()
    return "\n".join([core, *(d.grammar for d in sorted(all_dialects(), key=lambda dialect: dialect.name))])


def grammar_beside(file: str) -> str:
    """The fragment of a dialect that is declared in a Python file: `graph.lark` stands beside `graph.py`."""
    with open(f"{os.path.splitext(file)[0]}.lark", encoding="utf-8") as fragment:
        return fragment.read()


def lark_version() -> str:
    """Of the Lark that is installed, without importing it."""
    spec = find_spec("lark")
    if spec is None or spec.origin is None:
        return ""
    with open(spec.origin, encoding="utf-8") as file:
        found = re.search(r"^__version__.*", file.read(), re.MULTILINE)
    return found.group() if found else ""


class LarkParser(Protocol):
    """What is used of `lark.Lark`, whose actions say what `parse` makes."""

    rules: Any
    terminals: Collection[TerminalDef]
    parser: Any

    def parse(
        self, text: str, start: str | None = None, on_error: Callable[[UnexpectedInput], bool] | None = None
    ) -> Any: ...


def make_parser(grammar: str, transformer: object) -> LarkParser:
    """The LALR parser with the given actions embedded, from the user's cache folder where it stands there whole."""
    import hashlib

    import lark

    key = hashlib.sha256(f"{lark.__version__} {sys.version_info[:3]} {grammar}".encode()).hexdigest()[:24]
    path = os.path.join(cache_folder(), f"grammar-{key}.lalr")
    if os.path.isfile(path):
        return _lark(grammar, transformer, path)
    return _lark_into_cache(grammar, transformer, path)


class _CachePath(str):
    """A path whose `str()` is always the same: Lark makes the options' texts part of what tells a stale cache, and the
    file is written under another name than it is read by."""

    __slots__ = ()

    def __str__(self) -> str:
        return "grammar"


def _lark(grammar: str, transformer: object, path: str | None) -> LarkParser:
    from lark import Lark

    cache_file = _CachePath(path) if path else False
    options: dict[str, Any] = {"parser": "lalr", "lexer": "contextual", "maybe_placeholders": False}
    return Lark(grammar, start=STARTS, transformer=transformer, cache=cache_file, **options)


def _lark_into_cache(grammar: str, transformer: object, path: str) -> LarkParser:
    """Writes the parser beside its final place and renames it, so that a reader never meets half a file."""
    import tempfile

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".grammar-")
        os.close(handle)
    except OSError:
        return _lark(grammar, transformer, None)
    try:
        parser = _lark(grammar, transformer, beside)
        with contextlib.suppress(OSError):
            os.replace(beside, path)
        return parser
    finally:
        with contextlib.suppress(OSError):
            os.unlink(beside)


def terminal_words(parser: LarkParser) -> dict[str, str]:
    """What to call each terminal in a diagnostic: keywords and punctuation as they are written, others described."""
    described = dict(CORE_TERMINALS)
    for dialect in all_dialects():
        described |= dialect.terminals
    words = {t.name: _keyword(t.pattern.value, t.pattern.type) for t in parser.terminals}
    return words | described


def _keyword(pattern: str, kind: str) -> str:
    if kind == "str":
        return f"'{pattern}'"
    bare = re.sub(r"\(\?![^)]*\)$|^\(\?:[^)]*\)\?", "", pattern)
    if bare == pattern:
        return ""
    return " or ".join(f"'{word}'" for word in re.sub(r"\\(.)", r"\1", bare).strip("(?:)").split("|"))
