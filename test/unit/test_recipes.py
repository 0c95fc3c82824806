"""CONTRIBUTING's recipes, followed to the letter in a copy of the repository, and what they add tried to the end.

A block below "`FILE`:" is a new file; a diff that begins with "+++ FILE" changes one: what it leaves and removes must
stand there once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = pytest.mark.xdist_group("recipes")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "build", "dist", "*.egg-info", "__pycache__"
)
BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n(?P<indent> *)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)

ELEMENTWISE, KERNEL, SHAPE, PASS = RECIPES = (
    "Add an elementwise operation", "Add a kernel", "Add an operation of another shape", "Add a pass",
)  # fmt: skip
MOST_FILES, MOST_LINES = 3, 12
"""What an elementwise operation may cost, tests apart."""


@dataclass(frozen=True)
class Change:
    """A file that a recipe makes, or one of which it puts `new` in the place of `old`; the lines that it writes."""

    file: str
    old: str
    new: str
    written: int


def section(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def changes(title: str) -> Iterator[Change]:
    """What a recipe's blocks say."""
    for match in BLOCK.finditer(section(title)):
        body = dedent(match["body"])
        name = re.search(r"`([\w./]+)`:$", match["before"])
        if match["kind"] == "diff":
            head, *lines = body.splitlines()
            old = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
            new = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
            yield Change(head.removeprefix("+++ "), old, new, sum(line[:1] == "+" for line in lines))
        elif name:
            yield Change(name[1], "", body, body.count("\n"))


@dataclass(frozen=True)
class Tree:
    """A copy of the repository; `written` counts the lines that each recipe has written in each file."""

    root: Path
    written: dict[str, Counter[str]]

    def run(self, *words: str | Path) -> str:
        """What a command of Python's prints there, with the copy's package. Fails where it fails."""
        places = {"PYTHONPATH": str(self.root.parent / "path"), "XDG_CACHE_HOME": str(self.root.parent / "cache")}
        env = os.environ | places | {"CI": "true"}
        env = {key: value for key, value in env.items() if not key.startswith("PYTEST_")}
        done = subprocess.run([sys.executable, *words], cwd=self.root, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def follow(self, title: str) -> None:
        """Takes the steps of a recipe, and has its lines of the language reference written."""
        written = self.written[title] = Counter()
        for change in changes(title):
            file = self.root / change.file
            text = file.read_text(encoding="utf-8") if change.old else ""
            assert change.old or not file.exists(), f"{change.file} is there already"
            assert not change.old or text.count(change.old) == 1, f"{change.file} has not once:\n{change.old}"
            file.write_text(text.replace(change.old, change.new) if change.old else change.new, encoding="utf-8")
            written[change.file] += change.written
        reference = self.root / "docs" / "language.md"
        before = reference.read_text(encoding="utf-8").splitlines()
        self.run("test/unit/test_docs.py", "docs/language.md")
        after = reference.read_text(encoding="utf-8").splitlines()
        assert [line for line in after if line in before] == before
        if len(after) > len(before):
            written["docs/language.md"] += len(after) - len(before)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy in which all recipes have been followed, and the goldens been made."""
    folder = tmp_path_factory.mktemp("recipes")
    shutil.copytree(ROOT, folder / "tree", ignore=NOT_COPIED)
    (folder / "path").mkdir()
    (folder / "path" / "tilewright").symlink_to(folder / "tree")
    made = Tree(folder / "tree", {})
    for title in RECIPES:
        made.follow(title)
    with (made.root / "lit.cfg").open("a", encoding="utf-8") as config:
        config.write(f'\nconfig.environment["PYTHONPATH"] = {str(folder / "path")!r}\n')
    return made


def goldens(tree: Tree) -> list[str]:
    return [file for written in tree.written.values() for file in written if file.endswith(".mir")]


def test_what_an_elementwise_operation_costs(tree: Tree) -> None:
    own = {file: lines for file, lines in tree.written[ELEMENTWISE].items() if not file.startswith("test/")}
    assert list(own) == ["dialects/kernels/elementwise.py", "dialects/graph.lark", "docs/language.md"]
    assert len(own) <= MOST_FILES
    assert sum(own.values()) <= MOST_LINES


def test_every_recipe_says_something(tree: Tree) -> None:
    assert all(written for written in tree.written.values())
    headings = re.findall(r"^## (Add .*)$", TEXT, re.M)
    assert headings == list(RECIPES)


def test_goldens(tree: Tree) -> None:
    files = goldens(tree)
    assert len(files) == 3
    assert f"{len(files)} updated" in tree.run("test/update_checks.py", *files)
    text = (tree.root / "test/dialects/graph_scale_rows.mir").read_text(encoding="utf-8")
    assert "// LOWER-NEXT:  uop.exec scale_rows %y[1, 0] = %x[1, 0], %s[1]\n" in text
    assert "Passed: 3" in tree.run(Path(sys.executable).with_name("lit"), "-v", *files)


def test_to_the_end(tree: Tree) -> None:
    tree.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "test/unit/recipe_checks.py")


def test_the_tests_of_all_kernels_and_passes(tree: Tree) -> None:
    chosen = "asinh or scale_rows or strip or every or outside"
    files = ("test/unit/dialects/test_kernels.py", "test/unit/passes/test_pipelines.py", "test/unit/test_docs.py")
    tree.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "-k", chosen, *files)


def test_their_style(tree: Tree) -> None:
    written = [file for files in tree.written.values() for file in files if file.endswith(".py")]
    tree.run("-m", "ruff", "check", "--no-cache", *written)
    tree.run("-m", "ruff", "format", "--no-cache", "--check", *written)
