"""A picture without a program: SVG, in the reader's light or dark colours, tooltips as `<title>` elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import cycle, groupby, repeat

from .model import ACCUMULATOR, CAUSES, NOBODY, SPILLED, Picture
from .palette import CAUSE_COLOURS, CAUSE_NAMES, INK, tensor_colour
from .raster import FREE, Window, busy_columns, live_columns, moves_of, owners, stall_columns, stall_of, window_of

WIDTH = 1000
LEFT, RIGHT = 76, 16
PLOT = WIDTH - LEFT - RIGHT
MAP, LIVE, LANE = 320, 80, 22
MOST_SHAPES = 3000
MOST_KEYS = 12

COLOURS = {
    "paper": ("#ffffff", "#12171d"), "text": (INK, "#e6ebf0"), "soft": ("#566472", "#a0adba"),
    "grid": ("#e8ecf0", "#232c35"), "lane": ("#eef1f4", "#1c242c"), "live": ("#9db4cc", "#4d6785"),
    "limit": ("#b3261e", "#ff8a80"), "mark": (INK, "#ffffff"),
}  # fmt: skip
"""Light and dark, as in `page.css`."""


def svg(pictures: Sequence[Picture], axis: str = "op") -> str:
    """The pictures below each other, with common axes."""
    window = window_of(pictures, axis)
    names = list(dict.fromkeys(t.name for p in pictures for t in p.tensors))
    colours = {name: tensor_colour(i) for i, name in enumerate(names)}
    body: list[str] = []
    top = 0
    for picture in pictures:
        drawing = _Drawing(picture, window, colours, top)
        body += drawing.all()
        top = drawing.bottom
    return document(WIDTH, top, body, ", ".join(f"{p.source} @{p.function}" for p in pictures))


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
            f'<path d="M-1 7L7-1M-4 4L4-4M2 10L10 2" stroke="{INK}" stroke-opacity=".6" stroke-width="1.1"/></pattern></defs>',
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


class _Drawing:
    """One schedule's picture from `top` down to `bottom`."""

    def __init__(self, picture: Picture, window: Window, colours: dict[str, str], top: int):
        self.picture = picture
        self.window = window
        self.colours = [colours[t.name] for t in picture.tensors]
        self.rows = [what for what in ("reloads", "spills") if moves_of(picture, what)]
        self.keys = list(self._keys(colours))
        self.top = top
        self.map = top + 52 + 18 * len(self.keys)
        self.moves = self.map + MAP + 12
        self.live = self.moves + 10 * len(self.rows) + 24
        self.lanes = self.live + LIVE + 28
        self.axis = self.lanes + (LANE + 4) * len(picture.queues)
        self.bottom = self.axis + 44
        self.waited = stall_of(picture)

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

    def _keys(self, colours: dict[str, str]) -> Iterator[list[str]]:
        """The legend, in rows."""
        entries: list[tuple[str, str]] = []
        names = [t.name for t in self.picture.tensors]
        for name in names[:MOST_KEYS]:
            entries.append((f'fill="{colours[name]}" stroke="{INK}" stroke-width=".8"', f"%{name}"))
        if len(names) > MOST_KEYS:
            entries.append(("", f"and {len(names) - MOST_KEYS} more tensors"))
        if ACCUMULATOR in self.picture.lives.kind:
            entries.append(("hatch", "accumulator"))
        entries += [(what, what.removesuffix("s")) for what in self.rows]
        entries.append(("store", "store (engines)"))
        seen: set[str] = set()
        for cause in sorted(set(self.picture.ops.cause)):
            if cause and CAUSE_NAMES[cause] not in seen:
                seen.add(CAUSE_NAMES[cause])
                entries.append((f'fill="{CAUSE_COLOURS[cause]}"', f"waits: {CAUSE_NAMES[cause]}"))
        row: list[str] = []
        x = float(LEFT)
        for look, words in entries:
            wide = (22 if look else 0) + 6.3 * len(words) + 14
            if x + wide > WIDTH - RIGHT and row:
                yield row
                row, x = [], float(LEFT)
            row += [_swatch(x, look), text(x + (20 if look else 0), 0, words)]
            x += wide
        yield row

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
        picture = self.picture
        out = []
        for start, end in [*picture.reserved, (picture.capacity, max(picture.capacity, self.window.top))]:
            bottom, top = self.y(min(start, self.window.top)), self.y(min(end, self.window.top))
            if bottom > top:
                out.append(
                    f'<rect class="f-lane" x="{LEFT}" y="{number(top)}" width="{PLOT}" height="{number(bottom - top)}"/>'
                )
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
        left, wide = self.x(start), max(self.x(end) - self.x(start), 0.6)
        top = self.y(lives.address[life] + picture.size(tile))
        tall = self.y(lives.address[life]) - top
        colour = self.colours[picture.tiles[tile][0]]
        place = f'x="{number(left)}" y="{number(top)}" height="{number(tall)}"'
        edge = f' stroke="{INK}" stroke-width="{1.6 if lives.kind[life] == ACCUMULATOR else 0.8}"' if wide > 2.5 else ""
        out = [
            f'<rect {place} width="{number(wide)}" fill="{colour}"{edge}><title>{escape(self.tip(life))}</title></rect>'
        ]
        if lives.kind[life] == ACCUMULATOR and wide > 3:
            written = self.window.op_span(picture, lives.written[life])[1]
            done = min(wide, self.x(written) - left)
            out.append(f'<rect {place} width="{number(done)}" fill="url(#hatch)" pointer-events="none"/>')
        size = min(9, wide / 2, tall * 0.6)
        if size >= 3 and lives.reload[life]:
            out.append(
                f'<path fill="{INK}" d="M{number(left)} {number(top)}h{number(size)}l-{number(size)} {number(size)}z"/>'
            )
        if size >= 3 and lives.ended[life] == SPILLED:
            corner = f"M{number(left + wide)} {number(top + tall)}h-{number(size)}l{number(size)}-{number(size)}z"
            out.append(f'<path fill="#b3261e" d="{corner}"/>')
        return out + self.label(life, left, top, wide, tall, colour)

    def label(self, life: int, left: float, top: float, wide: float, tall: float, colour: str) -> list[str]:
        name = self.picture.tile_name(self.picture.lives.tile[life])
        words = next((w for w in (name, name[name.index("[") :].replace(" ", "")) if 6.2 * len(w) + 8 <= wide), "")
        if not words or tall < 12:
            return []
        out = []
        if self.picture.lives.kind[life] == ACCUMULATOR:
            size = 6.2 * len(words) + 4
            place = f'x="{number(left + wide / 2 - size / 2)}" y="{number(top + tall / 2 - min(7, tall / 2 - 1))}"'
            out.append(
                f'<rect {place} width="{number(size)}" height="{number(min(14, tall - 2))}" fill="{colour}" pointer-events="none"/>'
            )
        return [
            *out,
            text(left + wide / 2, top + tall / 2 + 4, words, colour=INK, anchor="middle").replace(
                "<text", '<text pointer-events="none"', 1
            ),
        ]

    def tip(self, life: int) -> str:
        picture, lives = self.picture, self.picture.lives
        tile, first, last = lives.tile[life], lives.first[life], lives.last[life]
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
        top = picture.capacity * 1.06 if most * 1.12 >= picture.capacity / 2 else max(most, 1) * 1.15
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
        words = f"peak {most:,} of {picture.capacity:,} B ({100 * most / picture.capacity:.1f} %)"
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
            out.append(f'<rect class="f-lane" x="{LEFT}" y="{y}" width="{PLOT}" height="{LANE}"/>')
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
        life = ops.lives[0][op]
        colour = self.colours[picture.tiles[picture.lives.tile[life]][0]]
        out = []
        tip = f"op {op:,}, line {ops.line[op]:,}, cycles {ops.start[op]:,} to {ops.end[op]:,}\n{picture.text(op)}"
        if self.waited[op]:
            tip += f"\nwaited {self.waited[op]:,} cycles: {CAUSES[ops.cause[op]]}"
            if ops.by[op] != NOBODY:
                tip += f", for line {ops.line[ops.by[op]]:,}"
        edge = f' stroke="{INK}" stroke-width=".8"' if wide > 2 else ""
        place = f'x="{number(left)}" y="{number(y + 1)}" width="{number(wide)}" height="{LANE - 2}"'
        out.append(f'<rect {place} fill="{colour}"{edge}><title>{escape(tip)}</title></rect>')
        if wide > 2 and picture.forms[ops.form[op]].startswith("sched.store"):
            out.append(
                f'<rect fill="{INK}" x="{number(left)}" y="{number(y + LANE - 5)}" width="{number(wide)}" height="3.5"/>'
            )
        if self.waited[op]:
            stall = CAUSE_COLOURS[ops.cause[op]]
            if self.window.axis == "op":
                out.append(
                    f'<rect fill="{stall}" x="{number(left)}" y="{number(y)}" width="{number(min(4, wide / 3))}" height="{LANE}"/>'
                )
            else:
                before = self.x(start - self.waited[op])
                out.append(
                    f'<rect fill="{stall}" x="{number(before)}" y="{number(y + LANE - 8)}" width="{number(left - before)}" height="6"/>'
                )
        return out


def _swatch(x: float, look: str) -> str:
    """A small picture of what an entry of the legend stands for."""
    place = f'x="{number(x)}" y="-9" width="14" height="10"'
    plain = f'<rect {place} fill="#b9c4cf" stroke="{INK}" stroke-width=".8"/>'
    marks = {
        "hatch": f'<rect {place} fill="url(#hatch)"/>',
        "reloads": f'<path fill="{INK}" d="M{number(x)}-9h8l-8 8z"/>',
        "spills": f'<path fill="#b3261e" d="M{number(x + 14)} 1h-8l8-8z"/>',
        "store": f'<rect x="{number(x)}" y="-2.5" width="14" height="3.5" fill="{INK}"/>',
    }
    if look in marks:
        return plain + marks[look]
    return f"<rect {place} {look}/>" if look else ""
