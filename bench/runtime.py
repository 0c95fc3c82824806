"""Measures the schedule interpreter against NumPy, and the proof against the scheduler: a table.

    python bench/runtime.py            transformer_ffn.mir, mlp.mir, 100,000 uops
    python bench/runtime.py --quick    the same with 10,000 uops and fewer runs

NumPy runs on one thread. What is compared runs in turns, so that the machine's load hits both alike; figures are
medians, ratios the medians of each turn's ratio. Nothing is asserted: a bound that is not met is a line in the table.
"""

# ruff: noqa: E402 (NumPy reads the number of threads when it is imported)

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import generate
import numpy as np
from tables import Bound, Row, aligned, row_lines
from timing import Work, in_turns, machine, machine_text, ratio

import tilewright
from tilewright.ir.builtin import ModuleOp
from tilewright.passes.manager import make_pass
from tilewright.passes.manager.running import run_passes_on
from tilewright.runtime.execute import execute_function, random_inputs
from tilewright.runtime.numerics import Array

EXAMPLES = Path(__file__).parents[1] / "examples"


def scheduled(name: str, sram: str) -> ModuleOp:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    return tilewright.parse(tilewright.run_passes(text, f"schedule{{sram={sram}}}"))


def interpret(module: ModuleOp, inputs: dict[str, Array], poison: bool) -> Callable[[], object]:
    (func,) = module.functions()
    return lambda: execute_function(func, module, inputs, poison=poison, verified=True)


def feed_forward(i: dict[str, Array]) -> Array:
    """What transformer_ffn.mir computes, as a person writes it with NumPy."""
    hidden = np.maximum(i["x"] @ i["w1"] + i["b1"], 0)
    return hidden @ i["w2"] + i["b2"] + i["x"]


def interpreter_rows(sram: str, runs: int) -> list[Row]:
    """transformer_ffn.mir's schedule against NumPy, poison on and off."""
    module = scheduled("transformer_ffn.mir", sram)
    (func,) = module.functions()
    inputs = random_inputs(func, 0, integers=False)
    work: Work = {
        "numpy": lambda: feed_forward(inputs),
        "poison": interpret(module, inputs, True),
        "none": interpret(module, inputs, False),
    }
    times = in_turns(work, runs)
    label = f"transformer_ffn, {sram}, {len(func.ops):,} ops"
    return [
        Row(f"{label}: NumPy", median(times["numpy"]) * 1000, "ms"),
        Row(f"{label}: interpreter, poison on", median(times["poison"]) * 1000, "ms"),
        Row(f"{label}: interpreter, poison off", median(times["none"]) * 1000, "ms"),
        Row(f"{label}: poison on / NumPy", ratio(times["poison"], times["numpy"]), "x", Bound(25, most=True)),
        Row(f"{label}: poison off / NumPy", ratio(times["none"], times["numpy"]), "x", Bound(10, most=True)),
    ]


def reference_row(runs: int) -> Row:
    """The reference workload's schedule, after start-up."""
    module = scheduled("mlp.mir", "256KiB")
    (func,) = module.functions()
    times = in_turns({"run": interpret(module, random_inputs(func, 0), True)}, runs)
    return Row(
        f"mlp, 256KiB, {len(func.ops):,} ops: interpreter, poison on",
        median(times["run"]) * 1000,
        "ms",
        Bound(50, most=True),
    )


def proof_rows(uops: int, runs: int) -> list[Row]:
    """What --prove-each adds to scheduling, against the pass alone."""
    module = tilewright.parse(generate.uop_text(uops))
    (func,) = module.functions()
    schedule = make_pass("schedule")
    work: Work = {
        # As the manager runs it, without garbage collection; called directly the pass would look slower than it is.
        "pass": lambda: run_passes_on(module, [schedule], verify_input=False, verify_each=False),
        "run": lambda: run_passes_on(module, [schedule], verify_input=False),
        "proved": lambda: run_passes_on(module, [schedule], verify_input=False, prove_each=True),
    }
    times = in_turns(work, runs)
    added = [p - r for p, r in zip(times["proved"], times["run"], strict=True)]
    label = f"{len(func.ops):,} uops"
    return [
        Row(f"{label}: schedule, pass alone", median(times["pass"]) * 1000, "ms"),
        Row(f"{label}: schedule, verified", median(times["run"]) * 1000, "ms"),
        Row(f"{label}: added by --prove-each", median(added) * 1000, "ms"),
        Row(f"{label}: --prove-each / pass alone", ratio(added, times["pass"]), "x", Bound(1, most=True)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the uops, fewer runs")
    quick = parser.parse_args().quick
    uops, runs = (10_000, 3) if quick else (100_000, 7)
    print(machine_text(machine()))
    print(f"NumPy {np.__version__} on one thread; {runs} turns\n")
    rows = [
        *interpreter_rows("1MiB", runs),
        *interpreter_rows("256KiB", runs),
        reference_row(4 * runs),
        *proof_rows(uops, runs),
    ]
    print(aligned(row_lines(rows)))


if __name__ == "__main__":
    main()
