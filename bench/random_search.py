"""Holds the plans of -O1 against a randomised search for orders of tiles: how much better could they be?

    python bench/random_search.py                        forty graphs, with a hundred times what -O1 may plan: hours
    python bench/random_search.py --budget 2000000       a budget in execs for each graph: a quarter of an hour
    python bench/random_search.py --rows gate --json now.json

Each order that is found is written out as uops, scheduled with eviction by cost, read back, replayed and proved against
its graph; the bytes are those of that schedule. The exit status is 1 if one is below -O1's by more than `--within`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from annealing import Annealing, Found, Judge
from branching import BRANCHING
from loop_recipes import layers_of, told
from notation import Shape
from planning_cases import HAND
from quality import kib, planned, times, traffic
from tables import aligned

import tilewright
from tilewright.dialects.target import target_of
from tilewright.ir.builtin import ModuleOp
from tilewright.lowering.allocs import config_of
from tilewright.lowering.rewriting import map_functions
from tilewright.lowering.tile_program import TileProgram
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.passes.reorder import in_order, program_of
from tilewright.planner.dependences import Chains
from tilewright.planner.nest_trials import EFFORT, LEAST_STEPS

TIMES = 100
"""How many times the steps that -O1 may plan the search may try, unless it is told."""


@dataclass(frozen=True)
class Result:
    """What was found for a graph; bytes. `how` says which order it was, by which stage of the search."""

    name: str
    sram: int
    execs: int
    bound: int
    o1: int
    found: int
    how: str
    seconds: float

    @property
    def ratio(self) -> float:
        return self.o1 / self.found


def searched(shape: Shape, budget: int | None, seed: int) -> Result:
    """A graph's row. Raises where a found order is no legal one, or computes something else."""
    start = time.process_time()
    graph = tilewright.parse(shape.text)
    uops, tiles = uops_of(graph, shape)
    chains = Chains(tiles.program)
    module, _ = planned(graph, shape.pipeline("O1"))
    if module is None:
        raise ValueError(f"{shape.name}: -O1 has no schedule")
    o1, bound = traffic(graph, module, True)
    (func,) = uops.functions()
    config = config_of(func, target_of(func, uops, sram_bytes=shape.sram))
    execs = chains.execs
    steps = TIMES * max(LEAST_STEPS, EFFORT * len(execs)) if budget is None else budget
    layers = layers_of(tiles, chains)
    found = Annealing(layers, Judge(chains, config, bound, steps), Found(execs, o1), seed).run()
    cost = o1 if found.order is execs else checked(graph, uops, tiles, found, shape)
    how = f"{found.stage}: {told(layers, found.recipe)}" if found.recipe else found.stage
    return Result(shape.name, shape.sram, len(execs), bound, o1, cost, how, round(time.process_time() - start, 1))


def uops_of(graph: ModuleOp, shape: Shape) -> tuple[ModuleOp, TileProgram]:
    """The uops that -O1 schedules, as a module and as a tile program."""
    passes = parse_pipeline(shape.pipeline("O1"))
    before = [p for p in passes if p.name != "schedule"]
    module = run_passes_on(graph, before, verify_input=False)
    (func,) = module.functions()
    return module, program_of(func, target_of(func, module, sram_bytes=shape.sram))


def checked(graph: ModuleOp, uops: ModuleOp, tiles: TileProgram, found: Found, shape: Shape) -> int:
    """Bytes that the schedule of a found order moves, by its text, proved. Raises `ValueError` for an order that is not
    legal or has other costs than the search believed."""
    emitted = Chains(tiles.program).emit(found.order)
    if emitted is None:
        raise ValueError(f"{shape.name}: the order found is not legal")
    ordered = map_functions(uops, lambda func, _: in_order(func, tiles, emitted))
    module = run_passes_on(ordered, parse_pipeline(f"schedule{{sram={shape.sram} evict=cost dram}}"))
    moved, _ = traffic(graph, module, True)
    if moved != found.cost:
        raise ValueError(f"{shape.name}: the order found moves {moved} bytes, the search believed {found.cost}")
    return moved


def table(results: Sequence[Result]) -> str:
    """For a terminal; KiB, what loses most first."""
    lines = [["workload", "SRAM", "execs", "bound", "-O1", "found", "-O1 / found", "found / bound", "seconds"]]
    for r in sorted(results, key=lambda r: -r.ratio):
        lines.append([r.name, kib(r.sram), f"{r.execs:,}", kib(r.bound), kib(r.o1), kib(r.found), f"{r.ratio:.3f}",
                      times(r.found / r.bound), f"{r.seconds:.0f}"])  # fmt: skip
    return aligned(lines)


def summary(results: Sequence[Result], within: float) -> str:
    over = [f"{r.name} ({r.ratio:.2f})" for r in sorted(results, key=lambda r: -r.ratio) if r.ratio > within]
    return (
        f"At most {within}x of what was found: {len(results) - len(over)} of {len(results)} rows"
        f"{'; not: ' + ', '.join(over) if over else ''}."
    )


def record(results: Sequence[Result]) -> dict[str, dict[str, object]]:
    """What --json writes, by row."""
    return {
        r.name: {"sram": r.sram, "execs": r.execs, "bound": r.bound, "o1": r.o1, "found": r.found,
                 "ratio": round(r.ratio, 4), "how": r.how, "seconds": r.seconds}
        for r in results
    }  # fmt: skip


def run(shapes: Sequence[Shape], args: argparse.Namespace) -> list[Result]:
    """All rows, several processes at a time if they are asked for; the figures are written after each."""
    one = partial(searched, budget=args.budget, seed=args.seed)
    results: list[Result] = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for i, result in enumerate(pool.map(one, shapes), 1):
            print(f"{i}/{len(shapes)} {result.name}: {result.ratio:.3f}", file=sys.stderr, flush=True)
            results.append(result)
            if args.json:
                args.json.write_text(json.dumps(record(results), indent=2) + "\n", encoding="utf-8")
    return results


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows whose names contain this")
    parser.add_argument("--hand", action="store_true", help="the graphs that a person planned by hand instead")
    parser.add_argument("--budget", type=int, metavar="EXECS", help=f"(default {TIMES} times what -O1 may plan)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--within", type=float, default=1.05, metavar="RATIO", help="what -O1 may move (default 1.05)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser


def main(arguments: Iterable[str] | None = None) -> int:
    parser = make_parser()
    args = parser.parse_args(None if arguments is None else list(arguments))
    given = [case.shape for case in HAND] if args.hand else BRANCHING
    shapes = [shape for shape in given if args.rows in shape.name]
    if not shapes:
        parser.error(f"no row's name contains '{args.rows}'")
    results = run(shapes, args)
    print(f"KiB moved; each schedule proved against its graph\n\n{table(results)}\n\n{summary(results, args.within)}")
    for result in sorted(results, key=lambda r: -r.ratio):
        if result.ratio > args.within:
            print(f"\n{result.name}: {result.how}")
    return 1 if any(result.ratio > args.within for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
