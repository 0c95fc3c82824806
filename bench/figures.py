"""What was measured as tables: figures against bounds, microseconds of each stage, seconds of each command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median

from speed import DISTINCT_OPS, DISTINCT_SIZE, LARGEST, Measured, mlir_stage, stage
from tables import Bound, Row
from timing import Sample, ratio

HUNDRED = 100_000
MIB = 2**20

OURS, MLIR, XDSL = "opt, generic text", "mlir-opt", "xdsl-opt"


def bounded_rows(measured: Measured) -> list[Row]:
    """The figures that have bounds, and a few beside them."""
    generic = "opt, generic to generic", "mlir-opt, generic form"
    return [
        against(measured, "`opt` / `mlir-opt`, generic text", HUNDRED, OURS, MLIR, Bound(1.0, 0.7, most=True)),
        against(measured, "the same, `mlir-opt --mlir-print-op-generic`", HUNDRED, OURS, generic[1]),
        against(measured, "the same, both print the generic form", HUNDRED, *generic),
        distinct(measured),
        against(measured, "`xdsl-opt` / `opt`", 10_000, XDSL, OURS, Bound(30, 80)),
        rate(measured, "parse", "pretty", "Parser", Bound(1.3, 2.0)),
        rate(measured, "parse", "generic", "Parser", Bound(1.0, 1.7)),
        rate(measured, "print pretty", "pretty", "Output", Bound(1.3, 2.4)),
        rate(measured, "print generic", "generic", "Output", Bound(0.5, 0.7)),
        start_up(measured),
        memory(measured, "pretty"),
        memory(measured, "generic"),
        against(measured, "`opt --schedule` / `mlir-opt`", LARGEST, "opt --schedule", MLIR, Bound(2.0, 1.2, most=True)),
        growth(measured),
    ]


def distinct(measured: Measured) -> Row:
    """A schedule with hardly a line twice."""
    row = against(
        measured, "", DISTINCT_SIZE, "opt, distinct lines", "mlir-opt, distinct lines", Bound(0.8, 0.7, most=True)
    )
    return replace(row, name=f"`opt` / `mlir-opt`, generic text, {DISTINCT_OPS:,} operations, hardly a line twice")


def against(measured: Measured, name: str, size: int, above: str, below: str, bound: Bound | None = None) -> Row:
    """A command's time in that of another, whole processes, the median of the turns."""
    name = f"{name}, {size:,} operations"
    a, b = measured.of(size, above), measured.of(size, below)
    if not a or not b:
        return Row(name, None, "x", bound, note=measured.why(above, below))
    wall = ratio([s.wall for s in a], [s.wall for s in b])
    return Row(name, wall, "x", bound, ratio([s.cpu for s in a], [s.cpu for s in b]))


def rate(measured: Measured, name: str, form: str, line: str, bound: Bound) -> Row:
    """How often a stage's rate is that of a stage of mlir-opt."""
    shown = f"{name.split()[0]} {form}, rate / `mlir-opt`'s {line}, {HUNDRED:,} operations"
    ours, theirs = measured.of(HUNDRED, f"stages, {form}"), measured.of(HUNDRED, "mlir-opt, timed")
    if not ours or not theirs:
        return Row(shown, None, "x", bound, note=measured.why(f"stages, {form}", "mlir-opt, timed"))
    wall = ratio([mlir_stage(s, line) for s in theirs], [stage(s, name) for s in ours])
    cpu = ratio([mlir_stage(s, line, cpu=True) for s in theirs], [stage(s, name, cpu=True) for s in ours])
    return Row(shown, wall, "x", bound, cpu)


def start_up(measured: Measured) -> Row:
    name, bound = "`opt` on ten lines, beyond `python -c pass`", Bound(60, 35, most=True)
    ours, bare = measured.of(10, "opt, pretty text"), measured.of(10, "python")
    if not ours or not bare:
        return Row(name, None, "ms", bound, note=measured.why("opt, pretty text", "python"))
    beyond = [
        1000 * median(figure(a) - figure(b) for a, b in zip(ours, bare, strict=True)) for figure in (wall_of, cpu_of)
    ]
    return Row(name, beyond[0], "ms", bound, beyond[1])


def wall_of(sample: Sample) -> float:
    return sample.wall


def cpu_of(sample: Sample) -> float:
    return sample.cpu


def memory(measured: Measured, form: str) -> Row:
    """What a parsed module takes, the parser's memos included, the text not."""
    name, bound = f"memory of a parsed operation, {form}", Bound(900, 400, most=True)
    found = measured.of(HUNDRED, f"memory, {form}")
    if not found:
        return Row(name, None, "B", bound, note=measured.why(f"memory, {form}"))
    sizes = json.loads(found[0].output)
    return Row(name, (sizes["module"] + sizes["memos"]) / sizes["ops"], "B", bound)


def growth(measured: Measured) -> Row:
    """The modules hold whole layers: per operation, times ten, so that 10 is linear."""
    name, bound = f"`opt --schedule`, time for {LARGEST:,} / for {HUNDRED:,}", Bound(11, 10, most=True)
    runs = [measured.of(size, "opt --schedule") for size in (LARGEST, HUNDRED)]
    if not all(runs):
        return Row(name, None, "x", bound, note=measured.why("opt --schedule"))
    large, small = measured.ops[LARGEST], measured.ops[HUNDRED]
    grown = [
        median(map(figure, runs[0])) / large / (median(map(figure, runs[1])) / small) * 10
        for figure in (wall_of, cpu_of)
    ]
    return Row(name, grown[0], "x", bound, grown[1])


# Tables without bounds

STAGES = (
    ("parse, pretty", "stages, pretty", "parse"),
    ("parse, generic", "stages, generic", "parse"),
    ("parse, pretty, the second time in a process", "stages, pretty", "parse again"),
    ("parse, pretty, Lark alone", "stages, Lark", "parse"),
    ("verify", "stages, pretty", "verify"),
    ("print pretty", "stages, pretty", "print pretty"),
    ("print generic", "stages, pretty", "print generic"),
    ("schedule pass", "stages, pretty", "schedule pass"),
    ("a schedule: parse", "stages, schedule", "parse"),
    ("a schedule: verify", "stages, schedule", "verify"),
    ("a schedule: print", "stages, schedule", "print pretty"),
)
"""By row: the command, and its stage."""

MLIR_STAGES = (("`mlir-opt`'s Parser, generic", "Parser"), ("`mlir-opt`'s Output", "Output"))


def large_sizes(measured: Measured) -> list[int]:
    return [size for size in measured.samples if size > 10]


def stage_lines(measured: Measured) -> list[list[str]]:
    """Microseconds of processor time an operation."""
    sizes = large_sizes(measured)
    lines = [["µs an operation, in a module of", *(f"{size:,}" for size in sizes)]]
    rows: list[tuple[str, str, Callable[[Sample], float]]] = [
        *((name, command, partial(stage, name=which, cpu=True)) for name, command, which in STAGES),
        *((name, "mlir-opt, timed", partial(mlir_stage, name=which, cpu=True)) for name, which in MLIR_STAGES),
    ]
    for name, command, seconds in rows:
        cells = [per_op(measured, size, command, seconds) for size in sizes]
        if any(cells):
            lines.append([name, *cells])
    return lines


def per_op(measured: Measured, size: int, command: str, seconds: Callable[[Sample], float]) -> str:
    samples = measured.of(size, command)
    if not samples:
        return ""
    sizes = json.loads(samples[0].output) if command.startswith("stages") else {}
    return f"{median(map(seconds, samples)) * 1e6 / sizes.get('ops', measured.ops[size]):.2f}"


COMMANDS = (
    "opt, pretty text", OURS, "opt --schedule", "opt --parser=lark, generic text", MLIR, "mlir-opt, generic form", XDSL,
)  # fmt: skip


def process_lines(measured: Measured) -> list[list[str]]:
    """Seconds by the clock of whole processes; the last column is the memory at the largest size."""
    lines = [["seconds", *("ten lines" if size == 10 else f"{size:,}" for size in measured.samples), "MiB"]]
    for name in COMMANDS:
        cells = [seconds_text(measured.of(size, name)) for size in measured.samples]
        last = next((runs for size in reversed(measured.samples) if (runs := measured.of(size, name))), None)
        if last:
            lines.append([name, *cells, f"{median(s.memory for s in last) / MIB:,.0f}"])
    return lines


def seconds_text(samples: Sequence[Sample]) -> str:
    return f"{median(s.wall for s in samples):.2f}" if samples else ""


PARTS = ("parse", "verify", "schedule pass", "verify schedule", "print schedule")


def share_lines(measured: Measured) -> list[list[str]]:
    """Of what the processor time of `opt --schedule` consists."""
    size = max(measured.samples)
    head = [f"`opt --schedule`, {size:,} operations", "s", "share"]
    runs, samples = measured.of(size, "opt --schedule"), measured.of(size, "stages, pretty")
    if not runs or not samples:
        return [head]
    whole = median(s.cpu for s in runs)
    parts = {name: median(stage(s, name, cpu=True) for s in samples) for name in PARTS}
    parts["start, files, exit"] = whole - sum(parts.values())
    return [head, *([name, f"{taken:.2f}", f"{taken / whole:.0%}"] for name, taken in parts.items())]


def memory_lines(measured: Measured) -> list[list[str]]:
    """Bytes an operation of a parsed module, by what holds them."""
    lines = [["bytes an operation", "module", "memos", "text", "resident set"]]
    for form in ("pretty", "generic"):
        for size in large_sizes(measured):
            for sample in measured.of(size, f"memory, {form}"):
                sizes = json.loads(sample.output)
                figures = [f"{sizes[key] / sizes['ops']:.0f}" for key in ("module", "memos", "text", "resident")]
                lines.append([f"{form}, {size:,} operations", *figures])
    return lines


# Curves

Curves = dict[str, dict[str, list[tuple[int, float]]]]


def curves(measured: Measured) -> Curves:
    """What the plot draws, by operations, of processor time: operations a second of stages, seconds of processes."""
    rates: dict[str, list[tuple[int, float]]] = {}
    costs: dict[str, list[tuple[int, float]]] = {}
    for size in large_sizes(measured):
        ops = measured.ops[size]
        for name, command, which in STAGES:
            if (samples := measured.of(size, command)) and not command.endswith("schedule"):
                rates.setdefault(name, []).append((ops, ops / median(stage(s, which, cpu=True) for s in samples)))
        for name, which in MLIR_STAGES:
            if samples := measured.of(size, "mlir-opt, timed"):
                taken = median(mlir_stage(s, which, cpu=True) for s in samples)
                rates.setdefault(name.replace("`", ""), []).append((ops, ops / taken))
        for name in COMMANDS:
            if samples := measured.of(size, name):
                costs.setdefault(name, []).append((ops, median(s.cpu for s in samples)))
    return {"rates": rates, "costs": costs}
