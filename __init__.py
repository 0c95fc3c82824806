"""Tilewright: tile schedules for accelerators with software-managed memory, as text.

import tilewright

module = tilewright.parse(text)                 # a module; DiagnosticError where the text is wrong
tilewright.print(module)                        # its text again
tilewright.run_passes(text, "fuse,tile{sizes=32x32x32},lower,schedule{sram=256KiB}")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import SchedExecute, SchedLoad, SchedStore, Schedule, Scheduler, ScheduleStats
    from .ir.builtin import ModuleOp
    from .ir.diagnostics import DiagnosticError
    from .lowering.tile_program import ScheduleError
    from .passes.manager import UsageError
    from .planner.arena import OutOfMemoryError, SRAMConfig, VirtualSRAMArena

    __version__: str

__all__ = [
    "DiagnosticError",
    "OutOfMemoryError",
    "SRAMConfig",
    "SchedExecute",
    "SchedLoad",
    "SchedStore",
    "Schedule",
    "ScheduleError",
    "ScheduleStats",
    "Scheduler",
    "UsageError",
    "VirtualSRAMArena",
    "parse",
    "print",
    "run_passes",
]

_HOMES = {
    "DiagnosticError": "ir.diagnostics",
    "OutOfMemoryError": "planner.arena",
    "SRAMConfig": "planner.arena",
    "VirtualSRAMArena": "planner.arena",
    "UsageError": "passes.manager",
    "ScheduleError": "lowering.tile_program",
} | dict.fromkeys(("Schedule", "SchedExecute", "SchedLoad", "SchedStore", "ScheduleStats", "Scheduler"), "api")


def parse(text: str, *, filename: str = "<string>", allow_unregistered: bool = False, verify: bool = True) -> ModuleOp:
    """Reads a module, and verifies it unless `verify` is false.

    Raises `DiagnosticError` with every independent error; its text has the file's name, lines and columns.
    """
    from . import dialects
    from .ir import verifier
    from .ir.reading.parser import parse_source
    from .ir.source import Source

    dialects.load_all()
    module = parse_source(Source(filename, text.removeprefix("\ufeff")), allow_unregistered)
    if verify:
        verifier.verify(module)
    return module


def print(module: ModuleOp, *, generic: bool = False) -> str:
    """The module's text, in the pretty form or in MLIR's generic form."""
    from .ir.printer import print_module

    return print_module(module, generic)


def run_passes(
    text: str, pipeline: str, *, filename: str = "<string>", allow_unregistered: bool = False, generic: bool = False
) -> str:
    """Runs a pipeline such as `"fuse,tile{sizes=32x32x32},lower,schedule{sram=256KiB}"` over a text; the new text.

    Raises `DiagnosticError` for faults in the text and `UsageError` for faults in the pipeline.
    """
    from .passes.manager.pipelines import parse_pipeline
    from .passes.manager.running import run_passes_on

    passes = parse_pipeline(pipeline)
    module = parse(text, filename=filename, allow_unregistered=allow_unregistered)
    return print(run_passes_on(module, passes, verify_input=False), generic=generic)


def __getattr__(name: str) -> Any:
    """Imports a part when it is first asked for, so that no command pays for what it does not use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tilewright")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
