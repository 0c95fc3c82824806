"""Measures the simulator and what shows its results on generated schedules: seconds, and operations a second.

    python bench/sim.py            schedules of about 10,000 and 100,000 operations
    python bench/sim.py --quick    of 1,000 and 10,000

Nothing is asserted; the aim is 100,000 operations simulated in 2 s.
"""

from __future__ import annotations

import argparse
from statistics import median

import generate
from timing import Work, in_turns

import tilewright as tw
from tilewright.analysis.live_ranges import live_ranges
from tilewright.analysis.simulation import simulation_of
from tilewright.translate.csv_tables import ops_csv
from tilewright.translate.perfetto import trace_text

SHARE = 1.9
"""Tile operations for each one that the schedule keeps: half of the loads fall away."""


def measure(size: int) -> None:
    module = tw.parse(tw.run_passes(generate.uop_text(round(size * SHARE)), "schedule"), verify=False)
    func = next(module.functions())
    functions = [(func, module)]
    work: Work = {
        "simulate": lambda: simulation_of(func, module),
        "live ranges": lambda: live_ranges(func, module),
        "Perfetto trace": lambda: trace_text(functions, module.source),
        "CSV": lambda: ops_csv(functions, module.source),
    }
    count = len(simulation_of(func, module).ops)
    for name, times in in_turns(work, 3).items():
        took = median(times)
        print(f"{count:>9,} operations  {name:<16} {took:>7.2f} s  {count / took:>11,.0f} ops/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    sizes = (1_000, 10_000) if parser.parse_args().quick else (10_000, 100_000)
    for size in sizes:
        measure(size)


if __name__ == "__main__":
    main()
