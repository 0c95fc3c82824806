"""The CHECK lines of golden tests: what they are for an output, and whether a test has them. lit and update_checks.py
share this; it loads nothing of Tilewright, since lit starts it several hundred times.

A `.mir` below test/ opts in with the line `// AUTOCHECK`. Its RUN lines that end in FileCheck have one of the forms

    // RUN: opt ARGS %s | FileCheck %exact %s [--check-prefix=NAME]
    // RUN: not opt ARGS %s 2>&1 | FileCheck %exact %s [--check-prefix=NAME]
    // RUN: opt ARGS %s | opt ARGS | FileCheck %exact %s [--check-prefix=NAME]

and everything below the marker line (`MARK`) is rewritten with what they print. The marker stands at the end, so that
the positions in diagnostics don't depend on the checks. RUN lines without FileCheck are left to lit.

The form of a check: with `%exact` (lit.cfg: --match-full-lines --strict-whitespace) **no blank follows the colon**;
everything after it is the whole line, indentation included:

    // CHECK:func.func @f() {                          the first line of the output
    // CHECK-NEXT:  return                             each further line
    // CHECK-EMPTY:                                    a blank line
    // CHECK-NEXT{LITERAL}:  {coords = [[0, 0]]}       a line with `[[` or `{{`: no pattern, no variable
    // CHECK-NEXT:{{.*}}name.mir:3:5: error: ...       a position: the folder differs between machines
    // CHECK-NOT:{{.+}}                                nothing follows

lit doesn't ask FileCheck whether such a test matches: it asks `stale` whether the lines are those that would be
written, which is stricter, since no line of the output and no old check can be left over.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

AUTOCHECK = "// AUTOCHECK"
MARK = "// ----- checks (made by make update-checks) -----"
RUN = re.compile(r"^//\s*RUN:\s*(?P<commands>.*)\|\s*FileCheck\s+(?P<flags>.*)$", re.MULTILINE)
LOCATION = re.compile(r"^\S*?(?P<place>[^\s/]+\.mir:\d+:\d+: .*)$")


class UpdateError(Exception):
    """A test that can't be updated: its RUN line has another form, or does something unexpected."""


@dataclass(frozen=True)
class Command:
    """One `[not] opt ARGS [2>&1]` of a RUN line."""

    args: tuple[str, ...]
    fails: bool
    merged: bool
    text: str


@dataclass(frozen=True)
class Run:
    """One RUN line: a pipeline of `opt`s, and the prefix under which what it prints is compared."""

    commands: tuple[Command, ...]
    prefix: str


def is_golden(text: str) -> bool:
    """Whether a test has its CHECK lines written."""
    return AUTOCHECK in text.splitlines()


def body_of(text: str) -> str:
    """A test without its checks."""
    return text.partition(f"{MARK}\n")[0].rstrip("\n")


def parse_runs(body: str) -> list[Run]:
    """The RUN lines of a test that end in FileCheck. Raises UpdateError for one of another form."""
    runs = []
    for match in RUN.finditer(body):
        flags = shlex.split(match["flags"])
        if "%exact" not in flags:
            raise UpdateError(f"an AUTOCHECK test compares whole lines: write `FileCheck %exact {match['flags']}`")
        runs.append(Run(tuple(map(_command, match["commands"].split("|"))), prefix_of(flags)))
    if not runs:
        raise UpdateError("no line `// RUN: opt ... %s | FileCheck %exact %s`")
    return runs


def prefix_of(flags: list[str]) -> str:
    """The prefix that FileCheck's arguments ask for."""
    prefixes = [flag.partition("=")[2] for flag in flags if re.match(r"--?check-prefix(es)?=", flag)]
    return prefixes[0] if prefixes else "CHECK"


def _command(text: str) -> Command:
    words = shlex.split(text)
    fails = words[:1] == ["not"]
    words = words[1:] if fails else words
    merged = words[-1:] == ["2>&1"]
    words = words[:-1] if merged else words
    if words[:1] != ["opt"]:
        raise UpdateError(f"only `opt` pipelines can be updated, not `{text.strip()}`")
    return Command(tuple(words[1:]), fails, merged, text.strip())


def checks(output: str, prefix: str) -> list[str]:
    """The check lines that accept `output` and nothing else after its first line."""
    lines = output.strip("\n").split("\n")
    if lines == [""]:
        raise UpdateError(f"nothing was printed for {prefix}; FileCheck refuses an empty input")
    directives = [prefix] + [f"{prefix}-NEXT"] * (len(lines) - 1)
    written = [_check(prefix, directive, line) for directive, line in zip(directives, lines, strict=True)]
    return [*written, f"// {prefix}-NOT:{{{{.+}}}}"]


def _check(prefix: str, directive: str, line: str) -> str:
    if not line:
        return f"// {prefix}-EMPTY:"
    if place := LOCATION.match(line):
        return f"// {directive}:{{{{.*}}}}{_escape(place['place'])}"
    literal = "{LITERAL}" if "[[" in line or "{{" in line else ""
    return f"// {directive}{literal}:{line}"


def _escape(text: str) -> str:
    """`[[` and `{{` as patterns that match themselves, for a line that can't be LITERAL as a whole."""
    return re.sub(r"\[\[|\{\{", lambda m: "{{" + re.escape(m[0]) + "}}", text)


def with_checks(body: str, blocks: dict[str, list[str]]) -> str:
    """A test with the checks of each prefix below its marker line."""
    return f"{body}\n\n{MARK}\n" + "\n\n".join(map("\n".join, blocks.values())) + "\n"


def stale(text: str, prefix: str, output: str) -> str:
    """The test as it would be with fresh checks for the output of one prefix; "" where it is so already.

    The blocks of other prefixes are taken as they are; what belongs to no RUN line goes.
    """
    body = body_of(text)
    there = [block.split("\n") for block in text.partition(f"{MARK}\n")[2].rstrip("\n").split("\n\n")]
    blocks: dict[str, list[str]] = {}
    for run in parse_runs(body):
        own = [block for block in there if re.match(rf"// {re.escape(run.prefix)}[:{{]", block[0])]
        blocks[run.prefix] = own[0] if own else []
    blocks[prefix] = checks(output, prefix)
    fresh = with_checks(body, blocks)
    return "" if fresh == text else fresh
