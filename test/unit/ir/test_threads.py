"""Reading, verifying and printing in several threads, one inside another, after an interrupt, and in forks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

import tilewright
from tilewright.dialects.graph import GRAPH
from tilewright.ir.collector import collector_off
from tilewright.ir.reading import language
from tilewright.ir.reading.fast import parser as fast_parser

from ..parser_mutants import ROOT, mutants, outcome

THREADS = 8
GOOD = "func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {\n  return %x : tensor<4x4xf32>\n}\n"


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No language is made, no shape is known, and threads take turns all the time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(language._CURRENT, "language", None)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def texts() -> list[str]:
    """Texts of each level in both forms, right ones and wrong ones."""
    source = (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8")
    steps = ("fuse", "tile{sizes=32x32x32},lower", "tile{sizes=32x32x32},lower,schedule,sync")
    good = [tilewright.run_passes(source, step, generic=generic) for step in steps for generic in (False, True)]
    return [*good, *mutants(7, 16), source.replace("%", "%q", 1), "func.func @f("]


def all_of(text: str) -> str:
    """What both parsers, the verifier and both printers say."""
    found = [outcome(text, only_lark) for only_lark in (False, True)]
    try:
        module = tilewright.parse(text)
    except tilewright.DiagnosticError as error:
        return "\n".join([*found, str(error)])
    return "\n".join([*found, tilewright.print(module), tilewright.print(module, generic=True)])


def in_threads(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """What the work gives in threads that start at the same moment."""
    barrier = Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_each_thread_gets_what_one_alone_would(monkeypatch: pytest.MonkeyPatch) -> None:
    given = texts()
    expected = [all_of(text) for text in given]
    monkeypatch.setattr(language._CURRENT, "language", None)

    def read(number: int) -> list[int]:
        """Half of the texts, each thread beginning at another one: those that are read otherwise."""
        mine = [(number * 3 + step) % len(given) for step in range(len(given) // 2)]
        return [at for at in mine if all_of(given[at]) != expected[at]]

    assert in_threads(read) == [[]] * THREADS


def test_threads_that_start_together_make_one_language(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[language.Language] = []
    make_tables = language.Language._make_tables

    def counted(self: language.Language) -> None:
        made.append(self)
        make_tables(self)

    monkeypatch.setattr(language.Language, "_make_tables", counted)
    in_threads(lambda number: tilewright.parse(GOOD))
    assert made == [language.current_language()]
    assert 1 <= len(made[0].idle) <= THREADS


def test_readers_that_are_idle_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "MOST_IDLE", 2)
    made = language.current_language()
    made.idle.clear()
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(made.reader())
    assert len(made.idle) == 2


def test_a_shape_made_in_one_thread_serves_in_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two readers, one has shapes of loads, and takes in what the other has learnt since of the same keyword."""
    text = "func.func @f(%x: !uop.tiled<tensor<8x8xf32>, [4, 4]>) {{\n{}  return\n}}\n"
    plain, pinned = (text.format(f"  uop.load %x[0, 0]{end}\n" * 9) for end in ("", " {a.b = 1}"))
    with language.current_language().reader() as one, language.current_language().reader() as other:
        assert read_alone(one, plain) == read_alone(one, plain) == 1
        assert read_alone(other, pinned) == 2
        monkeypatch.setattr(fast_parser, "SIGHTINGS", 0)  # no more are made
        assert read_alone(one, pinned) == 2


def read_alone(reader: language.Reader, text: str) -> int:
    """How many shapes of loads a reader has after a text."""
    assert reader.fast is not None
    reader.actions.begin(text, False)
    assert reader.fast.parse(text)
    reader.actions.end()
    return len(reader.fast.shapes["uop.load"])


def replace_matmul(monkeypatch: pytest.MonkeyPatch, before: Callable[[], None]) -> str:
    """A text with a statement before whose reading something happens."""
    read = GRAPH.actions["graph_matmul"]

    def parse(context: Any, parts: list[Any]) -> Any:
        before()
        return read(context, parts)

    monkeypatch.setitem(GRAPH.actions, "graph_matmul", parse)
    return (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8")


@pytest.mark.parametrize("only_lark", [False, True])
def test_a_text_is_read_while_another_is(only_lark: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[str] = []
    expected = outcome((ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8"), only_lark)
    monkeypatch.setattr(language._CURRENT, "language", None)
    text = replace_matmul(monkeypatch, lambda: inner.append(outcome(GOOD, only_lark)))
    assert outcome(text, only_lark) == expected
    assert inner
    assert set(inner) == {outcome(GOOD, only_lark)}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RecursionError, MemoryError])
def test_nothing_of_an_interrupted_text_stays(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outcome((ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8"), False)
    monkeypatch.setattr(language._CURRENT, "language", None)
    left = [3]

    def interrupt() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise error

    text = replace_matmul(monkeypatch, interrupt)
    language.current_language().idle.clear()
    with pytest.raises(error):
        outcome(text, False)
    assert not language.current_language().idle
    assert gc.isenabled()
    assert outcome(text, False) == expected


def test_the_collector_is_on_again_when_the_last_thread_is_out() -> None:
    """One goes in, another too, the first one out: still off. Whoever is last turns it on."""
    inside, first_out = Event(), Event()

    def first() -> None:
        with collector_off():
            inside.wait(10)
        first_out.set()

    def second() -> None:
        with collector_off():
            inside.set()
            first_out.wait(10)
            assert not gc.isenabled()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    assert gc.isenabled()


def test_the_collector_stays_off_where_it_was() -> None:
    gc.disable()
    try:
        with collector_off(), collector_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_is_not_lost_when_threads_race() -> None:
    def often(number: int) -> None:
        for _ in range(500):
            with collector_off():
                assert not gc.isenabled()

    in_threads(often)
    assert gc.isenabled()


FORKED = """
import gc, os, signal, sys, threading
import tilewright
from tilewright.ir.collector import collector_off
from tilewright.ir.reading import language

ready, done = threading.Event(), threading.Event()

def hold():
    with language._CURRENT.making, collector_off():
        ready.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
ready.wait()
child = os.fork()
if child == 0:
    signal.alarm(30)
    collecting = gc.isenabled()
    text = sys.argv[1]
    os._exit(0 if collecting and tilewright.print(tilewright.parse(text)) == text else 1)
status = os.waitpid(child, 0)[1]
assert not gc.isenabled()
done.set()
thread.join()
assert gc.isenabled()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_reads_whatever_other_threads_were_doing() -> None:
    """One was making the language, without the collector: the child has neither its lock nor its wish."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, GOOD]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
