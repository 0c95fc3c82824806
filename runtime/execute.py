"""Runs a function at whatever level it stands, from arrays to arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..dialects.levels import MixedLevelsError, is_known, level_of
from ..dialects.opaque import opaque_ops
from ..dialects.target import target_of
from ..dialects.tiles import Coord, TiledType
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.collector import collector_off
from ..ir.core import Operation, Value
from ..ir.diagnostics import DiagnosticError, fail
from ..ir.types import INTEGERS
from ..ir.verifier import operation_errors
from .buffers import Buffer
from .graph import run_graph
from .inputs import checked_input, tensor_of
from .numerics import Array, numpy_dtype
from .queues import Engines, QueueRun
from .recorded import Held, Recorder, followed
from .room import check_room, values_of
from .sched import SchedRun
from .uop import UopRun

Progress = Callable[[int], None]


@dataclass(slots=True)
class Run:
    """An array per result; below the graph level also the result's tile sizes and who stored each of its tiles.

    `held` are the tensors of floats in between too, by name, if they have been recorded.
    """

    arrays: list[Array]
    tiles: list[tuple[int, ...]] = field(default_factory=list)
    stored: list[dict[Coord, Operation | None]] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)

    def result(self, func: FuncOp, index: int) -> Held:
        """A result of the function that has been run."""
        value, array = func.returned()[index], self.arrays[index]
        return Held(value, array, self.tiles[index], self.stored[index]) if self.tiles else Held(value, array)

    def held_of(self, func: FuncOp, value: Value) -> Held:
        """A result, or another tensor that has been recorded."""
        results = func.returned()
        return self.result(func, results.index(value)) if value in results else self.held[value.name]


def execute_function(
    func: FuncOp,
    module: ModuleOp,
    inputs: Mapping[str, Array],
    *,
    poison: bool = True,
    verified: bool = False,
    wrap: bool = False,
    engines: Engines | None = None,
    record: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Runs a function on arrays by argument name; one that has not been `verified` is checked operation by operation.

    With `engines` a schedule runs from its queues, waits and signals alone, which must have been verified; functions of
    other levels have none. `record` keeps the values in between.

    Raises `DiagnosticError` for a missing or misshapen input, an operation that can't be run, a read of poison, and an
    i32 sum that overflows and may not `wrap`.
    """
    try:
        with collector_off(), np.errstate(all="ignore"):
            return _execute(func, module, inputs, poison, verified, wrap, engines, record, progress)
    except DiagnosticError as error:
        raise DiagnosticError(error.diagnostics, module.source) from None


def _execute(
    func: FuncOp,
    module: ModuleOp,
    inputs: Mapping[str, Array],
    poison: bool,
    verified: bool,
    wrap: bool,
    engines: Engines | None,
    record: bool,
    progress: Progress | None,
) -> Run:
    for op in opaque_ops(func)[:1]:
        fail(f"cannot run {op.name}: what {op.op} computes is not known here", op.loc)
    other = next((op for op in func.ops if not is_known(op)), None)
    if other is not None:
        fail(f"cannot run {other.name}: it is no operation of this language", other.loc)
    level = checked_level(func, verified)
    check_room(values_of(func))
    arrays = [checked_input(arg, inputs) for arg in func.args]
    if level == "graph":
        return _collect_values(func, run_graph(func, arrays, wrap), record)
    buffers = {
        a: Buffer(a.type, data) for a, data in zip(func.args, arrays, strict=True) if isinstance(a.type, TiledType)
    }
    recorder = Recorder(func) if record else None
    if level == "uop":
        UopRun(buffers, wrap, recorder).run(func, progress)
    else:
        sram = func.attrs.get("sched.sram")
        total = sram["total_bytes"] if sram else target_of(func, module).sram_bytes
        if engines is None:
            SchedRun(buffers, total, poison, wrap, recorder).run(func, progress)
        else:
            QueueRun(buffers, total, wrap, engines, recorder).run(func, progress)
    return _collect_tiles(func, buffers, dict(zip(func.args, arrays, strict=True)), recorder)


def checked_level(func: FuncOp, verified: bool) -> str:
    """The function's level. Raises `DiagnosticError` for what makes no sense operation by operation."""
    errors = [] if verified else operation_errors(func)
    if errors:
        raise DiagnosticError(errors)
    try:
        return level_of(func)
    except MixedLevelsError as error:
        raise DiagnosticError([error.error]) from None


def _collect_values(func: FuncOp, values: dict[Value, Array], record: bool) -> Run:
    run = Run([values[v] for v in func.returned()])
    if record:
        counts = followed(func)
        made = (op.result for op in func.ops if op.results)
        run.held = {v.name: Held(v, values[v]) for v in made if counts(v.type)}
    return run


def _collect_tiles(
    func: FuncOp, buffers: dict[Value, Buffer], args: dict[Value, Array], recorder: Recorder | None
) -> Run:
    """The results: buffers, and tensors that can only be arguments."""
    run = Run([], held={} if recorder is None else recorder.held())
    for value in func.returned():
        buffer = buffers.get(value)
        if buffer is None:
            run.arrays.append(args[value])
            run.tiles.append(args[value].shape)
            run.stored.append({(0,) * args[value].ndim: None})
            continue
        missing = next((c for c in buffer.type.coords() if c not in buffer.stored), None)
        if missing is not None:
            fail(f"result tile %{value.name}{list(missing)} was never stored", func.ops[-1].loc, f"%{value.name}")
        run.arrays.append(buffer.whole())
        run.tiles.append(buffer.type.tile)
        run.stored.append(buffer.stored)
    return run


def random_inputs(func: FuncOp, seed: int, *, integers: bool = True, bound: int = 4) -> dict[str, Array]:
    """Seeded inputs by argument name: integers from -bound to bound, whose sums are exact while they stay below 2**24,
    or normally distributed floats."""
    check_room(func.args)
    generator = np.random.default_rng(seed)
    inputs: dict[str, Array] = {}
    for arg in func.args:
        tensor = tensor_of(arg)
        whole = integers or tensor.dtype in INTEGERS
        least = 0 if tensor.dtype == "ui8" else -bound
        data = generator.integers(least, bound + 1, tensor.shape) if whole else generator.standard_normal(tensor.shape)
        inputs[arg.name] = data.astype(numpy_dtype(tensor.dtype))
    return inputs
