"""A mutation test of the verifier and the proof: valid schedules are changed in seeded random ways.

What neither refuses is run on poisoned memory with three integer inputs. If that goes wrong or gives other numbers, the
fault was missed. `python test/unit/faults.py --count 10000 --seed 1` prints the counts by kind.
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
from tilewright.analysis.proof import prove
from tilewright.dialects import sched
from tilewright.dialects.kernels import KERNELS, Kernel
from tilewright.dialects.tiles import tiled
from tilewright.ir.attributes import F32, UNIT, FloatAttr
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.ir.diagnostics import DiagnosticError
from tilewright.ir.verifier import verification_errors
from tilewright.lowering.rewriting import ValueMap, clone, copy_value, with_body
from tilewright.runtime.execute import execute_function, random_inputs

if __package__:
    from .fault_cases import CASES
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from fault_cases import CASES  # type: ignore[no-redef]


@dataclass(slots=True)
class Case:
    """A valid schedule, what it must compute, and its results on three inputs."""

    module: ModuleOp
    func: FuncOp
    model: FuncOp
    inputs: list[dict[str, Any]]
    results: list[list[Any]]


@dataclass(slots=True)
class Tally:
    """Mutants of one kind."""

    tried: int = 0
    refused: int = 0
    harmless: int = 0
    missed: list[str] = field(default_factory=list)


def cases() -> list[Case]:
    made = []
    for text, pipeline in CASES:
        model = next(tilewright.parse(text).functions())
        module = tilewright.parse(tilewright.run_passes(text, pipeline))
        func = next(module.functions())
        inputs = [random_inputs(func, seed) for seed in (1, 2, 3)]
        results = [execute_function(func, module, i).arrays for i in inputs]
        made.append(Case(module, func, model, inputs, results))
    return made


def copied(func: FuncOp) -> FuncOp:
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    return with_body(func, args, [clone(op, values) for op in func.ops])


# Mutations: each changes a copied function in place and says whether it could.

Mutation = Callable[[random.Random, FuncOp], bool]
MOVES = (sched.LoadOp, sched.ExecOp, sched.StoreOp)


def pick(rng: random.Random, func: FuncOp, *kinds: type) -> Any:
    return rng.choice([op for op in func.ops if isinstance(op, kinds or MOVES)])


def change_address(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func)
    index = rng.randrange(len(op.addrs))
    known = sorted({a for o in func.ops if isinstance(o, MOVES) for a in o.addrs})
    near = op.addrs[index] + rng.choice((-16, -4, -1, 1, 4, 16, 64))
    address = rng.choice((rng.choice(known), near, rng.randrange(0, func.attrs["sched.sram"]["total_bytes"], 4)))
    if address == op.addrs[index] or address < 0:
        return False
    op.addrs = (*op.addrs[:index], address, *op.addrs[index + 1 :])
    return True


def swap_operations(rng: random.Random, func: FuncOp) -> bool:
    places = [i for i, op in enumerate(func.ops) if isinstance(op, MOVES)]
    i, j = rng.sample(places, 2)
    if rng.random() < 0.5:
        j = min(i + 1, places[-1])
    func.ops[i], func.ops[j] = func.ops[j], func.ops[i]
    return i != j


def drop_load(rng: random.Random, func: FuncOp) -> bool:
    func.ops.remove(pick(rng, func, sched.LoadOp))
    return True


def drop_store(rng: random.Random, func: FuncOp) -> bool:
    func.ops.remove(pick(rng, func, sched.StoreOp))
    return True


def drop_exec(rng: random.Random, func: FuncOp) -> bool:
    func.ops.remove(pick(rng, func, sched.ExecOp))
    return True


def repeat_operation(rng: random.Random, func: FuncOp) -> bool:
    i = rng.choice([i for i, op in enumerate(func.ops) if isinstance(op, MOVES)])
    j = rng.choice((i, rng.randrange(i, len(func.ops) - 1)))
    values: ValueMap = {}
    func.ops.insert(j + 1, clone(func.ops[i], values))
    return True


def flip_accumulate(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.ExecOp)
    op.accumulate = not op.accumulate
    return True


def change_coordinate(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func)
    index = rng.randrange(len(op.coords))
    grid = op.operands[index].type.grid
    coord = tuple(rng.randrange(-1 if rng.random() < 0.1 else 0, g + (rng.random() < 0.1)) for g in grid)
    changed = coord != op.coords[index]
    op.coords = (*op.coords[:index], coord, *op.coords[index + 1 :])
    return changed


def change_operand(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func)
    index = rng.randrange(len(op.operands))
    others = [v for o in func.ops if isinstance(o, MOVES) for v in o.operands if v is not op.operands[index]]
    op.operands = (*op.operands[:index], rng.choice(others), *op.operands[index + 1 :])
    return True


def swap_sources(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.ExecOp)
    if len(op.operands) != 3 or (op.operands[1], op.coords[1]) == (op.operands[2], op.coords[2]):
        return False
    for name in ("operands", "coords", "addrs"):
        dst, a, b = getattr(op, name)
        setattr(op, name, (dst, b, a))
    return True


def change_kernel(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.ExecOp)
    kernel = rng.choice([name for name, kernel in KERNELS.items() if rng.random() < 0.3 or fits(kernel, op)])
    changed, op.kernel = kernel != op.kernel, kernel
    if changed and rng.random() < 0.7:
        op.params = some_params(rng, KERNELS[kernel])
    return changed


def fits(kernel: Kernel, op: Any) -> bool:
    """Whether a kernel reads as many tiles as an exec does."""
    return len(kernel.sources) == len(op.operands) - 1


def some_params(rng: random.Random, kernel: Kernel) -> tuple[FloatAttr, ...] | None:
    """As many numbers as a kernel takes, in order; None for a kernel that takes none."""
    count = sum(p.attribute == "params" for p in kernel.parameters)
    return tuple(FloatAttr(float(n), F32) for n in sorted(rng.sample(range(-9, 9), count))) or None


def change_move(rng: random.Random, func: FuncOp) -> bool:
    """Which element of its source a move begins with, how far apart they are, or what of its destination they fill."""
    moves = [(op, op.steps) for op in func.ops if isinstance(op, sched.ExecOp) and op.steps is not None]
    if not moves:
        return False
    op, steps = rng.choice(moves)
    kind = rng.choice(("first", "steps", "within"))
    if kind == "first":
        op.first = (op.first or 0) + rng.choice((-1, 1, 5, -7))
    elif kind == "steps":
        at = rng.randrange(len(steps))
        op.steps = (*steps[:at], steps[at] + rng.choice((-1, 1)), *steps[at + 1 :])
    else:
        given = op.within or tuple((0, size) for size in tiled(op.operands[0]).tensor.shape)
        at, end = rng.randrange(len(given)), rng.randrange(2)
        changed = list(given[at])
        changed[end] += rng.choice((-1, 1))
        op.within = (*given[:at], tuple(changed), *given[at + 1 :])
    return True


def change_params(rng: random.Random, func: FuncOp) -> bool:
    """One number of a kernel, or of an activation."""
    op = pick(rng, func, sched.ExecOp, sched.StoreOp)
    names = ("params", "left", "right", "activation_params", "diagonal")
    names = [n for n in names if getattr(op, n, None) is not None]
    if not names:
        return False
    name = rng.choice(names)
    given = getattr(op, name)
    if isinstance(given, int):
        op.diagonal = given + rng.choice((-4, -1, 1, 4))
        return True
    if isinstance(given, FloatAttr):
        setattr(op, name, None if rng.random() < 0.5 else FloatAttr(given.value + rng.choice((-1.0, 1.0, 0.5)), F32))
        if rng.random() < 0.5:
            setattr(op, "right" if name == "left" else "left", given)
        return (op.left, op.right) != (None, None)
    at = rng.randrange(len(given))
    changed = FloatAttr(given[at].value + rng.choice((-1.0, 1.0, 0.5)), F32)
    setattr(op, name, (*given[:at], changed, *given[at + 1 :]))
    return True


def change_bytes(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.LoadOp, sched.StoreOp)
    op.bytes += rng.choice((-4, -1, 1, 4, op.bytes))
    return True


def change_activation(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.ExecOp, sched.StoreOp)
    names = [None, *(name for name, kernel in KERNELS.items() if kernel.is_activation)]
    op.activation = rng.choice([name for name in names if name != op.activation])
    op.activation_params = some_params(rng, KERNELS[op.activation]) if op.activation else None
    return True


def change_retain(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.StoreOp)
    op.retain = None if op.retain is UNIT else UNIT
    return True


def change_spill(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.StoreOp)
    op.spill = None if op.spill is UNIT else UNIT
    return True


def change_scale(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func, sched.ExecOp)
    given = [name for name in ("zero_point", "zero_point_a", "zero_point_b") if getattr(op, name) is not None]
    if not given:
        return False
    name = rng.choice(given)
    setattr(op, name, getattr(op, name) + rng.choice((-1, 1)))
    return True


def change_stat(rng: random.Random, func: FuncOp) -> bool:
    stats = dict(func.attrs["sched.stats"])
    key = rng.choice(sorted(stats))
    stats[key] += rng.choice((-64, -1, 1, 64))
    func.attrs = func.attrs | {"sched.stats": stats}
    return True


def change_sram(rng: random.Random, func: FuncOp) -> bool:
    sram = dict(func.attrs["sched.sram"])
    sram["total_bytes"] -= rng.choice((16, 64, 128, sram["total_bytes"] // 2))
    func.attrs = func.attrs | {"sched.sram": sram}
    return True


def change_transposition(rng: random.Random, func: FuncOp) -> bool:
    """A product reads an operand transposed that it read as it is, or the other way round."""
    op = pick(rng, func, sched.ExecOp)
    name = rng.choice(("transpose_a", "transpose_b"))
    setattr(op, name, UNIT if getattr(op, name) is None else None)
    return op.kernel == "matmul" or rng.random() < 0.1


def change_axis(rng: random.Random, func: FuncOp) -> bool:
    """A reduction goes along another axis; now and then what is none has one."""
    op = pick(rng, func, sched.ExecOp)
    if op.axis is None and rng.random() < 0.9:
        return False
    changed = rng.choice((None, -1, 0, 1, 2))
    before, op.axis = op.axis, changed
    return changed != before


def change_buffer(rng: random.Random, func: FuncOp) -> bool:
    op = pick(rng, func)
    op.buffer = rng.choice([b for b in (None, 0, 1) if b != op.buffer])
    return True


MUTATIONS: dict[str, tuple[Mutation, float]] = {
    "address": (change_address, 3),
    "order (two operations swapped)": (swap_operations, 3),
    "load dropped": (drop_load, 1),
    "store dropped": (drop_store, 1),
    "exec dropped": (drop_exec, 1),
    "operation repeated": (repeat_operation, 1),
    "= and += exchanged": (flip_accumulate, 1),
    "coordinate": (change_coordinate, 2),
    "tensor": (change_operand, 1),
    "sources exchanged": (swap_sources, 1),
    "kernel": (change_kernel, 1),
    "bytes": (change_bytes, 0.5),
    "activation": (change_activation, 1),
    "retain": (change_retain, 0.5),
    "spill": (change_spill, 0.5),
    "zero point": (change_scale, 6),
    "parameter": (change_params, 8),
    "move": (change_move, 8),
    "transposition": (change_transposition, 1),
    "axis": (change_axis, 4),
    "statistic": (change_stat, 0.5),
    "SRAM size": (change_sram, 0.3),
    "buffer": (change_buffer, 0.5),
}

UNSTATED = frozenset({"statistic"})
"""Kinds whose mutants keep `sched.stats`; all others lose it, so that the replay itself must find the fault."""


def try_mutant(rng: random.Random, kind: str, mutate: Mutation, case: Case, tally: Tally) -> None:
    """One mutant, counted by what becomes of it."""
    func = copied(case.func)
    if kind not in UNSTATED:
        func.attrs = {k: v for k, v in func.attrs.items() if k != "sched.stats"}
    if not mutate(rng, func):
        return
    tally.tried += 1
    module = ModuleOp([func])
    if refused(case, func, module):
        tally.refused += 1
    elif computes_the_same(case, func, module):
        tally.harmless += 1
    else:
        tally.missed.append(tilewright.print(module))


def refused(case: Case, func: FuncOp, module: ModuleOp) -> bool:
    return bool(verification_errors(module)) or bool(prove(case.model, func))


def computes_the_same(case: Case, func: FuncOp, module: ModuleOp) -> bool:
    for inputs, wanted in zip(case.inputs, case.results, strict=True):
        try:
            given = execute_function(func, module, inputs).arrays
        except DiagnosticError:
            return False
        if not all(np.array_equal(a, b) for a, b in zip(wanted, given, strict=True)):
            return False
    return True


def run_catalogue(count: int, seed: int) -> dict[str, Tally]:
    """Tries `count` mutants; the same seed tries the same ones."""
    rng = random.Random(seed)
    made = cases()
    tallies = {kind: Tally() for kind in MUTATIONS}
    weights = [weight for _, weight in MUTATIONS.values()]
    while sum(t.tried for t in tallies.values()) < count:
        (kind,) = rng.choices(list(MUTATIONS), weights)
        try_mutant(rng, kind, MUTATIONS[kind][0], rng.choice(made), tallies[kind])
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """The counts by kind, as Markdown."""
    rows = ["| what is changed | tried | refused | harmless | missed |", "|---|---|---|---|---|"]
    sums: Counter[str] = Counter()
    for kind, t in tallies.items():
        rows.append(f"| {kind} | {t.tried:,} | {t.refused:,} | {t.harmless:,} | {len(t.missed):,} |")
        sums.update(tried=t.tried, refused=t.refused, harmless=t.harmless, missed=len(t.missed))
    rows.append(f"| **all** | {sums['tried']:,} | {sums['refused']:,} | {sums['harmless']:,} | {sums['missed']:,} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="tries mutants of valid schedules and prints what became of them")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tallies = run_catalogue(args.count, args.seed)
    print(table(tallies))
    for kind, tally in tallies.items():
        for text in tally.missed[:1]:
            print(f"\nmissed ({kind}):\n{text}")


if __name__ == "__main__":
    main()
