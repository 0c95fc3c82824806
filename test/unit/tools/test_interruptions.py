"""Signals at any moment, what killed writers leave behind, and closed standard streams, in every command."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tilewright.ir import atomic_write
from tilewright.ir.atomic_write import NewFile, write_atomically

from .. import interruptions
from ..models import REFERENCE, ROOT

BIN = Path(sys.executable).parent
COMMANDS = ("opt", "mir-run", "mir-sim", "mir-viz", "mir-translate")

# --- signals ---


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_while_a_file_is_written(number: signal.Signals, tmp_path: Path) -> None:
    """A few of what `interruptions.py` does by the hundred."""
    rng = random.Random(7)
    writer = interruptions.writers(tmp_path, ["opt"])[0]
    for delay in [interruptions.while_writing(rng)] * 3 + [interruptions.anywhere(rng)] * 2:
        status, errors = interruptions.interrupted(writer, number, delay)
        assert interruptions.fault(writer, number, status, errors) == ""
    assert interruptions.fault_of_next(writer) == ""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", -15), ("SIGHUP", -1)])
def test_a_signal_before_anything_is_loaded(command: str, name: str, status: int) -> None:
    """The handlers are there before the command's own modules; also for modules that fail to load by it."""
    number = getattr(signal, name)
    program = f"""
import builtins, os, signal, sys
from tilewright.tools import entry_points
load = builtins.__import__
def loading(name, *rest):
    if name == "argparse":
        os.kill(os.getpid(), {int(number)})
    return load(name, *rest)
builtins.__import__ = loading
entry_points.{command.replace("-", "_")}()
"""
    done = run([sys.executable, "-c", program])
    assert done == (status, "", f"{command}: interrupted\n" if name == "SIGINT" else "")


@pytest.mark.parametrize("where", ["__del__", "callback", "atexit"])
def test_an_interrupt_where_an_exception_would_be_lost(where: str) -> None:
    program = f"""
import atexit, os, signal, sys, weakref
from tilewright.tools import entry_points, opt
class Lost:
    def __del__(self): interrupt("__del__")
def interrupt(here):
    if here == {where!r}: os.kill(os.getpid(), signal.SIGINT)
def main():
    lost = Lost(); del lost
    lost = type("Any", (), {{}})(); weakref.finalize(lost, interrupt, "callback"); del lost
    atexit.register(interrupt, "atexit")
    return 0
opt.main = main
entry_points.opt()
"""
    assert run([sys.executable, "-c", program]) == (130, "", "opt: interrupted\n")


def test_what_the_caller_ignores_is_ignored_still() -> None:
    program = """
import os, signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
from tilewright.tools import signals
signals.catch_signals("opt")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    os.kill(os.getpid(), number)
signals.leave(3)
"""
    assert run([sys.executable, "-c", program]) == (3, "", "")


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", -signal.SIGTERM), ("SIGINT", 130)])
def test_a_signal_that_another_thread_takes_waits_too(name: str, status: int) -> None:
    """Several files are put into their places together; threads of libraries don't block what the main thread does."""
    program = f"""
import os, signal, threading, time
from tilewright.tools import signals
signals.catch_signals("opt")
threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
with signals.Held():
    os.kill(os.getpid(), signal.{name})
    time.sleep(0.1)
    print("whole", flush=True)
print("after", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "whole\n")


def test_every_command_has_its_entry_point() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f'{command} = "tilewright.tools.entry_points:{command.replace("-", "_")}"' in text


# --- what is left behind ---


def test_leftovers_of_the_same_target_go_and_nothing_else(tmp_path: Path) -> None:
    target, other = tmp_path / "out.mir", tmp_path / "out.mi"
    left = [killed(target)]
    left += [left[0].with_name(left[0].name.replace(".tmp", "0.tmp"))]
    left[1].write_bytes(b"half")
    kept = {killed(other).name, ".out.mir.swp", ".out.mir.12345678.tmp", "out.mir~"}
    for name in kept:
        (tmp_path / name).write_text("kept", encoding="utf-8")
    write_atomically(str(target), b"new", 0o644)
    assert {p.name for p in tmp_path.iterdir()} == kept | {"out.mir"}
    assert not any(path.exists() for path in left)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o644


def test_who_still_writes_is_left_alone(tmp_path: Path) -> None:
    target = str(tmp_path / "out.mir")
    first, second = NewFile(target, b"first", 0o644), NewFile(target, b"second", 0o644)
    write_atomically(target, b"third", 0o644)
    second.put()
    first.put()
    assert Path(target).read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["out.mir"]
    assert not atomic_write.UNFINISHED


def test_a_file_that_another_takes_for_a_leftover_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a file's creation and its lock, another writer finds it unlocked."""
    target, lock, names = str(tmp_path / "out.mir"), atomic_write._lock, []

    def late(handle: int) -> bool | None:
        names.append(os.listdir(tmp_path)[0])
        if len(names) == 1:
            os.unlink(tmp_path / names[0])
        return lock(handle)

    monkeypatch.setattr(atomic_write, "_lock", late)
    write_atomically(target, b"new", 0o644)
    assert len(set(names)) == 2
    assert Path(target).read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.mir"]


def test_leftovers_that_are_no_files_of_ours(tmp_path: Path) -> None:
    """A link, a FIFO and a folder of such a name are neither followed nor waited for."""
    target, victim = tmp_path / "out.mir", tmp_path / "victim"
    victim.write_text("kept", encoding="utf-8")
    one = killed(target)
    one.unlink()
    names = [one.with_name(one.name.replace(".tmp", f"{number}.tmp")) for number in range(3)]
    names[0].symlink_to(victim)
    os.mkfifo(names[1])
    names[2].mkdir()
    write_atomically(str(target), b"new", 0o644)
    assert victim.read_text(encoding="utf-8") == "kept"
    assert target.read_bytes() == b"new"
    assert names[2].is_dir()


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 255)
    write_atomically(str(target), b"new", 0o644)
    assert target.read_bytes() == b"new"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(str(tmp_path / "out.mir"), b"new", 0o644)
    assert os.listdir(tmp_path) == []
    assert not atomic_write.UNFINISHED


def killed(target: Path) -> Path:
    """What a writer leaves that is killed: its file, unlocked."""
    made = NewFile(str(target), b"half", 0o600)
    os.close(made.handle)
    atomic_write.UNFINISHED.discard(made.name)
    path = Path(made.name)
    content = path.read_bytes()
    assert content == b"half"
    return path


# --- closed streams ---


def unignored_signals() -> None:
    """As in a terminal, wherever the tests run: what is ignored (`nohup`, jobs in the background) stays so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def run(words: list[str], text: str = "") -> tuple[int, str, str]:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, preexec_fn=unignored_signals)
    return done.returncode, done.stdout, done.stderr


def shell(line: str, folder: Path) -> tuple[int, str, str]:
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd=folder,
        preexec_fn=unignored_signals,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tilewright

    folder = tmp_path_factory.mktemp("streams")
    (folder / "in.mir").write_text(REFERENCE, encoding="utf-8")
    (folder / "bad.mir").write_text("func.func @f( {\n", encoding="utf-8")
    (folder / "sched.mir").write_text(tilewright.run_passes(REFERENCE, "schedule"), encoding="utf-8")
    return folder


CLOSED = "error: cannot write standard output: it is closed\n"


@pytest.mark.parametrize(
    "line",
    [
        *("opt in.mir", "opt --schedule in.mir", "mir-run in.mir", "mir-run --compare in.mir sched.mir"),
        *(
            "mir-sim sched.mir",
            "mir-sim --json sched.mir",
            "mir-viz --ascii sched.mir",
            "mir-translate --to-csv sched.mir",
        ),
        *("opt --version", "opt --list-passes", *(f"{c} --help" for c in COMMANDS)),
        *(f"{c} --list-targets" for c in ("opt", "mir-sim", "mir-viz", "mir-translate")),
    ],
)
def test_closed_standard_output(line: str, folder: Path) -> None:
    assert shell(f"{line} >&-", folder) == (1, "", f"{line.split()[0]}: {CLOSED}")


@pytest.mark.parametrize("line", ["opt", "mir-run -", "mir-sim", "mir-viz --ascii -", "mir-translate --to-dot"])
def test_closed_standard_input(line: str, folder: Path) -> None:
    error = "error: cannot read standard input: it is closed\n"
    assert shell(f"{line} <&-", folder) == (1, "", f"{line.split()[0]}: {error}")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        *[(f"{c} bad.mir", 1) for c in ("opt", "mir-run", "mir-sim", "mir-viz --ascii", "mir-translate --to-dot")],
        *[(f"{c} --no-such-option", 2) for c in COMMANDS],
        ("opt --report in.mir -o /dev/null", 1),
        ("opt --dump-pass-pipeline --fuse in.mir", 1),
        ("opt -O2 in.mir -o /dev/null", 0),
        ("mir-run -o - in.mir > /dev/null", 0),
    ],
)
@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_errors_that_cannot_be_shown_go_nowhere_else(line: str, status: int, stream: str, folder: Path) -> None:
    """In particular not into the output."""
    assert shell(f"{line} {stream}", folder) == (status, "", "")


def test_files_take_no_number_of_a_stream(folder: Path) -> None:
    """Else what is meant for a closed stream would be in one of them."""
    assert shell("opt in.mir -o out.mir <&- >&- 2>&-", folder) == (0, "", "")
    assert shell("opt out.mir", folder) == shell("opt in.mir", folder)
