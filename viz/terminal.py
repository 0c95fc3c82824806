"""Pictures of characters, 80 columns wide: SRAM map, bytes live, engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .model import Picture
from .raster import FREE, Window, busy_columns, live_columns, moves_of, owners, stall_of, window_of

WIDTH = 80
GUTTER = 10
COLUMNS = WIDTH - GUTTER - 1
MAP_ROWS = 16
LIVE_ROWS = 5
LETTERS = "abcdefghijklmnopqrstuvwxyz"
BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN = " .:-=+*#@"
MOST_TENSORS = 18


def terminal(pictures: Sequence[Picture], axis: str = "op", unicode: bool = True) -> str:
    """The pictures below each other, with common axes; ASCII only unless `unicode`."""
    window = window_of(pictures, axis)
    names = list(dict.fromkeys(t.name for p in pictures for t in p.tensors))
    return "\n".join("\n".join(_TextDrawing(p, window, names, unicode).lines()) + "\n" for p in pictures)


class _TextDrawing:
    def __init__(self, picture: Picture, window: Window, names: list[str], unicode: bool):
        self.picture = picture
        self.row_bytes = _row_bytes(max(window.top / MAP_ROWS, picture.alignment))
        self.rows = -(-window.top // self.row_bytes)
        self.window = replace(window, top=self.rows * self.row_bytes)
        self.letters = {name: LETTERS[i % len(LETTERS)] for i, name in enumerate(names)}
        self.blocks = BLOCKS if unicode else PLAIN
        self.free = "·" if unicode else "."
        self.wall, self.floor, self.corner = ("│", "─", "└") if unicode else ("|", "-", "+")
        # No more columns than operations: whole columns for each where there are few.
        self.columns = COLUMNS
        if window.axis == "op" and window.right <= COLUMNS:
            self.columns = COLUMNS // window.right * window.right

    def lines(self) -> list[str]:
        picture = self.picture
        head = f"{picture.source} @{picture.function}: {len(picture.live):,} operations, {picture.makespan:,} cycles"
        live = f"bytes live: peak {picture.peak:,} of {picture.capacity:,} B"
        if self.window.axis == "op" and picture.live:
            live += f" at op {picture.peak_op:,}, line {picture.ops.line[picture.peak_op]:,}"
        return [
            *(head[i : i + WIDTH] for i in range(0, len(head), WIDTH)), "",
            f"SRAM map: address against {'operation' if self.window.axis == 'op' else 'cycle'}",
            *self.map(), *self.moves(), "", *self.legend(), "", live, *self.live(), "",
            "engines: share of time at work" if self.window.axis == "cycle" else "engines: share of operations",
            *self.engines(), *self.stalls(),
        ]  # fmt: skip

    def map(self) -> list[str]:
        cells = owners(self.picture, self.window, self.columns, self.rows)
        out = []
        for row in range(self.rows - 1, -1, -1):
            address = f"0x{row * self.row_bytes:04x}"
            out.append(f"{address:>{GUTTER - 1}} {self.wall}" + "".join(self.cell(c) for c in cells[:, row]).rstrip())
        return [*out, *self.axis()]

    def cell(self, owner: int) -> str:
        if owner == FREE:
            return self.free
        letter = self.letters[self.picture.tensors[owner // 2].name]
        return letter.upper() if owner & 1 else letter

    def axis(self) -> list[str]:
        right, width = self.window.right, self.columns
        numbers = f"0{f'{right // 2:,}':^{width - 1 - len(f'{right:,}')}}{right:,}"
        return [f"{'':>{GUTTER}}{self.corner}{self.floor * width}", f"{'':>{GUTTER + 1}}{numbers}"]

    def moves(self) -> list[str]:
        """Rows that mark the columns in which tiles are reloaded or spilled."""
        out = []
        for what, mark in (("reloads", "^"), ("spills", "v")):
            row = [" "] * self.columns
            for op in moves_of(self.picture, what):
                at = self.window.op_span(self.picture, op)[0]
                row[min(at * self.columns // self.window.right, self.columns - 1)] = mark
            if mark in row:
                out.append(f"{what:>{GUTTER - 1}}  {''.join(row).rstrip()}")
        return out

    def legend(self) -> list[str]:
        mine = [t.name for t in self.picture.tensors]
        shown = [f"{self.letters[name]} %{name}" for name in mine[:MOST_TENSORS]]
        if len(mine) > MOST_TENSORS:
            shown.append(f"and {len(mine) - MOST_TENSORS} more; letters repeat")
        rest = f"capitals: accumulators   {self.free} free"
        return _wrapped([*shown, *rest.split("   ")])

    def live(self) -> list[str]:
        columns = live_columns(self.picture, self.window, self.columns)
        top = max(columns, default=1) or 1
        return self.bars([size / top for size in columns], f"{top:,}")

    def bars(self, shares: list[float], label: str) -> list[str]:
        """Bars of several rows, each cell in eighths."""
        out = []
        for row in range(LIVE_ROWS - 1, -1, -1):
            filled = (min(max(share * LIVE_ROWS - row, 0), 1) for share in shares)
            text = "".join(self.blocks[-(-int(part * 800) // 100) if part else 0] for part in filled)
            name = label if row == LIVE_ROWS - 1 else "0" if row == 0 else ""
            out.append(f"{name:>{GUTTER - 1}} {self.wall}{text}".rstrip())
        return out

    def engines(self) -> list[str]:
        out = []
        for queue, name in enumerate(self.picture.queues):
            shares = busy_columns(self.picture, self.window, queue, self.columns)
            text = "".join(self.blocks[round(share * 8)] for share in shares)
            out.append(f"{name:>{GUTTER - 1}} {self.wall}{text}".rstrip())
        return out

    def stalls(self) -> list[str]:
        """How much of its time each engine works and waits, by cause."""
        picture, total = self.picture, max(self.picture.makespan, 1)
        waited: dict[tuple[int, str], int] = {}
        for op, cycles in enumerate(stall_of(picture)):
            if cycles:
                key = picture.ops.queue[op], picture.timeline.cause[op]
                waited[key] = waited.get(key, 0) + cycles
        out = []
        for queue, name in enumerate(picture.queues):
            parts = [f"works {100 * picture.timeline.busy[queue] / total:.1f}%"]
            found = sorted((-n, cause) for (q, cause), n in waited.items() if q == queue)
            parts += [f"waits {-100 * n / total:.1f}% ({cause})" for n, cause in found]
            lines = _wrapped(parts, ", ", WIDTH - GUTTER - 1)
            out += [f"{name if i == 0 else '':>{GUTTER - 1}}  {line}" for i, line in enumerate(lines)]
        return out


def _row_bytes(least: float) -> int:
    """The bytes of a row of the map: a power of two, or one and a half, so that tiles end where rows do."""
    power = 1
    while 1.5 * power < least or (power < least and power % 2):
        power *= 2
    return power if power >= least else power * 3 // 2


def _wrapped(words: list[str], gap: str = "   ", width: int = WIDTH) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(gap) + len(word) > width:
            lines.append("")
        lines[-1] += gap + word if lines[-1] else word
    return lines
