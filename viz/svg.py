"""A picture that needs no script: SVG, in the reader's light or dark colours, with `<title>` elements as tooltips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from .model import ACCUMULATOR, CAUSES, NOBODY, SPILLED, Picture
from .palette import CAUSE_COLOURS, CAUSE_NAMES, INK, SPILL, tensor_colour
from .raster import FREE, Window, busy_columns, live_columns, moves_of, owners, stall_columns, stall_of, window_of
from .svg_parts import Box, document, key_rows, kib, line, number, rect, steps, text

WIDTH = 1000
LEFT, RIGHT = 76, 16
PLOT = WIDTH - LEFT - RIGHT
MAP, LIVE, LANE = 320, 80, 22
MOST_SHAPES = 3000
MOST_KEYS = 12
CHARACTER = 6.2
"""How wide a letter is taken to be."""

UNTOUCHED = 'pointer-events="none"'


def svg(pictures: Sequence[Picture], axis: str = "op") -> str:
    """The pictures below each other, with common axes."""
    window = window_of(pictures, axis)
    names = list(dict.fromkeys(t.name for p in pictures for t in p.tensors))
    colours = {name: tensor_colour(i) for i, name in enumerate(names)}
    most = max(size for p in pictures for size in live_columns(p, window, PLOT))
    capacity = max(p.capacity for p in pictures)
    live_top = capacity * 1.06 if most * 1.12 >= capacity / 2 else max(most, 1) * 1.15
    body: list[str] = []
    top = 0
    for picture in pictures:
        drawing = _SvgDrawing(picture, window, colours, top, live_top)
        body += drawing.all()
        top = drawing.bottom
    return document(WIDTH, top, body, ", ".join(f"{p.source} @{p.function}" for p in pictures))


class _SvgDrawing:
    """One schedule's picture from `top` down to `bottom`."""

    def __init__(self, picture: Picture, window: Window, colours: dict[str, str], top: int, live_top: float):
        self.picture = picture
        self.window = window
        self.colours = [colours[t.name] for t in picture.tensors]
        self.rows = [what for what in ("reloads", "spills") if moves_of(picture, what)]
        self.keys = list(key_rows(self.entries(colours), LEFT, WIDTH - RIGHT))
        self.top = top
        self.map = top + 52 + 18 * len(self.keys)
        self.moves = self.map + MAP + 12
        self.live = self.moves + 10 * len(self.rows) + 24
        self.lanes = self.live + LIVE + 28
        self.axis = self.lanes + (LANE + 4) * len(picture.queues)
        self.bottom = self.axis + 44
        self.waited = stall_of(picture)
        self.live_top = live_top

    def all(self) -> list[str]:
        return [
            *self.head(), *self.grid(), *self.draw_map(), *self.draw_moves(), *self.draw_live(), *self.draw_lanes(),
        ]  # fmt: skip

    def x(self, value: float) -> float:
        return LEFT + value * PLOT / self.window.right

    def y(self, address: float) -> float:
        return self.map + MAP - address * MAP / self.window.top

    # Words and axes

    def head(self) -> list[str]:
        picture = self.picture
        summary = f"{len(picture.live):,} operations, peak {picture.peak:,} B, {picture.makespan:,} cycles"
        out = [
            text(LEFT, self.top + 20, f"{picture.source} @{picture.function}", colour="text", bold=True),
            text(WIDTH - RIGHT, self.top + 20, summary, anchor="end"),
        ]
        for i, row in enumerate(self.keys):
            out += [f'<g transform="translate(0 {self.top + 40 + 18 * i})">', *row, "</g>"]
        unused = picture.capacity - picture.high_water
        if unused > 0 and self.window.top < picture.capacity:
            words = f"never used: 0x{picture.high_water:04x} to 0x{picture.capacity:04x}"
            out.append(text(WIDTH - RIGHT, self.map - 7, words, anchor="end"))
        return [*out, text(LEFT, self.map - 7, "SRAM address", colour="text", bold=True)]

    def entries(self, colours: dict[str, str]) -> Iterator[tuple[str, str]]:
        """What the legend explains: looks (see `swatch`) and words."""
        names = [t.name for t in self.picture.tensors]
        for name in names[:MOST_KEYS]:
            yield f'fill="{colours[name]}" stroke="{INK}" stroke-width=".8"', f"%{name}"
        if len(names) > MOST_KEYS:
            yield "", f"and {len(names) - MOST_KEYS} more tensors"
        if ACCUMULATOR in self.picture.lives.kind:
            yield "hatch", "accumulator"
        yield from ((what, what.removesuffix("s")) for what in self.rows)
        yield "store", "store (engines)"
        causes = {CAUSE_NAMES[cause]: CAUSE_COLOURS[cause] for cause in sorted(set(self.picture.ops.cause)) if cause}
        for name, colour in causes.items():
            yield f'fill="{colour}"', f"waits: {name}"

    def grid(self) -> list[str]:
        out = []
        for value in steps(self.window.right, 10, True):
            x = self.x(value)
            out += [line(x, self.map, x, self.axis, "grid"), text(x, self.axis + 15, f"{value:,}", anchor="middle")]
        name = "operation number" if self.window.axis == "op" else "cycle"
        out.append(text(WIDTH - RIGHT, self.axis + 32, name, anchor="end"))
        for address in steps(self.window.top, 12, False):
            y = self.y(address)
            out += [line(LEFT, y, WIDTH - RIGHT, y, "grid"), text(LEFT - 8, y + 4, f"0x{address:04x}", anchor="end")]
        return out

    # The map

    def draw_map(self) -> list[str]:
        picture, end = self.picture, self.window.top
        out = []
        for start, stop in [*picture.reserved, (picture.capacity, end)]:
            if start < min(stop, end):
                top = self.y(min(stop, end))
                out.append(rect(LEFT, top, PLOT, self.y(start) - top, 'class="f-lane"'))
                if start < picture.capacity:
                    out.append(text(LEFT + 6, (top + self.y(start)) / 2 + 4, "reserved"))
        if picture.capacity < end:
            words = f"the SRAM ends at 0x{picture.capacity:04x}"
            y = self.y(picture.capacity)
            out += [line(LEFT, y, WIDTH - RIGHT, y, "limit", "6 4"), text(LEFT + 8, y - 6, words, colour="limit")]
        if len(picture.lives) > MOST_SHAPES:
            return out + self.coarse()
        for life in range(len(picture.lives)):
            out += self.life(life)
        return out

    def coarse(self) -> list[str]:
        """Many lives: runs of cells with one tensor, a path for each tensor."""
        columns, rows = PLOT, MAP // 4
        cells = owners(self.picture, self.window, columns, rows)
        paths: dict[int, list[str]] = {}
        for row in range(rows):
            x = 0
            for owner, run in groupby(cells[:, row].tolist()):
                wide = len(list(run))
                if owner != FREE:
                    paths.setdefault(owner, []).append(f"M{LEFT + x} {self.map + MAP - 4 * row - 4}h{wide}v4h-{wide}z")
                x += wide
        out = []
        for owner in sorted(paths):
            path = "".join(paths[owner])
            out.append(f'<path fill="{self.colours[owner // 2]}" d="{path}"/>')
            if owner & 1:
                out.append(f'<path fill="url(#hatch)" d="{path}"/>')
        return out

    def life(self, life: int) -> list[str]:
        picture, lives = self.picture, self.picture.lives
        start, end = self.window.span(picture, life)
        tile = lives.tile[life]
        box = Box(self.x(start), self.y(lives.address[life] + picture.size(tile)), 0, 0)
        box = box._replace(width=max(self.x(end) - box.left, 0.6), height=self.y(lives.address[life]) - box.top)
        colour = self.colours[picture.tiles[tile][0]]
        summed = lives.kind[life] == ACCUMULATOR
        bold = 0.5 if box.height < 9 else 1.6 if summed else 0.8
        edge = f' stroke="{INK}" stroke-width="{bold}"' if box.width > 2.5 else ""
        out = [rect(*box, f'fill="{colour}"{edge}', self.tip(life))]
        if summed and box.width > 3:
            done = self.x(self.window.op_span(picture, lives.written[life])[1]) - box.left
            out.append(rect(*box._replace(width=min(box.width, done)), f'fill="url(#hatch)" {UNTOUCHED}'))
        return [*out, *self.corners(life, box), *self.label(life, box, colour if summed else "")]

    def corners(self, life: int, box: Box) -> list[str]:
        """The marks of a reload and of a spill."""
        size = min(9, box.width / 2, box.height * 0.6) - 1
        if size < 3:
            return []
        out = []
        wide = number(size)
        if self.picture.lives.reload[life]:
            out.append(
                f'<path fill="{INK}" d="M{number(box.left + 1.5)} {number(box.top + 1.5)}h{wide}l-{wide} {wide}z"/>'
            )
        if self.picture.lives.ended[life] == SPILLED:
            corner = (
                f"M{number(box.left + box.width - 1.5)} {number(box.top + box.height - 1.5)}h-{wide}l{wide}-{wide}z"
            )
            out.append(f'<path fill="{SPILL}" d="{corner}"/>')
        return out

    def label(self, life: int, box: Box, ground: str) -> list[str]:
        """The tile's name if there is room, on its own ground where a hatch would be in the way."""
        name = self.picture.tile_name(self.picture.lives.tile[life])
        short = name[name.index("[") :].replace(" ", "")
        words = next((w for w in (name, short) if CHARACTER * len(w) + 6 <= box.width), "")
        if not words or box.height < 12:
            return []
        x, y = box.left + box.width / 2, box.top + box.height / 2
        wide, tall = CHARACTER * len(words) + 4, min(14, box.height - 2)
        out = [rect(x - wide / 2, y - tall / 2, wide, tall, f'fill="{ground}" {UNTOUCHED}')] if ground else []
        return [*out, text(x, y + 4, words, colour=INK, anchor="middle")]

    def tip(self, life: int) -> str:
        picture, lives = self.picture, self.picture.lives
        tile, first, last = lives.tile[life], lives.start[life], lives.end[life] - 1
        return "\n".join(
            [
                f"{picture.tile_name(tile)}, {picture.size(tile):,} B at 0x{lives.address[life]:04x}",
                f"ops {first:,} to {last:,}, cycles {lives.begin[life]:,} to {lives.until[life]:,}",
                f"line {picture.ops.line[first]:,}: {picture.text(first)}",
                f"line {picture.ops.line[last]:,}: {picture.text(last)}",
            ]
        )

    # Below the map

    def draw_moves(self) -> list[str]:
        out = []
        for i, what in enumerate(self.rows):
            y = self.moves + 10 * i
            out.append(text(LEFT - 8, y + 7, what, anchor="end"))
            columns = sorted(
                {int(self.x(self.window.op_span(self.picture, op)[0])) for op in moves_of(self.picture, what)}
            )
            path = "".join(f"M{x} {y}h1.5v7h-1.5z" for x in columns)
            out.append(f'<path class="f-{"limit" if what == "spills" else "mark"}" d="{path}"/>')
        return out

    def draw_live(self) -> list[str]:
        picture = self.picture
        columns = live_columns(picture, self.window, PLOT)
        most = max(columns, default=0)
        top = self.live_top
        bottom = self.live + LIVE
        out = [text(LEFT, self.live - 7, "Bytes live", colour="text", bold=True)]
        for size in steps(top, 4, False):
            y = bottom - size / top * LIVE
            out += [line(LEFT, y, WIDTH - RIGHT, y, "grid"), text(LEFT - 8, y + 4, kib(size), anchor="end")]
        path, x = f"M{LEFT} {bottom}", LEFT
        for size, run in groupby(columns):
            x += len(list(run))
            path += f"V{number(bottom - size / top * LIVE)}H{x}"
        out.append(f'<path class="f-live" d="{path}V{bottom}z"/>')
        words = f"peak {most:,} of {picture.capacity:,} B ({100 * most / picture.capacity:.1f}%)"
        if picture.live and self.window.axis == "op":
            words += f" at op {picture.peak_op:,}, line {picture.ops.line[picture.peak_op]:,}"
        out.append(text(WIDTH - RIGHT, self.live - 7, words, anchor="end"))
        if picture.capacity <= top:
            y = bottom - picture.capacity / top * LIVE
            out.append(line(LEFT, y, WIDTH - RIGHT, y, "limit", "6 4"))
        return out

    def draw_lanes(self) -> list[str]:
        out = [text(LEFT, self.lanes - 7, "Engines", colour="text", bold=True)]
        many = len(self.picture.live) > PLOT
        for queue, name in enumerate(self.picture.queues):
            y = self.lanes + queue * (LANE + 4)
            out.append(text(LEFT - 8, y + 15, name, colour="text", anchor="end"))
            out.append(rect(LEFT, y, PLOT, LANE, 'class="f-lane"'))
            if many:
                out += self.shares(queue, y)
                continue
            for op, number_ in enumerate(self.picture.ops.queue):
                if number_ == queue:
                    out += self.op(op, y)
        return out

    def shares(self, queue: int, y: float) -> list[str]:
        """Per column how much an engine works, from below, and on the axis of cycles what it waits for."""
        layers = {0: busy_columns(self.picture, self.window, queue, PLOT)}
        if self.window.axis == "cycle":
            layers |= stall_columns(self.picture, self.window, queue, PLOT)
        out = []
        below = [0.0] * PLOT
        for cause, shares in layers.items():
            path = ""
            for i, share in enumerate(shares):
                high = min(float(share), 1 - below[i]) * LANE
                if high > 0.01:
                    path += f"M{LEFT + i} {number(y + LANE - below[i] * LANE)}v-{number(high)}h1v{number(high)}z"
                    below[i] += high / LANE
            look = f'fill="{CAUSE_COLOURS[cause]}"' if cause else 'class="f-live"'
            out.append(f'<path {look} d="{path}"/>')
        return out

    def op(self, op: int, y: float) -> list[str]:
        picture, ops = self.picture, self.picture.ops
        start, end = self.window.op_span(picture, op)
        left, wide = self.x(start), max(self.x(end) - self.x(start), 0.6)
        colour = self.colours[picture.tiles[picture.lives.tile[ops.lives[0][op]]][0]]
        edge = f' stroke="{INK}" stroke-width=".8"' if wide > 2 else ""
        out = [rect(left, y + 1, wide, LANE - 2, f'fill="{colour}"{edge}', self.op_tip(op))]
        if wide > 2 and picture.forms[ops.form[op]].startswith("sched.store"):
            out.append(rect(left + 1.5, y + LANE - 6, max(wide - 3, 0), 3, f'fill="{INK}" {UNTOUCHED}'))
        if not self.waited[op]:
            return out
        look = f'fill="{CAUSE_COLOURS[ops.cause[op]]}"'
        if self.window.axis == "op":
            return [*out, rect(left, y, min(4, wide / 3), LANE, look)]
        before = self.x(start - self.waited[op])
        return [*out, rect(before, y + LANE - 8, left - before, 6, look)]

    def op_tip(self, op: int) -> str:
        ops = self.picture.ops
        tip = f"op {op:,}, line {ops.line[op]:,}, cycles {ops.start[op]:,} to {ops.end[op]:,}\n{self.picture.text(op)}"
        if self.waited[op]:
            tip += f"\nwaited {self.waited[op]:,} cycles: {CAUSES[ops.cause[op]]}"
            if ops.by[op] != NOBODY:
                tip += f", for line {ops.line[ops.by[op]]:,}"
        return tip
