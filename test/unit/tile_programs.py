"""Random uop functions without a graph behind them: whatever the rules on tiles allow, in any order.

Products with sums open at once, triangular ones, biases in some tiles only, relu and add (in place too), casts, tiles
written twice, retained stores, stores with activations, tiles stored twice, loads that nobody reads, dead tiles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

Coord = tuple[int, ...]
Ref = tuple[str, Coord]


@dataclass
class Tile:
    """What is true of a tile of an alloc: whether a sum is open, it has been activated, its on-chip copy and its
    off-chip copy are valid."""

    open: bool = False
    activated: bool = False
    chip: bool = False
    off: bool = False


@dataclass
class Text:
    """A uop function as it grows. Buffers are grids of 4x4 tiles of f32, `%b` is a vector, `%q...` are of f16."""

    random: Random
    args: dict[str, tuple[int, ...]] = field(default_factory=dict)
    allocs: dict[str, tuple[int, int]] = field(default_factory=dict)
    tiles: dict[Ref, Tile] = field(default_factory=dict)
    loaded: set[Ref] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def any_of(self, items: list[Ref]) -> Ref:
        return items[self.random.randrange(len(items))]

    def readable(self, half: bool = False) -> list[Ref]:
        """Tiles of rank 2 that can be read now: an argument's, or one that is on chip or stored."""
        found = [(name, c) for name, grid in self.args.items() if len(grid) == 2 for c in coords(grid) if not half]
        return found + [ref for ref, tile in self.tiles.items() if (tile.chip or tile.off) and is_half(ref) == half]

    def read(self, ref: Ref) -> str:
        """The tile's name, after the load that it needs; a sum is complete from now on."""
        tile = self.tiles.get(ref)
        missing = not tile.chip if tile else ref not in self.loaded or self.random.random() < 0.5
        if missing:
            self.lines.append(f"uop.load {shown(ref)}")
        self.loaded.add(ref)
        if tile:
            tile.chip, tile.open = True, False
        return shown(ref)

    def write(self, ref: Ref, text: str, activation: bool) -> None:
        self.tiles[ref] = Tile(open=True, activated=activation, chip=True)
        self.lines.append(f"uop.exec {text}" + (' {activation = "relu"}' if activation else ""))

    # Actions; each does nothing where it finds nothing to do.

    def start(self) -> None:
        free = [ref for ref, tile in self.tiles.items() if not tile.open and not is_half(ref)]
        if not free:
            return
        dst = self.any_of(free)
        kernel = self.random.choice(["matmul", "matmul", "matmul", "bias", "add", "add1", "relu", "relu"])
        sources = [ref for ref in self.readable() if ref != dst or kernel in ("add", "add1", "relu")]
        if kernel == "bias":
            shown_sources = [self.read(("b", (self.random.randrange(self.args["b"][0]),)))]
        else:
            shown_sources = [self.read(self.any_of(sources))]
            if kernel == "add1":
                shown_sources.append(self.read(("b", (self.random.randrange(self.args["b"][0]),))))
            elif kernel != "relu":
                shown_sources.append(self.read(self.any_of(sources)))
        text = f"{kernel.rstrip('1')} {shown(dst)} = {', '.join(shown_sources)}"
        self.write(dst, text, kernel != "bias" and self.random.random() < 0.15)

    def accumulate(self) -> None:
        open_sums = [r for r, tile in self.tiles.items() if tile.open and not tile.activated and not is_half(r)]
        if not open_sums:
            return
        dst = self.any_of(open_sums)
        sources = [ref for ref in self.readable() if ref != dst]
        a, b = self.read(self.any_of(sources)), self.read(self.any_of(sources))
        self.write(dst, f"matmul {shown(dst)} += {a}, {b}", self.random.random() < 0.1)

    def cast(self) -> None:
        free = [ref for ref, tile in self.tiles.items() if not tile.open and is_half(ref)]
        if not free:
            return
        dst = self.any_of(free)
        self.write(dst, f"cast {shown(dst)} = {self.read(self.any_of(self.readable()))}", False)

    def store(self) -> None:
        resident = [ref for ref, tile in self.tiles.items() if tile.chip]
        if resident:
            self.store_tile(self.any_of(resident))

    def store_tile(self, ref: Ref) -> None:
        tile = self.tiles[ref]
        retain = self.random.random() < 0.3
        activation = tile.open and not tile.activated and not retain and self.random.random() < 0.3
        words = ['activation = "relu"'] * activation + ["retain"] * retain
        self.lines.append(f"uop.store {shown(ref)}" + (f" {{{', '.join(words)}}}" if words else ""))
        tile.open, tile.off, tile.chip = False, True, retain
        tile.activated |= activation

    def load(self) -> None:
        refs = [
            ref for ref in self.readable() + self.readable(half=True) if ref not in self.tiles or self.tiles[ref].off
        ]
        if refs:
            self.lines.append(f"uop.load {shown(ref := self.any_of(refs))}")
            self.loaded.add(ref)
            if ref in self.tiles:
                self.tiles[ref].chip = True


def coords(grid: tuple[int, ...]) -> list[Coord]:
    if len(grid) == 1:
        return [(j,) for j in range(grid[0])]
    return [(i, j) for i in range(grid[0]) for j in range(grid[1])]


def shown(ref: Ref) -> str:
    return f"%{ref[0]}[{', '.join(map(str, ref[1]))}]"


def is_half(ref: Ref) -> bool:
    return ref[0].startswith("q")


def tiled(name: str, grid: tuple[int, ...]) -> str:
    shape = "x".join(str(4 * g) for g in grid)
    return f"!uop.tiled<tensor<{shape}x{'f16' if name.startswith('q') else 'f32'}>, {[4] * len(grid)}>"


def random_uops(random: Random, most: int = 30, attributes: bool = False, halves: bool = True) -> str:
    """A valid uop function of up to that many execs and stores; with `attributes`, tiles are pinned and have addresses;
    with `halves`, there may be tiles of half the bytes."""
    text = Text(random)
    text.args = {"x": grid_of(random), "w": grid_of(random), "b": (random.randint(1, 2),)}
    text.allocs = {name: grid_of(random) for name in ("h", "y", "q")[: random.randint(1, 2 + halves)]}
    text.tiles = {(name, c): Tile() for name, grid in text.allocs.items() for c in coords(grid)}
    actions = [text.start] * 3 + [text.accumulate] * 5 + [text.cast, text.store, text.store, text.load]
    for _ in range(random.randint(0, most)):
        random.choice(actions)()
    whole = [
        n for n in text.allocs if all(text.tiles[n, c].chip or text.tiles[n, c].off for c in coords(text.allocs[n]))
    ]
    results = [name for name in whole if random.random() < 0.8]
    for name in results:
        for c in coords(text.allocs[name]):
            if not text.tiles[name, c].off:
                text.store_tile((name, c))
    return assembled(text, results, random if attributes else None)


def assembled(text: Text, results: list[str], wishes: Random | None) -> str:
    types = {name: tiled(name, grid) for name, grid in (text.args | text.allocs).items()}
    args = []
    for name, grid in text.args.items():
        words = wish(wishes, grid, "sched.")
        args.append(f"%{name}: {types[name]}" + (f" {{{', '.join(words)}}}" if words else ""))
    allocs = []
    for name, grid in text.allocs.items():
        words = wish(wishes, grid, "")
        allocs.append(f"  %{name} = uop.alloc " + (f"{{{', '.join(words)}}} " if words else "") + f": {types[name]}")
    out = ", ".join(types[name] for name in results)
    head = f"func.func @f({', '.join(args)})" + (f" -> ({out})" if results else "")
    if wishes is not None and wishes.random() < 0.4:
        start = wishes.randrange(0, 1024, 8)
        head += f" attributes {{sched.target = {{reserved = [[{start}, {start + wishes.randint(1, 200)}]]}}}}"
    end = f"  return {', '.join(f'%{name}' for name in results)}" + (f" : {out}" if results else "")
    return "\n".join([f"{head} {{", *allocs, *[f"  {line}" for line in text.lines], end, "}", ""])


def wish(random: Random | None, grid: tuple[int, ...], prefix: str) -> list[str]:
    """Words of an attribute dictionary that ask for something."""
    words = []
    if random is not None and random.random() < 0.25:
        some = [list(c) for c in coords(grid) if random.random() < 0.5]
        words.append(f"{prefix}pin" if random.random() < 0.4 else f"{prefix}pin = {some}")
    if random is not None and random.random() < 0.25:
        some = [[*c, 64 * random.randrange(20)] for c in coords(grid) if random.random() < 0.5]
        words.append(f"{prefix}at = {some}" if some else f"{prefix}at = {64 * random.randrange(12)}")
    return words


def grid_of(random: Random) -> tuple[int, int]:
    return random.randint(1, 3), random.randint(1, 3)
