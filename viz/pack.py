"""A picture as the text that the page reads: a head in JSON, and the columns packed in base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .model import Lives, Picture

TYPES = (
    ("u1", "Uint8Array"),
    ("u2", "Uint16Array"),
    ("u4", "Uint32Array"),
    ("i4", "Int32Array"),
    ("f8", "Float64Array"),
)
"""NumPy's little-endian types, narrowest first, with JavaScript's typed arrays."""

LIFE_COLUMNS = ("tile", "address", "start", "end", "written", "begin", "until", "kind", "ended", "ender", "reload")
OP_COLUMNS = ("form", "line", "queue", "start", "end", "cause", "by")


class Packer:
    """Collects columns of whole numbers, each in the narrowest type that holds it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.length = 0

    def add(self, column: Sequence[int]) -> list[Any]:
        """Where the column is: its JavaScript type, its offset in bytes (a multiple of 8) and its length."""
        try:
            values = np.asarray(column, dtype=np.int64)
        except OverflowError:  # cycles beyond 64 bits; the page's numbers are double precision anyway
            values = np.asarray(column, dtype=np.float64)
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        kind, script = next(t for t in TYPES if t[0] == "f8" or _holds(t[0], low, high))
        data = values.astype(f"<{kind}").tobytes()
        data += bytes(-len(data) % 8)
        place = [script, self.length, len(values)]
        self.parts.append(data)
        self.length += len(data)
        return place

    def text(self) -> str:
        return base64.b64encode(b"".join(self.parts)).decode("ascii")


def _holds(kind: str, low: int, high: int) -> bool:
    info = np.iinfo(kind)
    return info.min <= low and high <= info.max


def pack(pictures: Sequence[Picture]) -> tuple[str, str]:
    """The head and the data of a page. `<` is escaped in the head, so that it can stand in a script element."""
    packer = Packer()
    head = json.dumps([_head(picture, packer) for picture in pictures], separators=(",", ":"), ensure_ascii=False)
    return head.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"), packer.text()


def _head(picture: Picture, packer: Packer) -> dict[str, Any]:
    ops = {name: packer.add(getattr(picture.ops, name)) for name in OP_COLUMNS}
    ops |= {f"life{i}": packer.add(column) for i, column in enumerate(picture.ops.lives)}
    rank = max((len(coord) for _, coord in picture.tiles), default=1)
    axes = zip(*[(*coord, *[-1] * (rank - len(coord))) for _, coord in picture.tiles], strict=True)
    return {
        "source": picture.source,
        "function": picture.function,
        "capacity": picture.capacity,
        "alignment": picture.alignment,
        "reserved": picture.reserved,
        "queues": picture.queues,
        "makespan": picture.makespan,
        "highWater": picture.high_water,
        "tensors": [[t.name, t.tile_bytes, int(t.computed)] for t in picture.tensors],
        "forms": picture.forms,
        "figures": picture.figures.groups,
        "moved": picture.figures.tensors,
        "tiles": {
            "tensor": packer.add([tensor for tensor, _ in picture.tiles]),
            **{f"axis{i}": packer.add(list(axis)) for i, axis in enumerate(axes)},
        },
        "ops": ops | {"live": packer.add(picture.live)},
        "lives": _lives(picture.lives, packer),
    }


def _lives(lives: Lives, packer: Packer) -> dict[str, list[Any]]:
    """The columns of the copies. The page shows the operations that a copy is live at as the first and the last."""
    columns = {name: getattr(lives, name) for name in LIFE_COLUMNS}
    shown = {"start": "first", "end": "last"}
    columns["end"] = [end - 1 for end in lives.end]
    return {shown.get(name, name): packer.add(column) for name, column in columns.items()}
