"""mir-viz: pictures of schedules, as a page for the browser, an image, or text."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..ir.collector import collector_off
from ..ir.diagnostics import visible
from ..passes.manager import UsageError
from .cli import Parser, add_version, run_command, takes_blocks
from .files import InputError, output_encoding, write_bytes, write_text
from .machine import add_target_options, target_given, targets_text
from .signals import leave

if TYPE_CHECKING:
    from ..ir.builtin import FuncOp, ModuleOp
    from ..viz.model import Picture
    from .machine import Machine

USAGE = "mir-viz [options] SCHED [SCHED]"

DESCRIPTION = """\
Draws a schedule: the SRAM's addresses against operations or cycles, the bytes live, and what each engine does when.
The ending of the output's name says what is made: .html (a page that needs no network), .svg, .png or .txt.
"""

EXAMPLES = """\
examples:
  opt -O2 model.mir -o model.sched.mir
  mir-viz model.sched.mir -o model.html     a page to look at, search and zoom
  mir-viz a.mir b.mir -o compare.html       two schedules with shared axes
  mir-viz --axis=cycle sched.mir -o sched.svg
  mir-viz --ascii sched.mir                 in the terminal, 80 columns wide

Exit status: 0; 1 for errors in the input; 2 for wrong usage.
"""

FORMATS = (".html", ".svg", ".png", ".txt")


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    return run_command("mir-viz", USAGE, run, argv)


def run(argv: list[str]) -> int:
    """The whole command. Raises `UsageError`, `InputError` and `DiagnosticError`."""
    args = _make_parser().parse_args(argv)
    if args.list_targets:
        write_text("-", targets_text() + "\n")
        return 0
    if not 1 <= len(args.files) <= 2:
        raise UsageError("one schedule is needed, or two to compare")
    if args.files.count("-") > 1:
        raise UsageError("standard input can be read once")
    form = _format(args)
    machine = target_given(args)
    with collector_off():
        pictures = [_picture(path, args.function, machine) for path in args.files]
        made = _made(form, pictures, args)
    write_bytes(args.output, made)
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser("mir-viz", USAGE, DESCRIPTION, EXAMPLES)
    parser.add_argument("files", nargs="*", metavar="SCHED", help="a scheduled module; - for standard input")
    parser.add_argument(
        "-o", dest="output", default="-", metavar="FILE", help="where to write: .html, .svg, .png, .txt"
    )
    parser.add_argument("--ascii", action="store_true", help="a picture for the terminal, 80 columns wide")
    parser.add_argument("--axis", choices=("op", "cycle"), default="op", help="what runs from left to right at first")
    parser.add_argument("--function", metavar="NAME", help="which function, if there are several")
    add_target_options(parser)
    add_version(parser)
    return parser


def _format(args: argparse.Namespace) -> str:
    """What to make, from the output's name."""
    if args.ascii and args.output != "-" and not args.output.endswith(".txt"):
        raise UsageError("--ascii makes text: -o takes a name that ends in .txt")
    if args.ascii:
        return ".txt"
    if args.output == "-":
        raise UsageError("-o FILE says where to write (.html, .svg, .png); --ascii prints a picture")
    ending = os.path.splitext(args.output)[1].lower()
    if ending not in FORMATS:
        shown = f"'{ending}'" if ending else "a name without an ending"
        raise UsageError(f"-o {args.output}: don't know how to write {shown}; it can be {', '.join(FORMATS)}")
    return ending


def _picture(path: str, name: str | None, machine: Machine | None) -> Picture:
    from ..viz.model import picture_of
    from .inputs import read_module

    module = read_module(path, machine)
    return picture_of(_choose(module, name, path), module)


def _choose(module: ModuleOp, name: str | None, path: str) -> FuncOp:
    """The function to draw: the named one, or the only one that is scheduled."""
    from ..dialects.levels import level_of
    from ..ir.diagnostics import Diagnostic, DiagnosticError

    functions = {f.sym_name: f for f in module.functions()}
    if not functions:
        raise InputError(f"{path}: no function to draw")
    if name is None and len(functions) > 1:
        raise InputError(f"{path}: choose one by --function; functions: {', '.join(map(visible, functions))}")
    if name is not None and name not in functions:
        raise InputError(f"{path}: it has no function '{name}'; functions: {', '.join(map(visible, functions))}")
    func = functions[name] if name is not None else next(iter(functions.values()))
    level = level_of(func)
    if level != "sched":
        message = f"{func.symbol} is at {level} level, there is no schedule to draw; `opt -O2 {path}` makes one"
        raise DiagnosticError([Diagnostic(message, func.loc)], module.source)
    return func


def _made(form: str, pictures: list[Picture], args: argparse.Namespace) -> bytes:
    """The bytes of the output."""
    if form == ".html":
        from ..viz.page import page

        return page(pictures, args.axis).encode("utf-8")
    if form == ".txt":
        from ..viz.terminal import terminal

        encoding = "utf-8" if args.output != "-" else output_encoding()
        return terminal(pictures, args.axis, args.output != "-" or takes_blocks(sys.stdout)).encode(encoding)
    from ..viz.svg import svg

    text = svg(pictures, args.axis)
    if form == ".svg":
        return text.encode("utf-8")
    try:
        from ..viz.png import png

        return png(text)
    except ImportError:
        raise InputError("a PNG needs the package 'resvg_py': pip install 'tilewright[viz]'; .svg needs none") from None


if __name__ == "__main__":
    leave(main())
