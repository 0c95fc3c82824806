"""The moment at which a tile finds no room: the live allocations at their addresses, beside the request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from ..lowering.tile_program import ScheduleError
from ..planner.arena import count_of
from .page import part
from .palette import INK, tensor_colour
from .svg_parts import COLOURS, document, rect, text

WIDTH, LEFT, STRIP, GAP = 760, 76, 300, 60
ROW = 15
BAR = 36
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Bytes [start, end) of the SRAM; `tag` is the tile there, empty for free bytes."""

    start: int
    end: int
    tag: str

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Shortage:
    """What `ScheduleError` says, as a picture needs it; sizes in bytes."""

    request: str
    size: int
    capacity: int
    live: int
    largest: int
    needs: int
    cause: str
    blocks: tuple[AddressRange, ...]

    def facts(self) -> list[tuple[str, str]]:
        live = sum(1 for b in self.blocks if b.tag)
        return [
            ("request", f"{self.request}, {self.size:,} B"),
            ("capacity", f"{self.capacity:,} B"),
            ("live", f"{self.live:,} B in {count_of(live, 'allocation')}"),
            ("largest free block", f"{self.largest:,} B"),
            ("cause", self.cause),
            ("would fit", f"sram={self.needs}"),
        ]


def shortage_of(error: ScheduleError) -> Shortage:
    """The state of the SRAM when the planner gave up."""
    plan, cause = error.plan_error, error.plan_error.cause
    tagged = [
        AddressRange(a.address, a.address + a.bytes, str(a.tag) if a.tag is not None else "(reserved)")
        for a in cause.live
    ]
    why = error.why
    return Shortage(
        str(cause.request_tag), cause.request_bytes, cause.capacity, cause.live_bytes, cause.largest_free_block,
        plan.needs, why, tuple(_with_free(tagged, cause.capacity)),
    )  # fmt: skip


def draw(error: ScheduleError, path: str, unicode: bool = True) -> str:
    """The picture that a file's name asks for: .html, .svg, or text for any other."""
    shortage = shortage_of(error)
    if path.endswith(".html"):
        return shortage_page(shortage)
    return shortage_svg(shortage) if path.endswith(".svg") else shortage_text(shortage, unicode)


def _with_free(blocks: list[AddressRange], capacity: int) -> Iterator[AddressRange]:
    at = 0
    for block in sorted(blocks, key=lambda b: b.start):
        if block.start > at:
            yield AddressRange(at, block.start, "")
        yield block
        at = max(at, block.end)
    if at < capacity:
        yield AddressRange(at, capacity, "")


def shortage_text(shortage: Shortage, unicode: bool = True) -> str:
    """For the terminal: a line for each block, highest address first, with bars of one scale."""
    full, free = ("█", "·") if unicode else ("#", ".")
    scale = max([shortage.size, *(b.size for b in shortage.blocks)])

    def row(place: str, size: int, mark: str, words: str) -> str:
        bar = mark * max(1, round(size * BAR / scale))
        return f"{place:>10}  {bar:<{BAR}} {size:>10,} B  {words}"

    rows = [
        row(f"@0x{b.start:04x}", b.size, full if b.tag else free, b.tag or "free") for b in reversed(shortage.blocks)
    ]
    if len(rows) > MOST_ROWS:
        left = len(rows) - MOST_ROWS
        rows[MOST_ROWS // 2 : -MOST_ROWS // 2] = [f"{'...':>10}  {left:,} more"]
    head = [f"{name + ':':<20} {value}" for name, value in shortage.facts()]
    mark = "▒" if unicode else "?"
    return "\n".join([*head, "", *rows, "", row("request", shortage.size, mark, shortage.request), ""])


def shortage_svg(shortage: Shortage, facts: bool = True) -> str:
    """The SRAM as a strip, addresses upwards, and the request beside it on the same scale; with or without the figures
    in words."""
    sizes = sorted(b.size for b in shortage.blocks)
    tall = min(1400, max(260, ROW * shortage.capacity // max(1, sizes[len(sizes) // 4])))
    bottom = 40 + tall

    def y(address: int) -> float:
        return bottom - address * tall / shortage.capacity

    title = f"No room for {shortage.request}"
    body = [text(LEFT, 22, title, colour="text", bold=True)] if facts else []
    names: dict[str, int] = {}
    last = float(bottom + ROW)
    for block in shortage.blocks:
        body += _block(block, y(block.start), y(block.end), names)
        if last - y(block.start) >= 11:
            last = y(block.start)
            body.append(text(LEFT - 8, last + 4, f"0x{block.start:04x}", anchor="end"))
    body.append(text(LEFT + STRIP + 8, y(shortage.capacity) + 4, f"0x{shortage.capacity:04x}: the SRAM's end"))
    return document(WIDTH, bottom + 24, body + _request(shortage, tall, bottom, facts), title)


def _block(block: AddressRange, bottom: float, top: float, names: dict[str, int]) -> list[str]:
    tall = bottom - top
    words = f"{block.tag or 'free'}, {block.size:,} B"
    look = 'class="f-lane s-grid"'
    if block.tag:
        colour = tensor_colour(names.setdefault(block.tag.partition("[")[0], len(names)))
        look = f'fill="{colour}" stroke="{INK}" stroke-width=".8"'
    out = [rect(LEFT, top, STRIP, tall, look, f"{words} at 0x{block.start:04x}")]
    if tall >= 11:
        ink = INK if block.tag else "text"
        out.append(text(LEFT + STRIP / 2, top + tall / 2 + 4, words, colour=ink, anchor="middle"))
    return out


def _request(shortage: Shortage, tall: int, bottom: int, words: bool) -> list[str]:
    """The request and the facts, right of the strip."""
    left = LEFT + STRIP + GAP
    high = max(3.0, min(float(tall), shortage.size * tall / shortage.capacity))
    look = 'fill="none" class="s-limit" stroke-width="2" stroke-dasharray="6 4"'
    out = [rect(left, bottom - high, STRIP - 20, high, look)]
    name = f"{shortage.request}, {shortage.size:,} B, finds no room"
    out.append(text(left, bottom - high - 8, name, colour="limit", bold=True))
    facts = [fact for fact in shortage.facts() if fact[0] != "request"]
    for i, (name, value) in enumerate(facts if words else []):
        line = 62 + 18 * i
        if line < bottom - high - 24:
            out += [text(left, line, name), text(left + 110, line, value, colour="text")]
    return out


def shortage_page(shortage: Shortage) -> str:
    """The same picture with a table of what is live, as an HTML page that needs no network and runs no program."""
    rows = "".join(
        f"<tr><td>0x{b.start:04x}</td><td>{b.size:,}</td><td>{escape(b.tag or 'free')}</td></tr>"
        for b in reversed(shortage.blocks)
    )
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in shortage.facts())
    fill = {
        "TITLE": escape(f"No room for {shortage.request}"), "PICTURE": shortage_svg(shortage, False), "FACTS": facts,
        "ROWS": rows, "PAPER": COLOURS["paper"][0], "TEXT": COLOURS["text"][0], "DARK_PAPER": COLOURS["paper"][1],
        "DARK_TEXT": COLOURS["text"][1],
    }  # fmt: skip
    out = part("shortage.html")
    for name, value in fill.items():
        out = out.replace("{{" + name + "}}", value)
    return out
