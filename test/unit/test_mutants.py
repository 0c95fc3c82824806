"""make mutants: an edit that a test notices is told from one that none does, and the tree stays as it is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[1] / "mutants.py"

TOY = '''\
"""Only `larger` is tested."""


def larger(a: int, b: int) -> int:
    return max(a, b)


def is_two(number: int) -> bool:
    return number == 2
'''

TESTED = """\
from tilewright.toy.numbers import larger


def test_larger() -> None:
    assert larger(2, 3) == 3
"""


@pytest.fixture
def mutants(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutants", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def toy(mutants: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tree with one module and one test."""
    for name, text in {"__init__.py": "", "toy/numbers.py": TOY, "test/unit/test_toy.py": TESTED}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "FOLDERS", ("toy",))
    monkeypatch.setattr(mutants, "REACHED_BY", {"toy/": ("test/unit",)})
    return tmp_path


def test_what_is_noticed_and_what_survives(
    mutants: ModuleType, toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = toy / "mutants.md"
    document.write_text("Above\n<!-- mutants -->\nold\n<!-- end -->\nBelow\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["mutants.py", "--markdown", str(document)])
    assert mutants.main() == 0
    assert document.read_text(encoding="utf-8") == (
        "Above\n<!-- mutants -->\n\nSeed 1, 5 of 5 possible edits; 3 survived:\n\n"
        "| folder | possible edits | tried | noticed | survived |\n| --- | ---: | ---: | ---: | ---: |\n"
        "| `toy` | 5 | 5 | 2 | 3 |\n\n| survivor | edit |\n| --- | --- |\n"
        "| `toy/numbers.py:9` | `return number == 2` -> `return None` |\n"
        "| `toy/numbers.py:9` | `number == 2` -> `number != 2` |\n"
        "| `toy/numbers.py:9` | `2` -> `3` |\n\n<!-- end -->\nBelow\n"
    )
    assert "noticed  toy/numbers.py:5: `max` -> `min`" in capsys.readouterr().out
    assert (toy / "toy" / "numbers.py").read_text(encoding="utf-8") == TOY


def test_tests_that_fail_anyway_show_nothing(mutants: ModuleType, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (toy / "test" / "unit" / "test_toy.py").write_text("def test_it() -> None:\n    assert False\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["mutants.py", "--count", "1"])
    with pytest.raises(SystemExit, match="error: without any edit, test/unit fails"):
        mutants.main()


def test_the_sample_depends_on_the_seed_alone(mutants: ModuleType, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(mutants, "survivors", lambda edits, *_: tried.append(edits) or [])
    for seed in (1, 1, 2):
        monkeypatch.setattr(sys, "argv", ["mutants.py", "--seed", str(seed), "--count", "2"])
        assert mutants.main() == 0
    assert tried[0] == tried[1] != tried[2]


@pytest.mark.parametrize(
    ("source", "edits"),
    [
        ("x = a < b", ["a < b -> a <= b"]),
        ("x = a in b and c", ["a in b -> a not in b", "a in b and c -> ((a in b) or c)"]),
        ("x = a + 1", ["a + 1 -> (a - 1)", "1 -> 2"]),
        ("x = a + 'text'", []),
        ("x = True", ["True -> False"]),
        ("x = b if a else c", ["b if a else c -> (b if not a else c)"]),
        ("def f(n: Literal[3]) -> Literal[4]:\n    assert n > 2\n    return n", ["return n -> return None"]),
        ("if a:\n    raise b\nelif c:\n    d(e)", ["d(e) -> pass"]),
        ("if a:\n    raise b", ["if a:\n    raise b -> pass  # if a"]),
        ("any(a)", ["any -> all", "any(a) -> pass"]),
        ("a += 'ä' + b", ["a += 'ä' + b -> pass"]),
    ],
)
def test_edits(mutants: ModuleType, source: str, edits: list[str]) -> None:
    found = mutants.edits_of("f.py", source)
    assert [f"{edit.old} -> {edit.new}" for edit in found] == edits
    for edit in found:
        compile(edit.applied(source.encode()), "f.py", "exec")
