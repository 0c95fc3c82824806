"""Mutated texts give a module or a located error: never another exception, and nothing that hangs.

The seed is fixed, so that a failure can be reproduced; what fails is printed whole.
"""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

import tilewright

from ..models import levels

MUTATIONS = 250
"""Mutated texts per sample."""

LIMIT = 2
"""Seconds after which a parse counts as hanging: a guard, not a measurement."""

TOKEN = re.compile(r"[%@!#^]?[\w$.\-]+|\"[^\"\n]*\"|\s+|.")
HEAD = re.compile(r"sample:\d+:\d+: error: ")
WORDS = [
    *"{}()[]<>,:=@%#!\"", "+=", "->", "//", "0x", "-1", "1.5", "99999999999999999999",
    "func.func", "module", "return", "attributes", "loc(", "true", "unit", "dense<", "tensor<",
    "%x", "%x:2", "%x#1", "@f", "#a = 1", "!a = i1", "^bb0:", '"t.op"', "\0", "\t", "\r", "\ufeff", "é", "\U0001d538",
]  # fmt: skip


def by_character(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(["", chr(rng.randrange(1, 0x250)), rng.choice(text)]) + text[at + rng.randrange(2) :]


def by_token(rng: random.Random, text: str) -> str:
    tokens = TOKEN.findall(text)
    at = rng.randrange(len(tokens))
    tokens[at : at + rng.randrange(3)] = [rng.choice([*WORDS, *rng.choices(tokens, k=10)])] * rng.randrange(1, 3)
    return "".join(tokens)


def by_line(rng: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(4)
    if change == 0:
        del lines[at]
    elif change == 1:
        lines.insert(at, lines[other])
    elif change == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        return "".join(lines[:at]) + lines[at][: rng.randrange(len(lines[at]))]
    return "".join(lines)


KINDS: list[Callable[[random.Random, str], str]] = [by_character, by_token, by_line]


@contextmanager
def time_limit() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still running after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(text: str, allow_unregistered: bool) -> str:
    """What parsing gives: nothing for a module, else the error's text. What a module prints must be read back equal."""
    try:
        with time_limit():
            module = tilewright.parse(text, filename="sample", allow_unregistered=allow_unregistered)
    except tilewright.DiagnosticError as error:
        return str(error)
    for generic in (False, True):
        printed = tilewright.print(module, generic=generic)
        assert tilewright.parse(printed, allow_unregistered=allow_unregistered) == module
    return ""


SAMPLES = {
    f"{level}-{form}": tilewright.print(tilewright.parse(text), generic=form == "generic")
    for level, text in levels().items()
    for form in ("pretty", "generic")
    if text.count("\n") < 100
}


@pytest.mark.parametrize("name", SAMPLES)
def test_mutations(name: str) -> None:
    rng = random.Random(name)
    wrong = 0
    for _ in range(MUTATIONS):
        text = SAMPLES[name]
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            text = rng.choice(KINDS)(rng, text) or text
        try:
            message = outcome(text, allow_unregistered=rng.random() < 0.5)
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error}\n{text!r}")
        assert not message or HEAD.match(message), f"{message}\n{text!r}"
        wrong += bool(message)
    assert 0 < wrong < MUTATIONS


BUFFER = "!uop.tiled<tensor<4x4xf32>, [4, 4]>"
MODULE = '"builtin.module"() ({\n^bb0(%x: i32):\n  "t.use"(%x) : (i32) -> ()\n}) : () -> ()\n'

FOUND = {
    "zeros": f"func.func @f(%x: {BUFFER}) {{\n  sched.load %x[0, 0] @0040 {{bytes = 64}}\n  return\n}}\n",
    "module-arguments": MODULE,
    "module-arguments-within": f'"t.op"() ({{\n{MODULE}}}) : () -> ()\n',
}
"""What longer runs of the same kind found."""


@pytest.mark.parametrize("name", FOUND)
def test_a_text_that_once_broke_the_parser(name: str) -> None:
    assert HEAD.match(outcome(FOUND[name], allow_unregistered=True))
