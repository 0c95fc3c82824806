"""The line that says what a long run is at."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import tilewright
from tilewright.planner.progress import listening, tell
from tilewright.tools import run
from tilewright.tools.status import StatusLine, status_line

from ..models import REFERENCE


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_appears_late_changes_seldom_and_goes() -> None:
    stream, times = Terminal(), iter([0.0, 1.9, 2.0, 2.05, 2.2])
    line = StatusLine(stream, lambda: next(times))
    for text in ("early", "shown", "too soon", "x" * 1000):
        line.show(text)
    assert [part.partition("\x1b")[0][:5] for part in stream.getvalue().split("\r")] == ["", "shown", "xxxxx"]
    assert all(len(part) < 1000 for part in stream.getvalue().split("\r"))
    line.remove()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_short_run_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with status_line():
        tell("plan")
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_the_line_is_gone_before_an_error_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tilewright.tools.status.AFTER", -1.0)
    monkeypatch.setattr(sys, "stderr", Terminal())

    def fail() -> None:
        with status_line():
            tell("plan")
            raise KeyError("plan")

    with pytest.raises(KeyError, match="plan"):
        fail()
    assert sys.stderr.getvalue().endswith("\r\x1b[K")  # type: ignore[attr-defined]


def test_what_is_no_terminal_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tilewright.tools.status.AFTER", -1.0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with status_line():
        tell("plan")
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_a_run_says_which_operation_it_is_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.mir"
    source.write_text(tilewright.run_passes(REFERENCE, "schedule{sram=16KiB}"), encoding="utf-8")
    monkeypatch.setattr("tilewright.tools.status.AFTER", -1.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run.main([str(source)]) == 0
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert shown.startswith("\rrun: operation 0 of 1")
    assert shown.endswith("\r\x1b[K")


def test_nobody_listens_after_a_context() -> None:
    heard: list[str] = []
    with listening(heard.append):
        tell("one")
    tell("two")
    assert heard == ["one"]
