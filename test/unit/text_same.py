"""Edits of a schedule's text that keep its meaning: none of them may be refused.

Each is a function of random numbers and the lines of one function, which it changes in place, saying whether it could.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import tilewright

if __package__:
    from .text_faults import REF, Lines, allocs, buffers, ops, places
    from .text_ops import with_word
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from text_faults import REF, Lines, allocs, buffers, ops, places  # type: ignore[no-redef]
    from text_ops import with_word  # type: ignore[no-redef]

COMMUTATIVE = "add|mul|max"
NAMES = ("a", "Z9", "_", "x.y", "w-1", "$", "0", "17", "func", "true", "matmul", "tensor", "a" * 70, "sched.load", "-")


def renamed_values(rng: Random, lines: Lines) -> bool:
    """Values have other names: exchanged with others', or new ones of any form."""
    old = sorted({m for line in lines for m in re.findall(r"%[\w$.-]+", line)})
    new = [f"%{name}" for name in NAMES] + [f"%v{k}" for k in range(len(old))]
    rng.shuffle(new)
    names = dict(zip(old, rng.sample(old, len(old)) if rng.random() < 0.3 else new, strict=False))
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"%[\w$.-]+", lambda m: names[m[0]], line)
    return True


def renamed_function(rng: Random, lines: Lines) -> bool:
    """A single function may have any name."""
    name = rng.choice(("@f", '@"a b"', "@_x.y", '@"@"', "@func", '@"\\22"'))
    lines[0] = re.sub(r"@\w+", lambda _: name, lines[0], count=1)
    return True


def shifted(rng: Random, lines: Lines) -> bool:
    """All addresses move up, in an SRAM that has grown by as much."""
    if re.search(r"halves|reserved|sched\.at|\bat = ", "".join(lines)) or "alignment" not in lines[0]:
        return False
    alignment = int(re.search(r"alignment = (\d+)", lines[0])[1])  # type: ignore[index]
    by = alignment * rng.randint(1, 9)
    room = by + rng.choice((0, 1, 1000))
    lines[0] = re.sub(r"total_bytes = (\d+)", lambda m: f"total_bytes = {int(m[1]) + room}", lines[0])
    for i in ops(lines):
        lines[i] = re.sub(r"@0x([0-9a-f]+)", lambda m: f"@0x{int(m[1], 16) + by:04x}", lines[i])
    return True


def more_room(rng: Random, lines: Lines) -> bool:
    """The SRAM is larger, or its alignment finer."""
    pattern = r"total_bytes = (\d+)"
    lines[0] = re.sub(pattern, lambda m: f"total_bytes = {int(m[1]) + rng.randint(1, 5000)}", lines[0])
    return "total_bytes" in lines[0]


def decimal(rng: Random, lines: Lines) -> bool:
    """Some addresses are decimal or have other digits, some attributes are hexadecimal."""
    share = rng.random()

    def other(match: re.Match[str]) -> str:
        if rng.random() > share:
            return match[0]
        number = int(match[1], 16)
        return rng.choice((f"@{number}", f"@0x{number:x}", f"@0x{number:08X}", f"@{number:05d}"))

    for i in ops(lines):
        lines[i] = re.sub(r"@0x([0-9a-f]+)", other, lines[i])
        if rng.random() < share / 2:
            lines[i] = re.sub(
                r"bytes = (\d+)", lambda m: f"bytes = {rng.choice((hex(int(m[1])), m[1] + ' : i64'))}", lines[i]
            )
    return "@" in "".join(lines[i] for i in ops(lines))


def swapped_sources(rng: Random, lines: Lines) -> bool:
    """The two sides of operations that commute, where both are matrices."""
    pattern = re.compile(rf"(\.exec (?:{COMMUTATIVE}) .*?= )({REF.pattern}), ({REF.pattern})")
    ranks = {name: type.count(", ") for name, type in buffers(lines).items()}
    found = [
        i for i in ops(lines, "exec")
        if (m := pattern.search(lines[i])) and ranks[m[3]] == ranks[m[7]]
    ]  # fmt: skip
    for i in rng.sample(found, rng.randint(1, len(found))) if found else ():
        lines[i] = pattern.sub(lambda m: f"{m[1]}{m[6]}, {m[2]}", lines[i])
    return bool(found)


def renumbered_queues(rng: Random, lines: Lines) -> bool:
    """Queues have other numbers, their waits too, in another order."""
    used = sorted({int(m) for line in lines for m in re.findall(r"queue = (\d+)", line)})
    if not used:
        return False
    numbers = rng.sample(range(len(used) + rng.choice((0, 5, 1000))), len(used))
    names = dict(zip(used, numbers, strict=True))

    def waits(match: re.Match[str]) -> str:
        pairs = [f"[{names[int(q)]}, {n}]" for q, n in re.findall(r"\[(\d+), (\d+)\]", match[0])]
        return f"wait = [{', '.join(rng.sample(pairs, len(pairs)))}]"

    for i in ops(lines):
        lines[i] = re.sub(r"queue = (\d+)", lambda m: f"queue = {names[int(m[1])]}", lines[i])
        lines[i] = re.sub(r"wait = \[\[.*?\]\]", waits, lines[i])
    return True


def spacing(rng: Random, lines: Lines) -> bool:
    """Blanks, tabs, line ends and comments between words."""
    blanks = (" ", "  ", "\t", "\n", "\r\n", " // %x[0, 0] @0x0000 {\n", "\n//\n")
    share = rng.choice((0.02, 0.2, 0.6))

    def other(match: re.Match[str]) -> str:
        return rng.choice(blanks) if rng.random() < share else match[0]

    for i, line in enumerate(lines):
        parts = re.split(r'("(?:[^"\\]|\\.)*"|!uop\.tiled<[^>]*>[^>]*>|%[\w$.-]+: )', line)
        lines[i] = "".join(p if k % 2 else re.sub(" ", other, p) for k, p in enumerate(parts))
    return True


def comments(rng: Random, lines: Lines) -> bool:
    """Comments behind and between lines, and empty lines."""
    for i in range(len(lines)):
        if rng.random() < 0.4:
            lines[i] += rng.choice(
                (" // {", "  //", "\n", " // sched.load %x[0, 0] @0x0000 {bytes = 64}", "\t// \u00e4\U0001f600")
            )
    return True


def order_of_words(rng: Random, lines: Lines) -> bool:
    """Dictionaries of operations in another order of keys."""
    changed = False
    for i in ops(lines):
        match = re.search(r" \{([^{}]*)\}$", lines[i])
        if match is None:
            continue
        words = re.split(r", (?=[a-z_]+(?: = |, |$))", match[1])
        lines[i] = f"{lines[i][: match.start()]} {{{', '.join(rng.sample(words, len(words)))}}}"
        changed = changed or len(words) > 1
    return changed


def labels(rng: Random, lines: Lines) -> bool:
    """Labels of which nothing is checked, and attributes of nobody's."""
    i = rng.choice(ops(lines))
    if "sched." in lines[i] and "buffer" not in lines[i] and rng.random() < 0.5:
        lines[i] = with_word(lines[i], f"buffer = {rng.randrange(2)}")
    else:
        lines[i] = with_word(lines[i], rng.choice(("my.note = 1", "a.b", 'a.c = "@0x0000"', "my.sched = {bytes = 3}")))
    return True


def allocs_in_other_order(rng: Random, lines: Lines) -> bool:
    at = places(lines, r"^ *%[\w$.-]+ = uop\.alloc")
    if len(at) < 2:
        return False
    for i, line in zip(at, rng.sample([lines[i] for i in at], len(at)), strict=True):
        lines[i] = line
    return True


def allocs_late(rng: Random, lines: Lines) -> bool:
    """An alloc stands right before the first operation that names it; one that nobody names is more."""
    if not allocs(lines):
        return False
    name = rng.choice(allocs(lines))
    (i,) = places(lines, rf"^ *{re.escape(name)} = uop\.alloc")
    line = lines.pop(i)
    used = places(lines, rf"{re.escape(name)}(?![\w$.-])")
    lines.insert(min(used, default=i), line)
    if rng.random() < 0.3 and "{" not in line:
        lines.insert(1, line.replace(name, "%nobody", 1))
    return True


def no_figures(rng: Random, lines: Lines) -> bool:
    before = lines[0]
    lines[0] = re.sub(r", sched\.stats = \{.*?\}", "", lines[0])
    return lines[0] != before


def aliases(rng: Random, lines: Lines) -> bool:
    """A type, or more, has a name of its own."""
    types = sorted(set(buffers(lines).values()))
    chosen = rng.sample(types, rng.randint(1, len(types)))
    for k, type in enumerate(chosen):
        lines[:] = [line.replace(type, f"!t{k}") for line in lines]
    lines[:0] = [f"!t{k} = {type}" for k, type in enumerate(chosen)]
    return True


def generic(rng: Random, lines: Lines) -> bool:
    """The function in MLIR's generic form, or some of its operations."""
    if re.search(r"!t\d", "".join(lines)):
        return False  # names that stand outside of the function
    (func,) = tilewright.parse("\n".join(lines), verify=False).functions()
    wanted = tilewright.print(func, generic=True).splitlines()
    if rng.random() < 0.5:
        lines[:] = wanted
        return True
    pretty = [i for i in range(1, len(lines)) if lines[i].strip() not in ("", "}")]
    other = [line for line in wanted[1:] if not line.lstrip().startswith(("^", "}"))]
    if len(pretty) != len(other):
        return False
    for i, line in zip(pretty, other, strict=True):
        lines[i] = line if rng.random() < 0.5 else lines[i]
    return True


def wrapped(rng: Random, lines: Lines) -> bool:
    """A wrapper, a version, a location, which say nothing of what is computed."""
    how = rng.randrange(3)
    if how == 0:
        i = rng.choice(ops(lines))
        lines[i] += rng.choice((' loc("a.py":3:4)', " loc(unknown)", ' loc(fused["x", "y"])'))
    elif how == 1:
        lines[:] = ["module {", *lines, "}"]
    else:
        lines[:] = ['module attributes {tilewright.language = "1.0"} {', *lines, "}"]
    return True


SAME: dict[str, Callable[[Random, Lines], bool]] = {
    "values renamed": renamed_values,
    "function renamed": renamed_function,
    "addresses shifted": shifted,
    "more room": more_room,
    "decimal for hexadecimal": decimal,
    "commutative sources exchanged": swapped_sources,
    "queues renumbered": renumbered_queues,
    "order of allocs": allocs_in_other_order,
    "allocs late": allocs_late,
    "statistics left out": no_figures,
    "order of keys": order_of_words,
    "labels": labels,
    "wrappers and locations": wrapped,
    "aliases": aliases,
    "generic form": generic,
    "spacing": spacing,
    "comments": comments,
}
"""In the order in which several of them go together: the last ones leave nothing that the others would find."""
