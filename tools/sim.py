"""mir-sim: what schedules take in time on their machine, and what their engines wait for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..passes.manager import UsageError, read_choice
from .cli import Parser, run_command
from .files import InputError, read_text, write_text
from .machine import add_target_options, aim, target_given, targets_text

if TYPE_CHECKING:
    from ..ir.builtin import FuncOp, ModuleOp

USAGE = "mir-sim [options] [FILE]"

DESCRIPTION = """\
Simulates the schedules of a module: in-order engines, the DMA channels and the compute engine, that wait for each other
where bytes of the SRAM or a tile off chip are written or read. Prints cycles, how busy each engine is, and the waits.
"""

EXAMPLES = """\
examples:
  opt --schedule model.mir | mir-sim
  mir-sim --target=npu-wide --top 3 sched.mir     on another machine; the three longest waits
  mir-sim --timeline sched.mir                    a line for each operation
  mir-sim --json sched.mir

Exit status: 0; 1 for errors in the input; 2 for wrong usage.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    return run_command("mir-sim", USAGE, run, argv)


def run(argv: list[str]) -> int:
    """The whole command. Raises `UsageError`, `InputError` and `DiagnosticError`."""
    args = _make_parser().parse_args(argv)
    if args.list_targets:
        print(targets_text())
        return 0
    machine = target_given(args)
    module = read_module(args.input)
    if machine is not None:
        from ..ir.verifier import verify

        aim(module, machine)
        verify(module)
    functions = scheduled_functions(module, args.function, args.input)
    from .report_time import TimeReport, time_report

    reports: list[TimeReport] = [time_report(func, parent) for func, parent in functions]
    if args.json:
        shown = [r.as_json(module.source, args.top, args.timeline) for r in reports]
        text = json.dumps({"functions": shown}, indent=2)
    else:
        text = "\n".join(line for r in reports for line in r.whole(module.source, args.top, args.timeline))
    write_text(args.output, text + "\n")
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser("mir-sim", USAGE, DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "input", nargs="?", default="-", metavar="FILE", help="the module; - or nothing: standard input"
    )
    parser.add_argument(
        "-o", dest="output", default="-", metavar="FILE", help="where to write; default standard output"
    )
    parser.add_argument("--function", metavar="NAME", help="only this function")
    parser.add_argument("--top", type=_count, default=5, metavar="N", help="how many of the longest waits (default 5)")
    parser.add_argument("--timeline", action="store_true", help="a line for each operation: start, end, engine, cause")
    parser.add_argument("--json", action="store_true", help="one JSON document with the same figures")
    add_target_options(parser)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"takes a number from 0, got '{text}'")
    return int(text)


def read_module(path: str) -> ModuleOp:
    """Reads and verifies a module."""
    from .. import dialects
    from ..ir.parser import parse_source
    from ..ir.source import Source
    from ..ir.verifier import verify

    dialects.load_all()
    module = parse_source(Source("<stdin>" if path == "-" else path, read_text(path)))
    verify(module)
    return module


def scheduled_functions(module: ModuleOp, name: str | None, path: str) -> list[tuple[FuncOp, ModuleOp]]:
    """The scheduled functions, or the one of a name, each with the module that it stands in. Raises `InputError` for an
    unknown name, and `DiagnosticError` where nothing is scheduled."""
    from ..dialects.levels import level_of
    from ..ir.diagnostics import did_you_mean

    every = list(_with_parents(module))
    names = [func.sym_name for func, _ in every]
    if name is not None and name not in names:
        shown = "<stdin>" if path == "-" else path
        raise InputError(f"{shown} has no function @{name}{did_you_mean(name, names)}")
    chosen = [(func, parent) for func, parent in every if name is None or func.sym_name == name]
    found = [(func, parent) for func, parent in chosen if level_of(func) == "sched"]
    if not found and chosen:
        func = chosen[0][0]
        message = f"function @{func.sym_name} stands at {level_of(func)} level; opt --schedule makes a schedule of it"
        raise DiagnosticError([Diagnostic(message, func.loc)], module.source)
    return found


def _with_parents(module: ModuleOp):
    from ..ir.builtin import FuncOp, ModuleOp

    for op in module.ops:
        if isinstance(op, FuncOp) and not op.is_declaration:
            yield op, module
        elif isinstance(op, ModuleOp):
            yield from _with_parents(op)


if __name__ == "__main__":
    sys.exit(main())
