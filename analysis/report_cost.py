"""The part of a report about traffic: what a schedule moves, the least that it could, and how it uses the SRAM."""

from __future__ import annotations

from dataclasses import dataclass

from ..planner.arena import count_of
from ..planner.bounds import bounds_of
from .cost import Cost, TensorCost
from .naming import rounded
from .workload import Workload

UNKNOWN = "unknown"
MOST_ROWS = 12
NAME_WIDTH = 20


@dataclass(frozen=True, slots=True)
class TensorTraffic:
    """One tensor's bytes: moved, moved because of spills (part of those), and the least that any schedule moves.

    `loads` counts the loads of its tiles, `tiles` how many different tiles they load.
    """

    name: str
    loaded_bytes: int
    compulsory_loaded_bytes: int
    stored_bytes: int
    compulsory_stored_bytes: int
    spilled_bytes: int
    loads: int
    tiles: int

    @property
    def loads_per_tile(self) -> float | None:
        """How often a tile that is loaded is loaded, on average; None where none is."""
        return self.loads / self.tiles if self.tiles else None

    @property
    def excess_bytes(self) -> int:
        """Bytes beyond the compulsory ones."""
        return self.loaded_bytes + self.stored_bytes - self.compulsory_loaded_bytes - self.compulsory_stored_bytes

    def to_dict(self) -> dict[str, object]:
        """The figures as JSON's data."""
        return {
            "name": self.name,
            "loaded_bytes": self.loaded_bytes,
            "compulsory_loaded_bytes": self.compulsory_loaded_bytes,
            "stored_bytes": self.stored_bytes,
            "compulsory_stored_bytes": self.compulsory_stored_bytes,
            "spilled_bytes": self.spilled_bytes,
            "loads": self.loads,
            "loads_per_tile": rounded(self.loads_per_tile),
        }


@dataclass(frozen=True, slots=True)
class ScheduleCost:
    """What a schedule moves and takes up. `macs` counts multiply-accumulates of whole tiles, their padding included.

    `spilled_bytes` are part of the others: stores marked `spill`, and the loads that bring those tiles back.
    `peak_live_bytes` is the largest sum of bytes live at once, `high_water_bytes` the largest address that a tile ends
    at. `off_chip_bytes` are the bytes of the buffers that have a `dram` address, and `dram_bytes` those of the address
    range that they share. Opaque operations, of which there are `opaque_ops`, read and write off chip by themselves.
    """

    loaded_bytes: int
    stored_bytes: int
    spilled_bytes: int
    macs: int
    peak_live_bytes: int
    high_water_bytes: int
    off_chip_bytes: int
    dram_bytes: int
    fragmentation: float
    """The share of the address range in use that was not live at the peak, from 0 to 1."""
    tensors: tuple[TensorTraffic, ...]
    opaque_ops: int = 0
    opaque_read_bytes: int = 0
    opaque_written_bytes: int = 0

    @property
    def traffic_bytes(self) -> int:
        """All that moves, by opaque operations too."""
        return self.loaded_bytes + self.stored_bytes + self.opaque_read_bytes + self.opaque_written_bytes

    @property
    def macs_per_byte(self) -> float | None:
        """Arithmetic intensity: multiply-accumulates for each byte moved; None where nothing moves."""
        return self.macs / self.traffic_bytes if self.traffic_bytes else None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no schedule of the function can go below with an SRAM of `sram_bytes`; `layer_by_layer_bytes` only if
    nothing is fused. `padded` says whether whole tiles are counted. Ratios are those of the schedule's traffic to
    them; None without a schedule, or where nothing has to move.
    """

    sram_bytes: int
    padded: bool
    compulsory_bytes: int
    program_bytes: int
    program_kind: str
    program_ratio: float | None
    layer_by_layer_bytes: int
    layer_by_layer_ratio: float | None

    def to_dict(self) -> dict[str, object]:
        """The figures as JSON's data."""
        return {
            "sram_bytes": self.sram_bytes,
            "padded": self.padded,
            "compulsory_bytes": self.compulsory_bytes,
            "program_bytes": self.program_bytes,
            "program_kind": self.program_kind,
            "program_ratio": rounded(self.program_ratio),
            "layer_by_layer_bytes": self.layer_by_layer_bytes,
            "layer_by_layer_ratio": rounded(self.layer_by_layer_ratio),
        }


def schedule_cost(cost: Cost) -> ScheduleCost:
    """The figures of a cost."""
    return ScheduleCost(
        cost.loaded,
        cost.stored,
        cost.spilled,
        cost.macs,
        cost.peak,
        cost.high_water,
        cost.off_chip,
        cost.dram,
        cost.fragmentation,
        tuple(map(_tensor_traffic, cost.tensors)),
        *cost.opaque,
    )


def _tensor_traffic(t: TensorCost) -> TensorTraffic:
    return TensorTraffic(t.name, t.loaded, t.least_loaded, t.stored, t.least_stored, t.spilled, t.loads, t.tiles)


def bounds_report(workload: Workload | None, sram: int, tiled: bool, cost: ScheduleCost | None) -> Bounds | None:
    """The bounds of a workload, if it is known, for an SRAM of `sram` bytes; `tiled` says whether it counts tiles."""
    if workload is None:
        return None
    found = bounds_of(workload, sram)
    ratios = [cost.traffic_bytes / b if cost is not None and b else None for b in (found.program, found.layered)]
    return Bounds(
        sram, tiled, found.compulsory, found.program, found.kind, ratios[0], found.layered, ratios[1]
    )  # fmt: skip


def cost_dict(cost: ScheduleCost | None, bounds: Bounds | None) -> dict[str, object]:
    """Everything in bytes as JSON's data, in a fixed order; None for unknown."""
    return {
        "traffic": cost and _traffic_dict(cost),
        "bounds": bounds and bounds.to_dict(),
        "macs": None if cost is None else cost.macs,
        "macs_per_byte": None if cost is None else rounded(cost.macs_per_byte),
        "peak_live_bytes": None if cost is None else cost.peak_live_bytes,
        "high_water_bytes": None if cost is None else cost.high_water_bytes,
        "off_chip_bytes": None if cost is None else cost.off_chip_bytes,
        "dram_bytes": None if cost is None else cost.dram_bytes,
        "fragmentation": None if cost is None else rounded(cost.fragmentation),
        "tensors": None if cost is None else [tensor.to_dict() for tensor in cost.tensors],
    }


def _traffic_dict(cost: ScheduleCost) -> dict[str, int]:
    """The traffic; what opaque operations move only where there are some."""
    figures = {
        "total_bytes": cost.traffic_bytes,
        "loaded_bytes": cost.loaded_bytes,
        "stored_bytes": cost.stored_bytes,
        "spilled_bytes": cost.spilled_bytes,
    }
    if not cost.opaque_ops:
        return figures
    names = ("opaque_ops", "opaque_read_bytes", "opaque_written_bytes")
    return figures | {name: getattr(cost, name) for name in names}


def cost_lines(cost: ScheduleCost | None, bounds: Bounds | None) -> list[str]:
    """The block of the text report."""
    rows = [("traffic", _traffic(cost))]
    if cost is not None and cost.opaque_ops:
        moved = f"{kib(cost.opaque_read_bytes)} KiB read, {kib(cost.opaque_written_bytes)} KiB written of it"
        rows.append(("opaque", f"{moved}, by {count_of(cost.opaque_ops, 'operation')} that nothing here can run"))
    rows += [("lower bound", _program(bounds)), ("layer by layer", _layered(bounds))]
    rows += [("intensity", _intensity(cost)), ("high water", _high_water(cost))]
    if cost is not None and cost.dram_bytes:
        shown = f"{kib(cost.off_chip_bytes)} KiB of stored buffers in {kib(cost.dram_bytes)} KiB"
        rows.append(("off chip", shown))
    return [f"  {label + ':':<15} {value}" for label, value in rows] + _table(cost)


def _traffic(cost: ScheduleCost | None) -> str:
    if cost is None:
        return UNKNOWN
    parts = f"{kib(cost.loaded_bytes)} loaded, {kib(cost.stored_bytes)} stored; {kib(cost.spilled_bytes)} spilled"
    return f"{kib(cost.traffic_bytes)} KiB ({parts})"


def _program(bounds: Bounds | None) -> str:
    if bounds is None:
        return UNKNOWN
    basis = bounds.program_kind + ("" if bounds.padded else ", without padding")
    return f"{kib(bounds.program_bytes)} KiB ({basis})" + _ratio(bounds.program_ratio)


def _layered(bounds: Bounds | None) -> str:
    if bounds is None:
        return UNKNOWN
    text = f"{kib(bounds.layer_by_layer_bytes)} KiB (a bound only if nothing is fused)"
    return text + _ratio(bounds.layer_by_layer_ratio)


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f", ratio {ratio:.2f}"


def _intensity(cost: ScheduleCost | None) -> str:
    if cost is None:
        return UNKNOWN
    intensity = cost.macs_per_byte
    shown = "nothing moves" if intensity is None else f"{intensity:.2f} MACs per byte moved"
    return f"{shown} ({cost.macs:,} MACs)"


def _high_water(cost: ScheduleCost | None) -> str:
    if cost is None:
        return UNKNOWN
    return f"{cost.high_water_bytes:,} B ({100 * cost.fragmentation:.1f}% fragmentation)"


def _table(cost: ScheduleCost | None) -> list[str]:
    """A row for each tensor that moves or should; of many, those that move most beyond their least."""
    rows = [t for t in cost.tensors if _counts(t)] if cost is not None else []
    if not rows:
        return []
    worst = sorted(rows, key=lambda t: -t.excess_bytes)[:MOST_ROWS]
    shown = [t for t in rows if t in worst] if len(rows) > MOST_ROWS else rows
    width = max(len("tensors, KiB:") - 2, *(len(_name(t)) for t in shown))
    heads = f"{'loaded':>10} {'least':>9} {'stored':>10} {'least':>9} {'loads/tile':>10}"
    out = [f"  {'tensors, KiB:':<{width + 2}} {heads}", *(_row(t, width) for t in shown)]
    if len(rows) > len(shown):
        out.append(f"    and {len(rows) - len(shown)} more, closer to their least")
    return out


def _counts(t: TensorTraffic) -> bool:
    return any((t.loaded_bytes, t.stored_bytes, t.compulsory_loaded_bytes, t.compulsory_stored_bytes))


def _row(t: TensorTraffic, width: int) -> str:
    each = "-" if t.loads_per_tile is None else f"{t.loads_per_tile:.2f}"
    loaded = f"{kib(t.loaded_bytes):>10} {kib(t.compulsory_loaded_bytes):>9}"
    stored = f"{kib(t.stored_bytes):>10} {kib(t.compulsory_stored_bytes):>9}"
    return f"    {_name(t):<{width}} {loaded} {stored} {each:>10}"


def _name(tensor: TensorTraffic) -> str:
    name = f"%{tensor.name}"
    return name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 3] + "..."


def kib(size: int) -> str:
    """Bytes as KiB, with a decimal only where it takes one."""
    return f"{size // 1024:,}" if size % 1024 == 0 else f"{size / 1024:,.1f}"
