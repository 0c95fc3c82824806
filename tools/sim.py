"""mir-sim: what schedules take in time on their machine, and what their engines wait for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .cli import Parser, add_version, run_command
from .files import write_text
from .inputs import read_module, scheduled_functions
from .machine import add_target_options, target_given, targets_text
from .signals import leave

USAGE = "mir-sim [options] [FILE]"

DESCRIPTION = """\
Simulates the schedules of a module: in-order engines, the DMA channels and the compute engine, that wait for each other
where bytes of the SRAM or a tile off chip are written or read; where a schedule has queues, as its waits and signals
say. Prints cycles, how busy each engine is, and the waits.
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
        write_text("-", targets_text() + "\n")
        return 0
    module = read_module(args.input, target_given(args))
    functions = scheduled_functions(module, args.function, args.input)
    from ..lowering.finished_schedule import check_no_opaque
    from .sim_text import SimText

    for func, _ in functions:
        check_no_opaque(func, "mir-sim", module)

    shown = [SimText(func, parent, module.source) for func, parent in functions]
    if args.json:
        import json

        text = json.dumps({"functions": [one.as_json(args.top, args.timeline) for one in shown]}, indent=2)
    else:
        text = "\n".join(line for one in shown for line in one.lines(args.top, args.timeline))
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
    add_version(parser)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"takes a number from 0, got '{text}'")
    return int(text)


if __name__ == "__main__":
    leave(main())
