"""Pieces of SVG text: shapes and words in light and dark colours, scales, a whole document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import cycle, repeat
from typing import NamedTuple

from .palette import INK, SPILL

COLOURS = {
    "paper": ("#ffffff", "#12171d"), "text": (INK, "#e6ebf0"), "soft": ("#566472", "#a0adba"),
    "grid": ("#e8ecf0", "#232c35"), "lane": ("#eef1f4", "#1c242c"), "live": ("#9db4cc", "#4d6785"),
    "limit": ("#b3261e", "#ff8a80"), "mark": (INK, "#ffffff"),
}  # fmt: skip
"""Light and dark, as in `page.css`."""


class Box(NamedTuple):
    """A rectangle's place."""

    left: float
    top: float
    width: float
    height: float


def document(width: int, height: int, body: Sequence[str], title: str) -> str:
    """A whole SVG file; its classes are the names in `COLOURS`: `f-text` fills, `s-grid` strokes."""
    light = "".join(f".f-{n}{{fill:{c[0]}}}.s-{n}{{stroke:{c[0]}}}" for n, c in COLOURS.items())
    dark = "".join(f".f-{n}{{fill:{c[1]}}}.s-{n}{{stroke:{c[1]}}}" for n, c in COLOURS.items())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="system-ui,-apple-system,Segoe UI,Roboto,DejaVu Sans,sans-serif" font-size="11">',
            f"<title>{escape(title)}</title>",
            f"<style>{light}@media (prefers-color-scheme:dark){{{dark}}}</style>",
            '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse">'
            f'<path d="M-1 7L7-1M-4 4L4-4M2 10L10 2" stroke="{INK}" stroke-opacity=".6" stroke-width="1.1"/>'
            "</pattern></defs>",
            f'<rect class="f-paper" width="{width}" height="{height}"/>',
            *body,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, *, colour: str = "soft", anchor: str = "start", bold: bool = False) -> str:
    """Words at a place; `colour` is a name in `COLOURS`, or a colour."""
    fill = f'class="f-{colour}"' if colour in COLOURS else f'fill="{colour}"'
    end = f' text-anchor="{anchor}"' if anchor != "start" else ""
    weight = ' font-weight="600"' if bold else ""
    return f'<text {fill} x="{number(x)}" y="{number(y)}"{end}{weight}>{escape(words)}</text>'


def number(value: float) -> str:
    """At most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def rect(x: float, y: float, width: float, height: float, look: str, tip: str = "") -> str:
    """A rectangle; `look` are its further attributes, `tip` what is shown where the pointer is on it."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f"<rect {place} {look}><title>{escape(tip)}</title></rect>" if tip else f"<rect {place} {look}/>"


def line(x0: float, y0: float, x1: float, y1: float, colour: str, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    place = f'x1="{number(x0)}" y1="{number(y0)}" x2="{number(x1)}" y2="{number(y1)}"'
    return f'<line class="s-{colour}" {place}{dashed}/>'


def steps(top: float, most: float, decimal: bool) -> Iterator[int]:
    """Round numbers from 0 to `top`, at most about `most` of them: powers of two, or decimal 1, 2, 5, 10, ..."""
    least = max(1.0, top / max(1.0, most))
    factors = cycle((2, 2.5, 2)) if decimal else repeat(2)
    step = 1.0
    while step < least:
        step *= next(factors)
    yield from range(0, int(top) + 1, int(step))


def kib(size: int) -> str:
    if size >= 1 << 20:
        return f"{size / (1 << 20):g} MiB"
    return f"{size / 1024:g} KiB" if size >= 1024 else f"{size} B"


def key_rows(entries: Iterable[tuple[str, str]], left: float, right: float) -> Iterator[list[str]]:
    """A legend as rows between two places, each to be moved to its height."""
    row: list[str] = []
    x = left
    for look, words in entries:
        wide = (22 if look else 0) + 6.0 * len(words) + 14
        if x + wide > right and row:
            yield row
            row, x = [], left
        row += [swatch(x, look), text(x + (20 if look else 0), 0, words)]
        x += wide
    yield row


def swatch(x: float, look: str) -> str:
    """A small picture of what an entry of the legend stands for."""
    ground = rect(x, -9, 14, 10, 'fill="#b9c4cf"')
    edge = rect(x, -9, 14, 10, f'fill="none" stroke="{INK}" stroke-width=".8"')
    marks = {
        "hatch": rect(x, -9, 14, 10, 'fill="url(#hatch)"'),
        "reloads": f'<path fill="{INK}" d="M{number(x + 1.5)}-7.5h6l-6 6z"/>',
        "spills": f'<path fill="{SPILL}" d="M{number(x + 12.5)}-.5h-6l6-6z"/>',
        "store": rect(x + 1.5, -3.5, 11, 3, f'fill="{INK}"'),
    }
    if look in marks:
        return ground + marks[look] + edge
    return rect(x, -9, 14, 10, look) if look else ""
