"""What commands import: a short text costs little more than Python itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tilewright import passes
from tilewright.passes.manager import UsageError, find_pass, load_passes, make_pass

from ..models import REFERENCE, ROOT

HEAVY = {
    *("array", "ast", "dataclasses", "difflib", "inspect", "json", "logging", "numpy", "pathlib", "shutil", "struct"),
    *("tempfile", "typing", "zipfile"),
}
PLUGINS = {"importlib.metadata", "tilewright.ir.plugins"}
PARTS = ("tilewright.dialects", "tilewright.ir.printer", "tilewright.ir.verifier", "tilewright.tools.opt")


def imported_by(folder: Path, program: str, *words: object) -> set[str]:
    """The modules that a program imports. Without `site` (-S): the finder of an editable install imports some too."""
    (folder / "tilewright").symlink_to(ROOT)
    paths = f"import sys\nsys.path[:] = {[str(folder), *sys.path]!r}\n"
    script = f"{paths}{program}\nprint(*sys.modules, file=sys.stderr)"
    run = [sys.executable, "-S", "-c", script, *map(str, words)]
    found = subprocess.run(run, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return set(found.stderr.split())


def imported_by_opt(folder: Path, *words: str) -> set[str]:
    source = folder / "in.mir"
    source.write_text(REFERENCE, encoding="utf-8")
    return imported_by(folder, "from tilewright.tools.opt import main\nassert main() == 0", *words, source)


def passes_in(modules: set[str]) -> set[str]:
    """The passes that are declared in some modules."""
    return {name for name, cls in load_passes().items() if cls.__module__ in modules}


@pytest.mark.parametrize("module", PARTS)
def test_what_every_command_needs_imports_nothing_heavy(module: str, tmp_path: Path) -> None:
    found = imported_by(tmp_path, f"import {module}")
    assert module in found
    assert not found & HEAVY


def test_signals_are_caught_before_anything_else_is_loaded(tmp_path: Path) -> None:
    """What is loaded before can't be interrupted without Python's traceback."""
    before = imported_by(tmp_path, "import __future__, atexit, os")
    (tmp_path / "tilewright").unlink()
    found = imported_by(tmp_path, "from tilewright.tools.entry_points import opt")
    tools = {f"tilewright.tools.{name}" for name in ("entry_points", "signals")}
    assert found - before == {"tilewright", "tilewright.tools", *tools}


def test_a_text_alone_imports_no_pass(tmp_path: Path) -> None:
    """With a warm cache no Lark either."""
    imported_by_opt(tmp_path)
    (tmp_path / "tilewright").unlink()
    found = imported_by_opt(tmp_path)
    assert not {m for m in found if m in HEAVY or m.partition(".")[0] == "lark"}
    assert "tilewright.ir.printer" in found
    assert not passes_in(found)
    assert {m for m in found if m.startswith(("tilewright.passes.", "tilewright.tools."))} == {
        "tilewright.passes.manager",
        *(f"tilewright.passes.manager.{name}" for name in ("options", "registry")),
        *(f"tilewright.tools.{name}" for name in ("cli", "files", "machine", "opt", "signals")),
    }
    assert not found & {
        "numpy",
        "zipfile",
        "tilewright.dialects.checks.queues",
        "tilewright.dialects.checks.schedule_replay",
    }


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--fuse"], {"fuse"}),
        (["--pass-pipeline=fuse,tile{sizes=16x16x16}"], {"fuse", "tile"}),
        (["-O0"], {"decompose", "fuse", "tile", "lower", "schedule"}),
    ],
)
def test_only_what_is_asked_for_is_imported(words: list[str], wanted: set[str], tmp_path: Path) -> None:
    found = imported_by_opt(tmp_path, *words)
    assert passes_in(found) == wanted
    assert "numpy" not in found


@pytest.mark.parametrize(
    "words",
    [
        ["-O1", "--target=npu-small", "--print-op-generic", "--report"],
        ["--pass-pipeline=fuse,O0{sram=64KiB}", "--prove-each", "--dump-pass-pipeline"],
        ["--schedule=double-buffer", "--verify-each=false", "--allow-unregistered-dialect"],
    ],
)
def test_nobody_looks_for_plugins_where_all_names_are_known(words: list[str], tmp_path: Path) -> None:
    imported_by_opt(tmp_path)
    (tmp_path / "tilewright").unlink()
    assert not imported_by_opt(tmp_path, *words) & PLUGINS


def test_somebody_does_where_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "other.mir").write_text('"other.op"() : () -> ()\n', encoding="utf-8")
    words = ["--allow-unregistered-dialect", str(tmp_path / "other.mir")]
    program = "from tilewright.tools.opt import main\nassert main() == 0"
    assert imported_by(tmp_path, program, *words) >= PLUGINS


def test_a_pass_is_declared_in_the_module_of_its_name() -> None:
    for name, cls in load_passes().items():
        assert cls.__module__ == f"tilewright.passes.{name.replace('-', '_')}"
        assert find_pass(name) is cls


@pytest.mark.parametrize("name", ["", "manager", "tile_ops", "no-such-pass", "..ir.core", "a.b", "a b", "\udc80", "é"])
def test_other_words_find_no_pass(name: str) -> None:
    assert find_pass(name) is None
    with pytest.raises(UsageError, match="unknown pass"):
        make_pass(name)


def test_what_a_pass_fails_to_import_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_made.py").write_text("import no_such_module\n", encoding="utf-8")
    monkeypatch.setattr(passes, "__path__", [*passes.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        find_pass("half-made")
