"""A picture in pixels, drawn from the SVG by resvg (the optional extra `viz`)."""

from __future__ import annotations

SCALE = 2
"""Pixels per unit of the SVG."""


def png(text: str) -> bytes:
    """The PNG of an SVG text, in its light colours. Raises ImportError without the package resvg_py."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=text, zoom=SCALE, font_family="DejaVu Sans"))
