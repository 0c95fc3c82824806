"""Schedules as CSV tables: a row for each operation, or for each live range as MiniMalloc reads and writes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from ..analysis.live_ranges import live_ranges
from ..analysis.naming import line_of, op_text, tile_name
from ..analysis.simulation import kind_of, simulation_of
from ..dialects.sched import ExecOp
from ..dialects.tiles import tile_text
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.diagnostics import visible
from ..ir.source import Source

OP_COLUMNS = (
    "function", "op", "line", "engine", "kind", "tile", "sources", "address", "bytes", "spill", "start", "end",
    "cause", "text",
)  # fmt: skip
LIFE_COLUMNS = ("id", "lower", "upper", "size", "offset")


def ops_csv(functions: list[tuple[FuncOp, ModuleOp]], source: Source | None) -> str:
    """A row for each operation, in order; start and end in cycles, addresses and sizes in bytes."""
    rows = []
    for func, module in functions:
        sim = simulation_of(func, module)
        engines = sim.engines()
        for i, op in enumerate(sim.ops):
            sources = zip(op.operands[1:], op.coords[1:], strict=True) if isinstance(op, ExecOp) else ()
            rows.append((
                visible(func.sym_name), i, line_of(op, source), engines[sim.timed[i].queue], kind_of(op), tile_name(op),
                " ".join(tile_text(v, c) for v, c in sources), op.addrs[0],
                op.operands[0].type.tile_bytes,  # type: ignore[attr-defined]
                int(getattr(op, "spill", None) is UNIT), sim.line.start[i], sim.line.end[i], sim.line.cause[i],
                op_text(op),
            ))  # fmt: skip
    return _table(OP_COLUMNS, rows)


def lives_csv(functions: list[tuple[FuncOp, ModuleOp]]) -> str:
    """A row for each live range, in MiniMalloc's format with its solution: [lower, upper) are numbers of operations,
    one function after the other; `id` is the tile and which of its ranges it is. Sizes and offsets in bytes."""
    rows = []
    base = 0
    for func, module in functions:
        count: dict[str, int] = {}
        prefix = f"{visible(func.sym_name)}:" if len(functions) > 1 else ""
        end = 0
        for one in live_ranges(func, module):
            name = prefix + ".".join([one.value.name, *map(str, one.coord)])
            count[name] = count.get(name, -1) + 1
            end = max(end, one.end)
            rows.append((f"{name}#{count[name]}", base + one.start, base + one.end, one.size, one.address))
        base += end
    return _table(LIFE_COLUMNS, rows)


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
