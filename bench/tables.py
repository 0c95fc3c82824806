"""Tables of figures and their bounds: for a terminal, and between the marks of a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

Lines = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Bound:
    """What a figure is held against: at least (or, with `most`, at most) `must`, better `goal`."""

    must: float
    goal: float | None = None
    most: bool = False

    def verdict(self, value: float) -> str:
        if self.goal is not None and self._holds(value, self.goal):
            return "goal met"
        return "met" if self._holds(value, self.must) else "NOT MET"

    def _holds(self, value: float, bound: float) -> bool:
        return value <= bound if self.most else value >= bound

    def cells(self, unit: str) -> list[str]:
        sign = "≤" if self.most else "≥"
        space = "" if unit == "x" else " "
        goal = "" if self.goal is None else f"{self.goal:,g}{space}{unit}"
        return [f"{sign} {self.must:,g}{space}{unit}", goal]


@dataclass(frozen=True)
class Row:
    """A figure by the clock and, for a time or a ratio of times, by processor time; `note` says why there is none."""

    name: str
    value: float | None
    unit: str
    bound: Bound | None = None
    cpu: float | None = None
    note: str = ""

    def cells(self) -> list[str]:
        figures = ["" if f is None else number(f, self.unit) for f in (self.value, self.cpu)]
        bounds = self.bound.cells(self.unit) if self.bound else ["", ""]
        return [self.name, *figures, *bounds, self.verdict]

    @property
    def verdict(self) -> str:
        """By the clock; where processor time says something else, that as well: the machine was busy."""
        if self.note or self.bound is None or self.value is None:
            return self.note
        told = self.bound.verdict(self.value)
        by_cpu = told if self.cpu is None else self.bound.verdict(self.cpu)
        return told if told == by_cpu else f"{told}; by CPU time {by_cpu}"


HEADS = ["", "figure", "CPU time", "must", "goal", ""]


def number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}{'' if unit == 'x' else ' '}{unit}"


def row_lines(rows: Sequence[Row]) -> list[list[str]]:
    """Rows with their head, without the columns that all of them leave empty."""
    lines = [HEADS, *(row.cells() for row in rows)]
    used = [i for i in range(len(HEADS)) if any(line[i] for line in lines[1:])]
    return [[line[i] for i in used] for line in lines]


def aligned(lines: Lines, left: Collection[int] = (0,)) -> str:
    """For a terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(lines: Lines, left: Collection[int] = (0,)) -> str:
    """The first line is the head."""
    head, *rest = lines
    rule = ["---" if i in left else "---:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rest))


def refresh(path: Path, topic: str, made: Callable[[str], str | None]) -> None:
    """Puts what `made` gives between a file's marks, `<!-- TOPIC: what -->` and `<!-- end -->`; where it gives None,
    and outside of the marks, nothing changes."""

    def replaced(match: re.Match[str]) -> str:
        text = made(match["what"])
        return match[0] if text is None else f"{match['mark']}\n\n{text}\n\n<!-- end -->"

    pattern = re.compile(rf"(?P<mark><!-- {topic}: (?P<what>.*?) -->).*?<!-- end -->", re.DOTALL)
    path.write_text(pattern.sub(replaced, path.read_text(encoding="utf-8")), encoding="utf-8")
