"""The forms that `mir-translate` writes a module in."""

from __future__ import annotations

from .inputs import read_module, scheduled_functions
from .machine import Machine


def export(form: str, table: str | None, path: str, machine: Machine | None) -> str:
    """A module as "perfetto", "csv" (by `table` "ops" or "lives") or "dot". Raises `InputError`, `DiagnosticError`."""
    module = read_module(path, machine)
    if form == "dot":
        from ..translate.dot import dot_text

        return dot_text(module)
    functions = scheduled_functions(module, None, path)
    if form == "perfetto":
        from ..translate.perfetto import trace_text

        return trace_text(functions, module.source)
    from ..translate.csv_tables import lives_csv, ops_csv

    return lives_csv(functions) if table == "lives" else ops_csv(functions, module.source)
