"""The assembled Lark grammar and its cached LALR parser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from importlib.util import find_spec

from ..light_typing import TYPE_CHECKING, Any
from ..opdef import all_dialects
from . import cache

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
        return next((line for line in file if line.startswith("__version__")), "")


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
    import lark

    stamp = f"{lark.__version__} {STARTS}\n{grammar}"
    stored = cache.load("grammar", stamp)
    if stored is not None:
        with suppress(AttributeError, AssertionError, LookupError, TypeError, ValueError):  # not what Lark expects
            return _restored(stored["data"], stored["memo"], transformer)
    parser = lark.Lark(
        grammar, start=STARTS, transformer=transformer, parser="lalr", lexer="contextual", maybe_placeholders=False
    )
    with suppress(AttributeError):  # another Lark than we know, from within
        cache.store("grammar", stamp, _plain(parser))
    return parser


def _plain(parser: Any) -> dict[str, Any]:
    """A Lark parser as Lark itself writes it into a parser that stands alone."""
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = parser.memo_serialize([TerminalDef, Rule])
    data["options"] = {key: value for key, value in data["options"].items() if key != "transformer"}
    return {"data": data, "memo": memo}


def _restored(data: dict[str, Any], memo: dict[str, Any], transformer: object) -> LarkParser:
    """The parser again. In its tables, terminals and states are numbers, which JSON has made texts of."""
    from lark import Lark

    table = data["parser"]["parser"]
    table["tokens"] = _by_number(table["tokens"])
    table["states"] = {number: _by_number(row) for number, row in _by_number(table["states"]).items()}
    make: Any = Lark
    return make._load_from_dict(data, _by_number(memo), transformer=transformer)


def _by_number(table: dict[str, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in table.items()}


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
