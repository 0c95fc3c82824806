"""How many bytes schedules move, against baselines, best known results and lower bounds; and how long planning takes.

    python bench/quality.py                     all lists, every schedule proved against its graph
    python bench/quality.py table --rows MLP    one list, the rows whose names contain `MLP`
    python bench/quality.py --json now.json --against then.json
    python bench/quality.py hand --within 1.03  graphs that a person planned: exit status 1 where -O1 or -O2 costs more

`LRU` and `MIN` are the baseline's order (-O0) with that eviction. Everything is measured on the text of a schedule,
read back and replayed. `bound` holds for every schedule (`opt --report`). Bytes depend on no machine; seconds do, and
are the CPU time of -O1 (one thread) without parsing and printing. The exit status is 1 if a row moved more bytes than
in `--against`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from notation import KIB, Shape
from planning_cases import HAND, HandCase
from shapes import GROWTH, TABLE, TIMED, UNSEEN
from tables import aligned, markdown, refresh

import tilewright
from tilewright.analysis.cost import cost_of
from tilewright.analysis.proof import prove_module
from tilewright.analysis.simulation import simulation_of
from tilewright.analysis.workload import workload_of
from tilewright.ir.builtin import ModuleOp
from tilewright.ir.diagnostics import DiagnosticError
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.planner.bounds import bounds_of

LISTS = {"table": TABLE, "unseen": UNSEEN}
NAMES = (*LISTS, "hand", "planning")
NEAR, FAR = 1.25, 1.6
"""Ratios to the bound that nearly all and all of the unseen workloads are held against."""

GROWTH_LIMIT = 10
MOVED = ("lru", "min", "o1")


@dataclass(frozen=True)
class Row:
    """What was measured of a workload; bytes, None where there is no schedule (or nothing known)."""

    shape: Shape
    lru: int | None
    min: int | None
    o1: int | None
    bound: int | None
    seconds: float

    @property
    def best_ratio(self) -> float | None:
        return self.o1 / self.shape.best if self.o1 and self.shape.best else None

    @property
    def ratio(self) -> float:
        """-O1 against the lower bound."""
        return self.o1 / self.bound if self.o1 and self.bound else float("inf")

    @property
    def beats_min(self) -> bool:
        """Whether -O1 moves no more than MIN in baseline order."""
        return self.min is None or (self.o1 is not None and self.o1 <= self.min)

    def figures(self) -> dict[str, int | float | None]:
        """Without the time: what is the same on every machine."""
        ratio = round(self.ratio, 4) if self.o1 else None
        best_ratio = self.best_ratio and round(self.best_ratio, 4)
        return {"sram": self.shape.sram, "lru": self.lru, "min": self.min, "o1": self.o1, "best": self.shape.best,
                "bound": self.bound, "ratio_to_best": best_ratio, "ratio_to_bound": ratio}  # fmt: skip


# Measuring


def planned(graph: ModuleOp, pipeline: str) -> tuple[ModuleOp | None, float]:
    """The scheduled module, None where the SRAM is too small, and the CPU seconds for it, verification included."""
    passes = parse_pipeline(pipeline)
    start = time.process_time()
    try:
        module = run_passes_on(graph, passes, verify_input=False)
    except DiagnosticError as error:
        if "SRAM" not in str(error):
            print(f"\n{pipeline}: {error}", file=sys.stderr)
        module = None
    return module, time.process_time() - start


def traffic(graph: ModuleOp, module: ModuleOp, prove: bool) -> tuple[int, int]:
    """Bytes that a schedule moves and its lower bound, by its text; raises where it computes something else."""
    scheduled = tilewright.parse(tilewright.print(module))
    if prove:
        prove_module(graph, scheduled)
    (func,) = scheduled.functions()
    sram = func.attrs["sched.sram"]
    cost = cost_of(func, func.attrs["sched.stats"], sram["alignment"])
    workload = workload_of(func)
    assert workload is not None
    return cost.traffic, bounds_of(workload, sram["total_bytes"]).program


def measure(shape: Shape, prove: bool) -> Row:
    """One row: both baselines, and -O1."""
    graph = tilewright.parse(shape.text)
    moved: dict[str, int | None] = {}
    bound: int | None = None
    seconds = 0.0
    for name, level, options in (("lru", "O0", "evict=lru"), ("min", "O0", "evict=min"), ("o1", "O1", "")):
        module, seconds = planned(graph, shape.pipeline(level, options))
        moved[name] = None
        if module is not None:
            moved[name], bound = traffic(graph, module, prove)
    return Row(shape, **moved, bound=bound, seconds=seconds)


def progress(shapes: Sequence[Shape], measured: Callable[[Shape], Row]) -> list[Row]:
    rows = []
    for i, shape in enumerate(shapes, 1):
        print(f"\r{i}/{len(shapes)} {shape.name:<40}", end="", file=sys.stderr, flush=True)
        rows.append(measured(shape))
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return rows


# Tables


def kib(size: int | None, missing: str = "fails") -> str:
    if size is None:
        return missing
    return f"{size // KIB:,}" if size % KIB == 0 else f"{size / KIB:,.1f}"


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def cells(row: Row, known: bool) -> list[str]:
    best = [kib(row.shape.best, "")] if known else []
    ratio = [times(row.best_ratio)] if known else []
    sram = [] if known else [kib(row.shape.sram)]
    return [row.shape.name, *sram, kib(row.lru), kib(row.min), kib(row.o1), *best, kib(row.bound, ""), *ratio,
            times(row.ratio)]  # fmt: skip


def heads(known: bool) -> list[str]:
    if known:
        return ["workload", "LRU", "MIN", "-O1", "best known", "bound", "-O1 / best", "-O1 / bound"]
    return ["workload", "SRAM", "LRU", "MIN", "-O1", "bound", "-O1 / bound"]


def table(rows: Sequence[Row], known: bool) -> str:
    """For a terminal; KiB."""
    return aligned([[*heads(known), "seconds"], *([*cells(row, known), f"{row.seconds:.1f}"] for row in rows)])


def summary(name: str, rows: Sequence[Row]) -> list[str]:
    """What the table shows as sentences."""
    worse = [row.shape.name for row in rows if not row.beats_min]
    lines = [f"Moves more than MIN in baseline order: {', '.join(worse) if worse else 'no row'}."]
    if name == "table":
        known = [row for row in rows if row.best_ratio]
        near = sum(row.best_ratio <= 1.02 for row in known if row.best_ratio)
        better = [row.shape.name for row in known if row.best_ratio and row.best_ratio < 1]
        lines += [f"At most 1.02x the best known: {near} of {len(known)} rows; less than it: "
                  f"{', '.join(better) if better else 'none'}."]  # fmt: skip
    else:
        lines += [share(rows, NEAR), share(rows, FAR)]
    return lines


def share(rows: Sequence[Row], limit: float) -> str:
    over = [f"{row.shape.name} ({row.ratio:.2f})" for row in rows if row.ratio > limit]
    within = len(rows) - len(over)
    return f"At most {limit}x the bound: {within} of {len(rows)} rows{'; not: ' + ', '.join(over) if over else ''}."


# Planning time


def timed_rows() -> list[list[str]]:
    """Seconds of planning against their limits, and how they grow with eight times the work."""
    lines = [["planning", "seconds", "limit", ""]]
    for shape, limit in TIMED:
        lines.append(verdict(shape.name, planned(tilewright.parse(shape.text), shape.pipeline("O1"))[1], limit, "s"))
    for small, large in GROWTH:
        seconds = [planned(tilewright.parse(s.text), s.pipeline("O1"))[1] for s in (small, large)]
        name = f"time({large.name}) / time({small.name})"
        lines.append(verdict(name, seconds[1] / seconds[0], GROWTH_LIMIT, "x"))
    return lines


def verdict(name: str, figure: float, limit: float, unit: str) -> list[str]:
    return [name, f"{figure:.1f}", f"<= {limit:g} {unit}", "met" if figure <= limit else "not met"]


# Plans by hand


@dataclass(frozen=True)
class HandRow:
    """What -O1 moves in bytes and -O2 takes in cycles, of a graph that a person planned; None where there is no
    schedule."""

    case: HandCase
    o1: int | None
    cycles: int | None

    @property
    def ratios(self) -> list[float | None]:
        """Bytes and cycles against the hand's; None where there is no figure of it, infinite where there is no plan."""
        pairs = (self.o1, self.case.shape.best), (self.cycles, self.case.cycles)
        return [None if hand is None else (ours / hand if ours else float("inf")) for ours, hand in pairs]

    def within(self, limit: float) -> bool:
        return all(ratio is None or ratio <= limit for ratio in self.ratios)

    def cells(self) -> list[str]:
        shape, (moved, taken) = self.case.shape, self.ratios
        cycles = ["" if count is None else f"{count:,}" for count in (self.cycles, self.case.cycles)]
        return [shape.name, kib(shape.sram), kib(self.o1), kib(shape.best, ""), times(moved), *cycles, times(taken)]


def measure_hand(case: HandCase, prove: bool) -> HandRow:
    """One row: bytes of -O1, simulated cycles of -O2."""
    graph = tilewright.parse(case.shape.text)
    least, _ = planned(graph, case.shape.pipeline("O1"))
    fast, _ = planned(graph, case.shape.pipeline("O2"))
    moved = None if least is None else traffic(graph, least, prove)[0]
    if fast is None:
        return HandRow(case, moved, None)
    traffic(graph, fast, prove)
    (func,) = fast.functions()
    return HandRow(case, moved, simulation_of(func, fast).makespan)


def hand_table(rows: Sequence[HandRow]) -> str:
    """For a terminal; KiB and cycles."""
    lines = [["workload", "SRAM", "-O1", "by hand", "ratio", "-O2 cycles", "by hand", "ratio"]]
    return aligned([*lines, *(row.cells() for row in rows)])


# Files


def record(lists: dict[str, list[Row]]) -> dict[str, dict[str, dict[str, dict[str, int | float | None]]]]:
    """What --json writes: bytes by list and row, and the times apart from them."""
    return {
        "bytes": {name: {row.shape.name: row.figures() for row in rows} for name, rows in lists.items()},
        "seconds": {name: {row.shape.name: round(row.seconds, 2) for row in rows} for name, rows in lists.items()},
    }  # type: ignore[return-value]


def regressions(now: dict, then: dict) -> list[str]:
    """A line for each figure that became worse; rows that only one side has are left out."""
    found = []
    for name, rows in now["bytes"].items():
        before = then["bytes"].get(name, {})
        for row in rows.keys() & before.keys():
            for key in MOVED:
                new, old = rows[row][key], before[row][key]
                if old is not None and (new is None or new > old):
                    found.append(f"{row}: {key} moves {kib(new)} KiB, was {kib(old)}")
    return sorted(found)


def marked(lists: dict[str, list[Row]], what: str) -> str | None:
    """What stands between the marks `<!-- quality: table -->` or, with names of rows,
    `<!-- quality: table; NAME; NAME -->`: the table without the times."""
    name, *wanted = what.split("; ")
    if name not in lists:
        return None
    rows = [row for row in lists[name] if not wanted or row.shape.name in wanted]
    known = name == "table"
    notes = "" if wanted else "\n\n" + "\n".join(f"- {line}" for line in summary(name, rows))
    return markdown([heads(known), *(cells(row, known) for row in rows)]) + notes


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lists", nargs="*", metavar="LIST", help=f"{', '.join(NAMES)} (default: all)")
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows whose names contain this")
    parser.add_argument("--no-prove", action="store_true", help="don't prove the schedules against their graphs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with figures written before")
    parser.add_argument("--markdown", type=Path, nargs="+", default=[], metavar="FILE", help="refresh tables in these")
    parser.add_argument("--within", type=float, metavar="RATIO", help="most that a row of hand may cost of the hand's")
    return parser


def main(arguments: Iterable[str] | None = None) -> int:
    parser = make_parser()
    args = parser.parse_args(None if arguments is None else list(arguments))
    wanted = args.lists or [name for name in NAMES if not args.rows or name != "planning"]
    for name in wanted:
        if name not in NAMES:
            parser.error(f"no list '{name}'; there are {', '.join(NAMES)}")
    cases = [case for case in HAND if args.rows in case.shape.name] if "hand" in wanted else []
    if (
        args.rows
        and not cases
        and not any(args.rows in shape.name for name in wanted if name in LISTS for shape in LISTS[name])
    ):
        parser.error(f"no row's name contains '{args.rows}'")
    lists = {}
    for name in [name for name in LISTS if name in wanted]:
        shapes = [shape for shape in LISTS[name] if args.rows in shape.name]
        lists[name] = progress(shapes, lambda shape: measure(shape, not args.no_prove))
        proved = "not proved" if args.no_prove else "each schedule proved against its graph"
        print(f"{name}: KiB moved; {proved}\n\n{table(lists[name], name == 'table')}\n")
        print("\n".join(summary(name, lists[name])) + "\n")
    hand = [measure_hand(case, not args.no_prove) for case in cases]
    if hand:
        print(f"hand: KiB moved by -O1, cycles of -O2, against plans by hand\n\n{hand_table(hand)}\n")
    if "planning" in wanted:
        print(aligned(timed_rows()))
    if args.json:
        args.json.write_text(json.dumps(record(lists), indent=2) + "\n", encoding="utf-8")
    for path in args.markdown:
        refresh(path, "quality", lambda what: marked(lists, what))
    worse = regressions(record(lists), json.loads(args.against.read_text(encoding="utf-8"))) if args.against else []
    print("\n".join(worse), file=sys.stderr, end="\n" if worse else "")
    missed = args.within is not None and not all(row.within(args.within) for row in hand)
    return 1 if worse or missed else 0


if __name__ == "__main__":
    sys.exit(main())
