"""The named pipelines, -O0 to -O2: which passes they run, why each stands where it does, and who gets which option."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

from ...ir.diagnostics import did_you_mean
from .options import UsageError, options_of, split_options
from .registry import Pass, inherit, make_pass, split_entry

ALIASES = {"tile": ("tile", "sizes")}
"""Options of a pipeline that a pass knows under another name: the pass, and its option."""


PIPELINE_ENTRY = r"\s*([\w-]+)\s*(?:\{([^{}]*)\})?\s*(,|\Z)"
PIPELINE_COMMENT = r"//[^\n]*"


@dataclass(frozen=True, slots=True)
class Entry:
    """A pass with its options, as a pipeline's text has it, and why it stands here."""

    text: str
    reason: str

    @property
    def name(self) -> str:
        """The pass's name."""
        return self.text.partition("{")[0]


DECOMPOSE = Entry("decompose", "first: what it makes is simplified, fused and tiled as any other operation")
CANONICALIZE = Entry(
    "canonicalize", "after decompose: what is dead, or the same in other words, is not worth a tile or a plan"
)
CSE = Entry("cse", "after canonicalize, which makes equals of what was written in two ways; before fuse hides them")
FUSE = Entry(
    "fuse", "before tile: what the passes after it see as one operation needs one tile and no store in between"
)
LINEARIZE = Entry(
    "linearize", "after fuse, which leaves few values: all that follows goes by the order of the operations"
)
TILE = Entry("tile", "after fuse, so that fewer operations have to agree on tiles; every pass after it counts in them")

PIPELINES: dict[str, tuple[Entry, ...]] = {
    "O0": (
        DECOMPOSE,
        FUSE,
        TILE,
        Entry("lower", "once the tiles are fixed: the first level with an order, m, n, k, layer by layer"),
        Entry("schedule", "last: gives addresses to the order that it finds, and leaves out what is on chip"),
    ),
    "O1": (
        DECOMPOSE,
        CANONICALIZE,
        CSE,
        FUSE,
        LINEARIZE,
        TILE,
        Entry("plan", "while products are still whole: chooses blocks, loop orders and layers to run together"),
        Entry("lower", "writes out, tile by tile, the order that plan has decided"),
        Entry("forward", "on the planned order: what is read again soon stays on chip, and is not stored for it"),
        Entry("reorder", "after forward, whose retained tiles it has to know: looks for a better order of the execs"),
        Entry("schedule{evict=cost dram}", "last, the order being final: addresses, and evictions by their cost"),
    ),
    "O2": (
        DECOMPOSE,
        CANONICALIZE,
        CSE,
        FUSE,
        LINEARIZE,
        TILE,
        Entry("plan{objective=makespan}", "as in -O1, but by simulated time: the least traffic is not the least time"),
        Entry("lower", "writes out, tile by tile, the order that plan has decided"),
        Entry("forward", "on the planned order: what is read again soon stays on chip, and is not stored for it"),
        Entry("schedule{evict=cost dram}", "gives addresses; no reorder before it, which knows traffic and not time"),
        Entry("prefetch", "last: transfers run ahead of the execs, which takes a schedule to know what has room"),
    ),
}
"""By name. Passes are looked up when a pipeline is made, so that a text may name one before it exists."""


def is_pipeline(name: str) -> bool:
    """Whether a word of a pipeline's text is a named one: `O1`, or `-O1` as on the command line."""
    return name.removeprefix("-") in PIPELINES


def unknown_pipeline(word: str) -> str:
    """The message about a word such as -O7."""
    known = [f"-{name}" for name in PIPELINES]
    return f"unknown pipeline '{word}'{did_you_mean(word.partition('=')[0], known)}; there are {', '.join(known)}"


def pipeline_text(name: str) -> str:
    """The passes of a named pipeline as one text."""
    return ",".join(entry.text for entry in PIPELINES[name.removeprefix("-")])


def reasons(name: str) -> list[str]:
    """`pass: reason` for each pass of a named pipeline, in order."""
    return [f"{entry.name}: {entry.reason}" for entry in PIPELINES[name.removeprefix("-")]]


def make_pipeline(name: str, options: str = "", overrides: Iterable[Pass] = ()) -> list[Pass]:
    """The passes of a named pipeline.

    `options`, such as `sram=64KiB tile=32x32x32`, go to every pass that has one of that name; `tile` is the `sizes` of
    `tile`. `overrides` are passes given beside the pipeline: their options are those of its pass of that name; its
    other passes take from them what they have too and nobody has set, such as `sram`. Raises `UsageError`.
    """
    passes = [make_pass(*split_entry(entry.text)) for entry in PIPELINES[name.removeprefix("-")]]
    shown = f"-{name.removeprefix('-')}"
    given = split_options(options, shown)
    overrides = list(overrides)
    _check_known(shown, given, passes, overrides)
    passes = [_with_options(p, given, shown) for p in passes]
    for override in overrides:
        passes = [_overridden(p, override) if p.name == override.name else inherit(p, override) for p in passes]
    return passes


def _check_known(shown: str, given: dict[str, str], passes: Sequence[Pass], overrides: Sequence[Pass]) -> None:
    """Refuses options that no pass of the pipeline has, and passes that it doesn't run."""
    known = list(dict.fromkeys(key for p in passes for key in _keys(p)))
    for key in given:
        if key not in known:
            raise UsageError(f"unknown option '{key}' of {shown}{did_you_mean(key, known)}; it has {', '.join(known)}")
    names = [p.name for p in passes]
    for override in overrides:
        if override.name not in names:
            after = f"--pass-pipeline='{shown.removeprefix('-')},{override.name}' runs it afterwards"
            raise UsageError(f"{shown} runs no pass '{override.name}'; it runs {', '.join(names)}; {after}")


def _keys(instance: Pass) -> dict[str, str]:
    """What a pipeline's options are called for one pass, with the pass's own names of them."""
    renamed = {option: alias for alias, (pass_name, option) in ALIASES.items() if pass_name == instance.name}
    return {renamed.get(option, option): option for option in options_of(type(instance))}


def _with_options(instance: Pass, given: dict[str, str], shown: str) -> Pass:
    """The pass with those of the options that it has. Raises `UsageError`, which names the pipeline."""
    keys = _keys(instance)
    text = " ".join(f"{keys[key]}={value}" if value else keys[key] for key, value in given.items() if key in keys)
    if not text:
        return instance
    try:
        return _overridden(instance, make_pass(instance.name, text))
    except UsageError as error:
        text = str(error).replace(f"of pass '{instance.name}'", f"of {shown}", 1)
        for key, option in keys.items():
            text = text.replace(f"option '{option}'", f"option '{key}'", 1)
        raise UsageError(text) from None


def _overridden(instance: Pass, override: Pass) -> Pass:
    """The pass with the options that another one of its kind has been given."""
    changes = {f.name: value for f in fields(override) if (value := getattr(override, f.name)) != f.default}
    return replace(instance, **changes)


def parse_pipeline(text: str) -> list[Pass]:
    """`fuse,tile{sizes=32x32x32},lower` as passes. A named pipeline, `O1{sram=64KiB}`, stands for its passes; lines may
    break between passes and end in `// comments`. Raises `UsageError`."""
    text = re.sub(PIPELINE_COMMENT, "", text)
    passes: list[Pass] = []
    position = 0
    entry = re.compile(PIPELINE_ENTRY)
    while position < len(text.rstrip()):
        match = entry.match(text, position)
        if match is None:
            raise UsageError(f"malformed pipeline at '{text[position : position + 40]}'; "
                             "write it as fuse,tile{sizes=32x32x32},lower")  # fmt: skip
        name, options = match.group(1), match.group(2) or ""
        passes += make_pipeline(name, options) if is_pipeline(name) else [make_pass(name, options)]
        position = match.end()
    return passes
