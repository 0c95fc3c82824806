"""The laws of kernels, on all numbers of the short types and on hard ones of the others: bits, not values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.analysis.terms import Term, Terms
from tilewright.dialects.kernels import KERNELS, Call, Kernel
from tilewright.dialects.kernels.conversions import (
    CAST,
    CASTS,
    DEQUANTIZE,
    QUANTIZE,
    REQUANTIZE,
    WIDENING,
    gives_back,
    saturates,
)
from tilewright.dialects.kernels.declaration import KernelError, declare
from tilewright.dialects.kernels.laws import LEAST, within
from tilewright.dialects.kernels.quantised import QUANTISED
from tilewright.runtime.numerics import numpy_dtype

Numbers = np.ndarray[Any, Any]
INF, NAN = float("inf"), float("nan")
BITS = {"f32": np.uint32, "f16": np.uint16, "bf16": np.uint16, "i8": np.uint8, "ui8": np.uint8, "i32": np.uint32}
BOUNDS = (
    -INF,
    -7e4,
    -6.0,
    -1.0,
    -LEAST,
    -LEAST / 2,
    -1e-40,
    -0.0,
    0.0,
    1e-40,
    LEAST / 2,
    LEAST,
    0.5,
    6.0,
    7e4,
    INF,
    NAN,
)
CLAMPS = [k for k in KERNELS.values() if k.clamps]


def hard(dtype: str) -> Numbers:
    """All numbers of a type of at most 16 bits; of others those next to where something changes: zeros, subnormals, the
    ends of the range, infinities, NaN of several payloads, whole numbers and powers of two."""
    bits = BITS[dtype]
    if np.dtype(bits).itemsize <= 2:
        return np.arange(np.iinfo(bits).max + 1).astype(bits).view(numpy_dtype(dtype))
    marks = [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00000, 0x00800000, 0x80800000, *(1 << i for i in range(32))]
    marks += [int(np.float32(bound).view(np.uint32)) for bound in BOUNDS]
    near = (np.array(marks, np.int64)[:, None] + np.arange(-40, 41)).ravel() % (1 << 32)
    wide = np.random.default_rng(1).integers(0, 1 << 32, 20_000)
    return np.unique(np.concatenate([near, wide])).astype(bits).view(numpy_dtype(dtype))


def applied(kernel: Kernel, values: Numbers, *params: float, to: str = "") -> Numbers:
    with np.errstate(all="ignore"):
        return kernel.meaning(np, Call(params, numpy_dtype(to) if to else values.dtype), values)


def same_bits(a: Numbers, b: Numbers, dtype: str) -> bool:
    return a.dtype == b.dtype and bool(np.array_equal(a.view(BITS[dtype]), b.view(BITS[dtype])))


def params_of(kernel: Kernel) -> list[tuple[float, ...]]:
    return list(product(BOUNDS, repeat=len(kernel.parameters)))


def pairs() -> list[tuple[Kernel, tuple[float, ...], Kernel, tuple[float, ...]]]:
    """Two clamps, the first one to a part of the other's range."""
    each = [(kernel, params) for kernel in CLAMPS for params in params_of(kernel)]
    found = [(*a, *b) for a in each for b in each if within(range_of(*a), range_of(*b))]
    assert len(found) > 500
    return found


def range_of(kernel: Kernel, params: tuple[float, ...]) -> tuple[float, float]:
    assert kernel.clamps is not None
    return kernel.clamps(params)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_of_two_clamps_the_narrower_one_is_enough(dtype: str) -> None:
    values = hard(dtype)
    cut: dict[tuple[str, tuple[float, ...]], Numbers] = {}
    for inner, few, outer, many in pairs():
        narrow = cut.setdefault((inner.name, few), applied(inner, values, *few))
        wide = cut.setdefault((outer.name, many), applied(outer, values, *many))
        assert same_bits(applied(outer, narrow, *many), narrow, dtype), (inner.name, few, outer.name, many)
        assert same_bits(applied(inner, wide, *few), narrow, dtype), (inner.name, few, outer.name, many)


@pytest.mark.parametrize("dtype", ["i8", "i32"])
def test_a_clamp_of_integers(dtype: str) -> None:
    for kernel in CLAMPS:
        if dtype in kernel.dtypes:
            once = applied(kernel, hard(dtype))
            assert same_bits(applied(kernel, once), once, dtype)


@pytest.mark.parametrize(("low", "high"), [(-0.0, 6.0), (NAN, 6.0), (LEAST / 2, 6.0), (6.0, 1.0), (0.0, -0.0)])
def test_bounds_that_no_law_is_known_of(low: float, high: float) -> None:
    assert not within((low, high), (low, high))
    assert not within((low, high), (-INF, INF))


@pytest.mark.parametrize("dtype", BITS)
def test_of_two_equals_one(dtype: str) -> None:
    known = [k for k in KERNELS.values() if k.idempotent]
    assert known
    for kernel in known:
        if dtype in kernel.dtypes:
            values = hard(dtype)
            with np.errstate(all="ignore"):
                made = kernel.meaning(np, Call((), values.dtype), values, values)
            assert same_bits(made, values, dtype)


def test_that_no_other_kernel_is_said_to_be_idempotent() -> None:
    ones = np.ones(3, np.float32)
    for kernel in KERNELS.values():
        if kernel.dtypes and len(kernel.sources) == 2:
            assert bool(np.all(kernel.meaning(np, Call((), ones.dtype), 2 * ones, 2 * ones) == 2)) is kernel.idempotent


@pytest.mark.parametrize(("short", "wide"), sorted(CASTS))
def test_a_cast_there_and_back(short: str, wide: str) -> None:
    """NaN stays NaN; bf16 keeps its sign and not all of its payload."""
    values = hard(short)
    back = applied(CAST, applied(CAST, values, 0.0, 0, to=wide), 0.0, 0, to=short)
    bits = BITS[short]
    kept = back.view(bits) == values.view(bits)
    if short == "bf16":
        kept |= np.isnan(values.astype(np.float32)) & np.isnan(back.astype(np.float32))
    assert bool(kept.all()) is ((short, wide) in WIDENING)


# The proof


STEPS = ("relu", "relu", "clip", "clip", "max", "widen", "narrow", "tanh")
PLAIN = (-INF, -6.0, -1.0, -0.0, 0.0, LEAST / 2, 1.0, 6.0, INF)
Chain = Sequence[tuple[str, float, float]]
CHAINS = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(PLAIN), st.sampled_from(PLAIN)), min_size=0, max_size=5
)


def along(chain: Chain, step: Callable[..., Any], value: Any) -> Any:
    """What a chain of functions of one tensor of f16 makes of a value; `step(kernel, params, dtypes, *values)`."""
    wide = False
    for name, low, high in chain:
        dtype = "f32" if wide else "f16"
        if name in ("widen", "narrow"):
            if wide is (name == "narrow"):
                value = step(CAST, (0.0, 0), (("f16" if wide else "f32"), dtype), value)
                wide = not wide
            continue
        kernel = KERNELS[name]
        params = (low, high) if kernel.parameters else ()
        value = step(kernel, params, (dtype,) * (1 + len(kernel.sources)), *[value] * len(kernel.sources))
    return value if not wide else step(CAST, (0.0, 0), ("f16", "f32"), value)


def as_array(kernel: Kernel, params: tuple[float, ...], dtypes: tuple[str, ...], *values: Numbers) -> Numbers:
    with np.errstate(all="ignore"):
        return kernel.meaning(np, Call(params, numpy_dtype(dtypes[0])), *values)


@settings(max_examples=300)
@given(CHAINS, st.integers(0, 5), st.data())
def test_equal_terms_are_equal_bits(chain: list[tuple[str, float, float]], at: int, data: st.DataObject) -> None:
    """A chain, and the same with a step more or less: where the proof calls them equal, all numbers come out alike."""
    terms = Terms()
    start = terms.argument(0, (0,))

    def as_term(kernel: Kernel, params: tuple[float, ...], dtypes: tuple[str, ...], *values: Term) -> Term:
        assert kernel.algebra is not None
        return kernel.algebra(terms, params, dtypes, *values)

    more = data.draw(CHAINS)
    other = data.draw(st.sampled_from([chain[:at] + more[:1] + chain[at:], chain[:at] + chain[at + 1 :], more]))
    if along(chain, as_term, start) == along(other, as_term, start):
        assert same_bits(along(chain, as_array, hard("f16")), along(other, as_array, hard("f16")), "f16")


def test_terms_of_what_the_laws_make_equal() -> None:
    def term(*chain: tuple[str, float, float]) -> Term:
        def as_term(kernel: Kernel, params: tuple[float, ...], dtypes: tuple[str, ...], *values: Term) -> Term:
            assert kernel.algebra is not None
            return kernel.algebra(terms, params, dtypes, *values)

        return along(list(chain), as_term, terms.argument(0, (0,)))

    terms = Terms()
    relu, six, some = ("relu", 0.0, 0.0), ("clip", 0.0, 6.0), ("clip", -1.0, 6.0)
    assert term(relu, relu) == term(relu)
    assert term(some, relu, six) == term(six) == term(six, relu, some) == term(relu, six, six)
    assert term(("max", 0.0, 0.0), ("widen", 0.0, 0.0), ("narrow", 0.0, 0.0)) == term()
    assert len({term(), term(relu), term(six), term(some), term(some, relu), term(("tanh", 0.0, 0.0))}) == 6
    assert term(some, ("tanh", 0.0, 0.0), some) != term(some, ("tanh", 0.0, 0.0))


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("relu", {"idempotent": True}, "what is `idempotent` has two sources"),
        ("max", {"clamps": range_of}, "what `clamps` is a function of one tensor"),
    ],
)
def test_a_law_that_makes_no_sense_is_an_error(name: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(KernelError, match=words):
        declare(KERNELS[name]._replace(name="same", **changes))


# Quantised numbers

SCALES = (2.0**-100, 1e-3, 0.1, 0.7, 1.0, 3.0, 2.0**100)


@pytest.mark.parametrize("dtype", QUANTISED)
def test_what_a_type_cuts_anyway_need_not_be_cut(dtype: str) -> None:
    """Bit by bit where the law says so; and it says so of a relu, just where zero is the least number."""
    values, ends = hard("f32"), QUANTISED[dtype]
    for scale, zero_point, bounds in product(SCALES, (*ends, 0, 1), product(BOUNDS, BOUNDS)):
        params = (float(np.float32(scale)), zero_point)
        if saturates(params, dtype, bounds):
            cut = applied(KERNELS["clip"], values, *bounds)
            assert same_bits(
                applied(QUANTIZE, cut, *params, to=dtype), applied(QUANTIZE, values, *params, to=dtype), dtype
            )
        assert saturates(params, dtype, (0.0, INF)) is (zero_point == ends[0])


@pytest.mark.parametrize("dtype", QUANTISED)
@pytest.mark.parametrize("zero_point", [0, 1, 127])
def test_what_is_dequantised_is_quantised_again(dtype: str, zero_point: int) -> None:
    for scale in SCALES:
        params = (float(np.float32(scale)), zero_point)
        assert gives_back(params, params)
        wide = applied(DEQUANTIZE, hard(dtype), *params, to="f32")
        assert same_bits(applied(QUANTIZE, wide, *params, to=dtype), hard(dtype), dtype)
    assert not gives_back((0.1, 0), (0.1, 1))
    assert not gives_back((0.1, 0), (0.2, 0))
    assert not gives_back((3e38, 0), (3e38, 0))


def test_terms_of_quantised_numbers() -> None:
    terms = Terms()

    def term(kernel: Kernel, source: str, to: str, value: Term, *params: float) -> Term:
        assert kernel.algebra is not None
        return kernel.algebra(terms, params, (to, source), value)

    x = terms.argument(0, (0,))
    relu = term(KERNELS["relu"], "f32", "f32", x)
    assert term(QUANTIZE, "f32", "i8", relu, 0.5, -128) == term(QUANTIZE, "f32", "i8", x, 0.5, -128)
    assert term(QUANTIZE, "f32", "i8", relu, 0.5, 0) != term(QUANTIZE, "f32", "i8", x, 0.5, 0)
    assert term(QUANTIZE, "f32", "i8", term(DEQUANTIZE, "i8", "f32", x, 0.5, 3), 0.5, 3) == x
    others = [
        term(QUANTIZE, "f32", "i8", term(DEQUANTIZE, "i8", "f32", x, 0.5, 3), 0.5, 4),
        term(QUANTIZE, "f32", "ui8", term(DEQUANTIZE, "i8", "f32", x, 0.5, 3), 0.5, 3),
        term(QUANTIZE, "f32", "i8", x, 0.5, 3),
        term(REQUANTIZE, "i32", "i8", x, 0.5, 3),
        term(CAST, "i32", "i8", x, 0.5, 3),
        term(DEQUANTIZE, "i8", "f32", x, 0.5, 3),
        term(DEQUANTIZE, "ui8", "f32", x, 0.5, 3),
    ]
    assert len({x, *others}) == 1 + len(others)
