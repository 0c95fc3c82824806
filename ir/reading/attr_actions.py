"""Actions for types and attributes: tokens become `Type` objects and plain Python values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..attributes import (
    FLOAT_BITS,
    I64,
    UNIT,
    Attr,
    Attributes,
    FloatAttr,
    IntAttr,
    OpaqueAttr,
    SymbolRef,
    attr_text,
    float_from_bits,
    integer_of,
    round_float,
    unquote,
)
from ..diagnostics import Diagnostic, DiagnosticError, did_you_mean
from ..light_typing import Any, NoReturn
from ..opdef import DIALECTS
from ..types import FunctionType, OpaqueType, ScalarType, TensorType, Type

MAX_DEPTH = 64
"""Deepest nesting of attributes and types that is read."""

SPELLED_OUT = 10_000_000
TIMES_TEXT = 64
"""Most characters that a text's aliases may come to where they are used: so many, and so many for each of its own."""

MEMO_SIZE = 100_000
"""Most entries that a memo of token texts keeps."""

SCALAR = r"[su]?i[0-9]+|bf16|tf32|f(?:16|32|64|80|128)|f[0-9]+E[0-9]+M[0-9]+[A-Z0-9]*|index|none"
TENSOR_TEXT = re.compile(rf"tensor<\s*((?:(?:-?[0-9]+|\?)\s*x\s*)+)({SCALAR})\s*>")
OTHER_TENSOR = rf"(?s)tensor<\s*(?:\*\s*x|(?:(?:[0-9]+|\?)\s*x)*)\s*(?:{SCALAR}|!\S[^,]*)\s*(?:,.*)?>"
ALIAS = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|[#!][\w$.\-]+'
FLOAT_TYPE = re.compile(r"bf16|tf32|f[0-9].*")
INTEGER_TYPE = re.compile(r"([su]?)i([0-9]+)")


class _Types(tuple[Type, ...]):
    """A list of types, told apart from an attribute's tuple."""

    __slots__ = ()


class AttributeActions:
    """The part of the embedded transformer that reads types and attributes."""

    def __init__(self) -> None:
        self.type_memo: dict[str, Type] = {}
        self.flat_memo: dict[str, Attributes] = {}
        self.subparse: Callable[[str], Attributes] = lambda text: {}
        self.text = ""
        self.offset = 0
        self.errors: list[Diagnostic] = []
        self.loc = 0
        self.begin_attributes()

    def begin_attributes(self) -> None:
        self.aliases: Attributes = {}
        self.weights: dict[int, tuple[Attr, int]] = {}
        self.in_alias = False
        self.spelled_out = 0
        self.offset = 0

    def stop(self, message: str, at: int) -> NoReturn:
        """Ends the parse at an error that leaves nothing to go on with."""
        raise DiagnosticError([Diagnostic(message, at + self.offset)])

    def stop_nesting(self, at: int) -> NoReturn:
        self.stop(f"nested too deeply (more than {MAX_DEPTH} levels)", at)

    # Aliases

    def alias_name(self, parts: list[Any]) -> Any:
        self.in_alias = True
        return parts[0]

    type_alias_name = alias_name

    def alias(self, parts: list[Any]) -> None:
        """What an alias stands for is one object wherever it is used, in other aliases too, and weighed once."""
        token, value = parts
        if depth(value) >= MAX_DEPTH:
            self.stop_nesting(token.start_pos)
        self.aliases[str(token)] = value
        self.weights[id(value)] = value, self.weight(value)
        self.in_alias = False

    def used(self, token: Any) -> Attr:
        """What an alias stands for, at a place where it is used. Within another alias's definition nothing is spelled
        out."""
        value = self.aliases[str(token)]
        if not self.in_alias:
            self.spell(self.weight(value), token.start_pos)
        return value

    def weight(self, value: Attr) -> int:
        """About how many characters a value takes when it is printed."""
        known = self.weights.get(id(value))
        if known is not None:
            return known[1]
        if type(value) is tuple:
            return 2 + sum([self.weight(v) + 2 for v in value])
        if type(value) is dict:
            return 2 + sum([self.weight(v) + len(key) + 5 for key, v in value.items()])
        return len(attr_text(value)) if value is not None else 0

    def spell(self, count: int, at: int) -> None:
        """Takes note of so many characters that aliases come to; a text in which they come to far more than itself is
        refused before they are put together."""
        self.spelled_out += count
        limit = SPELLED_OUT + TIMES_TEXT * len(self.text)
        if self.spelled_out > limit:
            self.stop(f"the aliases used up to here come to more than {limit:,} characters when spelled out", at)

    # Types

    def memo_type(self, token: Any, read: Callable[[str], Type]) -> Type:
        """The type of a token's text, read once per text."""
        found = self.type_memo.get(token)
        if found is None:
            if len(self.type_memo) >= MEMO_SIZE:
                self.type_memo.clear()
            try:
                found = self.type_memo[str(token)] = read(str(token))
            except ValueError as error:
                self.errors.append(Diagnostic(str(error), token.start_pos + self.offset))
                return OpaqueType(str(token))
        return found

    def tensor_type(self, parts: list[Any]) -> Type:
        token = parts[0]
        if "#" in token or "!" in token:
            return OpaqueType(self.spell_out(str(self.memo_type(token, read_tensor)), token.start_pos))
        return self.memo_type(token, read_tensor)

    def scalar_type(self, parts: list[Any]) -> Type:
        return self.memo_type(parts[0], ScalarType)

    def bang_type(self, parts: list[Any]) -> Type:
        token = parts[0]
        if str(token) in self.aliases:
            return self.used(token)  # type: ignore[return-value]  # the grammar has a type there
        if "." not in token:
            self.stop(f"undefined type alias '{token}'{did_you_mean(token, self.aliases)}", token.start_pos)
        self.refuse_own_type(token)
        return OpaqueType(str(token))

    def opaque_type(self, parts: list[Any]) -> Type:
        self.refuse_own_type(parts[0])
        return OpaqueType(self.verbatim(parts[0], parts[1]))

    def refuse_own_type(self, token: Any) -> None:
        dialect = token[1:].partition(".")[0]
        if token.startswith("!") and dialect in DIALECTS:
            types = ", ".join(t for t in DIALECTS[dialect].terminals.values() if t.startswith("a type"))
            self.stop(f"malformed or unknown type of the {dialect} dialect; it has {types or 'none'}", token.start_pos)

    def type_list(self, parts: list[Any]) -> _Types:
        return _Types(parts)

    def function_type(self, parts: list[Any]) -> FunctionType:
        inputs = parts[0] if len(parts) > 1 else ()
        if type_depth((*inputs, *parts[-1])) >= MAX_DEPTH:
            self.stop_nesting(self.loc - self.offset)
        if self.aliases:
            self.spell(sum([len(t.text) for t in (*inputs, *parts[-1])]), self.loc - self.offset)
        return FunctionType(tuple(inputs), tuple(parts[-1]))

    def function_results(self, parts: list[Any]) -> _Types:
        if parts and isinstance(parts[0], _Types):
            return parts[0]
        return _Types(parts)

    # Attributes

    def flat_dict(self, parts: list[Any]) -> Attributes:
        token = parts[0]
        found = self.flat_memo.get(token)
        if found is None:
            found = self._read_flat(token)
        return dict(found)

    def _read_flat(self, token: Any) -> Attributes:
        self.offset = token.start_pos
        try:
            found = self.subparse(str(token))
        except DiagnosticError:
            raise
        except Exception as error:
            if hasattr(error, "pos_in_stream") or hasattr(error, "token"):
                raise self.shifted(error, token.start_pos) from None
            raise
        self.offset = 0
        if len(self.flat_memo) >= MEMO_SIZE:
            self.flat_memo.clear()
        self.flat_memo[str(token)] = found
        return found

    def shifted(self, error: Any, base: int) -> DiagnosticError:
        """A syntax error inside a dictionary that was read as one token, at its place in the whole text."""
        token = getattr(error, "token", None)
        at = base + (token.start_pos if token is not None else error.pos_in_stream)
        rest = re.match(r"[\w$.@%!#]+|.", self.text[at : at + 60], re.DOTALL)
        found = rest.group() if rest else ""
        hint = "; expected an attribute such as name = value" if found else ""
        return DiagnosticError([Diagnostic(f"unexpected '{found}' in the attribute dictionary{hint}", at)])

    def flat_body(self, parts: list[Any]) -> Attributes:
        return self.attr_dict(parts)

    def attr_dict(self, parts: list[Any]) -> Attributes:
        result: Attributes = {}
        for token, key, value in parts:
            if key in result:
                self.stop(f"attribute '{key}' is given twice", token.start_pos)
            if depth(value) >= MAX_DEPTH:
                self.stop_nesting(token.start_pos)
            result[key] = value
        return result

    def entry(self, parts: list[Any]) -> tuple[Any, str, Attr]:
        token = parts[0]
        key = self.string(token) if token.startswith('"') else str(token)
        return token, key, parts[1] if len(parts) > 1 else UNIT

    def int_attr(self, parts: list[Any]) -> Attr:
        token = parts[0]
        type = parts[1] if len(parts) > 1 else I64
        text = str(token)
        if len(text) > 400:
            self.stop("integer does not fit in 64 bits", token.start_pos)
        value = int(text, 0) if "x" in text else int(text)
        if FLOAT_TYPE.fullmatch(type.text):
            return self._float_bits(token, value, type)
        if not 0 <= value < 1 << 63 or type is not I64:
            value = self._fit(token, value, type)
        return value if type.text == "i64" else IntAttr(value, type)

    def _fit(self, token: Any, value: int, type: Type) -> int:
        """Wraps a signless literal into its type as MLIR does; refuses what has too many bits."""
        match = INTEGER_TYPE.fullmatch("i64" if type.text == "index" else type.text)
        if match is None:
            self.stop(f"an integer cannot have type {type}", token.start_pos)
        sign, width = match.group(1), integer_of(match.group(2))
        if width > 64 or width < 1:
            self.stop(f"integers of type {type} are not supported (at most 64 bits)", token.start_pos)
        low = 0 if sign == "u" else -(1 << (width - 1))
        high = 1 << (width - 1 if sign == "s" or type.text == "index" else width)
        if not low <= value < high:
            self.stop(f"integer does not fit in {'64 bits' if width == 64 else type}", token.start_pos)
        wraps = sign == "" and type.text != "index" and width > 1 and value >= 1 << (width - 1)
        return value - (1 << width) if wraps else value

    def _float_bits(self, token: Any, bits: int, type: Type) -> FloatAttr:
        if "x" not in token:
            self.stop(f"a literal of type {type} needs a decimal point", token.start_pos)
        if type.text != "bf16" and type.text not in FLOAT_BITS:
            self.stop(f"hexadecimal literals of type {type} are not supported", token.start_pos)
        try:
            return FloatAttr(float_from_bits(bits, type.text), type)
        except ValueError as error:
            self.stop(str(error), token.start_pos)

    def float_attr(self, parts: list[Any]) -> FloatAttr:
        value = float(parts[0])
        if len(parts) == 1:
            return FloatAttr(value)
        if not FLOAT_TYPE.fullmatch(parts[1].text):
            self.stop(f"a float cannot have type {parts[1]}", parts[0].start_pos)
        return FloatAttr(round_float(value, parts[1].text), parts[1])

    def string_attr(self, parts: list[Any]) -> str:
        return self.string(parts[0])

    def string(self, token: Any, start: int = 0) -> str:
        """What the string literal that a token has from a character on spells."""
        try:
            return unquote(token[start:])
        except ValueError as error:
            self.stop(str(error), token.start_pos)

    def typed_string_attr(self, parts: list[Any]) -> OpaqueAttr:
        return OpaqueAttr(f"{parts[0]}{self.suffix(parts[1], parts[0].start_pos)}")

    def suffix(self, type: Type, at: int) -> str:
        """A type behind an attribute's text."""
        if self.aliases:
            self.spell(len(type.text), at)
        return f" : {type}"

    def true_attr(self, parts: list[Any]) -> bool:
        return True

    def false_attr(self, parts: list[Any]) -> bool:
        return False

    def unit_attr(self, parts: list[Any]) -> Attr:
        return UNIT

    def array_attr(self, parts: list[Any]) -> tuple[Attr, ...]:
        return tuple(parts)

    def symbol_attr(self, parts: list[Any]) -> SymbolRef:
        return SymbolRef(tuple(self.symbol_name(p) for p in parts))

    def symbol_name(self, token: Any) -> str:
        return self.string(token, 1) if token[1] == '"' else str(token[1:])

    def hash_attr(self, parts: list[Any]) -> Attr:
        token = parts[0]
        if str(token) in self.aliases:
            return self.used(token)
        if "." not in token:
            self.stop(f"undefined attribute alias '{token}'{did_you_mean(token, self.aliases)}", token.start_pos)
        return OpaqueAttr(str(token))

    def opaque_attr(self, parts: list[Any]) -> OpaqueAttr:
        suffix = self.suffix(parts[2], parts[0].start_pos) if len(parts) > 2 else ""
        return OpaqueAttr(self.verbatim(parts[0], parts[1]) + suffix)

    def opaque(self, parts: list[Any]) -> int:
        return parts[-1].end_pos

    def verbatim(self, token: Any, end: int) -> str:
        """The text from a token to an offset as it was written, comments and line ends taken out."""
        text = self.text[token.start_pos : end]
        return self.spell_out(re.sub(r"\s*//[^\n]*\n\s*|\s*\n\s*", " ", text), token.start_pos)

    def spell_out(self, text: str, at: int) -> str:
        """The text with the aliases in it (but for strings) replaced by what they stand for."""
        if not self.aliases:
            return text
        return re.sub(ALIAS, lambda m: self.alias_text(m.group(), at), text)

    def alias_text(self, word: str, at: int) -> str:
        if word not in self.aliases:
            return word
        self.spell(self.weight(self.aliases[word]), at)
        return attr_text(self.aliases[word])


def depth(value: Attr) -> int:
    """How many levels of lists and dictionaries a value has; stops counting at the allowed depth. What stands in it
    many times, by an alias, is looked at once on each level."""
    level = 0
    values: Iterable[Attr] = [value]
    while level < MAX_DEPTH:
        nested = {id(v): v for v in values if type(v) is tuple or type(v) is dict}
        if not nested:
            break
        level += 1
        values = [x for v in nested.values() for x in (v.values() if type(v) is dict else v)]
    return level


def type_depth(types: Iterable[Type]) -> int:
    """How many levels of function types some types have; stops counting at the allowed depth."""
    level = 0
    while level < MAX_DEPTH:
        nested = {id(t): t for t in types if isinstance(t, FunctionType)}
        if not nested:
            break
        level += 1
        types = [x for t in nested.values() for x in (*t.inputs, *t.results)]
    return level


def read_tensor(text: str) -> Type:
    """A tensor type's text as a type; one that is none of ours (a dimension of 0 or ?) is kept as it is written.

    Raises ValueError for a negative dimension and for a text that is no tensor type in MLIR either.
    """
    match = TENSOR_TEXT.fullmatch(text)
    if match is None or "?" in match.group(1):
        if not re.fullmatch(OTHER_TENSOR, text):
            raise ValueError("malformed tensor type; it is written tensor<128x64xf32>")
        return OpaqueType(text)
    shape = tuple(map(integer_of, match.group(1).replace("x", " ").split()))
    if any(d >= 1 << 63 for d in shape):
        raise ValueError("tensor dimension does not fit in 64 bits")
    if 0 in shape:
        return OpaqueType(text)
    return TensorType(shape, match.group(2))
