"""mir-run: executes functions at any level with NumPy, and compares two of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..ir.diagnostics import DiagnosticError, visible, visible_lines
from ..passes.manager import UsageError
from ..planner.progress import tell
from .arrays import StoredArray, load_array, load_arrays, packed
from .cli import Parser, add_version, file_name, run_command, some_name
from .compared import Side, complaint, equal_text
from .files import InputError, read_text, say, write_bytes, write_text
from .status import status_line

if TYPE_CHECKING:
    from ..ir.builtin import FuncOp, ModuleOp
    from ..runtime.execute import Run
    from ..runtime.numerics import Array
    from ..runtime.queues import Engines

USAGE = "mir-run [options] FILE [FILE]"

DESCRIPTION = """\
Runs a function at graph, uop or sched level on NumPy arrays. A schedule runs on a byte array of the SRAM's size, at the
schedule's own addresses; bytes are poison before a tile is written and after its last use: to read them is an error.
"""

EXAMPLES = """\
examples:
  mir-run --random 1 model.mir                       small random integers, whose sums are exact
  mir-run --inputs x.npz --weights model.npz -o y.npz sched.mir
  mir-run --input x=batch.npy --weights model.npz sched.mir
  mir-run --compare --random 1 model.mir sched.mir   the same inputs to both; the first difference, if any

Without inputs or --random, --random 0 is assumed. NaN can't be compared, and a sum beyond i32 is an error (unless
--wrap is given). Exit status: 0; 1 for errors, differences and what is undecided; 2 for wrong usage.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    return run_command("mir-run", USAGE, run, argv)


def run(argv: list[str]) -> int:
    """The whole command. Raises `UsageError`, `InputError` and `DiagnosticError`."""
    args = _make_parser().parse_args(argv)
    if len(args.files) != (2 if args.compare else 1):
        raise UsageError("--compare takes two files" if args.compare else "one input file is needed")
    if args.files.count("-") > 1:
        raise UsageError("standard input can be read once")
    modules = [_read_module(path, args) for path in args.files]
    functions = [_choose(module, args.function, path) for module, path in zip(modules, args.files, strict=True)]
    try:
        inputs = _inputs(functions[0], args)
    except DiagnosticError as error:
        raise DiagnosticError(error.diagnostics, modules[0].source) from None
    done = _execute(functions[0], modules[0], inputs, args)
    if args.compare and not _compare(functions, modules, done, inputs, args):
        return 1
    if args.output:
        write_bytes(args.output, packed(zip(_result_names(functions[0]), done.arrays, strict=True)))
    if args.compare:
        write_text("-", equal_text(done) + "\n")
        return 0
    lines = [_summary(n, a) + "\n" for n, a in zip(_result_names(functions[0]), done.arrays, strict=True)]
    if args.output != "-":
        write_text("-", "".join(lines))
    elif lines:
        say("".join(lines).removesuffix("\n"))
    return 0


def _compare(
    functions: list[FuncOp], modules: list[ModuleOp], done: Run, inputs: dict[str, Array], args: argparse.Namespace
) -> bool:
    """Runs the second function on the inputs of the first; whether both gave the same. If not, it says why."""
    _check_signatures(*functions)
    renamed = {b.name: inputs[a.name] for a, b in zip(functions[0].args, functions[1].args, strict=True)}
    runs = [done, _execute(functions[1], modules[1], renamed, args)]
    sides = [Side(*parts) for parts in zip(args.files, functions, modules, runs, strict=True)]
    text = complaint(sides[0], sides[1], list(inputs.values()))
    if text:
        say(visible_lines(text))
    return not text


def _check_signatures(first: FuncOp, second: FuncOp) -> None:
    """Two functions can be compared if they take and give the same tensors, whatever their names and tiles."""
    from ..analysis.proof import signature_text

    texts = [signature_text(first), signature_text(second)]
    if texts[0] != texts[1]:
        raise InputError(f"{first.symbol} is {texts[0]}, {second.symbol} is {texts[1]}: they can't be compared")


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser("mir-run", USAGE, DESCRIPTION, EXAMPLES)
    parser.add_argument("files", nargs="*", type=file_name, metavar="FILE", help="the module; - for standard input")
    parser.add_argument("--inputs", type=file_name, metavar="FILE.npz", help="inputs by argument name")
    parser.add_argument(
        "--input", type=_named_file, action="append", default=[], metavar="NAME=FILE.npy", help="one input; repeatable"
    )
    parser.add_argument("--weights", type=file_name, metavar="FILE.npz", help="parameters by argument name")
    parser.add_argument("--random", type=_seed, metavar="SEED", help="seeded inputs for all that is not given")
    parser.add_argument("--floats", action="store_true", help="random inputs are normally distributed floats")
    parser.add_argument("--function", type=some_name, metavar="NAME", help="which function, if there are several")
    parser.add_argument("--compare", action="store_true", help="run two modules on the same inputs and compare")
    parser.add_argument("--wrap", action="store_true", help="let sums beyond i32 wrap, instead of an error")
    parser.add_argument("--threads", action="store_true", help="run a schedule's queues, a thread for each engine")
    parser.add_argument("--interleave", type=_seed, metavar="SEED", help="run its queues in a seeded interleaving")
    parser.add_argument("--no-poison", action="store_true", help="do not poison the SRAM (faster)")
    parser.add_argument("--no-verify", action="store_true", help="run a text that the verifier refuses")
    parser.add_argument("-o", dest="output", type=file_name, metavar="FILE.npz", help="write the results, by name")
    add_version(parser)
    return parser


def _named_file(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"takes NAME=FILE.npy, got '{text}'")
    return name, path


def _seed(text: str) -> int:
    """A seed from its text."""
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"must be a number from 0, got '{text}'")
    return int(text)


def _read_module(path: str, args: argparse.Namespace) -> ModuleOp:
    from .. import dialects
    from ..ir.reading.parser import parse_source
    from ..ir.source import Source
    from ..ir.verifier import verify

    dialects.load_all()
    module = parse_source(Source("<stdin>" if path == "-" else path, read_text(path)))
    if not args.no_verify:
        verify(module)
    return module


def _choose(module: ModuleOp, name: str | None, path: str) -> FuncOp:
    functions = {f.sym_name: f for f in module.functions()}
    if name is None and len(functions) == 1:
        return next(iter(functions.values()))
    if not functions:
        raise InputError(f"{path}: no function to run")
    if name not in functions:
        known = ", ".join(map(visible, functions)) or "none"
        what = "choose one by --function" if name is None else f"it has no function '{name}'"
        raise InputError(f"{path}: {what}; functions: {known}")
    return functions[name]


def _inputs(func: FuncOp, args: argparse.Namespace) -> dict[str, Array]:
    """What is given by file, completed by random data where that is asked for or no file is given at all."""
    from ..runtime.execute import random_inputs
    from ..runtime.inputs import check_shape, checked_input
    from ..runtime.room import check_room, values_of

    stored: dict[str, StoredArray] = {}
    paths: list[str] = [path for path in (args.weights, args.inputs) if path]
    for path in paths:
        stored |= load_arrays(path)
    stored |= {name: load_array(path) for name, path in args.input}
    files = {name: array.path for name, array in stored.items()}
    unknown = sorted(set(stored) - {a.name for a in func.args})
    if unknown:
        known = ", ".join(f"%{a.name}" for a in func.args) or "none"
        raise InputError(f"{files[unknown[0]]}: {func.symbol} has no argument %{unknown[0]}; it has {known}")
    try:
        check_room(values_of(func))
        for arg in func.args:
            if arg.name in stored:
                check_shape(arg, stored[arg.name].shape, files[arg.name])
        given: dict[str, Array] = {name: array.read() for name, array in stored.items()}
        if args.random is not None or not (paths or args.input):
            given = random_inputs(func, args.random or 0, integers=not args.floats) | given
        return {arg.name: checked_input(arg, given, files) for arg in func.args}
    except ImportError as error:
        raise _needs(func, error) from None


def _needs(func: FuncOp, error: ImportError) -> InputError:
    return InputError(f"{func.symbol} needs the package '{error.name}': pip install 'tilewright[run]'")


def _execute(func: FuncOp, module: ModuleOp, inputs: dict[str, Array], args: argparse.Namespace) -> Run:
    from ..runtime.execute import execute_function

    try:
        with status_line():
            return execute_function(
                func,
                module,
                inputs,
                poison=not args.no_poison,
                verified=not args.no_verify,
                wrap=args.wrap,
                engines=_engines(args),
                record=args.compare,
                progress=lambda done: tell(f"run: operation {done:,} of {len(func.ops):,}"),
            )
    except ImportError as error:
        raise _needs(func, error) from None


def _engines(args: argparse.Namespace) -> Engines | None:
    """How to run a schedule's queues, if that is asked for."""
    from ..runtime.queues import Engines

    if args.interleave is not None and args.threads:
        raise UsageError("--threads and --interleave: one way at a time")
    return Engines(args.interleave) if args.threads or args.interleave is not None else None


def _result_names(func: FuncOp) -> list[str]:
    return [value.name for value in func.returned()]


def _summary(name: str, array: Array) -> str:
    import numpy as np

    shape = "x".join(map(str, array.shape))
    wide = array.astype(np.float64)
    return f"%{name}: {shape} {array.dtype}, min {wide.min():g}, max {wide.max():g}, mean {wide.mean():g}"
