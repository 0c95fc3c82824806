"""Schedules as traces for Perfetto and Chrome: the JSON of the Trace Event Format, one microsecond for each cycle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from ..analysis.live_ranges import PlacedRange, live_ranges
from ..analysis.naming import line_of, op_text, tile_name
from ..analysis.simulation import Simulation, kind_of, simulation_of
from ..dialects.sched import ExecOp, LoadOp
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.source import Source

Event = dict[str, Any]


def trace_text(functions: list[tuple[FuncOp, ModuleOp]], source: Source | None) -> str:
    """The trace of scheduled functions, each a process whose threads are its engines; an event in each line."""
    ids = count(1)
    events = [e for pid, (func, module) in enumerate(functions, 1) for e in _events(pid, func, module, source, ids)]
    lines = ",\n".join(json.dumps(event) for event in events)
    return f'{{"displayTimeUnit": "ns", "otherData": {{"unit": "1 us is 1 cycle"}}, "traceEvents": [\n{lines}\n]}}\n'


def _events(pid: int, func: FuncOp, module: ModuleOp, source: Source | None, ids: Iterator[int]) -> Iterator[Event]:
    sim = simulation_of(func, module)
    ranges = live_ranges(func, module)
    yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": func.symbol}}
    for tid, name in enumerate(sim.engines(), 1):
        yield {"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}}
        yield {"ph": "M", "pid": pid, "tid": tid, "name": "thread_sort_index", "args": {"sort_index": tid}}
    flows = _flows(sim, ids)
    for i in range(len(sim.ops)):
        yield _slice(pid, i, sim, source)
        for flow, starts in flows[i]:
            yield _flow(pid, i, sim, flow, starts)
    for time, value in _counter(sim, ranges):
        yield {"ph": "C", "pid": pid, "ts": time, "name": "SRAM live bytes", "args": {"bytes": value}}


def _slice(pid: int, i: int, sim: Simulation, source: Source | None) -> Event:
    op, timed = sim.ops[i], sim.timed[i]
    args: Event = {
        "line": line_of(op, source),
        "op": op_text(op),
        "tile": tile_name(op),
        "address": op.addrs[0],
        "bytes": op.operands[0].type.tile_bytes,  # type: ignore[attr-defined]
    }
    if sim.line.cause[i]:
        args |= {"cause": sim.line.cause[i], "after line": line_of(sim.ops[sim.line.by[i]], source)}
    return {
        "ph": "X", "pid": pid, "tid": timed.queue + 1, "ts": sim.line.start[i], "dur": timed.cycles,
        "cat": op.name, "name": f"{kind_of(op)} {tile_name(op)}",
        "args": {key: value for key, value in args.items() if value is not None},
    }  # fmt: skip


def _flow(pid: int, i: int, sim: Simulation, flow: int, starts: bool) -> Event:
    """An end of an arrow, within the slice before it."""
    event: Event = {
        "ph": "s" if starts else "f", "pid": pid, "tid": sim.timed[i].queue + 1, "ts": sim.line.start[i],
        "cat": "data", "name": "tile", "id": flow,
    }  # fmt: skip
    return event if starts else event | {"bp": "e"}


def _flows(sim: Simulation, ids: Iterator[int]) -> list[list[tuple[int, bool]]]:
    """By operation, the arrows that end (False) and start (True) at it: from what wrote a copy of a tile (a load, or
    the last exec) to each operation that reads it, sums that go on left out."""
    ends: list[list[tuple[int, bool]]] = [[] for _ in sim.ops]
    writers: dict[int, int] = {}
    for i, op in enumerate(sim.ops):
        read = range(1, len(op.operands)) if isinstance(op, ExecOp) else () if isinstance(op, LoadOp) else (0,)
        seen: set[int] = set()
        for k in read:
            writer = writers.get(op.addrs[k])
            if writer is None or op.addrs[k] in seen:
                continue
            seen.add(op.addrs[k])
            flow = next(ids)
            ends[writer].append((flow, True))
            ends[i].append((flow, False))
        if isinstance(op, (ExecOp, LoadOp)):
            writers[op.addrs[0]] = i
    return ends


def _counter(sim: Simulation, ranges: list[PlacedRange]) -> list[tuple[int, int]]:
    """The live bytes of the SRAM whenever they change: a copy counts from the start of what writes it to the end of the
    last that reads it."""
    changes: dict[int, int] = {}
    for one in ranges:
        start, end = sim.line.start[one.start], sim.line.end[one.end - 1]
        changes[start] = changes.get(start, 0) + one.size
        changes[end] = changes.get(end, 0) - one.size
    total = 0
    return [(time, total := total + changes[time]) for time in sorted(changes)]
