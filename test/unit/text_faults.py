"""Faults in the text of a schedule, and edits that keep its meaning, by somebody who knows the language only.

Each is a function of random numbers and the lines of one function, which it changes in place, saying whether it could.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Lines = list[str]
Fault = Callable[[Random, Lines], bool]

TYPE = re.compile(r"!uop\.tiled<tensor<([0-9x]+)x([a-z]+[0-9]+)>, \[([-0-9, ]+)\]>")
REF = re.compile(r"(%[\w$.-]+)\[([-0-9, ]+)\]( @\w+)?")
BYTES = {"f32": 4, "f16": 2, "bf16": 2, "i32": 4, "i8": 1}
UNARY = ("relu", "gelu", "sigmoid", "tanh", "exp", "clip", "cast", "bias")
BINARY = ("matmul", "add", "sub", "mul", "max")
ACTIVATIONS = ("relu", "gelu", "sigmoid", "tanh", "exp", "clip")
CLIP = "[-3.0 : f32, 2.0 : f32]"


def places(lines: Lines, pattern: str) -> list[int]:
    return [i for i, line in enumerate(lines) if re.search(pattern, line)]


def ops(lines: Lines, kinds: str = "load|exec|store") -> list[int]:
    return places(lines, rf'^ *"?(?:sched|uop)\.(?:{kinds})\b')


def replace(rng: Random, lines: Lines, pattern: str, new: Callable[[re.Match[str]], str], within: str = "") -> bool:
    """Replaces one occurrence, any, of a pattern in the lines that hold `within`; says whether the text has changed."""
    found = [(i, m) for i in places(lines, within) for m in re.finditer(pattern, lines[i])]
    if not found:
        return False
    i, match = rng.choice(found)
    before = lines[i]
    lines[i] = before[: match.start()] + new(match) + before[match.end() :]
    return lines[i] != before


def near(rng: Random, number: int) -> int:
    return max(0, number + rng.choice((-64, -16, -4, -1, 1, 4, 16, 64)))


# Buffers and their types.


def buffers(lines: Lines) -> dict[str, str]:
    """The types of arguments and allocs by name."""
    found = dict(_arguments(lines[0]))
    for line in lines:
        if match := re.match(r" *(%[\w$.-]+) = uop\.alloc.* : (!uop\.tiled<.*>)$", line):
            found[match[1]] = match[2]
    return found


def _arguments(line: str) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in re.finditer(rf"(%[\w$.-]+): ({TYPE.pattern})", line)]


def arguments(lines: Lines) -> list[str]:
    return [name for name, _ in _arguments(lines[0])]


def allocs(lines: Lines) -> list[str]:
    return [name for name in buffers(lines) if name not in arguments(lines)]


def results(lines: Lines) -> tuple[list[str], list[str]]:
    """Names and types of what is returned."""
    words = lines[return_at(lines)].strip().removeprefix("return").strip()
    names, _, types = words.partition(" : ")
    return [n for n in names.split(", ") if n], re.findall(r"!uop\.tiled<[^>]*>[^>]*>|[\w.!]+(?:<[^>]*>)?", types)


def return_at(lines: Lines) -> int:
    return max(places(lines, r"^ *return\b"))


def give_back(lines: Lines, names: list[str], types: list[str]) -> None:
    """Rewrites what a function returns, in its return and its signature."""
    at = return_at(lines)
    indent = re.match(" *", lines[at])[0]  # type: ignore[index]
    lines[at] = f"{indent}return {', '.join(names)} : {', '.join(types)}" if names else f"{indent}return"
    head, _, tail = lines[0].partition(") -> ")
    if not tail:
        head, _, tail = lines[0].rpartition(") attributes" if ") attributes" in lines[0] else ") {")
        rest = ("attributes" if ") attributes" in lines[0] else "{") + tail
    else:
        rest = tail[tail.index(" attributes {") + 1 :] if " attributes {" in tail else "{"
    text = types[0] if len(types) == 1 else f"({', '.join(types)})"
    lines[0] = f"{head}) -> {text} {rest}" if types else f"{head}) {rest}"


def set_type(lines: Lines, name: str, new: str) -> None:
    """Gives a buffer another type where it is declared."""
    word = re.escape(name)
    lines[0] = re.sub(rf"({word}): {TYPE.pattern}", lambda m: f"{m[1]}: {new}", lines[0], count=1)
    for i in places(lines, rf"^ *{word} = uop\.alloc"):
        lines[i] = lines[i].partition(" : ")[0] + f" : {new}"


def set_type_everywhere(lines: Lines, name: str, new: str) -> None:
    """The same, and where the buffer is returned."""
    set_type(lines, name, new)
    names, types = results(lines)
    if name in names and len(names) == len(types):
        give_back(lines, names, [new if n == name else t for n, t in zip(names, types, strict=True)])


def set_bytes(lines: Lines, name: str, new: str) -> None:
    """Makes `bytes` of a buffer's loads and stores those of a type."""
    shape = TYPE.fullmatch(new)
    assert shape is not None
    count = BYTES[shape[2]]
    for size in re.findall(r"\d+", shape[3]):
        count *= int(size)
    for i in places(lines, rf"sched\.(?:load|store) {re.escape(name)}\["):
        lines[i] = re.sub(r"bytes = \d+", f"bytes = {count}", lines[i])


def retype(rng: Random, lines: Lines, name: str, new: str) -> bool:
    """One buffer, with or without what goes with its type; or all buffers of that type."""
    old = buffers(lines)[name]
    if new == old:
        return False
    how = rng.randrange(4)
    if how == 0:
        set_type(lines, name, new)
    elif how == 3:
        for other in [n for n, t in buffers(lines).items() if t == old]:
            set_type_everywhere(lines, other, new)
            set_bytes(lines, other, new)
    else:
        set_type_everywhere(lines, name, new)
        if how == 2:
            set_bytes(lines, name, new)
    return True


def _extent(rng: Random, lines: Lines, names: list[str]) -> bool:
    if not names:
        return False
    name = rng.choice(names)
    match = TYPE.fullmatch(buffers(lines)[name])
    assert match is not None
    sizes = [int(s) for s in match[1].split("x")]
    k = rng.randrange(len(sizes))
    sizes[k] = max(1, sizes[k] + rng.choice((-4, -3, -2, -1, -1, 1, 1, 2, 3, 4)))
    if rng.random() < 0.1:
        sizes = rng.choice((sizes[::-1], sizes[:1], [*sizes, 1], [0, *sizes[1:]]))
    return retype(rng, lines, name, f"!uop.tiled<tensor<{'x'.join(map(str, sizes))}x{match[2]}>, [{match[3]}]>")


def alloc_extent(rng: Random, lines: Lines) -> bool:
    return _extent(rng, lines, allocs(lines))


def argument_extent(rng: Random, lines: Lines) -> bool:
    return _extent(rng, lines, arguments(lines))


def tile_shape(rng: Random, lines: Lines) -> bool:
    name = rng.choice(list(buffers(lines)))
    match = TYPE.fullmatch(buffers(lines)[name])
    assert match is not None
    tile = [int(s) for s in match[3].split(", ")]
    k = rng.randrange(len(tile))
    tile[k] = rng.choice((tile[k] + 1, max(1, tile[k] - 1), tile[k] * 2, max(1, tile[k] // 2)))
    if len(tile) == 2 and rng.random() < 0.5:
        tile = rng.choice(([2, 8], [8, 2], [1, 16], [16, 1], tile[::-1], tile[:1], [0, 4], [-4, 4], [64, 4], [4, 4, 1]))
    return retype(rng, lines, name, f"!uop.tiled<tensor<{match[1]}x{match[2]}>, {tile}>")


def element_type(rng: Random, lines: Lines) -> bool:
    name = rng.choice(list(buffers(lines)))
    match = TYPE.fullmatch(buffers(lines)[name])
    assert match is not None
    dtype = rng.choice([d for d in BYTES if d != match[2]])
    if rng.random() < 0.1:
        for i, line in enumerate(lines):
            lines[i] = line.replace(f"x{match[2]}>", f"x{dtype}>")
        return True
    return retype(rng, lines, name, f"!uop.tiled<tensor<{match[1]}x{dtype}>, [{match[3]}]>")


def _renamed(line: str, names: dict[str, str]) -> str:
    return re.sub(r"%[\w$.-]+", lambda m: names.get(m[0], m[0]), line)


def _pair(rng: Random, lines: Lines) -> tuple[str, str] | None:
    """Two buffers, mostly of one type."""
    found = buffers(lines)
    if len(found) < 2:
        return None
    one = rng.choice(list(found))
    alike = [n for n, t in found.items() if n != one and t == found[one]]
    other = rng.choice(alike if alike and rng.random() < 0.7 else [n for n in found if n != one])
    return one, other


def merged(rng: Random, lines: Lines) -> bool:
    """All uses of one buffer, or those from some line on, are another's; its alloc goes, or stays."""
    pair = _pair(rng, lines)
    if pair is None:
        return False
    start = rng.choice((1, rng.randrange(1, len(lines))))
    gone = set(places(lines, rf"^ *{re.escape(pair[0])} = uop\.alloc"))
    for i in range(start, len(lines)):
        if i not in gone:
            lines[i] = _renamed(lines[i], {pair[0]: pair[1]})
    if rng.random() < 0.6:
        for i in gone:
            del lines[i]
    if rng.random() < 0.3:
        lines[:] = list(dict.fromkeys(lines[:-1])) + lines[-1:]
    return True


def exchanged(rng: Random, lines: Lines) -> bool:
    """Two buffers change places: in all operations, some, or where they are declared."""
    pair = _pair(rng, lines)
    if pair is None:
        return False
    names = {pair[0]: pair[1], pair[1]: pair[0]}
    chosen = ops(lines)
    if rng.random() < 0.4:
        start = rng.randrange(len(chosen))
        chosen = chosen[start : start + rng.randint(1, len(chosen))]
    if rng.random() < 0.3:
        chosen = [0] if pair[0] in lines[0] and pair[1] in lines[0] else places(lines, "uop\\.alloc")
    before = list(lines)
    for i in chosen:
        lines[i] = _renamed(lines[i], names)
    return lines != before


def returned(rng: Random, lines: Lines) -> bool:
    """Other results: another buffer, an argument, one twice, two exchanged, one less, one more, or a stranger."""
    names, types = results(lines)
    if len(names) != len(types):
        return False
    found = buffers(lines)
    how = rng.randrange(6)
    if how == 0 and len(names) > 1:
        i, j = rng.sample(range(len(names)), 2)
        names[i], names[j] = names[j], names[i]
        if rng.random() < 0.5:
            types[i], types[j] = types[j], types[i]
    elif how == 1 and names:
        k = rng.randrange(len(names))
        del names[k], types[k]
    elif how == 2:
        name = rng.choice(list(found))
        names.append(name)
        types.append(found[name])
    elif how == 3 and re.search(r"\(%", lines[0]):
        other = rng.choice(("i32", "f32", "index", "memref<4x4xf32>", "tensor<4x4xf32>"))
        lines[0] = lines[0].replace("(%", f"(%stranger: {other}, %", 1)
        names.append("%stranger")
        types.append(other)
    elif names:
        k = rng.randrange(len(names))
        others = [n for n in found if n != names[k]] or list(found)
        alike = [n for n in others if found[n] == types[k]]
        names[k] = rng.choice(alike if alike and rng.random() < 0.7 else others)
        types[k] = found[names[k]]
    else:
        return False
    before = list(lines)
    give_back(lines, names, types)
    return lines != before or how == 3


def loose_values(rng: Random, lines: Lines) -> bool:
    """Arguments and results that are no tiles: exchanged, or of another type."""
    names, types = results(lines)
    loose = re.findall(r"(%[\w$.-]+): ((?:i32|index|memref<[^>]*>|tensor<[^>]*>))", lines[0])
    if len(loose) < 2 or len(names) != len(types):
        return False
    spots = [k for k, n in enumerate(names) if n in dict(loose)]
    if not spots:
        return False
    k = rng.choice(spots)
    names[k], types[k] = rng.choice([pair for pair in loose if pair[0] != names[k]])
    if rng.random() < 0.3:
        types[k] = rng.choice(("i32", "i64", "memref<4x4xf32>"))
    give_back(lines, names, types)
    return True
