"""Properties of the whole tool, on functions, machines and unknown operations made by Hypothesis."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright
from tilewright.dialects.checks.schedule_replay import schedule_stats

from .strategies import Machine, assume_tiled, graph_texts, machines, tile_sizes
from .unknown_operations import unknown_ops

SIZES = tile_sizes()


def compiled(text: str, pipeline: str, generic: bool = False) -> str:
    """The pipeline's result; an example that can't be tiled is given up."""
    try:
        return tilewright.run_passes(text, pipeline, generic=generic)
    except tilewright.DiagnosticError as error:
        assume_tiled(error)
        raise


def tiled(sizes: tuple[int, int, int]) -> str:
    return f"tile{{sizes={'x'.join(map(str, sizes))}}}"


def check_round_trip(text: str, allow_unregistered: bool = False) -> None:
    module = tilewright.parse(text, allow_unregistered=allow_unregistered)
    for generic in (False, True):
        printed = tilewright.print(module, generic=generic)
        again = tilewright.parse(printed, allow_unregistered=allow_unregistered)
        assert again == module
        assert tilewright.print(again, generic=generic) == printed
        assert tilewright.print(again, generic=not generic) == tilewright.print(module, generic=not generic)


@settings(max_examples=100)
@given(graph_texts(views=True), SIZES)
def test_every_level_survives_a_round_trip(text: str, sizes: tuple[int, int, int]) -> None:
    for pipeline in ("", "fuse", f"fuse,{tiled(sizes)}", f"{tiled(sizes)},lower", f"fuse,{tiled(sizes)},schedule"):
        check_round_trip(compiled(text, pipeline))


@settings(max_examples=150)
@given(unknown_ops())
def test_unknown_operations_survive_a_round_trip(text: str) -> None:
    check_round_trip(text, allow_unregistered=True)


@settings(max_examples=60)
@given(graph_texts(views=True), SIZES, st.booleans(), st.booleans())
def test_passes_give_the_same_in_one_process_and_through_text(
    text: str, sizes: tuple[int, int, int], fuse: bool, generic: bool
) -> None:
    passes = [*(["fuse"] if fuse else []), tiled(sizes), "lower", "schedule{double-buffer}"]
    through_text = text
    for i, name in enumerate(passes):
        through_text = compiled(through_text, name, generic=generic and i < len(passes) - 1)
    assert through_text == compiled(text, ",".join(passes))


@settings(max_examples=60)
@given(graph_texts(own_tiles=False, views=True), SIZES, st.sampled_from(["min", "lru"]))
def test_tile_lower_schedule_one_by_one_are_what_schedule_does(
    text: str, sizes: tuple[int, int, int], evict: str
) -> None:
    whole = compiled(text, f"{tiled(sizes)},schedule{{evict={evict}}}")
    assert whole == compiled(text, f"{tiled(sizes)},fuse,{tiled(sizes)},lower,schedule{{evict={evict}}}")


def schedule(uops: str, machine: Machine, sram: int | None = None) -> str:
    return tilewright.run_passes(uops, f"schedule{{{machine.options(sram)}}}")


def check_schedule(text: str) -> None:
    """The text is accepted (the verifier replays it), and its statistics are those that follow from it."""
    module = tilewright.parse(text)
    for func in module.functions():
        assert func.attrs["sched.stats"] == schedule_stats(func, module)
        assert func.attrs["sched.stats"]["final_live_bytes"] == 0
        assert func.attrs["sched.stats"]["peak_sram_bytes"] <= func.attrs["sched.sram"]["total_bytes"]


@settings(max_examples=200)
@given(graph_texts(views=True), SIZES, machines(), st.booleans())
def test_a_schedule_verifies_and_a_failure_names_a_size_that_works(
    text: str, sizes: tuple[int, int, int], machine: Machine, fuse: bool
) -> None:
    uops = compiled(text, f"{'fuse,' if fuse else ''}{tiled(sizes)},lower")
    try:
        check_schedule(schedule(uops, machine))
        return
    except tilewright.DiagnosticError as error:
        message = str(error)
    found = re.search(r"out of SRAM: no room for .* bytes; needs at least ([0-9,]+) bytes \(sram=([0-9]+)\)\n", message)
    assert found is not None, message
    needs = int(found.group(2))
    assert needs == int(found.group(1).replace(",", ""))
    assert needs > machine.sram // machine.align * machine.align
    check_schedule(schedule(uops, machine, needs))


@settings(max_examples=60)
@given(graph_texts(views=True), SIZES, machines(), st.integers(1, 40))
def test_an_sram_larger_than_needed_never_fails(
    text: str, sizes: tuple[int, int, int], machine: Machine, more: int
) -> None:
    uops = compiled(text, f"fuse,{tiled(sizes)},lower")
    try:
        schedule(uops, machine, machine.align)
        return
    except tilewright.DiagnosticError as error:
        found = re.search(r"\(sram=([0-9]+)\)", str(error))
    assert found is not None
    check_schedule(schedule(uops, machine, int(found.group(1)) + more * machine.align))
