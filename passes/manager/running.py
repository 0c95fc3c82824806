"""Passes run one after the other, each result verified, and proved where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...ir.builtin import ModuleOp
from ...ir.collector import collector_off
from ...ir.diagnostics import Diagnostic, DiagnosticError, PluginError
from ...ir.verifier import verify
from ...planner.progress import tell
from .options import UsageError
from .registry import Pass, inherit, is_ours, make_pass, plugin_passes

Observer = Callable[[str, ModuleOp], None]
"""Told the name of each pass that has been run (empty for the input) with what came out."""


def run_passes_on(
    module: ModuleOp,
    passes: Iterable[Pass],
    *,
    verify_each: bool = True,
    prove_each: bool = False,
    verify_input: bool = True,
    observe: Observer | None = None,
) -> ModuleOp:
    """Runs passes in order, those that a pass needs before it; verifies what comes out of each, and with `prove_each`
    shows that it computes the same as what went in. The input is verified unless the caller says that it has been.

    Raises `DiagnosticError` for the input's faults and for those that a pass has made.
    """
    if verify_input:
        verify(module)
    if observe:
        observe("", module)
    for wanted in passes:
        for instance in (*needed_passes(wanted, module), wanted):
            tell(instance.name)
            before, module = module, _run_one(instance, module, verify_each)
            if prove_each:
                _prove_result(instance, before, module)
            if observe:
                observe(instance.name, module)
    return module


def needed(instance: Pass, module: ModuleOp) -> tuple[str, ...]:
    """The passes to run before one: those it names, if some function still stands at graph level."""
    from ...dialects.levels import level_of

    if not instance.needs or all(level_of(func) != "graph" for func in module.functions()):
        return ()
    return instance.needs


def needed_passes(wanted: Pass, module: ModuleOp) -> list[Pass]:
    """The passes to run before one, for the same machine: they take its `sram`, say, if they have such an option."""
    return [inherit(make_pass(name), wanted) for name in needed(wanted, module)]


def _run_one(instance: Pass, module: ModuleOp, verify_each: bool) -> ModuleOp:
    try:
        with collector_off():
            result = instance.apply(module)
    except DiagnosticError as error:
        raise DiagnosticError(error.diagnostics, module.source) from None
    except Exception as error:
        if is_ours(instance) or isinstance(error, (MemoryError, PluginError, UsageError)):
            raise
        raise _bug(instance, "failed", f": {type(error).__name__}: {error}") from error
    if not is_ours(instance):
        _check_foreign(instance, result)
    if verify_each:
        _verify_result(instance, result)
    return result


def _check_foreign(instance: Pass, result: object) -> None:
    """Raises `DiagnosticError` for a plugin's result that is no module, or holds what no text has."""
    from ...ir.structure import structure_errors

    if not isinstance(result, ModuleOp):
        raise _bug(instance, f"returned {type(result).__name__} in place of a module")
    errors = structure_errors(result)
    if errors:
        error = DiagnosticError(errors, result.source)
        _blame(instance, "produced invalid IR", error)
        raise error


def _bug(instance: Pass, what: str, detail: str = "") -> DiagnosticError:
    return DiagnosticError([Diagnostic(f"pass '{instance.name}' {what} (a bug in {_whose(instance)}){detail}")])


def _verify_result(instance: Pass, module: ModuleOp) -> None:
    try:
        verify(module)
    except DiagnosticError as error:
        _blame(instance, "produced invalid IR", error)
        raise


def _prove_result(instance: Pass, before: ModuleOp, after: ModuleOp) -> None:
    from ...analysis.proof import prove_module

    try:
        prove_module(before, after)
    except DiagnosticError as error:
        _blame(instance, "changed what is computed", error)
        raise


def _blame(instance: Pass, what: str, error: DiagnosticError) -> None:
    for diagnostic in error.diagnostics:
        diagnostic.message = f"pass '{instance.name}' {what} (a bug in {_whose(instance)}): {diagnostic.message}"


def _whose(instance: Pass) -> str:
    if is_ours(instance):
        return "Tilewright"
    return plugin_passes().packages.get(instance.name) or type(instance).__module__
