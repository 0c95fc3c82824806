"""The wheel holds what it must, nothing under a generic name, and its `opt` runs far from the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import lark
import pytest

pytestmark = pytest.mark.xdist_group("packaging")
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("analysis", "dialects", "ir", "lowering", "passes", "planner", "runtime", "tools", "translate", "viz")
NOT_PACKAGED = shutil.ignore_patterns(".*", "build", "dist", "venv", "*.egg-info", "__pycache__", "node_modules")


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command without the caller's Python settings; fails the test with its output where it fails."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(*args: str | Path, cwd: Path) -> str:
    return run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *args, cwd=cwd)


def built(project: Path, folder: Path) -> Path:
    """A wheel built from a copy, `source`: setuptools writes into the tree that it builds, and reuses what it finds
    there."""
    source = folder / "source"
    shutil.copytree(project, source, ignore=NOT_PACKAGED)
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The scripts' folder of a fresh environment with the wheel in it; the dependencies are borrowed from ours."""
    return environment(wheel.parent / "env", wheel)


def environment(env: Path, *wheels: Path) -> Path:
    """The scripts' folder of a fresh environment with some wheels; the dependencies are borrowed from ours.

    A folder that a `.pth` file names is searched, but its own `.pth` files aren't read: the editable install of the
    running environment stays out of sight.
    """
    venv.create(env, with_pip=False, symlinks=os.name != "nt")
    scripts = env / ("Scripts" if os.name == "nt" else "bin")
    site = Path(run(scripts / "python", "-c", "import site; print(site.getsitepackages()[0])", cwd=env).strip())
    (site / "borrowed.pth").write_text(f"{Path(lark.__file__).parents[1]}\n", encoding="utf-8")
    pip("--python", scripts / "python", "install", "--no-deps", "--no-index", "--ignore-installed", *wheels, cwd=env)
    return scripts


def test_wheel_holds_the_grammars_and_one_top_level_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tilewright"}
    sources = {
        f"tilewright/{path.relative_to(ROOT).as_posix()}"
        for package in PACKAGES
        for pattern in ("*.py", "*.lark", "*.html", "*.css", "*.js")
        for path in (ROOT / package).rglob(pattern)
    }
    packed = {name for name in names if name.startswith("tilewright/")}
    assert packed == sources | {f"tilewright/{path.name}" for path in ROOT.glob("*.py")} | {"tilewright/py.typed"}
    assert any(name.endswith(".lark") for name in packed)


def test_installed_opt_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    place = run(installed / "python", "-c", "import tilewright; print(tilewright.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(installed.parent), place
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run(installed / "opt", "--version", cwd=tmp_path).startswith(f"tilewright {project['version']} (language ")
    source = "func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {\n  return %x : tensor<4x4xf32>\n}\n"
    (tmp_path / "small.mir").write_text(source, encoding="utf-8")
    for command in ("opt", "mir-opt"):
        assert "func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {" in run(
            installed / command, "small.mir", cwd=tmp_path
        )


def test_the_plugin_passes_its_own_tests_beside_tilewright(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built and installed as its users would; from the tests' folder, where the package itself is not in sight."""
    plugin = built(ROOT / "examples" / "plugin", tmp_path)
    names = zipfile.ZipFile(plugin).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tilewright_demo"}
    assert "tilewright_demo/dialect.lark" in names
    scripts = environment(tmp_path / "env", wheel, plugin)
    shutil.move(tmp_path / "source" / "tests", tmp_path / "tests")
    shutil.rmtree(tmp_path / "source")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shown = run(scripts / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path)
    assert re.search(r"^5 passed in ", shown, re.MULTILINE), shown
    lit = "import sys; from lit.main import main; sys.exit(main())"
    shown = run(scripts / "python", "-c", lit, "-v", "tests", cwd=tmp_path)
    assert re.search(r"^ +Passed *: 5 \(100.00%\)$", shown, re.MULTILINE), shown


SCRIPT = """\
import numpy as np
import tilewright as tw

b = tw.FuncBuilder("layer")
x = b.arg("x", (64, 32))
b.returns(b.matmul(x, b.arg("w", (32, 16), param=True), activation="relu"))
module = tw.parse(str(b.module()), filename="layer.mir")
planned = tw.run_passes(module, "O1{sram=64KiB}")
text = tw.run_passes(tw.print(module), "schedule")
tw.prove(module, planned)
results = tw.run(planned, {"x": np.ones((64, 32), np.float32), "w": np.ones((32, 16), np.float32)})
simulation = tw.simulate(planned)
report = tw.report(module, "O2")
schedule = tw.Scheduler(tw.SRAMConfig(total_bytes=65536)).run_on_graph(module)
try:
    tw.verify(module)
except tw.DiagnosticError as error:
    places = [(e.filename, e.line, e.column, e.text, e.message) for e in error.diagnostics]
    reveal_type(places)
"""

REVEALED = (
    "b", "x", "module", "planned", "text", "results", "results[0].shape", "results[0].dtype", "results[0] * 2",
    "module.clone()",
    "list(module.functions())", "[op.name for func in module.functions() for op in func.ops]", "simulation",
    "simulation.makespan", "simulation.stalls()[0].cycles", "report.functions", "report.to_dict()",
    "report.function('layer').cost", "report.function('layer').bounds", "report.function('layer').time",
    "report.function('layer').stats", "schedule.loads[0].coord", "schedule.stats.reuse", "tw.__version__",
    "tw.LANGUAGE_VERSION", "tw.parse", "tw.print", "tw.prove", "tw.report", "tw.simulate", "tw.verify",
)  # fmt: skip
"""What a user's script has in hand."""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script, asking for the types of all that."""
    file = tmp_path / "script.py"
    file.write_text(SCRIPT + "".join(f"reveal_type({text})\n" for text in REVEALED), encoding="utf-8")
    return file


def test_pyright_sees_types_in_a_users_script(installed: Path, script: Path) -> None:
    settings = {"typeCheckingMode": "strict", "include": [script.name]}
    (script.parent / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", installed / "python"]
    done = subprocess.run([*map(str, command)], cwd=script.parent, capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    assert [d for d in found if d["severity"] != "information"] == []
    check_types([d["message"] for d in found])


def test_mypy_sees_types_in_a_users_script(installed: Path, script: Path) -> None:
    """As strictly as it can; of what the package itself does it follows the types alone."""
    words = ["--strict", "--no-error-summary", "--hide-error-context", "--python-executable", installed / "python"]
    command = [sys.executable, "-m", "mypy", *map(str, words), script.name]
    done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [line for line in lines if ": note: Revealed type" not in line] == []
    check_types(lines)


def check_types(messages: list[str]) -> None:
    """Every type that was asked for is told, and none of them is unknown."""
    shown = "\n".join(messages)
    assert len(messages) == len(REVEALED) + 1, shown
    assert not re.findall(r".*\b(?:Any|Unknown)\b.*", shown), shown
