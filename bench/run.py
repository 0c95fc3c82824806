"""Measures parse, verify, print, schedule and start-up on generated modules: a table, and build/bench.json.

    python bench/run.py            10,000 and 100,000 uops
    python bench/run.py --quick    1,000 and 10,000 uops, fewer runs

Figures belong to the machine that the output describes; ratios (cost growth, start-up, against mlir-opt) carry further.
Nothing is asserted: a floor that is not met is a line in the table, and the exit status stays 0.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import generate

from tilewright.ir.builtin import ModuleOp
from tilewright.ir.collector import collector_off
from tilewright.ir.parser import parse_source
from tilewright.ir.printer import print_module
from tilewright.ir.source import Source
from tilewright.ir.verifier import verify
from tilewright.passes.manager import Pass, make_pass, run_passes_on

OUTPUT = Path(__file__).parents[1] / "build" / "bench.json"
OPT = [sys.executable, "-m", "tilewright.tools.opt"]
MLIR_OPT = ("mlir-opt-22", "mlir-opt")

TEN_LINES = """\
func.func @mlp(%x: tensor<64x64xf32>, %w1: tensor<64x64xf32> {graph.param}, %b1: tensor<64xf32> {graph.param},
               %w2: tensor<64x32xf32> {graph.param}) -> tensor<64x32xf32> {
  %a1 = graph.matmul %x, %w1 : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %s1 = graph.add %a1, %b1 : (tensor<64x64xf32>, tensor<64xf32>) -> tensor<64x64xf32>
  %h1 = graph.relu %s1 : tensor<64x64xf32>
  // the second layer
  %a2 = graph.matmul %h1, %w2 : (tensor<64x64xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %h2 = graph.relu %a2 : tensor<64x32xf32>
  return %h2 : tensor<64x32xf32>
}
"""


@dataclass(frozen=True)
class Floor:
    """What a figure is held against: at least (or, with `most`, at most) `bound`."""

    bound: float
    most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.most else value >= self.bound


FLOORS = {
    "parse pretty": Floor(20_000),
    "print pretty": Floor(250_000),
    "schedule, pass alone": Floor(100_000),
}
"""Operations a second, at every size."""

START_UP = Floor(150, most=True)
"""Milliseconds beyond `python -c pass`."""

GROWTH = Floor(12, most=True)
"""What "near 10" for ten times the operations allows."""


@dataclass
class Row:
    """One line of the table. `growth` is time(largest) / time(smallest), for ten times the operations."""

    name: str
    figures: dict[str, float]
    unit: str
    growth: float | None = None
    floor: str = ""
    met: bool | None = None


# Measuring


def seconds(work: Callable[[], object], runs: int) -> float:
    """The median time of `runs` runs after one unmeasured; garbage of the run before is collected outside the time."""
    work()
    times: list[float] = []
    for _ in range(runs):
        gc.collect()
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
        del result
    return median(times)


def process_milliseconds(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Whole-process times of each command, alternating, so that a change of the machine's load hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if run:  # the first warms caches: files, bytecode, the parser's
                times[name].append((time.perf_counter() - start) * 1000)
    return times


def op_count(module: ModuleOp) -> int:
    return sum(len(func.ops) for func in module.functions())


def apply_alone(instance: Pass, module: ModuleOp) -> ModuleOp:
    with collector_off():  # as the pass manager does
        return instance.apply(module)


def library_times(uops: int, runs: int) -> tuple[int, dict[str, float]]:
    """Seconds of each kind of work on one generated module, and how many operations that has."""
    pretty, generic = generate.uop_text(uops), generate.uop_text(uops, generic=True)
    module = parse_source(Source("bench", pretty))
    schedule = make_pass("schedule")

    def run_schedule(verify_each: bool) -> ModuleOp:
        # As opt runs it: the input has been verified after the parse, which has a line of its own.
        return run_passes_on(module, [schedule], verify_each=verify_each, verify_input=False)

    work: dict[str, Callable[[], object]] = {
        "parse pretty": lambda: parse_source(Source("bench", pretty)),
        "parse generic": lambda: parse_source(Source("bench", generic)),
        "verify": lambda: verify(module),
        "print pretty": lambda: print_module(module),
        "print generic": lambda: print_module(module, generic=True),
        "schedule, pass alone": lambda: apply_alone(schedule, module),
        "schedule, run without verify": lambda: run_schedule(verify_each=False),
        "schedule, run with verify": lambda: run_schedule(verify_each=True),
    }
    return op_count(module), {name: seconds(run, runs) for name, run in work.items()}


# Rows


def library_rows(sizes: tuple[int, int], runs: int) -> list[Row]:
    """Rates at both sizes, the growth of cost between them, and the floors of rates and growth."""
    counts: list[int] = []
    times: list[dict[str, float]] = []
    for size in sizes:
        count, measured = library_times(size, runs)
        counts.append(count)
        times.append(measured)
    rows: list[Row] = []
    for name in times[0]:
        figures = {str(s): c / t[name] for s, c, t in zip(sizes, counts, times, strict=True)}
        # The modules hold whole layers: per operation, times ten, so that 10 is linear.
        row = Row(name, figures, "ops/s", growth=10 * (times[1][name] / counts[1]) / (times[0][name] / counts[0]))
        floor = FLOORS.get(name)
        if floor:
            row.floor = f">= {floor.bound:,.0f}"
            row.met = all(floor.met(figure) for figure in figures.values())
        rows.append(row)
    worst = max(rows, key=lambda r: r.growth or 0)
    rows.append(growth_row(worst.name, str(sizes[1]), worst.growth or 0))
    return rows


def growth_row(name: str, size: str, growth: float) -> Row:
    bound = f"<= {GROWTH.bound:.0f}"
    return Row(f"growth, worst ({name})", {size: growth}, "x", None, bound, GROWTH.met(growth))


def start_up_row(folder: Path, runs: int) -> Row:
    """`opt` on a ten-line file beyond `python -c pass`, as whole processes."""
    path = folder / "ten.mir"
    path.write_text(TEN_LINES, encoding="utf-8")
    script = shutil.which("opt", path=str(Path(sys.executable).parent))
    opt = [script] if script else OPT
    commands = {"python": [sys.executable, "-c", "pass"], "opt": [*opt, str(path)]}
    times = {name: median(values) for name, values in process_milliseconds(commands, runs).items()}
    beyond = times["opt"] - times["python"]
    return Row(
        "start-up beyond python -c pass", {"": beyond}, "ms", None, f"<= {START_UP.bound:.0f}", START_UP.met(beyond)
    )


def mlir_rows(folder: Path, sizes: tuple[int, int], runs: int) -> list[Row]:
    """Whole processes that read and print one generic file: ours against MLIR's, where that is installed."""
    other = next((path for name in MLIR_OPT if (path := shutil.which(name))), None)
    if other is None:
        return []
    ratios: dict[str, float] = {}
    for size in sizes:
        path = folder / f"{size}.mir"
        path.write_text(generate.uop_text(size, generic=True), encoding="utf-8")
        arguments = ["--allow-unregistered-dialect", str(path)]
        commands = {"ours": [*OPT, "--print-op-generic", str(path)], "mlir": [other, *arguments]}
        times = process_milliseconds(commands, runs)
        ratios[str(size)] = median(a / b for a, b in zip(times["ours"], times["mlir"], strict=True))
    return [Row(f"opt / {os.path.basename(other)}, generic file", ratios, "x")]


# Output


def machine() -> dict[str, str | int]:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()}",
        "load_1min": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "",
    }


def figure_text(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if unit == "ops/s" else f"{value:.1f}"


def table(rows: list[Row], sizes: tuple[int, int]) -> str:
    heads = ["", *(f"{size:,} uops" for size in sizes), "unit", "growth", "floor", ""]
    lines = [heads]
    for row in rows:
        cells = [figure_text(row.figures.get(str(size)), row.unit) for size in sizes]
        if "" in row.figures:
            cells[-1] = figure_text(row.figures[""], row.unit)
        verdict = "" if row.met is None else "met" if row.met else "not met"
        growth = "" if row.growth is None else f"{row.growth:.1f}"
        lines.append([row.name, *cells, row.unit, growth, row.floor, verdict])
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    left = {0, 3, 6}
    return "\n".join(
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, fewer runs")
    quick = parser.parse_args().quick
    sizes, runs, process_runs = ((1_000, 10_000), 3, 5) if quick else ((10_000, 100_000), 5, 15)
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['python']}, {about['system']}, load {about['load_1min']}")
    print(f"medians of {runs} runs ({process_runs} alternating ones of processes); growth: cost of ten times the ops\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [start_up_row(folder, process_runs), *library_rows(sizes, runs), *mlir_rows(folder, sizes, min(runs, 3))]
    print(table(rows, sizes))
    OUTPUT.parent.mkdir(exist_ok=True)
    record = {"machine": about, "sizes": sizes, "quick": quick, "rows": [asdict(row) for row in rows]}
    OUTPUT.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {os.path.relpath(OUTPUT)}")


if __name__ == "__main__":
    main()
