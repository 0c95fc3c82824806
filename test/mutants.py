"""Plants edits in the source, one at a time, and runs the tests that reach it: `make mutants`.

An edit that no test notices survives: it changes nothing that counts, or a test is missing. The sample is seeded.
Everything happens in copies of the tree, so that nothing is left behind, whatever ends the run.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tilewright"
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "build", "dist", "*.egg-info", "__pycache__"
)

FOLDERS = ("planner", "dialects/checks", "analysis", "ir/reading/fast")
PROGRAMS = "test/unit/test_programs.py::test_random_programs[0]"
SEARCH = ("test/unit/planner/test_nests.py", "test/unit/planner/test_nest_cost.py")
EVICTION = (
    "test/unit/planner/test_dirty_tiles.py", "test/unit/planner/test_memory_planner.py",
    "test/unit/planner/test_capacity.py", "test/unit/dialects/test_limits.py",
)  # fmt: skip
TIME = (
    "test/unit/planner/test_list_schedule.py", "test/unit/passes/test_prefetch.py",
    "test/unit/planner/test_simulator.py", "test/unit/planner/test_makespan.py",
)  # fmt: skip
HALVES = ("test/unit/passes/test_pingpong_stores.py", "test/unit/passes/test_pingpong.py")
QUEUES = (
    "test/unit/dialects/test_shared_off_chip.py", "test/unit/passes/test_sync.py", "test/unit/test_sync_faults.py",
)  # fmt: skip
REACHED_BY = {
    "planner/arena": ("test/unit/planner/test_arena.py", *EVICTION),
    "planner/bounds": ("test/unit/planner/test_bounds.py",),
    "planner/dependences": ("test/unit/passes/test_reorder.py",),
    "planner/list_schedule": TIME,
    "planner/local_search": ("test/unit/passes/test_reorder.py",),
    "planner/makespan": TIME,
    "planner/nest": (*SEARCH, PROGRAMS),
    "planner/pingpong_phases": HALVES,
    "planner/simulator": (*TIME, *QUEUES),
    "planner/": (*EVICTION, PROGRAMS),
    "dialects/checks/dram": (*QUEUES, "test/unit/dialects/test_limits.py"),
    "dialects/checks/halves": HALVES,
    "dialects/checks/queues": QUEUES,
    "dialects/checks/": ("test/unit/dialects", *HALVES, "test/unit/test_faults.py"),
    "analysis/queue_timing": QUEUES,
    "analysis/": (
        "test/unit/analysis", "test/unit/tools/test_report_table.py", "test/unit/planner/test_bounds.py",
        "test/unit/passes/test_traffic.py", "test/unit/viz/test_viz_model.py", PROGRAMS,
    ),
    "ir/reading/fast/": ("test/unit/ir", PROGRAMS),
}  # fmt: skip
"""The tests that reach a file, the quick ones first: those of the first entry that its path begins with."""

GOLDENS = ("test/ir", "test/dialects", "test/passes", "test/golden")
# Of the searches that come in chunks, the first one has to do.
CHUNKED = "test/unit/passes/test_sync.py::test_random_programs_run_from_their_queues"
SKIPPED = [f"--deselect={CHUNKED}[{digit}" for digit in range(1, 10)]
CPU_SECONDS, WALL_SECONDS = 240, 1200
"""An edit whose tests take longer counts as noticed: it runs for ever."""

SWAPPED = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.Is: "is not",
    ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in", ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.FloorDiv: "*",
    ast.And: "or", ast.Or: "and",
}  # fmt: skip
OTHER = {"min": "max", "max": "min", "any": "all", "all": "any"}
LEAVES = (ast.Return, ast.Continue, ast.Break, ast.Raise)


@dataclass(frozen=True)
class Edit:
    """Bytes [start, end) of a file become `new`; `line` is where they begin."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def text(self) -> str:
        """As a cell of a table."""
        old, new = (re.sub(r"\s+", " ", part).replace("|", "\\|") for part in (self.old, self.new))
        return f"`{old}` -> `{new}`"

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]


def edits_of(file: str, source: str) -> list[Edit]:
    """All edits of a file, in order of their places."""
    lines = source.encode().splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    found = []
    for node, new in _replaced(ast.parse(source)):
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[node.end_lineno - 1] + node.end_col_offset  # type: ignore[operator]
        old = source.encode()[start:end].decode()
        found.append(Edit(file, node.lineno, start, end, old, new))
    return sorted(found, key=lambda edit: (edit.start, edit.end, edit.new))


def _replaced(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Expressions and statements with what is put in their places. Annotations and assertions are left alone."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not isinstance(node, (ast.Assert, ast.JoinedStr)):
                if isinstance(node, (ast.expr, ast.stmt)):
                    yield from ((node, new) for new in _instead(node))
                yield from _replaced(node)


def _instead(node: ast.expr | ast.stmt) -> Iterator[str]:
    match node:
        case ast.Compare(left, [op], [right]) if type(op) in SWAPPED:
            yield f"{_of(left)} {SWAPPED[type(op)]} {_of(right)}"
        case ast.BinOp(left, op, right) if type(op) in SWAPPED and not _is_text(left) and not _is_text(right):
            yield f"({_of(left)} {SWAPPED[type(op)]} {_of(right)})"
        case ast.BoolOp(op, values):
            yield f"({f' {SWAPPED[type(op)]} '.join(map(_of, values))})"
        case ast.IfExp(test, body, orelse):
            yield f"({_of(body)} if not {_of(test)} else {_of(orelse)})"
        case ast.If(test, body, orelse) if not orelse and isinstance(body[-1], LEAVES):
            yield f"pass  # if {_of(test)}"
        case ast.Constant(bool() as value):
            yield str(not value)
        case ast.Constant(int() as value):
            yield str(value + 1)
        case ast.Name(name) if name in OTHER:
            yield OTHER[name]
        case ast.Expr(ast.Call()) | ast.AugAssign():
            yield "pass"
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
            yield "return None"


def _of(node: ast.expr) -> str:
    return f"({ast.unparse(node)})" if isinstance(node, (ast.BoolOp, ast.Compare, ast.IfExp)) else ast.unparse(node)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def copy_tree(folder: Path) -> Path:
    """The tree without what is built; `folder`/path makes the copy importable."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
    (folder / "path").mkdir()
    (folder / "path" / PACKAGE).symlink_to(tree)
    return tree


def run(tree: Path, *command: str) -> bool:
    """Whether a command ends with 0 in a copy of the tree, within the time it is given."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))

    env = os.environ | {
        "CI": "true", "HYPOTHESIS_PROFILE": "mutants", "PYTHONPATH": str(tree.parent / "path"),
        "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(tree.parent / "cache"),
    }  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, *command], cwd=tree, env=env, preexec_fn=limit, timeout=WALL_SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def tests_for(file: str) -> tuple[str, ...]:
    """The tests that reach a file."""
    return next(tests for start, tests in REACHED_BY.items() if file.startswith(start))


def passes(tree: Path, *tests: str) -> bool:
    return run(tree, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *SKIPPED, *tests)


def goldens_fresh(tree: Path) -> bool:
    goldens = [name for name in GOLDENS if (tree / name).is_dir()]
    return not goldens or run(tree, "test/update_checks.py", "--check", *goldens)


def survivors(edits: Sequence[Edit], processes: int) -> list[Edit]:
    """The edits that no test notices. Raises SystemExit where tests fail without any."""
    trees: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(processes) as pool:
        for number in range(processes):
            trees.put(copy_tree(Path(place, str(number))))

        def within(check: Callable[[Path], bool]) -> bool:
            tree = trees.get()
            found = check(tree)
            trees.put(tree)
            return found

        def lives(edit: Edit) -> bool:
            return within(lambda tree: unnoticed(tree, edit))

        used = list(dict.fromkeys(test for edit in edits for test in tests_for(edit.file)))
        sound = list(pool.map(lambda test: within(lambda tree: passes(tree, test)), used))
        failing = [test for test, passed in zip(used, sound, strict=True) if not passed]
        if not within(goldens_fresh):
            failing.append("a golden")
        if failing:
            raise SystemExit(f"error: without any edit, {', '.join(failing)} fails")
        return [edit for edit, found in zip(edits, pool.map(lives, edits), strict=True) if found]


def unnoticed(tree: Path, edit: Edit) -> bool:
    """Whether all pass in a copy of the tree with an edit, which is taken out again."""
    target = tree / edit.file
    source = target.read_bytes()
    target.write_bytes(edit.applied(source))
    found = passes(tree, *tests_for(edit.file)) and goldens_fresh(tree)
    target.write_bytes(source)
    print(f"{'SURVIVED' if found else 'noticed '} {edit.file}:{edit.line}: {edit.text()}", flush=True)
    return found


def table(every: Sequence[Edit], sample: Sequence[Edit], lived: Sequence[Edit]) -> str:
    """The counts by folder, and the survivors."""
    possible, tried, left = (
        Counter(Path(edit.file).parent.as_posix() for edit in some) for some in (every, sample, lived)
    )
    rows = ["| folder | possible edits | tried | noticed | survived |", "| --- | ---: | ---: | ---: | ---: |"]
    rows += [f"| `{f}` | {possible[f]:,} | {tried[f]} | {tried[f] - left[f]} | {left[f]} |" for f in possible]
    rows += ["", "| survivor | edit |", "| --- | --- |"]
    rows += [f"| `{edit.file}:{edit.line}` | {edit.text()} |" for edit in lived]
    return "\n".join(rows) + "\n"


def put_into(document: Path, made: str, heading: str) -> None:
    """Replaces what stands between a document's two marks."""
    text = document.read_text(encoding="utf-8")
    marks = re.compile(r"(<!-- mutants -->\n).*?(<!-- end -->\n)", re.DOTALL)
    document.write_text(marks.sub(lambda m: f"{m[1]}\n{heading}\n\n{made}\n{m[2]}", text), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Plant edits in the source and see whether tests notice.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60, help="edits to try (default 60)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="the document to put the outcome into")
    parser.add_argument("files", nargs="*", help="source files or folders (default: all that tests are known for)")
    options = parser.parse_args()
    wanted = tuple(options.files) or ("",)
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
    every = [
        edit
        for file in files
        if (name := file.relative_to(ROOT).as_posix()).startswith(wanted)
        for edit in edits_of(name, file.read_text(encoding="utf-8"))
    ]
    sample = random.Random(options.seed).sample(every, min(options.count, len(every)))
    sample.sort(key=lambda edit: (edit.file, edit.start, edit.new))
    lived = survivors(sample, options.processes)
    made = table(every, sample, lived)
    print(f"\nseed {options.seed}: {len(sample)} edits, {len(lived)} survived\n\n{made}", end="")
    if options.markdown:
        heading = f"Seed {options.seed}, {len(sample)} of {len(every):,} possible edits; {len(lived)} survived:"
        put_into(options.markdown, made, heading)
    return 0


if __name__ == "__main__":
    sys.exit(main())
