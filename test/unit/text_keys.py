"""Faults in a schedule's generic form, which has as attributes and operands what the pretty form has in its syntax.

What stands in `text_faults.py` holds here too, but for lines: those of a whole module.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

if __package__:
    from .text_faults import Lines, ops, places
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from text_faults import Lines, ops, places  # type: ignore[no-redef]


def entries_of(line: str) -> tuple[int, int, list[str]] | None:
    """Where an operation's dictionary stands, and its entries."""
    start = line.find("{", line.find("})") + 1)
    if start < 0:
        return None
    depth, begin, found = 0, start + 1, []
    for i in range(start, len(line)):
        depth += (line[i] in "{[<(") - (line[i] in "}]>)" and line[i - 1] != "-")
        if depth == 0 or (depth == 1 and line[i] == ","):
            found.append(line[begin:i].strip())
            begin = i + 1
        if depth == 0:
            return start, i + 1, found
    return None


def _change_entries(rng: Random, lines: Lines, change: Callable[[list[str]], list[str]]) -> bool:
    """Changes the dictionary of an operation, or of a function, or one within it."""
    placed = ops(lines)
    i = rng.choice([*placed, *placed, *places(lines, '"uop\\.alloc'), *places(lines, r'"func\.func|^ *\}\) \{') * 5])
    at = entries_of(lines[i])
    if at is None or not any(at[2]):
        return False
    start, end, entries = at
    inner = [k for k, entry in enumerate(entries) if " = {" in entry]
    if inner and rng.random() < 0.6:
        k = rng.choice(inner)
        name, _, value = entries[k].partition(" = ")
        within = entries_of(value)
        if within is None or not any(within[2]):
            return False
        entries[k] = f"{name} = {{{', '.join(change(within[2]))}}}"
    else:
        entries = change(entries)
    lines[i] = f"{lines[i][:start]}{{{', '.join(entries)}}}{lines[i][end:]}"
    return True


def key_missing(rng: Random, lines: Lines) -> bool:
    def change(entries: list[str]) -> list[str]:
        k = rng.randrange(len(entries))
        return entries[:k] + entries[k + 1 :]

    return _change_entries(rng, lines, change)


def key_extra(rng: Random, lines: Lines) -> bool:
    more = [
        'kernel = "relu"', "accumulate = true", "addrs = [0]", "coords = [[0, 0]]", "bytes = 64", "retain", "spill",
        "tile = [4]", "half = 1", "buffer = 1", "queue = 0", "signal", "wait = [[0, 1]]", "scale = 0.5 : f32",
        "zero_point = 2", "on_chip", "params = [1.0 : f32]", 'activation = "relu"',
        "activation_params = [1.0 : f32]", "at = 0", "dram = 0", "pin", "Kernel", "sched.pin", "uop.kernel = 3",
        "sched.at = 64", "graph.param", "operands = 3", "name = 1", "loc = 3", "types = []", "extra",
    ]  # fmt: skip
    return _change_entries(rng, lines, lambda e: [*e, rng.choice([*more, rng.choice(e)])])


VALUES = (
    "{}", "[]", "[[]]", "[{}]", "unit", "true", "false", '"x"', '""', "0", "-1", "1 : i32", "1 : i8", "1 : index",
    "64 : i64", "1.0", "0.5 : f32", "0.5 : f64", "1 : f32", "f32", "i32", "@f", "#d.a", "dense<1> : tensor<1xi32>",
    "array<i64: 0, 0>", "affine_map<() -> ()>", "[0, 0]", "[[0, 0]]", "[[0]]", '["relu"]', "9223372036854775807",
    "-9223372036854775808", "9223372036854775808", "0x7FFFFFFF : i32", "{a = 1}", '[[0, "a"]]', "[[[0, 0]]]",
    "[true]", "[0.0]", "[1 : i32]", "3 : ui8", "0x7FC00000 : f32", "1.0e400 : f32", '"matmul" : i32', '"relu\\00"',
    "distinct[0]<>", "loc(unknown)", "() -> ()", "tensor<4x4xf32>", "!uop.tiled<tensor<4x4xf32>, [4, 4]>",
)  # fmt: skip


def key_type(rng: Random, lines: Lines) -> bool:
    def change(entries: list[str]) -> list[str]:
        k = rng.randrange(len(entries))
        name, given, value = entries[k].partition(" = ")
        odd = (
            [f"{value} : i32", f"{value} : i8", f'"{value}"', f"[{value}]", value.replace("0", "false", 1)]
            if given
            else []
        )
        entries[k] = f"{name} = {rng.choice((*VALUES, *odd * 3))}"
        return entries

    return _change_entries(rng, lines, change)


def key_nested(rng: Random, lines: Lines) -> bool:
    """Values within lists and dictionaries, lists too long or too short, one list's part another's."""

    def change(entries: list[str]) -> list[str]:
        k = rng.randrange(len(entries))
        name, given, value = entries[k].partition(" = ")
        if not given:
            return [f"{entries[k]} = {{{entries[k]}}}", *entries[:k], *entries[k + 1 :]]
        forms = [f"[{value}]", f"{{{name} = {value}}}", f"[{value}, {value}]", f"[[{value}]]", f"{{a = [{value}]}}"]
        if value.startswith("["):
            parts = re.findall(r"\[[^\[\]]*\]|\w+", value[1:-1]) or ["0"]
            p = rng.randrange(len(parts))
            shorter, longer = parts[:p] + parts[p + 1 :], [*parts, parts[p]]
            wrong = [*parts[:p], rng.choice(VALUES), *parts[p + 1 :]]
            forms += [f"[{', '.join(x)}]" for x in (shorter, longer, wrong, wrong, parts[::-1])]
        entries[k] = f"{name} = {rng.choice(forms)}"
        return entries

    return _change_entries(rng, lines, change)


def operands(rng: Random, lines: Lines) -> bool:
    """The generic form's operands and types: one more, one less, another, exchanged."""
    i = rng.choice(ops(lines))
    names = re.search(r"\((%[^)]*)\)", lines[i])
    types = re.search(r" : \((.*)\) -> ", lines[i])
    if names is None or types is None:
        return False
    left, right = names[1].split(", "), re.findall(r"!uop\.tiled<[^>]*>[^>]*>", types[1])
    k = rng.randrange(len(left))
    known = buffers_of_generic(lines)
    other = rng.choice(list(known.items()))
    how = rng.randrange(5)
    if how == 0:
        del left[k], right[k]
    elif how == 1:
        left.insert(k, other[0])
        right.insert(k, other[1])
    elif how == 2:
        left[k], right[k] = other
    elif how == 3:
        left.reverse()
        right.reverse()
    else:
        right[k] = rng.choice((other[1], "i32", "tensor<4x4xf32>"))
    new = lines[i].replace(types[0], f" : ({', '.join(right)}) -> ").replace(names[0], f"({', '.join(left)})", 1)
    changed, lines[i] = new != lines[i], new
    return changed


def buffers_of_generic(lines: Lines) -> dict[str, str]:
    """Buffers by name in generic text, with the types that operations give them."""
    found: dict[str, str] = {}
    for i in ops(lines):
        names, types = re.search(r"\((%[^)]*)\)", lines[i]), re.search(r" : \((.*)\) -> ", lines[i])
        if names and types:
            found |= dict(zip(names[1].split(", "), re.findall(r"!uop\.tiled<[^>]*>[^>]*>", types[1]), strict=False))
    return found
