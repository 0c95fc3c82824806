"""Guards the floors of the house (who may import whom), that there are no circles, and the size of files."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABOVE = {
    "planner": (),
    "ir": (),
    "dialects": ("planner", "ir"),
    "lowering": ("planner", "ir", "dialects"),
    "runtime": ("planner", "ir", "dialects"),
    "analysis": ("planner", "ir", "dialects", "lowering", "runtime"),
    "passes": ("planner", "ir", "dialects", "lowering", "runtime", "analysis"),
    "viz": ("planner", "ir", "dialects", "lowering", "analysis"),
    "translate": ("planner", "ir", "dialects", "lowering", "runtime", "analysis"),
    "tools": ("planner", "ir", "dialects", "lowering", "runtime", "analysis", "passes", "viz", "translate"),
}
"""The folders that each folder stands on, from the ground up."""

LAYERS = tuple(ABOVE)
MAX_LINES = 450
SKIPPED = {"build", "dist", "venv", "node_modules", "__pycache__"}


def python_files(folder: Path = ROOT) -> Iterator[Path]:
    """The project's Python files; hidden folders (.venv, .git) and built ones are left out."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".") and path.name not in SKIPPED:
            yield from python_files(path)
        elif path.suffix == ".py":
            yield path


def layer_files(layer: str) -> list[Path]:
    return list(python_files(ROOT / layer)) if (ROOT / layer).is_dir() else []


def imports(file: Path, source: str | None = None) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each import of a file, also inside functions: its line and its absolute name, ("tilewright", "ir", "core")."""
    package = ("tilewright", *file.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8") if source is None else source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, tuple(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            yield from ((node.lineno, (*module, alias.name)) for alias in node.names)


def upward(file: Path, layer: str, source: str | None = None) -> list[str]:
    """The imports that leave what a layer stands on: a higher layer, or the facade at the root, above them all."""
    allowed = (layer, *ABOVE[layer])
    return [
        f"{file.relative_to(ROOT)}:{line}: {layer}/ imports {'.'.join(name)}"
        for line, name in imports(file, source)
        if name[0] == "tilewright" and (len(name) == 1 or name[1] not in allowed)
    ]


def import_graph() -> dict[str, set[str]]:
    """Which module imports which, also within functions and for types alone."""
    files = {module_name(file): file for layer in LAYERS for file in layer_files(layer)}
    files |= {module_name(file): file for file in ROOT.glob("*.py")}
    return {name: imported_modules(file, files.keys()) - {name} for name, file in files.items()}


def module_name(file: Path) -> str:
    return ".".join(("tilewright", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def imported_modules(file: Path, known: Set[str], source: str | None = None) -> set[str]:
    names = {".".join(name) for _, name in imports(file, source)}
    return {found for name in names for found in (name, name.rpartition(".")[0]) if found in known} - {
        name.rpartition(".")[0] for name in names if name in known
    }


def circles(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, as text, if it has one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(reversed(error.args[1]))]
    return []


def is_pass(file: Path) -> bool:
    """Whether a class of the file is decorated with `@register_pass` (bare, called, or as an attribute)."""
    classes = (node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef))
    return any(re.search(r"\bregister_pass\b", ast.unparse(item)) for node in classes for item in node.decorator_list)


def string_constants(file: Path) -> Iterator[tuple[int, str]]:
    """The strings of a file that are data: docstrings are left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down(layer: str) -> None:
    found = [line for file in layer_files(layer) for line in upward(file, layer)]
    assert layer_files(layer)
    assert not found, "\n".join(found)


def test_every_folder_of_the_package_is_a_layer() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = set(re.findall(r'^    "tilewright\.([\w.]+)",$', text, re.MULTILINE))
    folders = {".".join(f.parent.relative_to(ROOT).parts) for layer in LAYERS for f in layer_files(layer)}
    assert packages == folders
    assert {name.partition(".")[0] for name in packages} == set(LAYERS)


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("ir", "from ..passes.fuse import fuse"),
        ("ir", "def f():\n    from .. import dialects"),
        ("ir", "from ..planner.arena import Arena"),
        ("planner", "from ..ir.core import Operation"),
        ("dialects", "import tilewright.tools.opt"),
        ("dialects", "from tilewright import parse"),
        ("lowering", "from ..passes import fuse"),
        ("passes", "from ..viz import page"),
        ("viz", "from ..runtime import sched"),
        ("runtime", "from .. import tools"),
        ("translate", "from ..passes.manager import make_pass"),
    ],
)
def test_the_guard_sees_each_form_of_import(layer: str, source: str) -> None:
    assert len(upward(ROOT / layer / "x.py", layer, source)) == 1


@pytest.mark.parametrize("source", ["from ..ir.core import X", "from . import y", "import ast", "from .. import ir"])
def test_the_guard_lets_imports_down_pass(source: str) -> None:
    assert upward(ROOT / "dialects" / "x.py", "dialects", source) == []


def test_there_are_no_circles() -> None:
    assert circles(import_graph()) == []


def test_the_guard_sees_circles_through_functions() -> None:
    file = ROOT / "passes" / "x.py"
    known = {"tilewright.passes.y", "tilewright.passes.x", "tilewright.passes"}
    assert imported_modules(file, known, "def f():\n    from .y import g") == {"tilewright.passes.y"}
    assert imported_modules(file, known, "from . import y") == {"tilewright.passes.y"}
    assert circles({"x": {"y"}, "y": {"x"}})
    assert not circles({"x": {"y"}, "y": set()})


def test_the_planner_stands_alone(tmp_path: Path) -> None:
    """Imported by itself in a fresh interpreter: nothing of ours outside it, no NumPy, no Lark."""
    (tmp_path / "planner").symlink_to(ROOT / "planner")
    names = [f"planner.{file.stem}" for file in layer_files("planner") if file.stem != "__init__"]
    script = (
        f"import importlib, sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        f"for name in {names!r}: importlib.import_module(name)\nprint(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = set(run.stdout.split())
    assert found >= set(names)
    assert not {m for m in found if m.partition(".")[0] in {"tilewright", "numpy", "lark", *LAYERS} - {"planner"}}


def test_passes_do_not_import_each_other() -> None:
    passes = {file.stem: file for file in layer_files("passes") if is_pass(file)}
    found = [
        f"{file.relative_to(ROOT)}:{line}: imports the pass {name[2]}; name it to the pass manager, or share a solver"
        for file in passes.values()
        for line, name in imports(file)
        if name[:2] == ("tilewright", "passes") and len(name) > 2 and name[2] in passes
    ]
    assert not found, "\n".join(found)


def test_ir_imports_no_numpy() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: ir/ imports numpy"
        for file in layer_files("ir")
        for line, name in imports(file)
        if name[0] == "numpy"
    ]
    assert not found, "\n".join(found)


def test_ir_names_no_dialect_and_no_pass() -> None:
    dialects = sorted(file.stem for file in ROOT.glob("dialects/*.lark"))
    passes = {
        value
        for file in layer_files("passes")
        if is_pass(file)
        for _, value in string_constants(file)
        if re.fullmatch(r"[a-z]+(-[a-z]+)+", value)
    }
    mention = re.compile(rf"(?<![\w.])[#!]?({'|'.join(map(re.escape, dialects))})(\\?\.|$)")
    found = [
        f"{file.relative_to(ROOT)}:{line}: {value!r}"
        for file in layer_files("ir")
        for line, value in string_constants(file)
        if value in passes or (dialects and mention.search(value))
    ]
    grammars = [(file, file.read_text(encoding="utf-8").splitlines()) for file in ROOT.glob("ir/**/*.lark")]
    found += [
        f"{file.relative_to(ROOT)}:{number}: {line}"
        for file, lines in grammars
        for number, line in enumerate(lines, 1)
        if dialects and mention.search(line.partition("//")[0])
    ]
    assert not found, "\n".join(found)


def test_no_python_file_is_too_long() -> None:
    lengths = {file.relative_to(ROOT): file.read_text(encoding="utf-8").count("\n") for file in python_files()}
    found = [f"{file}:{length}: more than {MAX_LINES} lines" for file, length in lengths.items() if length > MAX_LINES]
    assert not found, "\n".join(found)
