"""Faults in the operations of a schedule's text: order, tiles, addresses, kernels, queues, marks, regions.

What stands in `text_faults.py` holds here too.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random

if __package__:
    from .text_faults import REF, Lines, buffers, near, ops, places, replace, return_at
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from text_faults import (  # type: ignore[no-redef]
        REF,
        Lines,
        buffers,
        near,
        ops,
        places,
        replace,
        return_at,
    )

UNARY = ("relu", "gelu", "sigmoid", "tanh", "exp", "clip", "cast", "bias")
BINARY = ("matmul", "add", "sub", "mul", "max")
REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min")
ACTIVATIONS = ("relu", "gelu", "sigmoid", "tanh", "exp", "clip")
CLIP = "[-3.0 : f32, 2.0 : f32]"


def repeated(rng: Random, lines: Lines) -> bool:
    others = [*places(lines, "uop\\.alloc"), return_at(lines)]
    i = rng.choice(others if rng.random() < 0.2 else ops(lines))
    lines.insert(rng.choice((i, rng.randrange(1, len(lines)))) + 1, lines[i])
    return True


def dropped(rng: Random, lines: Lines) -> bool:
    start = rng.choice(ops(lines))
    del lines[start : start + rng.choice((1, 1, 1, 2, 3))]
    return any(re.match(" *return", line) for line in lines)


def order(rng: Random, lines: Lines) -> bool:
    among = [*ops(lines), *places(lines, r"uop\.alloc")] if rng.random() < 0.1 else ops(lines)
    i, j = sorted(rng.sample(among, 2))
    how = rng.randrange(4)
    if how == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif how == 1:
        lines.insert(j, lines.pop(i))
    elif how == 2:
        lines.insert(i, lines.pop(j))
    else:
        lines[i], lines[i + 1] = lines[i + 1], lines[i]
    return True


def coordinate(rng: Random, lines: Lines) -> bool:
    def moved(match: re.Match[str]) -> str:
        numbers = match[2].split(", ")
        k = rng.randrange(len(numbers))
        numbers[k] = str(int(numbers[k]) + rng.choice((-1, 1, 1, 2)))
        if rng.random() < 0.05:
            numbers[k] = rng.choice(("9223372036854775807", "-9223372036854775808", "99999999999999999999"))
        if rng.random() < 0.1:
            numbers = numbers[::-1] if rng.random() < 0.5 else numbers[:-1] or ["0", "0"]
        return f"{match[1]}[{', '.join(numbers)}]{match[3] or ''}"

    return replace(rng, lines, REF.pattern, moved)


def address(rng: Random, lines: Lines) -> bool:
    """One address, or every use of one, becomes another that is in use, or one nearby."""
    known = sorted({m[0] for line in lines for m in re.finditer(r"@0x[0-9a-f]+", line)})
    if not known:
        return False
    old = rng.choice(known)
    new = rng.choice((rng.choice(known), f"@0x{near(rng, int(old[1:], 16)):04x}"))
    if rng.random() < 0.05:
        new = rng.choice(("@0x7fffffffffffffff", "@0xffffffffffffffff", "@18446744073709551616", "@00", "@0x"))
    if rng.random() < 0.6:
        return replace(rng, lines, f"{old}\\b", lambda _: new)
    start = rng.choice((0, rng.randrange(len(lines))))
    exchange = {old: new} | ({new: old} if rng.random() < 0.3 else {})
    for i in range(start, len(lines)):
        lines[i] = re.sub(r"@0x[0-9a-f]+", lambda m: exchange.get(m[0], m[0]), lines[i])
    return old != new


def other_tile(rng: Random, lines: Lines) -> bool:
    known = [m[0] for i in ops(lines) for m in REF.finditer(lines[i])]
    return bool(known) and replace(rng, lines, REF.pattern, lambda _: rng.choice(known))


def sources(rng: Random, lines: Lines) -> bool:
    """An exec's sources are exchanged, or one is missing, or there twice; or one changes places with the result."""
    pattern = rf"({REF.pattern}) (\+?=) ({REF.pattern}), ({REF.pattern})"

    def turned(m: re.Match[str]) -> str:
        a, b, c = m[1], m[6], m[10]
        forms = (f"{a} {m[5]} {c}, {b}", f"{a} {m[5]} {b}", f"{a} {m[5]} {c}, {c}", f"{b} {m[5]} {a}, {c}")
        return rng.choice((*forms[:1] * 3, *forms))

    return replace(rng, lines, pattern, turned)


def assignment(rng: Random, lines: Lines) -> bool:
    flip = {"=": "+=", "+=": "="}
    return replace(rng, lines, r"(?<=[\]\w]) (\+?=) (?=%)", lambda m: f" {flip[m[1]]} ", r"\.exec ")


def kernel(rng: Random, lines: Lines) -> bool:
    i = rng.choice(ops(lines, "exec"))
    match = re.search(r"(\.exec )(\w+)", lines[i])
    if match is None:
        return False
    alike = next((kernels for kernels in (UNARY, BINARY, REDUCTIONS) if match[2] in kernels), BINARY)
    new = rng.choice([k for k in (alike if rng.random() < 0.8 else UNARY + BINARY + REDUCTIONS) if k != match[2]])
    lines[i] = lines[i].replace(match[0], match[1] + new, 1)
    if rng.random() < 0.7:
        lines[i] = re.sub(r"(?<!_)params = \[[^]]*\](, )?", "", lines[i]).replace(" {}", "")
        if new == "clip":
            lines[i] = with_word(lines[i], f"params = {CLIP}")
    return True


def with_word(line: str, word: str) -> str:
    """An operation with one more attribute."""
    return f"{line[:-1]}, {word}}}" if line.endswith("}") else f"{line} {{{word}}}"


def parameter(rng: Random, lines: Lines) -> bool:
    pattern = r"(?<=[\[ ])-?\d+\.\d+(?:e[-+]\d+)?(?= : f32)|(?<=zero_point = )-?\d+|(?<=axis = )\d+"

    def moved(match: re.Match[str]) -> str:
        if "." not in match[0]:
            return str(int(match[0]) + rng.choice((-1, 1)))
        if rng.random() < 0.1:
            return rng.choice(("0x7FC00000", "0x7F800000", "0xFF800000", "-0.0", "1.0e39"))
        new = float(match[0]) * rng.choice((1, 1, 2, -1)) + rng.choice((-1, 1, 0.5))
        return str(new)

    return replace(rng, lines, pattern, moved)


def activation(rng: Random, lines: Lines) -> bool:
    """Added, taken away, changed, or given to another operation."""
    pattern = r'(?:, )?activation = "\w+"(?:, activation_params = \[[^]]*\])?(?:, )?'
    found = places(lines, "activation = ")
    new = rng.choice(ACTIVATIONS)
    word = f'activation = "{new}"' + (f", activation_params = {CLIP}" if new == "clip" else "")
    how = rng.randrange(4)
    if how == 0 or not found:
        spots = [i for i in ops(lines, "exec|store") if "activation" not in lines[i]]
        if not spots:
            return False
        i = rng.choice(spots)
        lines[i] = with_word(lines[i], word)
        return True
    i = rng.choice(found)
    given = re.search(pattern, lines[i])
    assert given is not None
    taken = re.sub(pattern, "", lines[i]).replace(" {}", "")
    if how == 1:
        lines[i] = with_word(taken, word)
        return True
    lines[i] = taken
    if how == 2:
        k = rng.choice(ops(lines, "exec|store"))
        lines[k] = with_word(lines[k], given[0].strip(", "))
    return True


# What a machine is told beside the operations.


def queue(rng: Random, lines: Lines) -> bool:
    """A queue, a wait or a signal is another, is gone, or is given to another operation."""
    pattern, new = rng.choice(
        (
            (r"queue = (\d+)", lambda m: f"queue = {rng.randrange(4)}"),
            (r", queue = \d+", lambda _: ""),
            (r", signal", lambda _: ""),
            (r", wait = \[\[.*?\]\]", lambda _: ""),
            (r"\[(\d+), (\d+)\](?=.*\})", lambda m: f"[{m[1]}, {max(1, int(m[2]) + rng.choice((-2, -1, -1, 1)))}]"),
            (r"\[(\d+), (\d+)\](?=.*\})", lambda m: f"[{rng.randrange(4)}, {m[2]}]"),
            (r"(, wait = \[\[.*?)\](?=[,}])", lambda m: f"{m[1]}, [{rng.randrange(3)}, {rng.randint(1, 9)}]]"),
        )
    )
    if rng.random() < 0.25:
        return moved_word(rng, lines, r", (signal|wait = \[\[.*?\]\])(?=[,}])", "queue")
    return replace(rng, lines, pattern, new, "queue = ")


def moved_word(rng: Random, lines: Lines, pattern: str, within: str) -> bool:
    """A word in braces goes from one operation to another of those that have `within`."""
    found = [(i, m) for i in places(lines, within) for m in re.finditer(pattern, lines[i])]
    if not found:
        return False
    i, match = rng.choice(found)
    lines[i] = lines[i].replace(match[0], "", 1)
    near_by = [k for k in places(lines, within) if 0 < abs(k - i) < 4] or [i]
    k = rng.choice(near_by)
    lines[k] = with_word(lines[k], match[1])
    return True


def mark(rng: Random, lines: Lines) -> bool:
    """A store's, load's or alloc's mark is added, taken away or changed."""
    word = rng.choice(
        ("retain", "spill", "buffer = 0", "half = 0", "half = 1", "on_chip", "pin", "accumulate", "bytes")
    )
    how = rng.randrange(3)
    if word == "bytes" and how:
        return replace(rng, lines, r"bytes = (\d+)", lambda m: f"bytes = {near(rng, int(m[1]))}")
    if how == 0:
        return replace(rng, lines, rf"(?<=[{{ ]){word}(, )?(?=[\w}}])", lambda _: "")
    if word.startswith("half") and how == 1:
        return replace(rng, lines, r"half = ([01])", lambda m: f"half = {1 - int(m[1])}")
    if word in ("on_chip", "pin"):
        return alloc_word(rng, lines, word)
    i = rng.choice(ops(lines, "store" if word in ("retain", "spill") else "load|exec|store"))
    lines[i] = with_word(lines[i], word)
    return True


def alloc_word(rng: Random, lines: Lines, word: str) -> bool:
    """An alloc has one more attribute."""
    found = places(lines, r"uop\.alloc")
    if not found:
        return False
    i = rng.choice(found)
    given = re.search(r"uop\.alloc \{(.*)\}", lines[i])
    text = f"uop.alloc {{{given[1]}, {word}}}" if given else f"uop.alloc {{{word}}}"
    lines[i] = lines[i].replace(given[0] if given else "uop.alloc", text, 1)
    return True


def where(rng: Random, lines: Lines) -> bool:
    """Where tiles are asked to lie, and the SRAM, its ranges and its halves."""
    number = rng.choice((0, 64, 128, 192, 16 * rng.randrange(40)))
    forms = (
        lambda: alloc_word(rng, lines, f"at = {number}"),
        lambda: alloc_word(rng, lines, f"dram = {number}"),
        lambda: alloc_word(rng, lines, f"at = [[0, 0, {number}]]"),
        lambda: replace(rng, lines, r"(dram|at) = (\d+)", lambda m: f"{m[1]} = {near(rng, int(m[2]))}"),
        lambda: replace(rng, lines, r"dram = \d+", lambda m: rng.choice(re.findall(r"dram = \d+", "".join(lines)))),
        lambda: replace(rng, lines, r"total_bytes = (\d+)", lambda m: f"total_bytes = {near(rng, int(m[1]))}"),
        lambda: replace(rng, lines, r"total_bytes = (\d+)", lambda m: f"total_bytes = {int(m[1]) // 2}"),
        lambda: replace(
            rng, lines, r"alignment = (\d+)", lambda m: f"alignment = {int(m[1]) * rng.choice((2, 4, 64))}"
        ),
        lambda: replace(rng, lines, r"sram = \{", lambda m: f"{m[0]}reserved = [[{number}, {number + 16}]], "),
        lambda: replace(rng, lines, r"(halves = \[\[)(\d+)", lambda m: f"{m[1]}{near(rng, int(m[2]))}"),
        lambda: replace(rng, lines, r"(halves = .*?, )(\d+)(?=\]\])", lambda m: f"{m[1]}{near(rng, int(m[2]))}"),
        lambda: replace(rng, lines, r"sched\.(pin|at) = (\[\[.*?\]\]|\d+)", lambda m: f"sched.{m[1]} = {number}"),
        lambda: replace(rng, lines, r"(sched\.at = .*?)(\d+)(?=[\]},])", lambda m: f"{m[1]}{near(rng, int(m[2]))}"),
    )
    return rng.choice(forms)()


def figure(rng: Random, lines: Lines) -> bool:
    """A figure of `sched.stats`, or its name, or one that is missing."""
    at = re.search(r"sched\.stats = \{(.*?)\}", lines[0])
    if at is None:
        return False
    entries = at[1].split(", ")
    k = rng.randrange(len(entries))
    name, _, number = entries[k].partition(" = ")
    change = rng.choice((-64, -16, -2, -1, 1, 1, 2, 16, 64, int(number)))
    entries[k] = f"{name} = {int(number) + change}"
    if rng.random() < 0.15:
        entries[k] = rng.choice(
            (f"spills = {number}", f"{name}s = {number}", f"{name} = {number}.0", f'{name} = "{number}"')
        )
    if rng.random() < 0.1:
        del entries[k]
    lines[0] = lines[0].replace(at[1], ", ".join(entries))
    return True


# What a replay may not see.


def hidden_in_region(rng: Random, lines: Lines) -> bool:
    """Some operations stand in an unknown operation's region, be they new or not, or in a second block."""
    start = rng.choice([*ops(lines), *places(lines, "uop\\.alloc")])
    end = min(start + rng.choice((1, 1, 2, 5)), len(lines) - 2)
    if end <= start:
        return False
    inside = lines[start:end]
    if rng.random() < 0.1:
        lines[end:end] = rng.choice((["^bb1:"], ['  "cf.br"()[^bb1] : () -> ()', "^bb1:"], ["^bb1(%more: i32):"]))
        return True
    if rng.random() < 0.5:
        inside = [lines[k] for k in sorted(rng.sample(ops(lines), rng.choice((1, 2))))]
        end = start
    name, last = rng.choice((("d.if", "d.yield"), ("scf.for", "scf.yield"), ("sched.if", "d.y"), ("uop.loop", "uop.y")))
    label = ["^bb0:"] if rng.random() < 0.2 else []
    nested = [f'    "{name}"() ({{', *label, *inside, f'    "{last}"() : () -> ()', "    }) : () -> ()"]
    if rng.random() < 0.2:
        nested = ['    "e.out"() ({', *nested, '    "e.y"() : () -> ()', "    }) : () -> ()"]
    lines[start:end] = nested
    return True


def unknown_operation(rng: Random, lines: Lines) -> bool:
    """An unknown operation: named like ours, with a tile for an operand or a result, or in an operation's place."""
    name, type = rng.choice(list(buffers(lines).items()))
    ours = rng.choice(("sched.nop", "uop.wait", "graph.fill", "sched.load2", "uop.free", "Sched.load", "sched"))
    new = rng.choice(
        (
            f'"{ours}"() : () -> ()',
            f'"d.write"({name}) : ({type}) -> ()',
            f'"{ours}"({name}) : ({type}) -> ()',
            f'%strange = "d.make"() : () -> {type}',
            f'"d.more"() {{buffer = {type}}} : () -> ()',
        )
    )
    i = rng.choice([i for i in ops(lines) if i > max(places(lines, "uop\\.alloc"), default=0)])
    if rng.random() < 0.2 and "strange" not in new:
        found = [k for k in places(lines, "uop\\.alloc") if lines[k].lstrip().startswith(f"{name} =")]
        if found:
            lines[found[0]] = f'  {name} = "d.alloc"() : () -> {type}'
            return True
    if "strange" in new and rng.random() < 0.7:
        for k in range(i, len(lines)):
            lines[k] = re.sub(rf"{re.escape(name)}\b", "%strange", lines[k])
    lines[i : i + (rng.random() < 0.2)] = [f"  {new}"]
    return True


def nested_function(rng: Random, lines: Lines) -> bool:
    """The function stands in a module, an unknown operation or a function: at fault, or beside one at fault."""
    if rng.random() < 0.7 and not rng.choice((other_tile, dropped, coordinate, kernel, address))(rng, lines):
        return False
    copy = list(lines) if rng.random() < 0.2 else []
    head, tail = rng.choice(
        (
            ("module {", "}"),
            ("module @inner {", "}"),
            ('"d.lib"() ({', "}) : () -> ()"),
            ('"builtin.module"() ({', "}) : () -> ()"),
            ("func.func @outer() {", "return\n}"),
            ("module { module {", "} }"),
        )
    )
    lines[:] = [*copy, head, *lines, tail]
    return True
