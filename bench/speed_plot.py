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
    "opt --parser=lark": ("Lark alone", "#8A6D00", OURS, "x"),
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
    panel(axes[0], curves["rates"], RATES, "operations a second, by stage", lambda rate, _: count(rate))
    panel(axes[1], curves["costs"], COSTS, "seconds, whole processes", lambda seconds, _: f"{seconds:g} s")
    save(figure, output)


def count(number: float) -> str:
    return f"{number / 1e6:g}M" if number >= 1e6 else f"{number / 1e3:g}k"


def panel(axes: Any, curves: dict[str, list[list[float]]], styles: dict[str, Any], title: str, ticks: Any) -> None:
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
    axes.yaxis.set_major_formatter(FuncFormatter(ticks))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("operations")
    axes.set_title(title, loc="left", fontsize=12)
    frame(axes)
    labels(axes, curves, found, math.log(most * 1.35 / (least * 0.75)))


def labels(axes: Any, curves: dict[str, list[list[float]]], styles: dict[str, Any], height: float) -> None:
    """From the lowest up, each at its line's end or as little above as keeps it apart; a thin line leads to it. A line
    that rises and ends early has its label on the left, where no other line goes on."""
    last = max(curves[name][-1][0] for name in styles)
    below = -math.inf
    for name in sorted(styles, key=lambda name: curves[name][-1][1]):
        label, colour, _, _ = styles[name]
        (_, before), (x, y) = curves[name][-2:]
        backing = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.5}
        text = {"color": colour, "fontweight": "bold", "fontsize": 10, "va": "center", "bbox": backing}
        if x < last and y > before:
            axes.annotate(label, (x, y), xytext=(-8, 0), textcoords="offset points", ha="right", **text)
            continue
        below = max(math.log(y), below + GAP * height)
        leader = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(label, (x, y), xytext=(x * 1.35, math.exp(below)), arrowprops=leader, **text)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--input", type=Path, default=ROOT / "build" / "bench.json", metavar="FILE")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "speed.svg", metavar="FILE")
    args = parser.parse_args()
    draw_file(args.input, args.output)


if __name__ == "__main__":
    main()
