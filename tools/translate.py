"""mir-translate: models of other tools to modules, and modules to what other tools read."""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..ir.diagnostics import visible_lines
from ..passes.manager import UsageError
from .cli import Parser, add_version, file_name, run_command
from .files import InputError, same_file, say, write_text, write_together
from .machine import add_target_options, target_given, targets_text
from .signals import leave

if TYPE_CHECKING:
    from ..runtime.numerics import Array

USAGE = "mir-translate --import-onnx MODEL.onnx | --to-FORM [options] [FILE]"

DESCRIPTION = """\
--import-onnx writes an ONNX model as a function of the graph dialect, and its initializers as an .npz file by argument
name. Imported are products, elementwise operators, reductions, softmax and norms; what says where data are, such as
Reshape, Transpose, Slice and Concat, as views; and all that is constant. The other forms read a module and write what
other tools show or solve.
"""

EXAMPLES = """\
examples:
  mir-translate --import-onnx model.onnx -o model.mir --weights model.npz
  mir-translate --import-onnx model.onnx -o model.mir --weights model.npz --batch 64 --outputs logits
  mir-translate --import-onnx model.onnx | opt --schedule         the weights don't matter to a schedule
  mir-translate --import-onnx model.onnx --inputs embeddings --dim sequence=128
  mir-translate --import-onnx model.onnx --opaque | opt -O1 --report -o sched.mir
  mir-translate --to-perfetto sched.mir -o trace.json             for ui.perfetto.dev or chrome://tracing
  mir-translate --to-csv=lives sched.mir                          live ranges, in MiniMalloc's format
  mir-translate --to-dot model.mir | dot -Tsvg

A Softmax or ArgMax along the last axis falls away right before an output of the model's own.
Exit status: 0; 1 for errors in the model; 2 for wrong usage.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    return run_command("mir-translate", USAGE, run, argv)


def run(argv: list[str]) -> int:
    """The whole command. Raises `UsageError` and `InputError`."""
    # A bare --to-csv takes no value from the next word: `mir-translate --to-csv sched.mir` reads sched.mir.
    args = _make_parser().parse_args(["--to-csv=ops" if word == "--to-csv" else word for word in argv])
    if args.list_targets:
        write_text("-", targets_text() + "\n")
        return 0
    _check_usage(args)
    if not args.onnx:
        from .export import export

        write_text(args.output, export(args.form, args.csv, args.input or "-", target_given(args)))
        return 0
    return _import(args)


def _check_usage(args: argparse.Namespace) -> None:
    """Exactly one thing to do, and only options that belong to it. Raises `UsageError`."""
    asked = [name for name, given in (("--import-onnx", args.onnx), ("--to-csv", args.csv)) if given]
    asked += [f"--to-{form}" for form in args.forms]
    if not asked:
        raise UsageError("--import-onnx MODEL.onnx, --to-perfetto, --to-csv or --to-dot is needed")
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]} don't go together")
    args.form = args.forms[0] if args.forms else "csv"
    importing = {
        "--weights": args.weights, "--batch": args.batch, "--outputs": args.outputs, "--inputs": args.inputs,
        "--dim": args.dims, "--shape": args.shapes, "--opaque": args.opaque,
    }  # fmt: skip
    exporting = {"--target": args.target, f"FILE '{args.input}'": args.input}
    for name, given in (exporting if args.onnx else importing).items():
        if given:
            raise UsageError(f"{name} doesn't go together with {asked[0]}")


def _import(args: argparse.Namespace) -> int:
    if args.weights and same_file(args.weights, args.output):
        raise UsageError("-o and --weights name the same file")
    for option, path in (("-o", args.output), ("--weights", args.weights)):
        if path is not None and path != "-" and same_file(path, args.onnx):
            raise UsageError(f"{option} names the model, which would be overwritten")
    if args.weights == "-":
        raise UsageError("--weights takes a file's name")
    from ..translate.onnx.model import OnnxError, read_onnx

    try:
        model = read_onnx(args.onnx)
        from ..ir.printer import print_module
        from ..translate.onnx.importer import import_onnx
        from ..translate.onnx.shapes import Sizes

        sizes = Sizes(args.batch, dict(args.dims), dict(args.shapes))
        done = import_onnx(model, outputs=args.outputs, inputs=args.inputs, sizes=sizes, opaque=args.opaque)
    except OnnxError as error:
        raise InputError(*str(error).split("\n")) from None
    except ImportError as error:  # bf16
        raise InputError(f"{args.onnx} needs the package '{error.name}': pip install 'tilewright[run]'") from None
    if done.weights and not args.weights:
        from ..planner.arena import count_of

        some = f"{count_of(len(done.weights), 'parameter')} {'is' if len(done.weights) == 1 else 'are'}"
        done.notes.append(f"{some} not written; --weights FILE.npz writes {'it' if len(done.weights) == 1 else 'them'}")
    text = print_module(done.module).encode("utf-8", "surrogateescape")
    weights = [(args.weights, packed(done.weights))] if args.weights else []
    write_together([*weights, (args.output, text)])
    for note in done.notes:
        say(visible_lines(f"mir-translate: note: {note}"))
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser("mir-translate", USAGE, DESCRIPTION, EXAMPLES)
    parser.add_argument("--import-onnx", dest="onnx", type=file_name, metavar="MODEL.onnx", help="the model")
    parser.add_argument("input", nargs="?", metavar="FILE", help="the module for --to-... (default standard input)")
    parser.add_argument(
        "--to-perfetto", action="append_const", const="perfetto", dest="forms", default=[],
        help="a trace in time: JSON for Perfetto and Chrome",
    )  # fmt: skip
    parser.add_argument(
        "--to-csv", dest="csv", choices=("ops", "lives"), help="a table: a row for each operation (ops), or live range"
    )
    parser.add_argument(
        "--to-dot", action="append_const", const="dot", dest="forms", help="operations and what they read, for Graphviz"
    )
    add_target_options(parser)
    parser.add_argument(
        "-o", dest="output", default="-", type=file_name, metavar="FILE", help="what is written (default: print it)"
    )
    parser.add_argument(
        "--weights", type=file_name, metavar="FILE.npz", help="the parameters' values, by argument name"
    )
    parser.add_argument("--batch", type=_batch, metavar="N", help="the size of a symbolic first axis (default 1)")
    parser.add_argument(
        "--outputs",
        type=_names,
        action="append",
        default=[],
        metavar="NAME[,NAME]",
        help="compute these tensors instead of the model's outputs; what only others need is left out",
    )
    parser.add_argument(
        "--inputs",
        type=_names,
        action="append",
        default=[],
        metavar="NAME[,NAME]",
        help="take these tensors as arguments; what makes them is left to the host",
    )
    parser.add_argument(
        "--dim",
        dest="dims",
        type=_dim,
        action="append",
        default=[],
        metavar="NAME=N",
        help="the size of a symbolic axis",
    )
    parser.add_argument(
        "--shape",
        dest="shapes",
        type=_shape,
        action="append",
        default=[],
        metavar="NAME=1x3x48",
        help="the shape of an input, where axes have no name",
    )
    parser.add_argument(
        "--opaque",
        action="store_true",
        help="what has no counterpart becomes an opaque operation: its bytes are planned with, and nothing runs it",
    )
    add_version(parser)
    return parser


def _batch(text: str) -> int:
    if not (text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"takes a positive number, got '{text}'")
    return int(text)


def _names(text: str) -> str:
    if not all(text.split(",")):
        raise argparse.ArgumentTypeError("takes names with commas between them")
    return text


def _dim(text: str) -> tuple[str, int]:
    name, _, size = text.rpartition("=")
    if not name or not re.fullmatch("[1-9][0-9]{0,8}", size):
        raise argparse.ArgumentTypeError(f"takes NAME=N, such as batch=4, got '{text}'")
    return name, int(size)


def _shape(text: str) -> tuple[str, list[int]]:
    name, _, sizes = text.rpartition("=")
    if not name or not re.fullmatch("[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})*", sizes):
        raise argparse.ArgumentTypeError(f"takes NAME=1x3x48, positive sizes with x between them, got '{text}'")
    return name, [int(size) for size in sizes.split("x")]


def packed(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of an .npz file; bf16, which NumPy's files don't have, is written as f32."""
    import zipfile

    import numpy as np

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            plain = array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, plain, allow_pickle=False)
    return out.getvalue()


if __name__ == "__main__":
    leave(main())
