"""The library's front door: text to module, module to text, and pass pipelines from text to text."""

from __future__ import annotations

from . import dialects as _dialects  # registers the dialects
from .ir.builtin import ModuleOp
from .ir.parser import parse_source
from .ir.printer import print_module
from .ir.source import Source
from .ir.verifier import verify
from .passes.manager import parse_pipeline, run_passes_on

__all__ = ["parse", "print", "run_passes"]

_dialects.load_all()


def parse(text: str, *, filename: str = "<string>", allow_unregistered: bool = False, check: bool = True) -> ModuleOp:
    """Reads a module and verifies it (unless `check` is false).

    Raises `DiagnosticError` with every independent error; its text has the file's name, lines and columns.
    """
    module = parse_source(Source(filename, text), allow_unregistered)
    if check:
        verify(module)
    return module


def print(module: ModuleOp, *, generic: bool = False) -> str:
    """The module's text, in the pretty or in MLIR's generic form."""
    return print_module(module, generic)


def run_passes(
    text: str,
    pipeline: str,
    *,
    filename: str = "<string>",
    allow_unregistered: bool = False,
    generic: bool = False,
) -> str:
    """Runs a pipeline such as `"fuse,tile{sizes=32x32x32},lower,schedule{sram=256KiB}"` over a text; the new text.

    Raises `DiagnosticError` for faults in the text, `UsageError` (of `tilewright.passes.manager`) for the pipeline's.
    """
    passes = parse_pipeline(pipeline)
    module = parse(text, filename=filename, allow_unregistered=allow_unregistered)
    return print_module(run_passes_on(module, passes), generic)
