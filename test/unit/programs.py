"""What must hold for any graph, tile sizes and machine.

`python test/unit/programs.py --seconds 600` looks for one where it does not, and prints it as a `.mir` for a test.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.proof import prove_module
from tilewright.dialects.graph import GraphOp
from tilewright.dialects.kernels import KERNELS
from tilewright.dialects.kernels.reductions import REDUCTIONS
from tilewright.ir.builtin import ModuleOp
from tilewright.ir.diagnostics import Diagnostic
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.runtime.compare import Finding, first_difference
from tilewright.runtime.execute import Run, execute_function, random_inputs
from tilewright.runtime.queues import Engines
from tilewright.runtime.verdict import judge

if __package__:
    from .nest_choices import Choice, choices, write_choices
    from .strategies import Machine, assume_tiled, graph_texts, machines, tile_sizes
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from nest_choices import Choice, choices, write_choices  # type: ignore[no-redef]
    from strategies import Machine, assume_tiled, graph_texts, machines, tile_sizes  # type: ignore[no-redef]

Sizes = tuple[int, int, int]

PROGRAMS = (
    graph_texts(views=True, composites=True),
    tile_sizes(),
    machines(),
    st.sampled_from(["plain", "planned", "by hand"]),
    choices(),
)
"""A graph, tile sizes, a machine, who chooses the order of tiles, and what a hand would write."""


INTEGRAL = frozenset(
    ["matmul", "bias", "add", "sub", "max", "relu", "clip", "cast", *[kernel.name for kernel in REDUCTIONS.values()]]
)
"""Kernels that make integers of integers, and none that a sum in f32 can't hold."""


@dataclass
class LastTried:
    """The program under test, for a report: the last one tried is the smallest one that fails."""

    text: str = ""
    options: str = ""


LAST = LastTried()


def check_program(text: str, sizes: Sizes, machine: Machine, who: str, chosen: list[Choice]) -> None:
    """Every level computes the same, every pass proves, pipes equal in-process runs, re-parsing equals."""
    LAST.text = text
    LAST.options = f"--tile='sizes={'x'.join(map(str, sizes))}' --schedule='{machine.options()}' ({who})"
    graph = tilewright.parse(text)
    stages = compile_in_steps(graph, sizes, machine, who, chosen)
    exact = is_integral(graph)
    for name, module in stages:
        printed = tilewright.print(module)
        again = tilewright.parse(printed)
        assert again == module, name
        assert tilewright.print(again) == printed, name
        found, first, second = compared(graph, module, integers=True)
        assert found is None, name
        assert not exact or first_difference(first.arrays, second.arrays) is None, name
    scheduled = stages[-1][1]
    prove_module(graph, scheduled)
    for first, second in ((graph, scheduled), (scheduled, graph)):
        found, *_ = compared(first, second, integers=False)
        assert found is None, found.text


def is_integral(graph: ModuleOp) -> bool:
    """Whether small integers stay small integers, so that all orders of a sum give the same."""
    (func,) = graph.functions()
    if any(isinstance(op, GraphOp) and op.is_composite for op in func.ops):
        return False
    names = {getattr(op, name, None) for op in func.ops for name in ("kernel", "activation")} & KERNELS.keys()
    return names <= INTEGRAL


def compared(
    first: ModuleOp, second: ModuleOp, integers: bool, engines: Engines | None = None
) -> tuple[Finding | None, Run, Run]:
    """What `mir-run --compare` finds on random inputs, integers of which are small enough for every sum to be exact,
    and both runs; with `engines` the second one has verified queues."""
    (func,), (other,) = first.functions(), second.functions()
    inputs = random_inputs(func, 1, integers=integers, bound=1)
    renamed = {b.name: inputs[a.name] for a, b in zip(func.args, other.args, strict=True)}
    one = execute_function(func, first, inputs, record=True)
    two = execute_function(other, second, renamed, record=True, verified=engines is not None, engines=engines)
    return judge(func, list(inputs.values()), one, other, two), one, two


def compile_in_steps(
    graph: ModuleOp, sizes: Sizes, machine: Machine, who: str, chosen: list[Choice]
) -> list[tuple[str, ModuleOp]]:
    """What comes out of each pass, run in memory and on the text that the one before printed."""
    passes = [
        "decompose",
        "fuse",
        f"tile{{sizes={'x'.join(map(str, sizes))}}}",
        "lower",
        f"schedule{{{machine.options()}}}",
    ]
    if who == "planned":
        passes.insert(3, f"plan{{sram={machine.sram} align={machine.align}}}")
    if who != "plain":
        passes.insert(-1, "forward")
    stages: list[tuple[str, ModuleOp]] = []
    module = graph
    for name in passes:
        if name == "lower" and who == "by hand":
            module = with_choices(module, chosen)
        try:
            module = run_one(module, name, machine)
        except DiagnosticError as error:
            assume_tiled(error)
            raise
        stages.append((name, module))
    return stages


def with_choices(module: ModuleOp, chosen: list[Choice]) -> ModuleOp:
    """Attributes written by hand; where `lower` refuses them, with an error that has a place, fewer of them."""
    text = tilewright.print(module)

    def accepted() -> bool:
        errors: list[Diagnostic] = []
        try:
            run_passes_on(made, parse_pipeline("lower"))
        except DiagnosticError as error:
            errors = error.diagnostics
        assert all(error.loc >= 0 for error in errors)
        return not errors

    made = tilewright.parse(text)
    (func,) = made.functions()
    write_choices(func, chosen)
    if not accepted():
        made = tilewright.parse(text)
        (func,) = made.functions()
        write_choices(func, chosen, accepted)
    return tilewright.parse(tilewright.print(made))


def run_one(module: ModuleOp, name: str, machine: Machine) -> ModuleOp:
    """One pass, proved, in memory and by way of the text; a schedule gets the SRAM that it asks for."""
    try:
        made = run_passes_on(module, parse_pipeline(name), prove_each=True)
    except DiagnosticError as error:
        needs = re.search(r"\(sram=([0-9]+)\)", str(error))
        if needs is None:
            raise
        name = f"schedule{{{machine.options(int(needs[1]))}}}"
        made = run_passes_on(module, parse_pipeline(name), prove_each=True)
    assert tilewright.run_passes(tilewright.print(module), name) == tilewright.print(made), name
    assert tilewright.run_passes(tilewright.print(module, generic=True), name) == tilewright.print(made), name
    return made


def search(number: int, examples: int) -> None:
    """Tries programs from one seed. Raises what the smallest failing one raised."""

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        derandomize=False,
    )
    @given(*PROGRAMS)
    def one(text: str, sizes: Sizes, machine: Machine, who: str, chosen: list[Choice]) -> None:
        check_program(text, sizes, machine, who, chosen)

    one()


def main() -> int:
    parser = argparse.ArgumentParser(description="tries random programs until the time is up or one fails")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="where to start; default: from the clock")
    args = parser.parse_args()
    number = args.seed if args.seed is not None else int(time.time())
    end = time.monotonic() + args.seconds
    tried = 0
    while time.monotonic() < end:
        print(f"seed {number}: ", end="", flush=True)
        try:
            search(number, 200)
        except Exception as error:
            print(f"FAILED: {type(error).__name__}: {error}\n\n// RUN: opt {LAST.options} %s\n{LAST.text}")
            return 1
        print("200 programs")
        number += 1
        tried += 200
    print(f"{tried:,} programs, 0 failures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
