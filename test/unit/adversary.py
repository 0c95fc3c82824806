"""A second mutation test of verifier and proof: faults in the text, by somebody who has not read what is tested.

A mutant that neither refuses must mean the same: give the same bits on three inputs of integers, in a run of its own
(`strict_run.py`) with NaN wherever nothing has been written, and keep its claims. Behind functions that are not exact
results may part by a rounding. Edits that keep the meaning are tried as well; none may be refused.
`python test/unit/adversary.py --count 30000 --seed 1` prints the counts by kind.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import tilewright
from tilewright.analysis.proof import prove_module
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.ir.diagnostics import DiagnosticError

if __package__:
    from . import strict_claims, strict_run, text_faults, text_keys, text_ops
    from .adversary_bases import BASES
    from .text_faults import Fault, Lines
    from .text_same import SAME
else:
    sys.path.insert(0, str(Path(__file__).parent))
    import strict_claims  # type: ignore[no-redef]
    import strict_run  # type: ignore[no-redef]
    import text_faults  # type: ignore[no-redef]
    import text_keys  # type: ignore[no-redef]
    import text_ops  # type: ignore[no-redef]
    from adversary_bases import BASES  # type: ignore[no-redef]
    from text_faults import Fault, Lines  # type: ignore[no-redef]
    from text_same import SAME  # type: ignore[no-redef]

PRETTY: dict[str, Fault] = {
    "extent of an alloc": text_faults.alloc_extent,
    "extent of an argument": text_faults.argument_extent,
    "tile shape": text_faults.tile_shape,
    "element type": text_faults.element_type,
    "buffers merged": text_faults.merged,
    "buffers exchanged": text_faults.exchanged,
    "results": text_faults.returned,
    "results that are no tiles": text_faults.loose_values,
    "operation repeated": text_ops.repeated,
    "operations dropped": text_ops.dropped,
    "order": text_ops.order,
    "coordinate": text_ops.coordinate,
    "address": text_ops.address,
    "tile": text_ops.other_tile,
    "sources": text_ops.sources,
    "= and +=": text_ops.assignment,
    "kernel": text_ops.kernel,
    "parameter": text_ops.parameter,
    "activation": text_ops.activation,
    "queue, wait, signal": text_ops.queue,
    "mark": text_ops.mark,
    "SRAM and places": text_ops.where,
    "statistic": text_ops.figure,
    "operations in a region": text_ops.hidden_in_region,
    "unknown operation": text_ops.unknown_operation,
    "function nested": text_ops.nested_function,
}
GENERIC: dict[str, Fault] = {
    "generic: key missing": text_keys.key_missing,
    "generic: key too many": text_keys.key_extra,
    "generic: key of another type": text_keys.key_type,
    "generic: key nested": text_keys.key_nested,
    "generic: operands": text_keys.operands,
}
BETWEEN, TWICE = "between functions", "two faults"
KINDS = [*PRETTY, *GENERIC, BETWEEN, TWICE]
KEEPS_FIGURES = 0.1
"""How many mutants keep `sched.stats`; all others lose it, so that the fault itself must be found."""
TRIES = 20
"""How often a fault is looked for in a text where it may not apply."""
PROBLEMS = ("missed", "crashed", "alarms")
SLACK = 2.0**-20
"""How far results behind inexact kernels may part, relative to the largest one: f32 sums in another order."""


@dataclass(slots=True)
class Base:
    """A valid text, what it must compute, inputs, and its results of each input, by function."""

    name: str
    text: str
    generic: str
    model: ModuleOp
    funcs: dict[str, FuncOp]
    inputs: dict[str, list[list[object]]]
    wanted: dict[str, list[list[object]]]
    exact: bool


@dataclass(slots=True)
class Tally:
    """Texts of one kind; `missed`, `crashed` and `alarms` (refused, but right) have what was wrong and the text."""

    tried: int = 0
    refused: int = 0
    same: int = 0
    missed: list[tuple[str, str]] = field(default_factory=list)
    crashed: list[tuple[str, str]] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)


def base(name: str, model: str, pipeline: str) -> Base:
    text = tilewright.run_passes(model, pipeline) if pipeline else tilewright.print(tilewright.parse(model))
    module = tilewright.parse(text)
    funcs = {f.sym_name: f for f in module.functions()}
    inputs = {n: [inputs_of(f, seed) for seed in (1, 2, 3)] for n, f in funcs.items()}
    wanted = {n: [strict_run.StrictRun(f).run(i) for i in inputs[n]] for n, f in funcs.items()}
    exact = not any(re.search(rf"\b{kernel}\b", model) for kernel in strict_run.INEXACT)
    return Base(
        name, text, tilewright.print(module, generic=True), tilewright.parse(model), funcs, inputs, wanted, exact
    )


def bases() -> list[Base]:
    return [base(*of) for of in BASES]


def inputs_of(func: FuncOp, seed: int) -> list[object]:
    """Whole numbers from -4 to 4 for tensors, in double precision; a name for what is none."""
    rng = np.random.default_rng(seed)
    found: list[object] = []
    for k, arg in enumerate(func.args):
        tensor = strict_claims.tensor(arg)
        found.append(f"argument {k}" if tensor is None else rng.integers(-4, 5, tensor.shape).astype(np.float64))
    return found


# Mutants.


def mutant(rng: Random, kind: str, of: Base) -> str | None:
    """A text with a fault of that kind, None where there is none to be made."""
    for _ in range(TRIES):
        text = of.generic if kind in GENERIC else of.text
        if kind != "statistic" and rng.random() >= KEEPS_FIGURES:
            text = re.sub(r"(, )?sched\.stats = \{.*?\}", "", text)
        made = _mutated(rng, kind, text)
        if made is not None and made.rstrip() != text.rstrip():
            return made
    return None


def _mutated(rng: Random, kind: str, text: str) -> str | None:
    if kind in GENERIC:
        lines = text.splitlines()
        return "\n".join(lines) if GENERIC[kind](rng, lines) else None
    if kind == BETWEEN:
        return between(rng, text)
    if kind == TWICE:
        for one in rng.sample([k for k in PRETTY if k != "function nested"], 2):
            text = _in_function(rng, text, PRETTY[one]) or text
        return text
    return _in_function(rng, text, PRETTY[kind])


def _in_function(rng: Random, text: str, change: Callable[[Random, Lines], bool]) -> str | None:
    """A text with one of its functions changed."""
    parts = functions(text)
    found = [p for p in parts if p[0].lstrip().startswith("func.func")]
    if not found or not change(rng, rng.choice(found)):
        return None
    return "\n".join(line for part in parts for line in part)


def functions(text: str) -> list[Lines]:
    """The lines of each function, and those between them."""
    parts: list[Lines] = []
    inside = False
    for line in text.splitlines():
        starts = line.lstrip().startswith("func.func")
        if starts or not inside or not parts:
            parts.append([])
        parts[-1].append(line)
        inside = (inside or starts) and line.strip() != "}"
    return parts


def between(rng: Random, text: str) -> str | None:
    """An operation goes to another function, bodies or names are exchanged, or one function is there twice."""
    parts = functions(text)
    found = [k for k, p in enumerate(parts) if p[0].lstrip().startswith("func.func")]
    one = rng.choice(found)
    how = rng.randrange(5)
    if how == 0:
        copy = list(parts[one])
        copy[0] = re.sub(r"@\w+", rng.choice(("@other", r"\g<0>")), copy[0], count=1)
        parts.insert(one + rng.randrange(2), copy)
    elif len(found) < 2:
        return None
    else:
        other = rng.choice([k for k in found if k != one])
        a, b = parts[one], parts[other]
        names = [re.search(r"@\w+", p[0])[0] for p in (a, b)]  # type: ignore[index]
        if how == 1:
            a[0], b[0] = a[0].replace(names[0], names[1]), b[0].replace(names[1], names[0])
        elif how == 2:
            a[1:], b[1:] = b[1:], a[1:]
        elif how == 3:
            lines = a if rng.random() < 0.5 else b
            lines.insert(rng.randrange(1, len(lines)), rng.choice(b[1:-1]))
        else:
            del parts[one]
    return "\n".join(line for part in parts for line in part)


# What becomes of one.


def read(text: str) -> ModuleOp:
    return tilewright.parse(text, allow_unregistered=True)


def outcome(of: Base, text: str) -> tuple[str, str]:
    """ "refused", "same", "missed" or "crashed", and why."""
    try:
        module = read(text)
        prove_module(of.model, module)
    except DiagnosticError as error:
        return "refused", str(error)
    except RecursionError:
        return "crashed", "RecursionError"
    except Exception as error:
        return "crashed", f"{type(error).__name__}: {error}"
    why = next(differences(of, module), "") or misprinted(module)
    return ("missed", why) if why else ("same", "")


def misprinted(module: ModuleOp) -> str:
    """What is wrong with the text of an accepted module."""
    for generic in (False, True):
        try:
            if read(tilewright.print(module, generic=generic)) != module:
                return "another module is printed"
        except DiagnosticError as error:
            return f"what is printed is refused: {error}"
    return ""


def differences(of: Base, module: ModuleOp) -> Iterator[str]:
    """Where an accepted text does something else than the base."""
    yield from strict_claims.hidden(module)
    found = [op for op in module.walk() if isinstance(op, FuncOp)]
    single = len(found) == len(of.funcs) == 1
    named = {(next(iter(of.funcs)) if single else f.sym_name): f for f in found}
    for name, func in of.funcs.items():
        if name not in named:
            yield f"function @{name} is missing"
            return
        yield from (f"@{name}: {d}" for d in other_interface(func, named[name]))
    for func in found:
        name = next(iter(of.funcs)) if single else func.sym_name
        if name in of.funcs:
            yield from strict_claims.broken_claims(func)
            yield from (f"@{name}: {d}" for d in other_results(of, name, func))


def other_interface(one: FuncOp, other: FuncOp) -> Iterator[str]:
    for what, a, b in (("arguments", one.args, other.args), ("results", one.ops[-1].operands, other.ops[-1].operands)):
        kinds = [[strict_claims.tensor(v) or v.type for v in values] for values in (a, b)]
        if kinds[0] != kinds[1]:
            yield f"other {what}: {', '.join(map(str, kinds[1]))}"


def other_results(of: Base, name: str, func: FuncOp) -> Iterator[str]:
    for given, wanted in zip(of.inputs[name], of.wanted[name], strict=True):
        made = strict_run.StrictRun(func).run(given)
        for k, (a, b) in enumerate(zip(wanted, made, strict=True)):
            if not agree(a, b, 0 if of.exact else SLACK):
                yield f"result {k} differs{' (NaN)' if isinstance(b, np.ndarray) and np.isnan(b).any() else ''}"
                return


def agree(a: Any, b: Any, slack: float) -> bool:
    """Whether two results are one; arrays may part by so much, relative to the largest element."""
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return type(a) is type(b) and a == b
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= slack * np.abs(a).max()))


def cells(made: list[Base], rng: Random, kinds: Sequence[str]) -> Iterator[tuple[str, Base]]:
    """Kinds and bases, each pair once in every round, in random order."""
    while True:
        pairs = [(kind, of) for kind in kinds for of in made]
        rng.shuffle(pairs)
        yield from pairs


def run_catalogue(made: list[Base], count: int, seed: int, kinds: Sequence[str] = KINDS) -> dict[str, Tally]:
    """Tries `count` mutants of some kinds; the same seed tries the same ones."""
    rng = Random(seed)
    tallies = {kind: Tally() for kind in kinds}
    tried = 0
    for kind, of in cells(made, rng, kinds):
        if tried == count:
            break
        text = mutant(rng, kind, of)
        if text is not None:
            tried += 1
            book(tallies[kind], of, text)
    return tallies


def book(tally: Tally, of: Base, text: str, right: bool = False) -> None:
    """Counts what becomes of a text; `right` says that nothing is wrong with it."""
    tally.tried += 1
    what, why = outcome(of, text)
    tally.refused += what == "refused"
    tally.same += what == "same"
    texts = {"missed": tally.missed, "crashed": tally.crashed} | ({"refused": tally.alarms} if right else {})
    if what in texts:
        texts[what].append((f"{of.name}: {why}", text))


def keep_meaning(made: list[Base], count: int, seed: int) -> dict[str, Tally]:
    """Tries as many edits that keep the meaning, one to three at a time; counted by the first of them."""
    rng = Random(seed)
    tallies = {kind: Tally() for kind in SAME}
    tried = 0
    while tried < count:
        of = rng.choice(made)
        alone = len(of.funcs) == 1 and of.text.startswith("func.func")
        known = [kind for kind in SAME if alone or kind not in ("function renamed", "wrappers and locations")]
        text, done = of.text, []
        for kind in sorted(rng.sample(known, rng.choice((1, 1, 2, 3))), key=known.index):
            changed = _in_function(rng, text, SAME[kind])
            if changed is not None:
                text, done = changed, [*done, kind]
        if done:
            tried += 1
            book(tallies[rng.choice(done)], of, text, right=True)
    return tallies


def table(tallies: dict[str, Tally], first: str = "what is changed") -> str:
    """The counts by kind, as Markdown."""
    rows = [f"| {first} | tried | refused | same | missed |", "|---|---|---|---|---|"]
    sums: Counter[str] = Counter()
    for kind, t in tallies.items():
        counts = {"tried": t.tried, "refused": t.refused, "same": t.same, "missed": len(t.missed) + len(t.crashed)}
        rows.append(f"| {kind} | {' | '.join(f'{n:,}' for n in counts.values())} |")
        sums.update(counts)
    rows.append(f"| **all** | {' | '.join(f'{n:,}' for n in sums.values())} |")
    return "\n".join(rows)


def save(folder: Path, tallies: dict[str, Tally]) -> None:
    """Writes each text that was missed or ended in a traceback, with what was wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, tally in tallies.items():
        for what in PROBLEMS:
            for k, (why, text) in enumerate(getattr(tally, what)):
                name = re.sub(r"\W+", "-", kind).strip("-")
                (folder / f"{what}-{name}-{k}.mir").write_text(f"// {why.splitlines()[0]}\n{text}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="tries faults in texts of schedules and prints what became of them")
    parser.add_argument("--count", type=int, default=30_000, help="how many mutants")
    parser.add_argument("--same", type=int, default=2_000, help="how many edits that keep the meaning")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="where to write the texts that were missed")
    args = parser.parse_args()
    made = bases()
    for tallies, first in (
        (run_catalogue(made, args.count, args.seed), "what is changed"),
        (keep_meaning(made, args.same, args.seed), "what keeps its meaning"),
    ):
        print(table(tallies, first), end="\n\n")
        reasons = Counter(
            (what, kind, why) for kind, t in tallies.items() for what in PROBLEMS for why, _ in getattr(t, what)
        )
        for (what, kind, why), n in reasons.most_common():
            print(f"{n:5} {what}: {kind}: {why.splitlines()[0]}")
        if args.save:
            save(args.save, tallies)


if __name__ == "__main__":
    main()
