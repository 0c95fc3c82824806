"""mir-translate: models of other tools to modules."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..passes.arena import count_of
from ..passes.manager import UsageError
from .cli import Parser, file_name, run_command
from .files import InputError, same_file, write_bytes, write_text

if TYPE_CHECKING:
    from ..runtime.numerics import Array

USAGE = "mir-translate --import-onnx MODEL.onnx [options]"

DESCRIPTION = """\
Writes an ONNX model as a function of the graph dialect, and its initializers as an .npz file by argument name.
Imported are Gemm, MatMul, Add, Relu and Cast; Identity, Flatten, Reshape, Squeeze, Unsqueeze and Transpose where they
move no data; and all that is constant.
"""

EXAMPLES = """\
examples:
  mir-translate --import-onnx model.onnx -o model.mir --weights model.npz
  mir-translate --import-onnx model.onnx -o model.mir --weights model.npz --batch 64 --outputs logits
  mir-translate --import-onnx model.onnx | opt --schedule         the weights don't matter to a schedule

A Softmax or ArgMax along the last axis falls away right before an output.
Exit status: 0; 1 for errors in the model; 2 for wrong usage.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    return run_command("mir-translate", USAGE, run, argv)


def run(argv: list[str]) -> int:
    """The whole command. Raises `UsageError` and `InputError`."""
    args = _make_parser().parse_args(argv)
    if not args.onnx:
        raise UsageError("--import-onnx MODEL.onnx is needed")
    if args.weights and same_file(args.weights, args.output):
        raise UsageError("-o and --weights name the same file")
    for option, path in (("-o", args.output), ("--weights", args.weights)):
        if path is not None and path != "-" and same_file(path, args.onnx):
            raise UsageError(f"{option} names the model, which would be overwritten")
    if args.weights == "-":
        raise UsageError("--weights takes a file's name")
    from .onnx_model import read_onnx

    model = read_onnx(args.onnx)
    from ..ir.printer import print_module
    from .onnx_import import import_onnx

    try:
        done = import_onnx(model, outputs=args.outputs, batch=args.batch)
    except ImportError as error:  # bf16
        raise InputError(f"{args.onnx} needs the package '{error.name}': pip install 'tilewright[run]'") from None
    if done.weights and not args.weights:
        some = f"{count_of(len(done.weights), 'parameter')} {'is' if len(done.weights) == 1 else 'are'}"
        done.notes.append(f"{some} not written; --weights FILE.npz writes {'it' if len(done.weights) == 1 else 'them'}")
    _write(args.output, print_module(done.module), args.weights, done.weights)
    for note in done.notes:
        print(f"mir-translate: note: {note}", file=sys.stderr)
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser("mir-translate", USAGE, DESCRIPTION, EXAMPLES)
    parser.add_argument("--import-onnx", dest="onnx", type=file_name, metavar="MODEL.onnx", help="the model")
    parser.add_argument(
        "-o", dest="output", default="-", type=file_name, metavar="FILE.mir", help="the module (default: print it)"
    )
    parser.add_argument(
        "--weights", type=file_name, metavar="FILE.npz", help="the parameters' values, by argument name"
    )
    parser.add_argument("--batch", type=_batch, metavar="N", help="the size of a symbolic first axis (default 1)")
    parser.add_argument(
        "--outputs",
        type=_names,
        default=[],
        metavar="NAME[,NAME]",
        help="compute these tensors instead of the model's outputs; what only others need is left out",
    )
    return parser


def _batch(text: str) -> int:
    if not (text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"takes a positive number, got '{text}'")
    return int(text)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError("takes names with commas between them")
    return names


def packed(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of an .npz file; bf16, which NumPy's files don't have, is written as f32."""
    import numpy as np

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            plain = array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, plain, allow_pickle=False)
    return out.getvalue()


def _write(path: str, text: str, weights_path: str | None, weights: Mapping[str, Array]) -> None:
    """Writes both files or none: where the second fails, the first gets its old content again."""
    if weights_path is None:
        return write_text(path, text)
    before = _content(weights_path)
    write_bytes(weights_path, packed(weights))
    try:
        write_text(path, text)
    except BaseException:
        if before is not None:
            write_bytes(weights_path, before)
        elif os.path.isfile(weights_path):
            with contextlib.suppress(OSError):
                os.unlink(weights_path)
        raise


def _content(path: str) -> bytes | None:
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
