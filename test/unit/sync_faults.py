"""A mutation test of the check of queues: waits, signals and queues of synchronised schedules are changed at random.

Each mutant runs in several interleavings, with poison. If one of them meets a race or a deadlock, or computes something
else, the verifier must have refused it. `python test/unit/sync_faults.py` prints the counts by kind.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tilewright
from tilewright.dialects.checks.queues import Placed, placed_ops
from tilewright.ir.attributes import UNIT
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.ir.diagnostics import DiagnosticError
from tilewright.ir.verifier import verification_errors
from tilewright.runtime.execute import execute_function, random_inputs
from tilewright.runtime.queues import Engines

if __package__:
    from .fault_cases import CHAIN, QUANTIZED
    from .faults import copied
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from fault_cases import CHAIN, QUANTIZED  # type: ignore[no-redef]
    from faults import copied  # type: ignore[no-redef]

CASES = [
    (CHAIN, 1, "tile{sizes=4x4x4},lower,schedule{sram=512 align=16},prefetch,sync"),
    (CHAIN, 2, "fuse,tile{sizes=4x4x4},lower,forward,schedule{sram=256 align=16 evict=cost},prefetch,sync"),
    (CHAIN, 3, "fuse,tile{sizes=3x5x5},lower,schedule{sram=1024 align=4},prefetch,sync"),
    (QUANTIZED, 1, "tile{sizes=4x4x4},lower,forward,schedule{sram=192 align=4 evict=cost},sync"),
    (QUANTIZED, 2, "tile{sizes=4x4x4},lower,schedule{sram=256 align=4},prefetch,sync"),
]
"""Programs, how many DMA channels their machine has, and how they are compiled."""

SEEDS = 6


@dataclass(slots=True)
class Case:
    """A synchronised schedule, an input, and what it must compute from it."""

    func: FuncOp
    inputs: dict[str, Any]
    results: list[Any]


@dataclass(slots=True)
class Tally:
    """Mutants of one kind; `shown` are the refused ones that a run fails on."""

    tried: int = 0
    refused: int = 0
    shown: int = 0
    harmless: int = 0
    missed: list[str] = field(default_factory=list)


def cases() -> list[Case]:
    made = []
    for text, channels, pipeline in CASES:
        module = tilewright.parse(text)
        (model,) = module.functions()
        model.attrs = model.attrs | {"sched.target": {"dma_channels": channels}}
        schedule = tilewright.parse(tilewright.run_passes(tilewright.print(module), pipeline))
        (func,) = schedule.functions()
        inputs = random_inputs(model, 1)
        made.append(Case(func, inputs, execute_function(model, module, inputs).arrays))
    return made


# Mutations: each changes a copied function in place and says whether it could.

Mutation = Callable[[random.Random, list[Placed]], bool]


def waiting(rng: random.Random, ops: list[Placed]) -> tuple[int, int]:
    """An operation that waits, and which of its waits."""
    i = rng.choice([i for i, op in enumerate(ops) if op.wait])
    return i, rng.randrange(len(ops[i].wait or ()))


def without(op: Placed, which: int) -> None:
    op.wait = tuple(w for k, w in enumerate(op.wait or ()) if k != which) or None


def neighbour(rng: random.Random, ops: list[Placed], i: int) -> int | None:
    """The operation before or after one, in the text or in its queue."""
    places = list(range(len(ops)))
    if rng.random() < 0.5:
        places = [k for k in places if ops[k].queue == ops[i].queue]
    at = places.index(i) + rng.choice((-1, 1))
    return places[at] if 0 <= at < len(places) else None


def drop_wait(rng: random.Random, ops: list[Placed]) -> bool:
    i, which = waiting(rng, ops)
    without(ops[i], which)
    return True


def lower_count(rng: random.Random, ops: list[Placed]) -> bool:
    i, which = waiting(rng, ops)
    waits = list(ops[i].wait or ())
    queue, count = waits[which]
    if count == 1:
        return False
    waits[which] = (queue, rng.choice((count - 1, rng.randrange(1, count))))
    ops[i].wait = tuple(waits)
    return True


def move_wait(rng: random.Random, ops: list[Placed]) -> bool:
    i, which = waiting(rng, ops)
    other = neighbour(rng, ops, i)
    if other is None:
        return False
    moved = (ops[i].wait or ())[which]
    without(ops[i], which)
    ops[other].wait = (*(ops[other].wait or ()), moved)
    return True


def drop_signal(rng: random.Random, ops: list[Placed]) -> bool:
    rng.choice([op for op in ops if op.signal is UNIT]).signal = None
    return True


def move_signal(rng: random.Random, ops: list[Placed]) -> bool:
    i = rng.choice([i for i, op in enumerate(ops) if op.signal is UNIT])
    other = neighbour(rng, ops, i)
    if other is None or ops[other].signal is UNIT:
        return False
    ops[i].signal, ops[other].signal = None, UNIT
    return True


def change_queue(rng: random.Random, ops: list[Placed]) -> bool:
    op = rng.choice(ops)
    queues = sorted({o.queue for o in ops if type(o) is type(op) or rng.random() < 0.1} - {op.queue, None})  # type: ignore[type-var]
    op.queue = rng.choice([*queues, 9])
    return True


MUTATIONS: dict[str, Mutation] = {
    "wait dropped": drop_wait,
    "wait's count lowered": lower_count,
    "wait moved to a neighbour": move_wait,
    "signal dropped": drop_signal,
    "signal moved to a neighbour": move_signal,
    "queue": change_queue,
}


def fails(case: Case, func: FuncOp, module: ModuleOp, seeds: int) -> bool:
    """Whether an interleaving meets a race or a deadlock, or computes something else."""
    queues = sorted({op.queue or 0 for op in placed_ops(func)})
    ways = [*[Engines(favourite=queue) for queue in queues], *[Engines(seed=seed) for seed in range(seeds)]]
    for engines in ways:
        try:
            given = execute_function(func, module, case.inputs, verified=True, engines=engines).arrays
        except DiagnosticError:
            return True
        if not all(np.array_equal(a, b) for a, b in zip(case.results, given, strict=True)):
            return True
    return False


def try_mutant(rng: random.Random, mutate: Mutation, case: Case, tally: Tally, seeds: int) -> None:
    """One mutant, counted by what becomes of it."""
    func = copied(case.func)
    if not mutate(rng, placed_ops(func)):
        return
    tally.tried += 1
    module = ModuleOp([func])
    refused = bool(verification_errors(module))
    failed = fails(case, func, module, seeds)
    if refused:
        tally.refused += 1
        tally.shown += failed
    elif failed:
        tally.missed.append(tilewright.print(module))
    else:
        tally.harmless += 1


def run_catalogue(count: int, seed: int, seeds: int = SEEDS) -> dict[str, Tally]:
    """Tries `count` mutants; the same seed tries the same ones."""
    rng = random.Random(seed)
    made = cases()
    tallies = {kind: Tally() for kind in MUTATIONS}
    while sum(t.tried for t in tallies.values()) < count:
        kind = rng.choice(list(MUTATIONS))
        try_mutant(rng, MUTATIONS[kind], rng.choice(made), tallies[kind], seeds)
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """The counts by kind, as Markdown."""
    rows = ["| what is changed | tried | refused | a run fails | harmless | missed |", "|---|---|---|---|---|---|"]
    sums: Counter[str] = Counter()
    for kind, t in tallies.items():
        counts = {"tried": t.tried, "refused": t.refused, "shown": t.shown, "harmless": t.harmless,
                  "missed": len(t.missed)}  # fmt: skip
        rows.append(f"| {kind} | {' | '.join(f'{n:,}' for n in counts.values())} |")
        sums.update(counts)
    rows.append(f"| **all** | {' | '.join(f'{n:,}' for n in sums.values())} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="tries mutants of synchronised schedules, prints what became of them")
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tallies = run_catalogue(args.count, args.seed)
    print(table(tallies))
    for kind, tally in tallies.items():
        for text in tally.missed[:1]:
            print(f"\nmissed ({kind}):\n{text}")


if __name__ == "__main__":
    main()
