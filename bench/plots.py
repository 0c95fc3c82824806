"""Draws traffic against SRAM size with the bounds: docs/images/traffic.svg, the same bytes for the same figures.

python bench/plots.py [--output FILE.svg|FILE.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drawing import frame, panels, save
from matplotlib.ticker import FuncFormatter, NullLocator
from notation import KIB, Shape
from quality import Row, measure, progress
from shapes import CUBE, MLP, TABLE

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "traffic.svg"

SIZES = {
    "512 x 512 x 512, f32": (CUBE, (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)),
    "MLP 784-512-256-10, batch 128, f32": (MLP, (16, 24, 32, 48, 64, 96, 128, 192, 256, 320, 384, 512, 768, 1024)),
}
"""By title: the workload, and the SRAM sizes in KiB."""

# Okabe and Ito's colours, which people with any colour vision tell apart; each line has its own dashes besides.
LINES = {
    "lru": ("baseline, LRU", "#D55E00", (0, (1, 1.2)), "s"),
    "min": ("baseline, MIN", "#CC79A7", (0, (5, 1.5)), "^"),
    "o1": ("-O1", "#0072B2", "solid", "o"),
}
LABELS = {"lru": (3, (0, 14), "left"), "min": (8, (-4, -14), "right"), "o1": (2, (6, 11), "left")}
"""Where a line's label stands: by which of its points, how far from it, and which end of it."""
BOUND = "#444444"
MIB = 1024 * KIB


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    output: Path = parser.parse_args().output
    measured = {
        title: progress(
            [Shape(f"{title} at {size} KiB", size * KIB, steps) for size in sizes], lambda s: measure(s, prove=False)
        )
        for title, (steps, sizes) in SIZES.items()
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(measured, output)


def draw(measured: dict[str, list[Row]], output: Path) -> None:
    figure, axes = panels(len(measured), 4.6)
    for place, (title, rows) in zip(axes, measured.items(), strict=True):
        panel(place, title, rows)
    axes[0].set_ylabel("bytes moved")
    save(figure, output)


def panel(axes: Any, title: str, rows: list[Row]) -> None:
    sram = [row.shape.sram / KIB for row in rows]
    for key, (label, colour, dashes, marker) in LINES.items():
        points = [(x, value / MIB) for x, row in zip(sram, rows, strict=True) if (value := getattr(row, key))]
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=dashes, marker=marker, markersize=4.5,
                  linewidth=2.4 if key == "o1" else 1.6)  # fmt: skip
        at, offset, end = LABELS[key]
        axes.annotate(label, points[at], xytext=offset, textcoords="offset points", color=colour, fontweight="bold",
                      va="center", ha=end)  # fmt: skip
    bounds = [row.bound / MIB for row in rows if row.bound]
    axes.plot(sram, bounds, color=BOUND, linewidth=1.2)
    axes.fill_between(sram, bounds, 0.01, color=BOUND, alpha=0.12, linewidth=0)
    axes.annotate("lower bound: no schedule moves less", (sram[0], bounds[-1]), xytext=(4, -14),
                  textcoords="offset points", color=BOUND, va="center")  # fmt: skip
    known = [(s.sram / KIB, s.best / MIB) for s in TABLE if s.best and s.steps == rows[0].shape.steps]
    axes.plot(*zip(*known, strict=True), linestyle="none", marker="D", markersize=10, markerfacecolor="none",
              markeredgecolor="#009E73", markeredgewidth=1.8)  # fmt: skip
    axes.annotate("best known", known[1], xytext=(10, 12), textcoords="offset points", color="#00775A",
                  va="center")  # fmt: skip
    scales(axes, sram, bounds, rows)
    axes.set_title(title, loc="left", fontsize=12)


def scales(axes: Any, sram: list[float], bounds: list[float], rows: list[Row]) -> None:
    """Logarithmic both ways, with round figures on the ticks."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlim(sram[0] * 0.9, sram[-1] * 1.1)
    top = max(value for row in rows for value in (row.lru, row.min, row.o1) if value)
    axes.set_ylim(min(bounds) / 1.45, top / MIB * 1.5)
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda kib, _: f"{kib:g} KiB" if kib < 1024 else f"{kib / 1024:g} MiB")
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda mib, _: f"{mib:g} MiB"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("SRAM")
    frame(axes)


if __name__ == "__main__":
    main()
