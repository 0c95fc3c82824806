"""The wheel holds what it must, nothing under a generic name, and its `opt` runs far from the checkout."""

import os
import shutil
import subprocess
import sys
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy: setuptools writes into the tree that it builds, and reuses what it finds there."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=NOT_PACKAGED)
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The scripts' folder of a fresh environment with the wheel in it; the dependencies are borrowed from ours.

    A folder that a `.pth` file names is searched, but its own `.pth` files aren't read: the editable install of the
    running environment stays out of sight.
    """
    env = wheel.parent / "env"
    venv.create(env, with_pip=False, symlinks=os.name != "nt")
    scripts = env / ("Scripts" if os.name == "nt" else "bin")
    site = Path(run(scripts / "python", "-c", "import site; print(site.getsitepackages()[0])", cwd=env).strip())
    (site / "borrowed.pth").write_text(f"{Path(lark.__file__).parents[1]}\n", encoding="utf-8")
    pip("--python", scripts / "python", "install", "--no-deps", "--no-index", "--ignore-installed", wheel, cwd=env)
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
    assert packed == sources | {"tilewright/__init__.py", "tilewright/api.py"}
    assert any(name.endswith(".lark") for name in packed)


def test_installed_opt_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    place = run(installed / "python", "-c", "import tilewright; print(tilewright.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(installed.parent), place
    assert "0.1.0" in run(installed / "opt", "--version", cwd=tmp_path)
    source = "func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {\n  return %x : tensor<4x4xf32>\n}\n"
    (tmp_path / "small.mir").write_text(source, encoding="utf-8")
    for command in ("opt", "mir-opt"):
        assert "func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {" in run(
            installed / command, "small.mir", cwd=tmp_path
        )
