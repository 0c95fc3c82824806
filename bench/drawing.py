"""What the plots have in common: size, fonts, frame, and files that change only with the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def panels(count: int, height: float) -> tuple[Any, Any]:
    """A figure and its panels side by side, on white, so that it can be read on a dark page too."""
    plt.rcParams.update({"svg.hashsalt": "tilewright", "font.size": 11, "font.family": "DejaVu Sans"})
    return plt.subplots(1, count, figsize=(12, height), layout="constrained", facecolor="white")


def frame(axes: Any) -> None:
    axes.grid(True, color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save(figure: Any, output: Path) -> None:
    """Without date or version."""
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if output.suffix == ".svg" else {"Software": None}
    figure.savefig(output, metadata=metadata, dpi=150)
    plt.close(figure)
