"""The page: one HTML text with its style, its script and the packed schedules; it asks the network for nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .model import CAUSES, ENDS, KINDS, Picture
from .pack import pack
from .palette import CAUSE_COLOURS, CAUSE_NAMES, INK, SPILL, TENSOR_COLOURS

SCRIPTS = ("data.js", "scales.js", "raster.js", "plots.js", "side.js", "page.js")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


@cache
def part(name: str) -> str:
    """A file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def page(pictures: Sequence[Picture], axis: str = "op") -> str:
    """The page of one schedule or of two to compare; `axis` is what it shows first, op or cycle."""
    head, data = pack(pictures)
    words = {
        "axis": axis, "kinds": KINDS, "ends": ENDS, "causes": CAUSES, "causeNames": CAUSE_NAMES,
        "causeColours": CAUSE_COLOURS, "tensorColours": TENSOR_COLOURS, "ink": INK, "spill": SPILL,
    }  # fmt: skip
    fill = {
        "TITLE": html.escape(" | ".join(f"{p.source} @{p.function}" for p in pictures)),
        "POLICY": POLICY,
        "STYLE": part("page.css"),
        "WORDS": json.dumps(words, separators=(",", ":")),
        "HEAD": head,
        "DATA": data,
        "SCRIPT": "\n".join(part(name) for name in SCRIPTS),
    }
    out: list[str] = []
    for piece in part("page.html").split("{{"):
        name, close, rest = piece.partition("}}")
        out.append(fill[name] + rest if close else piece)
    return "".join(out)
