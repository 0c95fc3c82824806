"""The part of `--report` about traffic: what a schedule moves, the least that it could, and how it uses the SRAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..analysis.cost import Cost, TensorCost
from ..analysis.workload import Workload
from ..planner.bounds import Bounds, bounds_of

UNKNOWN = "unknown"
MOST_ROWS = 12
NAME_WIDTH = 20


@dataclass(slots=True)
class CostReport:
    """A function's cost, and its bounds for an SRAM of `sram` bytes; None for what its level doesn't tell. `tiled` says
    whether tiles are counted."""

    cost: Cost | None = None
    bounds: Bounds | None = None
    sram: int = 0
    tiled: bool = False

    def lines(self) -> list[str]:
        """The block of the text report."""
        rows = [("traffic", self._traffic()), ("lower bound", self._bound()), ("layer by layer", self._layered())]
        rows += [("intensity", self._intensity()), ("high water", self._high_water())]
        if self.cost is not None and self.cost.dram:
            rows.append(("off chip", f"{kib(self.cost.off_chip)} KiB of stored buffers in {kib(self.cost.dram)} KiB"))
        return [f"  {label + ':':<15} {value}" for label, value in rows] + self._table()

    def ratio(self, bound: int | None) -> float | None:
        """How many times a bound the traffic is; None where there is no traffic or nothing has to move."""
        return self.cost.traffic / bound if self.cost is not None and bound else None

    def _traffic(self) -> str:
        cost = self.cost
        if cost is None:
            return UNKNOWN
        parts = f"{kib(cost.loaded)} loaded, {kib(cost.stored)} stored; {kib(cost.spilled)} spilled"
        return f"{kib(cost.traffic)} KiB ({parts})"

    def _bound(self) -> str:
        if self.bounds is None:
            return UNKNOWN
        basis = self.bounds.kind + ("" if self.tiled else ", without padding")
        return f"{kib(self.bounds.program)} KiB ({basis})" + self._ratio_text(self.bounds.program)

    def _layered(self) -> str:
        if self.bounds is None:
            return UNKNOWN
        text = f"{kib(self.bounds.layered)} KiB (a bound only if nothing is fused)"
        return text + self._ratio_text(self.bounds.layered)

    def _ratio_text(self, bound: int) -> str:
        ratio = self.ratio(bound)
        return "" if ratio is None else f", ratio {ratio:.2f}"

    def _intensity(self) -> str:
        if self.cost is None:
            return UNKNOWN
        intensity = self.cost.intensity
        shown = "nothing moves" if intensity is None else f"{intensity:.2f} MACs per byte moved"
        return f"{shown} ({self.cost.macs:,} MACs)"

    def _high_water(self) -> str:
        if self.cost is None:
            return UNKNOWN
        return f"{self.cost.high_water:,} B ({100 * self.cost.fragmentation:.1f}% fragmentation)"

    def _table(self) -> list[str]:
        """A row for each tensor that moves or should; of many, those that move most beyond their least."""
        if self.cost is None:
            return []
        rows = [t for t in self.cost.tensors if t.loaded or t.stored or t.least_loaded or t.least_stored]
        if not rows:
            return []
        worst = sorted(rows, key=lambda t: -t.excess)[:MOST_ROWS]
        shown = [t for t in rows if t in worst] if len(rows) > MOST_ROWS else rows
        width = max(len("tensors, KiB:") - 2, *(len(_name(t)) for t in shown))
        heads = f"{'loaded':>10} {'least':>9} {'stored':>10} {'least':>9} {'loads/tile':>10}"
        out = [f"  {'tensors, KiB:':<{width + 2}} {heads}", *(_row(t, width) for t in shown)]
        if len(rows) > len(shown):
            out.append(f"    and {len(rows) - len(shown)} more, closer to their least")
        return out

    def as_json(self) -> dict[str, Any]:
        """Everything in bytes, in a fixed order; None for unknown."""
        cost, bounds = self.cost, self.bounds
        return {
            "traffic": None if cost is None else _traffic_json(cost),
            "bounds": None if bounds is None else self._bounds_json(bounds),
            "macs": None if cost is None else cost.macs,
            "macs_per_byte": None if cost is None else _rounded(cost.intensity),
            "peak_live_bytes": None if cost is None else cost.peak,
            "high_water_bytes": None if cost is None else cost.high_water,
            "off_chip_bytes": None if cost is None else cost.off_chip,
            "dram_bytes": None if cost is None else cost.dram,
            "fragmentation": None if cost is None else _rounded(cost.fragmentation),
            "tensors": None if cost is None else [_tensor_json(t) for t in cost.tensors],
        }

    def _bounds_json(self, bounds: Bounds) -> dict[str, Any]:
        return {
            "sram_bytes": self.sram,
            "padded": self.tiled,
            "compulsory_bytes": bounds.compulsory,
            "program_bytes": bounds.program,
            "program_kind": bounds.kind,
            "program_ratio": _rounded(self.ratio(bounds.program)),
            "layer_by_layer_bytes": bounds.layered,
            "layer_by_layer_ratio": _rounded(self.ratio(bounds.layered)),
        }


def cost_report(cost: Cost | None, workload: Workload | None, sram: int, tiled: bool) -> CostReport:
    """The report on a function for an SRAM of `sram` bytes."""
    return CostReport(cost, None if workload is None else bounds_of(workload, sram), sram, tiled)


def kib(size: int) -> str:
    """Bytes as KiB, with a decimal only where it takes one."""
    return f"{size // 1024:,}" if size % 1024 == 0 else f"{size / 1024:,.1f}"


def _name(tensor: TensorCost) -> str:
    name = f"%{tensor.name}"
    return name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 3] + "..."


def _row(t: TensorCost, width: int) -> str:
    each = f"{t.loads / t.tiles:.2f}" if t.tiles else "-"
    sizes = f"{kib(t.loaded):>10} {kib(t.least_loaded):>9} {kib(t.stored):>10} {kib(t.least_stored):>9}"
    return f"    {_name(t):<{width}} {sizes} {each:>10}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _traffic_json(cost: Cost) -> dict[str, int]:
    return {
        "total_bytes": cost.traffic,
        "loaded_bytes": cost.loaded,
        "stored_bytes": cost.stored,
        "spilled_bytes": cost.spilled,
    }


def _tensor_json(t: TensorCost) -> dict[str, Any]:
    return {
        "name": t.name,
        "loaded_bytes": t.loaded,
        "compulsory_loaded_bytes": t.least_loaded,
        "stored_bytes": t.stored,
        "compulsory_stored_bytes": t.least_stored,
        "spilled_bytes": t.spilled,
        "loads": t.loads,
        "loads_per_tile": _rounded(t.loads / t.tiles) if t.tiles else None,
    }
