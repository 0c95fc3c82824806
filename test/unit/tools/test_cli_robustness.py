"""What the `opt` command does with pipes, signals, links, devices, failures on the way, and a broken parser cache."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tilewright
from tilewright.ir.reading import cache

from ..models import REFERENCE, chain_text

OPT = Path(sys.executable).with_name("opt")
FORMATTED = tilewright.run_passes(REFERENCE, "")
BROKEN = REFERENCE.replace("graph.relu", "graph.rellu", 1)


def opt(*words: str | Path, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([OPT, *words], input=text, capture_output=True, text=True, env=os.environ | env, check=False)


def results(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The reference workload in a folder of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "mlp.mir"
    path.write_text(REFERENCE, encoding="utf-8")
    return path


# --- pipes and signals ---


@pytest.mark.parametrize("words", [[], ["-"]], ids=["nothing", "dash"])
def test_standard_input(words: list[str]) -> None:
    assert results(opt(*words, text=REFERENCE)) == (0, FORMATTED, "")


def test_errors_of_standard_input_name_it() -> None:
    done = opt(text="func.func @f( {\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("<stdin>:1:15: error: unexpected '{'")


@pytest.mark.parametrize("words", [["a\nb.mir"], ["-o", "no\nfolder/x.mir"], ["--target", "a\nb.mir", "x.mir"]])
def test_a_name_with_a_line_end_stays_in_its_line(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run([OPT, *words], input=REFERENCE, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "\\n" in done.stderr


@pytest.mark.parametrize("words", [[], ["--help"], ["--report"]])
def test_a_closed_pipe_is_silent(words: list[str], tmp_path: Path) -> None:
    """The reader leaves at once; the output is larger than a pipe's buffer, or not."""
    path = tmp_path / "large.mir"
    path.write_text(chain_text((256, 256, 256)), encoding="utf-8")
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [OPT, "--schedule", *words, path], stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    assert done.returncode != 0
    assert done.stderr == ""


def test_interrupt_is_one_line(tmp_path: Path) -> None:
    """Interrupted while it reads a FIFO that stays open without giving anything."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen([OPT, fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with fifo.open("wb"):  # returns once the command has opened the other end
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "opt: interrupted\n")


# --- output files ---


def test_output_is_a_new_file_with_the_users_mode(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mir"
    mask = os.umask(0o027)
    try:
        assert results(opt(source, "-o", target)) == (0, "", "")
    finally:
        os.umask(mask)
    assert target.read_text(encoding="utf-8") == FORMATTED
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_output_through_a_link_keeps_link_and_mode(source: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "out.mir", tmp_path / "link.mir"
    real.parent.mkdir()
    real.write_text("old", encoding="utf-8")
    real.chmod(0o604)
    link.symlink_to(Path("real") / "out.mir")
    assert results(opt(source, "-o", link)) == (0, "", "")
    assert link.is_symlink()
    assert os.readlink(link) == "real/out.mir"
    assert real.read_text(encoding="utf-8") == FORMATTED
    assert stat.S_IMODE(real.stat().st_mode) == 0o604
    assert sorted(p.name for p in real.parent.iterdir()) == ["out.mir"]


def test_output_through_a_dangling_link_makes_its_target(source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.mir"
    link.symlink_to("later.mir")
    assert results(opt(source, "-o", link)) == (0, "", "")
    assert link.is_symlink()
    assert (tmp_path / "later.mir").read_text(encoding="utf-8") == FORMATTED


def test_output_over_the_input(source: Path) -> None:
    assert results(opt(source, "-o", source)) == (0, "", "")
    assert source.read_text(encoding="utf-8") == FORMATTED


def test_output_to_a_fifo(source: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert results(opt(source, "-o", fifo)) == (0, "", "")
    reader.join(timeout=30)
    assert received == [FORMATTED]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize(("device", "shown"), [("/dev/null", ""), ("/dev/stdout", FORMATTED)])
def test_output_to_a_device(source: Path, device: str, shown: str) -> None:
    assert results(opt(source, "-o", device)) == (0, shown, "")
    assert not stat.S_ISREG(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_to_a_full_device(source: Path) -> None:
    done = opt(source, "-o", "/dev/full")
    assert results(done) == (1, "", "opt: error: cannot write '/dev/full': No space left on device\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    ["opt FILE", "opt --version", "opt --help", "opt --list-passes", "mir-run FILE", "mir-run --compare FILE FILE",
     "mir-run --help", "mir-translate --help"],
)  # fmt: skip
def test_standard_output_on_a_full_device(words: str, unbuffered: str, source: Path) -> None:
    command, *rest = words.replace("FILE", str(source)).split()
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [str(Path(OPT).with_name(command)), *rest], stdout=full, stderr=subprocess.PIPE, text=True, env=env
        )
    assert done.returncode == 1
    assert done.stderr == f"{command}: error: cannot write standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("words", "text", "status"),
    [
        ([], BROKEN, 1),
        (["--schedule=sram=4KiB"], REFERENCE, 1),
        (["--lower"], REFERENCE, 1),
        (["--tile=sizes=0x1x1"], REFERENCE, 2),
        (["--split-input-file"], f"{REFERENCE}// -----\n{BROKEN}", 1),
    ],
    ids=["syntax", "memory", "pass", "usage", "part"],
)
def test_a_failure_leaves_the_output_alone(words: list[str], text: str, status: int, tmp_path: Path) -> None:
    target = tmp_path / "out.mir"
    target.write_text("old", encoding="utf-8")
    before = target.stat()
    done = opt(*words, "-o", target, text=text)
    assert (done.returncode, done.stdout) == (status, "")
    assert "error: " in done.stderr
    assert target.read_text(encoding="utf-8") == "old"
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mir"]


def test_no_temporary_file_is_left_behind(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "taken.mir").mkdir()
    assert results(opt(source, "-o", folder / "new.mir")) == (0, "", "")
    done = opt(source, "-o", folder / "taken.mir")
    assert results(done) == (1, "", f"opt: error: cannot write '{folder / 'taken.mir'}': Is a directory\n")
    done = opt(source, "-o", folder / "missing" / "out.mir")
    assert results(done) == (
        1, "", f"opt: error: cannot write '{folder / 'missing' / 'out.mir'}': No such file or directory\n"
    )  # fmt: skip
    assert sorted(p.name for p in folder.iterdir()) == ["new.mir", "taken.mir"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_that_may_not_be_written(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mir"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o444)
    done = opt(source, "-o", target)
    assert results(done) == (1, "", f"opt: error: cannot write '{target}': Permission denied\n")
    assert target.read_text(encoding="utf-8") == "old"


# --- the parser cache ---

BROKEN = "func.func @f() {\n  retur\n}\n"


def cached(folder: Path) -> dict[str, Path]:
    """The files in the cache by kind: Lark's own parser, its tables, shapes of statements."""
    return {path.name.partition("-")[0]: path for path in (folder / "tilewright").iterdir()}


def run_all(source: Path, home: dict[str, str]) -> None:
    """A text that is right, one of many statements, one that is wrong."""
    assert results(opt(source, **home)) == (0, FORMATTED, "")
    done = opt("-", text=MANY, **home)
    assert results(done) == (0, MANY, "")
    done = opt("-", text=BROKEN, **home)
    assert done.returncode == 1
    assert done.stderr.startswith("<stdin>:2:3: error: unexpected 'retur'")


MANY = (
    "func.func @f(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {\n"
    + "".join(f"  %h{i} = graph.relu %{f'h{i - 1}' if i else 'x'} : tensor<8x8xf32>\n" for i in range(20))
    + "  return %h19 : tensor<8x8xf32>\n}\n"
)


def test_the_cache_is_files_that_stay(source: Path, tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    run_all(source, home)
    files = cached(tmp_path / "cache")
    assert set(files) == {"grammar", "tables", "shapes"}
    written = {kind: file.stat().st_mtime_ns for kind, file in files.items()}
    run_all(source, home)
    assert cached(tmp_path / "cache") == files
    assert {kind: file.stat().st_mtime_ns for kind, file in files.items()} == written


def test_old_files_of_the_cache_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for number in range(20):
        cache.store("shapes", f"stamp {number}", [number])
        cache.store("tables", "stamp", [number])
        os.utime(tmp_path / "tilewright" / cache._name("shapes", f"stamp {number}"), (number, number))
    assert len(list((tmp_path / "tilewright").iterdir())) == cache.MOST_FILES + 1
    assert [cache.load("shapes", f"stamp {n}") for n in (0, 12, 19)] == [None, [12], [19]]
    assert cache.load("tables", "stamp") == [19]


def test_with_a_warm_cache_lark_is_not_imported(source: Path, tmp_path: Path) -> None:
    home = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = "import sys; from tilewright.tools.opt import main; main(); print('lark' in sys.modules)"
    command = [sys.executable, "-c", code, str(source)]
    for expected in ("True", "False"):
        done = subprocess.run(command, capture_output=True, text=True, env=home, check=True)
        assert done.stdout == f"{FORMATTED}{expected}\n"


def damage(kind: str, whole: bytes) -> bytes:
    half = len(whole) // 2
    return {
        "empty": b"",
        "text": b"nonsense\n" * 50,
        "half": whole[:half],
        "flipped": whole[:half] + bytes(255 - byte for byte in whole[half : half + 64]) + whole[half + 64 :],
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "text", "half", "flipped"])
def test_a_corrupt_cache_is_ignored_and_repaired(kind: str, source: Path, tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    run_all(source, home)
    files = cached(tmp_path / "cache")
    damaged = {name: damage(kind, file.read_bytes()) for name, file in files.items()}
    for name, file in files.items():
        file.write_bytes(damaged[name])
    run_all(source, home)
    assert cached(tmp_path / "cache") == files
    repaired = {name: file.read_bytes() for name, file in files.items()}
    assert all(repaired[name] != damaged[name] for name in files)
    run_all(source, home)
    assert {name: file.read_bytes() for name, file in files.items()} == repaired  # they were good


def test_a_cache_that_is_no_file_is_ignored(source: Path, tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    run_all(source, home)
    for file in cached(tmp_path / "cache").values():
        file.unlink()
        file.mkdir()
    run_all(source, home)


def test_a_cache_folder_that_cannot_be_made(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    run_all(source, {"XDG_CACHE_HOME": str(tmp_path / "file")})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write and read anywhere")
@pytest.mark.parametrize("unreadable", [False, True])
def test_a_read_only_cache_folder(unreadable: bool, source: Path, tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    folder = tmp_path / "cache" / "tilewright"
    folder.mkdir(parents=True)
    if unreadable:
        assert results(opt(source, **home)) == (0, FORMATTED, "")
        for file in cached(tmp_path / "cache").values():
            file.chmod(0)
    folder.chmod(0o500)
    try:
        assert results(opt(source, **home)) == (0, FORMATTED, "")
    finally:
        folder.chmod(0o700)
