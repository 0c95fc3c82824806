"""Statement shapes against Lark alone, on mutated texts: the same module, or the same diagnostics, byte for byte.

`python test/unit/parser_mutants.py --count 100000` tries as many, seeded.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tilewright
import tilewright.dialects  # so that all texts are of the same language
from tilewright import DiagnosticError
from tilewright.ir.reading.fast import forms
from tilewright.ir.reading.fast import parser as fast_parser
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source

ROOT = Path(__file__).parents[2]

TOKEN = re.compile(r"%[\w.#]+|[\w.]+|\s+|//[^\n]*|\S")
SPLICES = (" ", "\n", "  ", "\t", "// note\n", "#", "%", "{", "}", ",", "0", "-1", "x", "@", '"', "loc(unknown)", "é")


def outcome(text: str, only_lark: bool) -> str:
    """The printed module with the places of its operations, or the diagnostics."""
    try:
        module = parse_source(Source("t.mir", text), True, only_lark)
    except DiagnosticError as error:
        return f"error: {error}"
    places = [op.loc for func in module.functions() for op in func.ops]
    values = [r.loc for func in module.functions() for op in func.ops for r in op.results]
    return f"{tilewright.print(module, generic=True)}{places}{values}"


def same(text: str) -> bool:
    """Whether both parsers read the same; the quick one also after it has learnt from the text."""
    return outcome(text, False) == outcome(text, True) == outcome(text, False)


def corpus() -> list[str]:
    """Texts of every level in both forms, small enough to be read thousands of times, and the lit tests' texts."""
    found = []
    for path in sorted((ROOT / "test").rglob("*.mir")):
        text = path.read_text(encoding="utf-8").split("// -----")[0]
        found.append("\n".join(line for line in text.splitlines() if not line.startswith("// ")) + "\n")
    small = """func.func @f(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %h = graph.matmul %x, %w, %b {activation = "relu"} : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<8x8xf32>
  %s = graph.add %h, %x : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  return %s : tensor<8x8xf32>
}
"""  # noqa: E501
    for pipeline in ("fuse", "tile{sizes=4x4x4},lower", "tile{sizes=4x4x4},lower,forward,schedule,sync"):
        found += [tilewright.run_passes(small, pipeline, generic=generic) for generic in (False, True)]
    return found


def mutants(seed: int, count: int) -> Iterator[str]:
    """Seeded changes of characters, tokens and lines, one to three a text."""
    texts = corpus()
    generator = random.Random(seed)
    for _ in range(count):
        text = generator.choice(texts)
        for _ in range(generator.randint(1, 3)):
            text = mutate(text, generator)
        yield text


def mutate(text: str, generator: random.Random) -> str:
    kind = generator.randrange(6)
    if kind == 0:  # a character
        at = generator.randrange(len(text) + 1)
        return text[:at] + generator.choice(SPLICES) + text[at + generator.randrange(2) :]
    if kind == 1:  # a character is gone
        at = generator.randrange(max(len(text), 1))
        return text[:at] + text[at + 1 :]
    lines = text.split("\n")
    at = generator.randrange(len(lines))
    if kind == 2:  # a line is doubled, gone, or elsewhere
        line = lines.pop(at)
        for _ in range(generator.randrange(3)):
            lines.insert(generator.randrange(len(lines) + 1), line)
        return "\n".join(lines)
    tokens = TOKEN.findall(lines[at])
    if not tokens:
        return text
    place = generator.randrange(len(tokens))
    if kind == 3:  # a token is gone or doubled
        tokens[place : place + 1] = [tokens[place]] * generator.choice((0, 2))
    elif kind == 4:  # two tokens change places
        other = generator.randrange(len(tokens))
        tokens[place], tokens[other] = tokens[other], tokens[place]
    else:  # something between two tokens
        tokens.insert(place, generator.choice(SPLICES))
    lines[at] = "".join(tokens)
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="compares both parsers on mutated texts")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    fast_parser.SIGHTINGS = 1
    forms.FEW = 0
    with tempfile.TemporaryDirectory() as folder:  # such shapes are not for the user's cache
        os.environ["XDG_CACHE_HOME"] = folder
        return compare(args.seed, args.count)


def compare(seed: int, count: int) -> int:
    for tried, text in enumerate(mutants(seed, count)):
        if not same(text):
            print(f"after {tried:,} texts, the parsers differ on\n{text}")
            print(f"--- with shapes\n{outcome(text, False)[:2000]}\n--- Lark alone\n{outcome(text, True)[:2000]}")
            return 1
    print(f"{count:,} texts, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
