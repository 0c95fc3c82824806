"""What the commands that look at schedules read: a module, and its scheduled functions."""

from __future__ import annotations

from ..dialects.levels import level_of
from ..ir.attributes import symbol_text
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from ..ir.source import Source
from .files import InputError, read_text
from .machine import HINT, Machine, aim


def read_module(path: str, machine: Machine | None = None) -> ModuleOp:
    """Reads and verifies a module, for another machine than its own if one is given, whose SRAM its schedules fit."""
    from .. import dialects
    from ..ir.reading.parser import parse_source
    from ..ir.verifier import verify

    dialects.load_all()
    module = parse_source(Source("<stdin>" if path == "-" else path, read_text(path)))
    if machine is not None:
        aim(module, machine.keys)
    verify(module)
    if machine is not None and machine.holds:
        from ..dialects.checks.machine_fit import check_machine, scheduled_names

        check_machine(module, scheduled_names(module), hint=HINT)
    return module


def scheduled_functions(module: ModuleOp, name: str | None, path: str) -> list[tuple[FuncOp, ModuleOp]]:
    """The scheduled functions, or the one of a name, each with the module that it stands in. Raises `InputError` for an
    unknown name, and `DiagnosticError` where nothing is scheduled."""
    every = list(module.scoped_functions())
    names = [func.sym_name for func, _ in every]
    if name is not None and name not in names:
        shown = "<stdin>" if path == "-" else path
        raise InputError(f"{shown} has no function {symbol_text(name)}{did_you_mean(name, names)}")
    chosen = [(func, parent) for func, parent in every if name is None or func.sym_name == name]
    found = [(func, parent) for func, parent in chosen if level_of(func) == "sched"]
    if not found and chosen:
        func = chosen[0][0]
        message = f"function {func.symbol} stands at {level_of(func)} level; opt --schedule makes a schedule of it"
        raise DiagnosticError([Diagnostic(message, func.loc)], module.source)
    return found
