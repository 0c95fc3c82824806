"""Source text and positions: an offset becomes a line and a column only when somebody asks."""

from __future__ import annotations

from functools import cached_property

UNKNOWN_LOC = -1
"""The location of whatever was built by a program instead of read from a text."""


class Source:
    """A named text. `first_line` is the number of its first line (a chunk of a larger file starts later)."""

    def __init__(self, name: str, text: str, first_line: int = 1):
        self.name = name
        self.text = text
        self.first_line = first_line

    @cached_property
    def line_starts(self) -> list[int]:
        starts = [0]
        find = self.text.find
        position = find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = find("\n", position + 1)
        return starts

    def _line_of(self, offset: int) -> int:
        from bisect import bisect_right  # only errors ask

        return bisect_right(self.line_starts, offset) - 1

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1 (lines from `first_line`)."""
        index = self._line_of(offset)
        return index + self.first_line, offset - self.line_starts[index] + 1

    def line_at(self, offset: int) -> str:
        """The text of the line that holds an offset, without its line end."""
        start = self.line_starts[self._line_of(offset)]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")
