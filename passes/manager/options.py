"""The options of passes: how they are declared as fields, and read from a pipeline's text."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...ir.diagnostics import did_you_mean
from ...ir.light_typing import Any, NamedTuple


class UsageError(Exception):
    """What is wrong with a pipeline's text: an unknown pass or option, a malformed value."""


class Option(NamedTuple):
    """How one option is read and described."""

    read: Callable[[str], Any]
    help: str
    metavar: str


def option(read: Callable[[str], Any], help: str, metavar: str) -> Any:
    """A pass's field that is an option: None unless given; `read` raises ValueError for a malformed value."""
    from dataclasses import field

    return field(default=None, metadata={"option": Option(read, help, metavar)})


def flag(help: str) -> Any:
    """A pass's field that is an option without a value."""
    from dataclasses import field

    return field(default=False, metadata={"option": Option(_read_flag, help, "")})


def _read_flag(text: str) -> bool:
    if text in ("", "true"):
        return True
    if text == "false":
        return False
    raise ValueError("takes no value (or true, false)")


SIZE = "([0-9]+)(B|KiB|MiB|GiB|KB|MB|GB)?"
MOST_BYTES = 10**15
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def read_bytes(text: str) -> int:
    """`65536`, `64KiB`, `1MiB` as bytes. Raises ValueError."""
    match = re.fullmatch(SIZE, text)
    if match is None:
        raise ValueError(f"must be a number of bytes such as 65536, 64KiB or 1MiB, got '{text}'")
    size = int(match.group(1)) * UNITS[match.group(2) or ""] if len(match.group(1)) <= 15 else MOST_BYTES
    if not 0 < size < MOST_BYTES:
        raise ValueError(f"must be a positive size below 1 PB, got '{text}'")
    return size


def read_count(text: str) -> int:
    """A number, 1 or more. Raises ValueError."""
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError(f"must be a number, 1 or more, got '{text}'")
    return int(text)


def read_alignment(text: str) -> int:
    """A power of two, in bytes like a size. Raises ValueError."""
    value = read_bytes(text)
    if value & (value - 1):
        raise ValueError(f"must be a power of two such as 64, got '{text}'")
    return value


def read_tile(text: str) -> tuple[int, int, int]:
    """`32x32x32` as (tm, tn, tk). Raises ValueError."""
    if not re.fullmatch("[0-9]{1,9}(x[0-9]{1,9}){2}", text) or 0 in map(int, text.split("x")):
        raise ValueError(f"must be three positive tile sizes MxNxK such as 32x32x32, got '{text}'")
    tm, tn, tk = map(int, text.split("x"))
    return tm, tn, tk


def read_choice(*choices: str) -> Callable[[str], str]:
    """One of a few words. Raises ValueError with the nearest one."""

    def read(text: str) -> str:
        if text not in choices:
            words = " or ".join([", ".join(choices[:-1])] * (len(choices) > 1) + list(choices[-1:]))
            raise ValueError(f"must be {words}, got '{text}'{did_you_mean(text, choices)}")
        return text

    return read


def options_of(cls: type) -> dict[str, Option]:
    """A pass's options by the names that a pipeline uses."""
    from dataclasses import fields

    return {f.name.replace("_", "-"): f.metadata["option"] for f in fields(cls) if "option" in f.metadata}


def split_options(text: str, whose: str) -> dict[str, str]:
    """`sram=64KiB double-buffer` as keys and values, empty for none. Raises `UsageError` where a key stands twice."""
    found: dict[str, str] = {}
    for word in re.split(r"[\s,]+", text.strip()):
        key, _, value = word.partition("=")
        if word and key in found:
            raise UsageError(f"option '{key}' of {whose} is given twice")
        if word:
            found[key] = value
    return found
