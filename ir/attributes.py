"""Attributes as plain Python values, their MLIR text, and their equality.

| MLIR | Python |
|---|---|
| `4` (an i64), `true`, `"s"` | int, bool, str |
| `[1, 2]`, `{a = 1}`, a type | tuple, dict, `Type` |
| `4 : i32`, `0.5 : f32`, `@f::@g` | `IntAttr`, `FloatAttr`, `SymbolRef` |
| a key alone (unit) | `UNIT` |
| `dense<...>`, `#d.a<...>` and the rest | `OpaqueAttr`, kept as written |

Values are shared freely between operations: never change a dict or build a list in place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from .light_typing import TYPE_CHECKING, Any
from .types import ScalarType, Type

if TYPE_CHECKING:
    from typing import TypeAlias

I64 = ScalarType("i64")
F64 = ScalarType("f64")
F32 = ScalarType("f32")


class Unit:
    """There is one of it, told by identity, also where it has been copied or pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNIT"

    def __reduce__(self) -> str:
        return "UNIT"


UNIT = Unit()


class _Parts:
    """A value made of its slots, equal to one of the same class with equal slots. Every command makes these classes
    when it starts, and to import `dataclasses` takes longer than to read a short text."""

    __slots__ = ()

    def _parts(self) -> tuple[Any, ...]:
        return tuple([getattr(self, slot) for slot in self.__slots__])

    def __eq__(self, other: object) -> bool:
        return self._parts() == other._parts() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{slot}={getattr(self, slot)!r}' for slot in self.__slots__)})"


class IntAttr(_Parts):
    """An integer of a type other than i64, for instance `4 : i32`."""

    __slots__ = ("type", "value")

    def __init__(self, value: int, type: Type):
        self.value = value
        self.type = type


class FloatAttr(_Parts):
    """A float of a type, `value` already rounded to that type."""

    __slots__ = ("type", "value")

    def __init__(self, value: float, type: Type = F64):
        self.value = value
        self.type = type


class SymbolRef(_Parts):
    """`@root::@leaf`, as the tuple of its names."""

    __slots__ = ("path",)

    def __init__(self, path: tuple[str, ...]):
        self.path = path


class OpaqueAttr(_Parts):
    """An attribute outside our subset, verbatim, such as `dense<[1, 2]> : tensor<2xi32>`."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text


Leaf: TypeAlias = int | str | Type | IntAttr | FloatAttr | SymbolRef | OpaqueAttr | Unit | None
Attr: TypeAlias = "Leaf | tuple[Attr, ...] | dict[str, Attr]"
"""An attribute's value: one of the Python types of this module's docstring; None is a field's that is absent."""

Attributes = dict[str, Any]
"""Attributes by name, each an `Attr`. Whoever asks for one by its name knows what the verifier has let stand there, as
with a table of JSON."""

BARE_ID = re.compile(r"[A-Za-z_][\w$.]*\Z", re.ASCII)
SYMBOL_ID = re.compile(r"[A-Za-z_][\w$.]*\Z", re.ASCII)
_PLAIN = re.compile(r'[^"\\\x00-\x1f\x7f-\x9f\udc80-\udcff]*\Z')


def quote(text: str) -> str:
    """A string literal with MLIR's escapes, of all control characters too."""
    if _PLAIN.match(text):
        return f'"{text}"'
    out: list[str] = []
    for char in text:
        if char == "\\":
            out.append("\\\\")
        elif char == '"' or ord(char) < 32 or ord(char) == 127:
            out.append(f"\\{ord(char):02X}")
        elif "\x80" <= char <= "\x9f":
            out += [f"\\{byte:02X}" for byte in char.encode()]
        elif "\udc80" <= char <= "\udcff":  # a byte that is no UTF-8
            out.append(f"\\{ord(char) - 0xDC00:02X}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def unquote(literal: str) -> str:
    """The text of a string literal; `\\n`, `\\t`, `\\"`, `\\\\` and two-digit hex bytes are understood.

    Raises ValueError for any other escape.
    """
    body = literal[1:-1]
    if "\\" not in body:
        return body
    return re.sub(rb"\\(n|t|\"|\\|[0-9a-fA-F]{2})|\\", _unescape, body.encode("utf-8", "surrogateescape")).decode(
        "utf-8", "surrogateescape"
    )


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code is None:
        raise ValueError("unknown escape in string; write \\\\ for a backslash")
    short = {b"n": b"\n", b"t": b"\t", b'"': b'"', b"\\": b"\\"}
    return short.get(code) or bytes([int(code, 16)])


def symbol_text(name: str) -> str:
    """`@name`, quoted where it is no bare identifier."""
    return "@" + (name if SYMBOL_ID.match(name) else quote(name))


def key_text(key: str) -> str:
    return key if BARE_ID.match(key) else quote(key)


LONGEST_INTEGER = 40


def integer_of(text: str) -> int:
    """The integer that decimal digits spell, a sign before them or not. Of more digits than any integer type here has,
    which Python would refuse to read by thousands, a number beyond all those types."""
    digits = text.lstrip("+-0")
    if len(digits) > LONGEST_INTEGER:
        digits = "9" * LONGEST_INTEGER
    return -int(digits or "0") if text.startswith("-") else int(digits or "0")


INTS = {int}


def attr_text(value: Attr | list[Attr]) -> str:
    """An attribute's canonical MLIR text. Raises TypeError for a value that is no attribute."""
    if type(value) is int:
        return str(value)
    if type(value) is tuple or type(value) is list:
        if set(map(type, value)) == INTS:
            return str(list(value))
        return "[" + ", ".join([attr_text(v) for v in value]) + "]"
    if type(value) is str:
        return quote(value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is dict:
        return dict_text(value)
    return _rare_text(value)


def _rare_text(value: object) -> str:
    if isinstance(value, (Type, OpaqueAttr)):
        return value.text
    if isinstance(value, IntAttr):
        if value.type.text == "i1":
            return "true" if value.value else "false"
        return f"{value.value} : {value.type}"
    if isinstance(value, FloatAttr):
        suffix = "" if value.type == F64 and math.isfinite(value.value) else f" : {value.type}"
        return float_text(value.value, value.type.text) + suffix
    if isinstance(value, SymbolRef):
        return "::".join(map(symbol_text, value.path))
    if value is UNIT:
        return "unit"
    raise TypeError(f"not an attribute: {value!r}")


def dict_text(attributes: Mapping[str, Attr]) -> str:
    """`{a = 1, b}`: keys sorted, units as a key alone."""
    entries = (
        key_text(k) if attributes[k] is UNIT else f"{key_text(k)} = {attr_text(attributes[k])}"
        for k in sorted(attributes)
    )
    return "{" + ", ".join(entries) + "}"


def same_attr(a: Attr, b: Attr) -> bool:
    """Equality that, unlike Python's `==`, tells `true` from `1`."""
    return a is b or attr_text(a) == attr_text(b)


def _reinterpret(value: float, given: str, wanted: str) -> Any:
    """A number's bits read as another type; both types are codes of `struct`. Raises OverflowError."""
    import struct  # where it is used: importing it takes longer than to read a short text without floats

    return struct.unpack(wanted, struct.pack(given, value))[0]


def round_float(value: float, dtype: str) -> float:
    """The nearest value that the float type can hold (ties to even); inf on overflow."""
    if dtype == "bf16":
        return _round_bf16(value)
    code = {"f32": "<f", "f16": "<e"}.get(dtype)
    if code is None or not math.isfinite(value):
        return value
    try:
        return _reinterpret(value, code, code)
    except OverflowError:
        return math.copysign(math.inf, value)


def _round_bf16(value: float) -> float:
    if not math.isfinite(value):
        return value
    single = round_float(value, "f32")
    if not math.isfinite(single):
        return single
    bits = _reinterpret(single, "<f", "<I")
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return _reinterpret(bits & 0xFFFFFFFF, "<I", "<f")


FLOAT_BITS = {"f16": (16, "<e", "<H"), "f32": (32, "<f", "<I"), "f64": (64, "<d", "<Q")}


def float_from_bits(bits: int, dtype: str) -> float:
    """The float of a bit pattern, which is how MLIR writes infinities and NaNs. Raises ValueError if it is too long."""
    if dtype == "bf16":
        bits, dtype = bits << 16, "f32"
    width, code, raw = FLOAT_BITS[dtype]
    if not 0 <= bits < 1 << width:
        raise ValueError(f"hexadecimal float literal is too large for {dtype}")
    return _reinterpret(bits, raw, code)


def float_text(value: float, dtype: str) -> str:
    """Shortest decimal that reads back as the same value of the type; infinities and NaNs as bit patterns."""
    if not math.isfinite(value):
        width, code, raw = FLOAT_BITS.get(dtype, FLOAT_BITS["f32"])
        bits = _reinterpret(value, code, raw)
        return f"0x{bits >> 16:04X}" if dtype == "bf16" else f"0x{bits:0{width // 4}X}"
    text = repr(value)
    if dtype in ("f32", "f16", "bf16") and not (value.is_integer() and abs(value) < 1e16):
        text = next(t for p in range(1, 18) if round_float(float(t := f"{value:.{p}g}"), dtype) == value)
    mantissa, exponent, power = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + exponent + power
