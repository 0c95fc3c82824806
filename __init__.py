"""Tilewright: tile schedules for accelerators with software-managed memory, as text.

import tilewright as tw

module = tw.parse(text)                         # a module; DiagnosticError where the text is wrong
planned = tw.run_passes(module, "O1{sram=64KiB}")
tw.prove(module, planned)                       # it computes the same
print(planned, tw.report(module, "O1{sram=64KiB}"))
"""

from __future__ import annotations

TYPE_CHECKING = False  # as of `typing`, without its import

if TYPE_CHECKING:
    from .analysis.report import FunctionReport, Invariant, Moves, Report, ScheduleStats
    from .analysis.report_cost import Bounds, ScheduleCost, TensorTraffic
    from .analysis.report_time import EngineTime, TimeReport
    from .analysis.simulation import Simulation, Stall
    from .api import parse, print, prove, report, run, run_passes, simulate, verify
    from .builder import FuncBuilder
    from .dialects.target import Target
    from .ir.attributes import UNIT
    from .ir.builtin import FuncOp, ModuleOp
    from .ir.core import Block, Operation, Value
    from .ir.diagnostics import Diagnostic, DiagnosticError, DiagnosticWarning, PluginError
    from .ir.language_version import LANGUAGE_VERSION
    from .ir.opdef import OpError
    from .ir.source import Source
    from .ir.types import FunctionType, TensorType, Type
    from .lowering.tile_program import ScheduleError
    from .passes.manager import UsageError
    from .planner.arena import Allocation, OutOfMemoryError, SRAMConfig, VirtualSRAMArena
    from .planner.simulator import TimedOp, Timeline
    from .scheduler import SchedExecute, SchedLoad, SchedStore, Schedule, Scheduler, TileAt

    __version__: str

__all__ = [
    "LANGUAGE_VERSION",
    "UNIT",
    "Allocation",
    "Block",
    "Bounds",
    "Diagnostic",
    "DiagnosticError",
    "DiagnosticWarning",
    "EngineTime",
    "FuncBuilder",
    "FuncOp",
    "FunctionReport",
    "FunctionType",
    "Invariant",
    "ModuleOp",
    "Moves",
    "OpError",
    "Operation",
    "OutOfMemoryError",
    "PluginError",
    "Report",
    "SRAMConfig",
    "SchedExecute",
    "SchedLoad",
    "SchedStore",
    "Schedule",
    "ScheduleCost",
    "ScheduleError",
    "ScheduleStats",
    "Scheduler",
    "Simulation",
    "Source",
    "Stall",
    "Target",
    "TensorTraffic",
    "TensorType",
    "TileAt",
    "TimeReport",
    "TimedOp",
    "Timeline",
    "Type",
    "UsageError",
    "Value",
    "VirtualSRAMArena",
    "__version__",
    "parse",
    "print",
    "prove",
    "report",
    "run",
    "run_passes",
    "simulate",
    "verify",
]

_HOMES = {
    "analysis.report": "FunctionReport Invariant Moves Report ScheduleStats",
    "analysis.report_cost": "Bounds ScheduleCost TensorTraffic",
    "analysis.report_time": "EngineTime TimeReport",
    "analysis.simulation": "Simulation Stall",
    "api": "parse print prove report run run_passes simulate verify",
    "builder": "FuncBuilder",
    "dialects.target": "Target",
    "ir.attributes": "UNIT",
    "ir.builtin": "FuncOp ModuleOp",
    "ir.core": "Block Operation Value",
    "ir.diagnostics": "Diagnostic DiagnosticError DiagnosticWarning PluginError",
    "ir.language_version": "LANGUAGE_VERSION",
    "ir.opdef": "OpError",
    "ir.source": "Source",
    "ir.types": "FunctionType TensorType Type",
    "lowering.tile_program": "ScheduleError",
    "passes.manager": "UsageError",
    "planner.arena": "Allocation OutOfMemoryError SRAMConfig VirtualSRAMArena",
    "planner.simulator": "TimedOp Timeline",
    "scheduler": "SchedExecute SchedLoad SchedStore Schedule Scheduler TileAt",
}
"""Where each part is: it is imported when it is first asked for, so that no command pays for what it doesn't use."""

if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name):
        if name == "__version__":
            from importlib.metadata import version

            return version("tilewright")
        home = next((home for home, names in _HOMES.items() if name in names.split()), None)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return list(__all__)
