"""Tilewright: tile schedules for accelerators with software-managed memory, as text.

    import tilewright

    module = tilewright.parse(text)                 # a module; DiagnosticError where the text is wrong
    tilewright.print(module)                        # its text again
    tilewright.run_passes(text, "fuse,tile{sizes=32x32x32},lower,schedule{sram=256KiB}")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .api import parse, print, run_passes
    from .ir.diagnostics import DiagnosticError
    from .passes.arena import OutOfMemoryError, SRAMConfig, VirtualSRAMArena
    from .passes.scheduler import SchedExecute, SchedLoad, SchedStore, Scheduler, ScheduleStats

_HOMES = {
    "parse": "api",
    "print": "api",
    "run_passes": "api",
    "DiagnosticError": "ir.diagnostics",
    "SRAMConfig": "passes.arena",
    "VirtualSRAMArena": "passes.arena",
    "OutOfMemoryError": "passes.arena",
    "Scheduler": "passes.scheduler",
    "SchedLoad": "passes.scheduler",
    "SchedExecute": "passes.scheduler",
    "SchedStore": "passes.scheduler",
    "ScheduleStats": "passes.scheduler",
}

__all__ = [
    "DiagnosticError",
    "OutOfMemoryError",
    "SRAMConfig",
    "SchedExecute",
    "SchedLoad",
    "SchedStore",
    "ScheduleStats",
    "Scheduler",
    "VirtualSRAMArena",
    "parse",
    "print",
    "run_passes",
]


def __getattr__(name: str) -> Any:
    """Imports a part when it is first asked for, so that no command pays for what it does not use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
