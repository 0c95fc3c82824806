"""Draws the curves of build/bench.json: docs/images/speed.svg.

python bench/speed_plot.py [--input FILE.json] [--output FILE.svg|FILE.png]
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from drawing import frame, panels, save
from matplotlib.ticker import FuncFormatter, NullLocator

ROOT = Path(__file__).resolve().parents[1]
Curves = dict[str, list[list[float]]]
OURS, OTHERS = "solid", (0, (4, 1.5))

# Okabe and Ito's colours; the lines of other tools are dashed.
RATES = {
    "print pretty": ("print, pretty", "#009E73", OURS, "v"),
    "verify": ("verify", "#CC79A7", OURS, "s"),
    "parse, pretty": ("parse, pretty", "#0072B2", OURS, "o"),
    "parse, generic": ("parse, generic", "#56B4E9", OURS, "o"),
    "schedule pass": ("schedule", "#E69F00", OURS, "D"),
    "parse, pretty, Lark alone": ("parse, Lark alone", "#8A6D00", OURS, "x"),
    "mlir-opt's Output": ("mlir-opt's Output", "#777777", OTHERS, "v"),
    "mlir-opt's Parser, generic": ("mlir-opt's Parser", "#222222", OTHERS, "o"),
}
COSTS = {
    "xdsl-opt": ("xdsl-opt", "#D55E00", OTHERS, "^"),
    "opt --parser=lark, generic text": ("Lark alone, generic text", "#8A6D00", OURS, "x"),
    "opt --schedule": ("opt --schedule", "#E69F00", OURS, "D"),
    "opt, generic text": ("opt, generic text", "#0072B2", OURS, "o"),
    "mlir-opt": ("mlir-opt, generic text", "#222222", OTHERS, "o"),
}
"""By name in the record: label, colour, dashes and marker."""

GAP = 0.055
"""The least distance of two labels, as a share of the panel's height."""


def draw_file(figures: Path, output: Path) -> None:
    curves = json.loads(figures.read_text(encoding="utf-8"))["curves"]
    figure, axes = panels(2, 5.2)
    panel(axes[0], curves["rates"], RATES, "operations a second of CPU time, by stage", count, steep=False)
    panel(axes[1], curves["costs"], COSTS, "seconds of CPU time, whole processes", "{:g} s".format, steep=True)
    save(figure, output)


def count(number: float) -> str:
    return f"{number / 1e6:g}M" if number >= 1e6 else f"{number / 1e3:g}k"


def panel(axes: Any, curves: Curves, styles: dict[str, Any], title: str, ticks: Any, steep: bool) -> None:
    """Logarithmic both ways; each line's label stands at its end, moved from its neighbours'."""
    found = {name: style for name, style in styles.items() if curves.get(name)}
    for name, (_, colour, dashes, marker) in found.items():
        axes.plot(*zip(*curves[name], strict=True), color=colour, linestyle=dashes, marker=marker, markersize=5,
                  linewidth=1.8)  # fmt: skip
    points = [point for name in found for point in curves[name]]
    least, most = min(y for _, y in points), max(y for _, y in points)
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(first * 0.8, last * (last / first) ** 0.45)
    axes.set_ylim(least * 0.75, most * 1.35)
    axes.set_xticks([10**power for power in range(3, round(math.log10(last)) + 1)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: count(size)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: ticks(value)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("operations")
    axes.set_title(title, loc="left", fontsize=12)
    frame(axes)
    labels(axes, curves, found, math.log(most * 1.35 / (least * 0.75)), steep)


def labels(axes: Any, curves: Curves, styles: dict[str, Any], height: float, steep: bool) -> None:
    """Each stands beside its line's end, moved up or down as far as keeps it apart from others, with a thin line to it;
    where lines are steep, those that end early have theirs on the left, where no other line goes on."""
    last = max(curves[name][-1][0] for name in styles)
    for left in (False, True):
        names = [name for name in styles if (steep and curves[name][-1][0] < last) == left]
        names.sort(key=lambda name: curves[name][-1][1])
        places = apart([math.log(curves[name][-1][1]) for name in names], GAP * height)
        for name, place in zip(names, places, strict=True):
            label, colour, _, _ = styles[name]
            x, y = curves[name][-1]
            axes.annotate(
                label, (x, y), xytext=(x / 1.35 if left else x * 1.35, math.exp(place)), color=colour, fontsize=10,
                fontweight="bold", va="center", ha="right" if left else "left",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.5},
                arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4},
            )  # fmt: skip


def apart(places: list[float], gap: float) -> list[float]:
    """Ascending numbers, neighbours that are closer than `gap` moved away from each other."""
    moved = list(places)
    for _ in range(100):
        for i in range(len(moved) - 1):
            lack = gap - (moved[i + 1] - moved[i])
            if lack > 0:
                moved[i] -= lack / 2
                moved[i + 1] += lack / 2
    return moved


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--input", type=Path, default=ROOT / "build" / "bench.json", metavar="FILE")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "speed.svg", metavar="FILE")
    args = parser.parse_args()
    draw_file(args.input, args.output)


if __name__ == "__main__":
    main()
