"""The tables beside the pictures: time, memory, traffic and operations of a schedule, and its tensors' bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis.cost import Cost, cost_of
from ..analysis.workload import workload_of
from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..ir.builtin import FuncOp
from ..planner.bounds import bounds_of
from ..planner.simulator import TimedOp, Timeline, makespan_bound, one_at_a_time

Row = tuple[str, str, str]
"""A label, what is shown, and what is meant by it."""


@dataclass(slots=True)
class Figures:
    """`groups` are titled lists of rows. `tensors` has a row for each tensor that moves: its name, the bytes loaded and
    stored, each with the least that any schedule moves, and the loads per tile."""

    groups: list[tuple[str, list[Row]]]
    tensors: list[tuple[str, int, int, int, int, str]]


def figures_of(
    func: FuncOp, stats: dict[str, int], sram: int, alignment: int, ops: Sequence[TimedOp], line: Timeline,
    queues: list[str],
) -> Figures:  # fmt: skip
    """Everything that the tables show of a valid scheduled function; `ops` are those that `line` times."""
    cost = cost_of(func, stats, alignment)
    workload = workload_of(func)
    bounds = bounds_of(workload, sram) if workload else None
    groups = [
        ("Time", _time(ops, line, queues)),
        ("SRAM", _memory(cost, sram)),
        ("Traffic", _traffic(cost, bounds.program if bounds else None)),
        ("Operations", _operations(func, stats)),
    ]
    rows = [t for t in cost.tensors if t.loaded or t.stored or t.least_loaded or t.least_stored]
    return Figures(
        groups,
        [
            (f"%{t.name}", t.loaded, t.least_loaded, t.stored, t.least_stored,
             f"{t.loads / t.tiles:.2f}" if t.tiles else "-")
            for t in rows
        ],
    )  # fmt: skip


def _time(ops: Sequence[TimedOp], line: Timeline, queues: list[str]) -> list[Row]:
    total, bound, single = line.makespan, makespan_bound(ops, line.queues), one_at_a_time(ops)
    rows = [
        ("makespan", cycles(total), "from the first operation's start to the last one's end"),
        ("busiest engine", cycles(bound), "no order of these operations takes less"),
        ("ratio to it", f"{total / bound:.2f}" if bound else "-", "makespan / busiest engine"),
        ("one at a time", cycles(single), "if nothing overlapped"),
    ]
    for name, busy, stalls in zip(queues, line.busy, line.stalls, strict=True):
        rows.append((f"{name} busy", share(busy, total), f"{busy:,} of {total:,} cycles"))
        rows += [
            (f"{name} waits", f"{share(waited, total)} {cause}", f"{waited:,} cycles of stalls")
            for cause, waited in sorted(stalls.items(), key=lambda item: (-item[1], item[0]))
        ]
    return rows


def _memory(cost: Cost, sram: int) -> list[Row]:
    return [
        ("capacity", size(sram), f"{sram:,} B"),
        ("peak live", f"{cost.peak:,} B ({share(cost.peak, sram)})", "most bytes live at one operation"),
        ("high water", f"{cost.high_water:,} B", "the largest address that a tile ends at"),
        ("fragmentation", f"{100 * cost.fragmentation:.1f}%", "share of the used addresses not live at the peak"),
    ]


def _traffic(cost: Cost, bound: int | None) -> list[Row]:
    rows = [
        ("moved", size(cost.traffic), f"{cost.traffic:,} B loaded and stored"),
        ("loaded", size(cost.loaded), f"{cost.loaded:,} B"),
        ("stored", size(cost.stored), f"{cost.stored:,} B"),
        ("of it spills", size(cost.spilled), "stored to make room, and loaded again"),
    ]
    if bound:
        rows.append(("lower bound", size(bound), "no schedule of this program moves less"))
        rows.append(("ratio to it", f"{cost.traffic / bound:.2f}", "moved / lower bound"))
    if cost.macs and cost.intensity is not None:
        rows.append(("intensity", f"{cost.intensity:.2f} MAC/B", f"{cost.macs:,} multiply-accumulates"))
    return rows


def _operations(func: FuncOp, stats: dict[str, int]) -> list[Row]:
    counts = Counter(type(op) for op in func.ops)
    asked = stats["loads_emitted"] + stats["loads_eliminated"]
    return [
        ("all", f"{stats['sched_ops']:,}", "loads, execs and stores"),
        ("loads", f"{counts[LoadOp]:,}", ""),
        ("execs", f"{counts[ExecOp]:,}", ""),
        ("stores", f"{counts[StoreOp]:,}", ""),
        ("spills", f"{stats.get('spills', 0):,}", "stores that only make room"),
        ("loads saved", f"{share(stats['loads_eliminated'], asked)}", f"{stats['loads_eliminated']:,} of {asked:,}"),
    ]


def cycles(count: int) -> str:
    return f"{count:,} cycles"


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


def size(count: int) -> str:
    """Bytes in KiB or MiB, with a decimal only where it takes one."""
    if count < 1024:
        return f"{count} B"
    unit, name = (1 << 20, "MiB") if count >= 10 << 20 or (count and count % (1 << 20) == 0) else (1 << 10, "KiB")
    return f"{count // unit:,} {name}" if count % unit == 0 else f"{count / unit:,.1f} {name}"
