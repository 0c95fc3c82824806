"""What `strict_run.py` can't see in bits: races of queues, addresses, halves, figures, what hides in a module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tilewright.dialects import sched, uop
from tilewright.dialects.tiles import TiledType
from tilewright.ir.builtin import FuncOp, ModuleOp, ReturnOp
from tilewright.ir.core import Value
from tilewright.ir.types import TensorType

if __package__:
    from .strict_run import EXECS, LOADS, PLACED, STORES, StrictRun, tiled
else:
    from strict_run import EXECS, LOADS, PLACED, STORES, StrictRun, tiled  # type: ignore[no-redef]


def broken_claims(func: FuncOp) -> Iterator[str]:
    """What a schedule says of itself and does not keep."""
    sram = func.attrs.get("sched.sram") or {}
    ops = [op for op in func.ops if isinstance(op, PLACED)]
    for op in ops:
        sizes = [tiled(v).tile_bytes for v in op.operands]
        if not isinstance(op, sched.ExecOp) and op.bytes != sizes[0]:
            yield f"{op.bytes} bytes for {sizes[0]}"
        for start, size in zip(op.addrs, sizes, strict=True):
            if start % alignment_of(func) or overlap(start, size, sram.get("reserved", ())):
                yield f"a tile at {start}"
    if "halves" in sram:
        yield from broken_halves(ops, sram["halves"])
    yield from wrong_figures(func)
    if any(op.queue is not None for op in ops):
        yield from races(func)


def overlap(start: int, size: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(low < start + size and start < high for low, high in ranges)


def broken_halves(ops: list[Any], halves: list[tuple[int, int]]) -> Iterator[str]:
    """Tiles outside of their halves, results within one, and loads into a half that is being read."""
    last, loaded = None, set()
    for op in ops:
        places = [(start, tiled(v).tile_bytes) for v, start in zip(op.operands, op.addrs, strict=True)]
        if isinstance(op, sched.LoadOp):
            (start, size), (low, high) = places[0], halves[op.half] if op.half is not None else (0, 0)
            if not low <= start <= high - size:
                yield f"a load at {start} outside its half"
            loaded.add(op.half)
        elif isinstance(op, sched.ExecOp):
            if overlap(*places[0], halves):
                yield f"a result at {places[0][0]} within a half"
            others = [half for k, half in enumerate(halves) if k != op.half]
            if any(overlap(*place, others) for place in places[1:]):
                yield "a tile of another half is read"
            if op.half is not None:
                if op.half == last and last in loaded:
                    yield f"a load into half {last} while it is read"
                last, loaded = op.half, set()


def alignment_of(func: FuncOp) -> int:
    return (func.attrs.get("sched.sram") or {"alignment": 64})["alignment"]


def wrong_figures(func: FuncOp) -> Iterator[str]:
    """Figures of `sched.stats` that the text does not imply."""
    stated = func.attrs.get("sched.stats")
    if stated is None:
        return
    ops = [op for op in func.ops if isinstance(op, PLACED)]
    loads = sum(isinstance(op, sched.LoadOp) for op in ops)
    read = sum(len({*zip(op.operands[1:], op.coords[1:], strict=True)}) for op in ops if isinstance(op, sched.ExecOp))
    spills = sum(isinstance(op, sched.StoreOp) and op.spill is not None for op in ops)
    alignment = alignment_of(func)
    implied = {"sched_ops": len(ops), "loads_emitted": loads, "loads_eliminated": read - loads}
    implied |= {"spills": spills} if spills else {}
    implied["peak_sram_bytes"] = peak([*lifetimes(ops, alignment)], len(ops))
    for key, figure in implied.items():
        if stated.get(key) != figure:
            yield f"{key} = {stated.get(key)}, not {figure}"


def lifetimes(ops: list[Any], alignment: int) -> Iterator[list[int]]:
    """First and last operation and rounded bytes of every copy: from what writes it to the last that reads it there."""
    at: dict[int, list[int]] = {}
    for i, op in enumerate(ops):
        reads = op.addrs if isinstance(op, sched.StoreOp) else op.addrs[1:] if isinstance(op, sched.ExecOp) else ()
        for address in reads:
            at.get(address, [0, 0, 0])[1] = i
        if isinstance(op, sched.StoreOp):
            continue
        goes_on = isinstance(op, sched.ExecOp) and (op.accumulate or op.addrs[0] in reads)
        if goes_on and op.addrs[0] in at:
            at[op.addrs[0]][1] = i
            continue
        size = tiled(op.operands[0]).tile_bytes
        for address in [a for a, copy in at.items() if a < op.addrs[0] + size and op.addrs[0] < a + copy[2]]:
            yield at.pop(address)
        at[op.addrs[0]] = [i, i, -(-size // alignment) * alignment]
    yield from at.values()


def peak(copies: list[list[int]], count: int) -> int:
    return max((sum(size for first, last, size in copies if first <= i <= last) for i in range(count)), default=0)


def races(func: FuncOp) -> Iterator[str]:
    """Pairs of operations that touch the same bytes in no order, by the closure of all that is waited for."""
    ops: list[Any] = [op for op in func.ops if isinstance(op, PLACED)]
    known = ended_before(ops)
    if known is None:
        yield "a deadlock"
        return
    space = StrictRun(func)
    touched = [accesses(space, op) for op in ops]
    for j, later in enumerate(touched):
        for i, earlier in enumerate(touched[:j]):
            clash = any((w or v) and s == t and a < d and c < b for s, a, b, w in earlier for t, c, d, v in later)
            if clash and not known[j] >> i & 1:
                yield f"a race of operations {i} and {j}"


def accesses(space: StrictRun, op: Any) -> list[tuple[str, int, int, bool]]:
    """Memory, range, and whether it is written."""
    found = []
    for k, (value, coord, address) in enumerate(zip(op.operands, op.coords, op.addrs, strict=True)):
        size = tiled(value).tile_bytes
        found.append(("chip", address, address + size, k == 0 and not isinstance(op, sched.StoreOp)))
        if not isinstance(op, sched.ExecOp):
            off = space.off_chip(value, coord)
            found.append(("off", off, off + size, isinstance(op, sched.StoreOp)))
    return found


def ended_before(ops: list[Any]) -> list[int] | None:
    """For each operation the set of those that have ended when it starts, as bits; None for a deadlock."""
    queues: dict[int, list[int]] = {}
    for i, op in enumerate(ops):
        queues.setdefault(op.queue, []).append(i)
    signals = {q: [i for i in places if ops[i].signal is not None] for q, places in queues.items()}
    known: list[int | None] = [None] * len(ops)
    going = True
    while going:
        going = False
        for places in queues.values():
            at = next((k for k, i in enumerate(places) if known[i] is None), None)
            if at is None:
                continue
            i = places[at]
            needed = [signals.get(q, [])[n - 1 : n] for q, n in ops[i].wait or ()]
            before = [j for found in needed for j in found] + places[at - 1 : at] * (at > 0)
            if not all(needed) or any(known[j] is None for j in before):
                continue
            known[i], going = 0, True
            for j in before:
                known[i] |= known[j] | 1 << j  # type: ignore[operator]
    return None if None in known else known  # type: ignore[return-value]


def hidden(module: ModuleOp) -> Iterator[str]:
    """Operations on tiles that no function's run would meet, and unknown ones that touch tiles or bear our names."""
    for op in module.walk():
        for region in op.regions:
            for inner in region.ops:
                ours = inner.name.partition(".")[0] in ("uop", "sched", "graph")
                known = isinstance(inner, (*LOADS, *EXECS, *STORES, uop.AllocOp))
                if ours and not (known and isinstance(op, FuncOp)):
                    yield f"{inner.name} in {op.name}"
                touches = any(isinstance(v.type, TiledType) for v in (*inner.operands, *inner.results))
                if touches and not ours and not isinstance(inner, (FuncOp, ReturnOp)):
                    yield f"{inner.name} touches tiles"


def tensor(value: Value) -> TensorType | None:
    """The tensor that a value stands for."""
    type = value.type.tensor if isinstance(value.type, TiledType) else value.type
    return type if isinstance(type, TensorType) else None
