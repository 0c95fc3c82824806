"""mir-run: executes functions at any level with NumPy, and compares two of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..ir.diagnostics import DiagnosticError
from ..passes.arena import count_of
from ..passes.manager import UsageError
from .cli import Parser, run_command
from .files import InputError, read_text, write_bytes

if TYPE_CHECKING:
    from ..ir.builtin import FuncOp, ModuleOp
    from ..runtime.execute import Run
    from ..runtime.numerics import Array

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

Without inputs or --random, --random 0 is assumed. Exit status: 0; 1 for errors and differences; 2 for wrong usage.
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
    runs = [_execute(functions[0], modules[0], inputs, args)]
    if args.compare:
        _check_signatures(*functions)
        renamed = {b.name: inputs[a.name] for a, b in zip(functions[0].args, functions[1].args, strict=True)}
        runs.append(_execute(functions[1], modules[1], renamed, args))
        if _differ(args.files, functions, modules, runs):
            return 1
    if args.output:
        write_bytes(args.output, _packed(functions[0], runs[0].arrays))
    if args.compare:
        count, elements = len(runs[0].arrays), sum(a.size for a in runs[0].arrays)
        print(f"equal: {count_of(count, 'result')}, {elements:,} elements")
        return 0
    for i, array in enumerate(runs[0].arrays):
        print(_summary(_result_name(functions[0], i), array), file=sys.stderr if args.output == "-" else sys.stdout)
    return 0


def _check_signatures(first: FuncOp, second: FuncOp) -> None:
    """Two functions can be compared if they take and give the same tensors, whatever their names and tiles."""
    from ..passes.proof import signature_text

    texts = [signature_text(first), signature_text(second)]
    if texts[0] != texts[1]:
        raise InputError(f"@{first.sym_name} is {texts[0]}, @{second.sym_name} is {texts[1]}: they can't be compared")


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser("mir-run", USAGE, DESCRIPTION, EXAMPLES)
    parser.add_argument("files", nargs="*", metavar="FILE", help="the module; - for standard input")
    parser.add_argument("--inputs", metavar="FILE.npz", help="inputs by argument name")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=FILE.npy", help="one input; repeatable")
    parser.add_argument("--weights", metavar="FILE.npz", help="parameters by argument name")
    parser.add_argument("--random", type=_seed, metavar="SEED", help="seeded inputs for all that is not given")
    parser.add_argument("--floats", action="store_true", help="random inputs are normally distributed floats")
    parser.add_argument("--function", metavar="NAME", help="which function, if there are several")
    parser.add_argument("--compare", action="store_true", help="run two modules on the same inputs and compare")
    parser.add_argument("--no-poison", action="store_true", help="do not poison the SRAM (faster)")
    parser.add_argument("--no-verify", action="store_true", help="run a text that the verifier refuses")
    parser.add_argument("-o", dest="output", metavar="FILE.npz", help="write the results, by name")
    return parser


def _seed(text: str) -> int:
    """A seed from its text."""
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"must be a number from 0, got '{text}'")
    return int(text)


def _read_module(path: str, args: argparse.Namespace) -> ModuleOp:
    from .. import dialects
    from ..ir.parser import parse_source
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
        known = ", ".join(functions) or "none"
        what = "choose one by --function" if name is None else f"it has no function '{name}'"
        raise InputError(f"{path}: {what}; functions: {known}")
    return functions[name]


def _inputs(func: FuncOp, args: argparse.Namespace) -> dict[str, Array]:
    """What is given by file, completed by random data where that is asked for or nothing is given at all."""
    from ..runtime.execute import random_inputs

    given: dict[str, Array] = {}
    for path in filter(None, (args.weights, args.inputs)):
        given |= _load_arrays(path)
    for word in args.input:
        name, sep, path = word.partition("=")
        if not sep:
            raise UsageError(f"--input takes NAME=FILE.npy, got '{word}'")
        given[name] = _load_array(path)
    unknown = sorted(set(given) - {a.name for a in func.args})
    if unknown:
        known = ", ".join(f"%{a.name}" for a in func.args)
        raise InputError(f"@{func.sym_name} has no argument %{unknown[0]}; it has {known}")
    if args.random is None and given:
        return given
    return random_inputs(func, args.random or 0, integers=not args.floats) | given


def _load_arrays(path: str) -> dict[str, Array]:
    loaded = _load(path)
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: not an .npz file; a single .npy goes with --input NAME={path}")
    return loaded


def _load_array(path: str) -> Array:
    loaded = _load(path)
    if isinstance(loaded, dict):
        raise InputError(f"{path}: an .npz file goes with --inputs")
    return loaded


def _load(path: str) -> Any:
    """The arrays of an .npz file by name, or the one of an .npy file."""
    import zipfile
    import zlib

    import numpy as np

    try:
        with open(path, "rb") as file:
            start = file.read(6)
        if not start.startswith((b"PK", b"\x93NUMPY")):
            raise InputError(f"{path}: not a NumPy file")
        loaded = np.load(path, allow_pickle=False)
        return {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else loaded
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or error}") from None
    except ValueError as error:
        pickled = "it holds Python objects, which are refused" if "pickle" in str(error) else str(error)
        raise InputError(f"{path}: not a NumPy file of numbers: {pickled}") from None
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged: {error}") from None


def _execute(func: FuncOp, module: ModuleOp, inputs: dict[str, Array], args: argparse.Namespace) -> Run:
    from ..runtime.execute import execute_function

    try:
        with _progress(len(func.ops)) as report:
            return execute_function(
                func, module, inputs, poison=not args.no_poison, verified=not args.no_verify, progress=report
            )
    except ImportError as error:
        raise InputError(f"@{func.sym_name} needs the package '{error.name}': pip install 'tilewright[run]'") from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None] | None]:
    """Tells a long run's progress on standard error, where that is a terminal."""
    if total < 20_000 or not sys.stderr.isatty():
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(total=total, unit="op", file=sys.stderr, leave=False) as bar:

        def advance(done: int) -> None:
            bar.update(done - bar.n)

        yield advance


def _result_name(func: FuncOp, index: int) -> str:
    return func.returned()[index].name


def _packed(func: FuncOp, arrays: list[Array]) -> bytes:
    """The results as the bytes of an .npz file; of a value returned twice the second is called NAME_1."""
    import io
    import zipfile

    import numpy as np

    out = io.BytesIO()
    names: set[str] = set()
    with zipfile.ZipFile(out, "w") as archive:
        for i, array in enumerate(arrays):
            name = _result_name(func, i)
            name = name if name not in names else f"{name}_{i}"
            names.add(name)
            # A fixed date, so that the same results are the same bytes.
            with archive.open(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _summary(name: str, array: Array) -> str:
    import numpy as np

    shape = "x".join(map(str, array.shape))
    wide = array.astype(np.float64)
    return f"%{name}: {shape} {array.dtype}, min {wide.min():g}, max {wide.max():g}, mean {wide.mean():g}"


def _differ(paths: list[str], functions: list[FuncOp], modules: list[ModuleOp], runs: list[Run]) -> bool:
    """Tells on standard error where two runs part, if they do."""
    from ..runtime.compare import first_difference

    difference = first_difference(runs[0].arrays, runs[1].arrays)
    if difference is None:
        return False
    print(f"different: %{_result_name(functions[0], difference.result)}, {difference}", file=sys.stderr)
    for path, func, module, done in zip(paths, functions, modules, runs, strict=True):
        writer = _writer(difference.result, difference.index, func, module, done)
        print(f"  {os.path.basename(path)}: {writer}", file=sys.stderr)
    return True


def _writer(result: int, index: tuple[int, ...], func: FuncOp, module: ModuleOp, done: Run) -> str:
    """The tile that holds an element of a result, and the operation that stored or computed it."""
    value = func.returned()[result]
    if not done.tiles:
        return f"%{value.name}{_place(value.loc, module, 'computed')}"
    coord = tuple(i // t for i, t in zip(index, done.tiles[result], strict=True))
    op = done.stored[result][coord]
    where = _place(op.loc, module, "stored") if op is not None else ""
    return f"tile %{value.name}[{', '.join(map(str, coord))}]{where}"


def _place(loc: int, module: ModuleOp, verb: str) -> str:
    if module.source is None or loc < 0:
        return ""
    line, column = module.source.position(loc)
    return f", {verb} at {module.source.name}:{line}:{column}: {module.source.line_at(loc).strip()}"
