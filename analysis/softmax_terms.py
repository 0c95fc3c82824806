"""Running maxima in the proof: a softmax that goes over its row block by block, each less the maximum so far, has the
terms that it has by its definition.

A power is exp(S - a), where a is the maximum of rows, S among what it is of. With a and b maxima and all that a is of
in b, exp(S - a) exp(a - b) is exp(S - b), and so it is of sums of such powers, and of sums of their products with
anything on the right: neither factor can overflow. Sums are put together where all that is subtracted is one maximum.
Division by the sum of powers over exactly what their maximum is of goes from behind a product into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..dialects.kernels import KERNELS
from .terms import Term, Terms

DIV, EXP, MAX, MUL = [KERNELS[name].name for name in ("div", "exp", "max", "mul")]

ALONG_ROWS = "along axis -1"
LEAST = ("nan", repr(-float.fromhex("0x1.fffffep+127")))
"""The parameters of a `max` with the least finite number of f32, which keeps a row's maximum from being -inf."""


class Power(NamedTuple):
    """exp(S - a) of a tile S: the maximum a is one column, repeated over the tile as `mark` says (None where S has one
    column itself)."""

    scores: Term
    shift: Term
    mark: object


class SoftmaxTerms(Terms):
    """Terms, and what is known of exponentials less a maximum. A text without any pays nothing for it."""

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[str, Callable[[Term, Term], Term | None]] = {EXP: self.first_power, MAX: self.larger}
        self.powers: dict[Term, Power | None] = {}
        self.maxima: dict[Term, frozenset[Term]] = {}
        self.known_parts: dict[tuple[Term, Term], Term] = {}

    def apply(
        self, name: str, params: Sequence[float], *sources: Term, commutes: bool = False, words: str = ""
    ) -> Term:
        rule = self.rules.get(name)
        if rule is not None:
            found = rule(sources[0], sources[-1]) if not params else None
            if found is not None:
                return found
        return super().apply(name, params, *sources, commutes=commutes, words=words)

    def plus(self, a: Term, b: Term) -> Term:
        """Two sums of powers, or of their products, less one maximum are one sum."""
        if MUL in self.rules:
            shift = self.shift_of(a)
            if shift is not None and shift == self.shift_of(b):
                return self.make("sum", *sorted((*self.keys[a][1:], *self.keys[b][1:])))
        return super().plus(a, b)

    # The rules: what a kernel of these two sources is, in other words; None where there are none

    def first_power(self, source: Term, _: Term) -> None:
        """From the first exponential of a difference on, there may be some to multiply and to divide."""
        if self.sources_of(source, "sub"):
            self.rules = {MAX: self.larger, MUL: self.rescaled, DIV: self.divided}

    def larger(self, a: Term, b: Term) -> Term | None:
        """The maximum of two maxima of rows is that of all that they are of."""
        plain = self.unbounded(a), self.unbounded(b)
        if not all(map(self.tiles_under, plain)):
            return None
        parts = {*self.keys[plain[0]][1:], *self.keys[plain[1]][1:]}
        made = self.make("sum", *sorted(parts))
        return made if plain == (a, b) else super().apply(MAX, tuple(map(float, LEAST)), made)

    def rescaled(self, a: Term, b: Term) -> Term | None:
        """Powers, a sum of them or of their products, times what moves what they are less."""
        for value, factor in ((a, b), (b, a)):
            column, mark = self.column(factor)
            change = self.sources_of(column, "exp")
            ends = self.sources_of(change[0], "sub") if change else ()
            if len(ends) == 2 and self.tiles_under(ends[0]) <= self.tiles_under(ends[1]) != frozenset():
                moved = self.move(value, ends[0], ends[1], mark)
                if moved is not None:
                    return moved
        return None

    def divided(self, value: Term, by: Term) -> Term | None:
        """Powers, or a sum of their products, divided by the sum of the powers: what is subtracted has to be the
        maximum of exactly what is summed."""
        total, _ = self.column(by)
        shift = self.shift_of(total)
        power = self.power(value)
        if shift is None or shift != (self.shift_of(value) if power is None else power.shift):
            return None
        summed = [self.power_of_part(part) for part, _ in self.keys[total][1:]]
        plain = self.unbounded(shift)
        if None in summed or sorted(p.scores for p in summed if p) != sorted(self.tiles_under(plain)):
            return None
        total = self.moved_sum(total, plain)
        if power is not None:
            return None if plain == shift else self.quotient(self.at(value, plain), total)
        if any(self.power(left) is None for left, _ in self.keys[value][1:]):
            return None
        quotients = [(self.quotient(self.at(left, plain), total), right) for left, right in self.keys[value][1:]]
        return self.make("sum", *sorted(quotients))

    # What terms are

    def sources_of(self, term: Term, name: str) -> tuple[Term, ...]:
        """The sources of a kernel without parameters; none of another term."""
        key = self.keys[term]
        return key[2:] if key[0] == "apply" and key[1] == (name, "", ()) else ()

    def unbounded(self, term: Term) -> Term:
        """A maximum, without the bound that keeps it finite."""
        key = self.keys[term]
        return key[2] if key[0] == "apply" and key[1] == (MAX, "", LEAST) else term

    def tiles_under(self, term: Term) -> frozenset[Term]:
        """The tiles of whose rows a column is the maximum, with or without that bound; none if it is none."""
        found = self.maxima.get(term)
        if found is None:
            key = self.keys[self.unbounded(term)]
            tiles = [self.part_of(left, "reduce_max") for left, _ in key[1:]] if key[0] == "sum" else []
            found = self.maxima[term] = frozenset() if None in tiles else frozenset(t for t in tiles if t is not None)
        return found

    def part_of(self, term: Term, name: str) -> Term | None:
        """The tile whose rows a reduction takes; None for another term."""
        key = self.keys[term]
        return key[2] if key[0] == "apply" and key[1] == (name, ALONG_ROWS, ()) else None

    def column(self, term: Term) -> tuple[Term, object]:
        """One column that is repeated over a tile, and how; a term that is not, as it is, and None."""
        key = self.keys[term]
        if key[0] == "rows" and isinstance(key[1][-1], tuple):
            *extent, own = key[1]
            if own == (*extent[:-1], 1):
                return key[2], key[1]
        return term, None

    def power(self, term: Term) -> Power | None:
        """A term as an exponential less a maximum that it goes into; None if it is none."""
        if term not in self.powers:
            self.powers[term] = self.read_power(term)
        return self.powers[term]

    def read_power(self, term: Term) -> Power | None:
        inner = self.sources_of(term, "exp")
        ends = self.sources_of(inner[0], "sub") if inner else ()
        if len(ends) != 2:
            return None
        shift, mark = self.column(ends[1])
        return Power(ends[0], shift, mark) if ends[0] in self.tiles_under(shift) else None

    def power_of_part(self, left: Term) -> Power | None:
        """The power that the left factor of a summand is, or whose rows it sums."""
        summed = self.part_of(left, "reduce_sum")
        return self.power(left if summed is None else summed)

    def shift_of(self, term: Term) -> Term | None:
        """The maximum that all powers of a sum are less; None if there is no such sum."""
        key = self.keys[term]
        if key[0] != "sum":
            return None
        found: Term | None = None
        for left, _ in key[1:]:
            power = self.power_of_part(left)
            if power is None or found not in (None, power.shift):
                return None
            found = power.shift
        return found

    # What terms become

    def move(self, value: Term, old: Term, new: Term, mark: object) -> Term | None:
        """A power, or a sum of them, less another maximum; None if it is not less the old one."""
        power = self.power(value)
        if power is not None:
            return self.at(value, new) if (power.shift, power.mark) == (old, mark) else None
        return self.moved_sum(value, new) if self.shift_of(value) == old else None

    def moved_sum(self, value: Term, shift: Term) -> Term:
        return self.make("sum", *sorted((self.moved_part(left, shift), right) for left, right in self.keys[value][1:]))

    def moved_part(self, left: Term, shift: Term) -> Term:
        found = self.known_parts.get((left, shift))
        if found is None:
            summed = self.part_of(left, "reduce_sum")
            found = self.at(left if summed is None else summed, shift)
            if summed is not None:
                found = super().apply("reduce_sum", (), found, words=ALONG_ROWS)
            self.known_parts[left, shift] = found
        return found

    def at(self, power: Term, shift: Term) -> Term:
        """A power less a maximum."""
        found = self.power(power)
        assert found is not None
        return super().apply("exp", (), super().apply("sub", (), found.scores, self.repeated(shift, found.mark)))

    def quotient(self, power: Term, total: Term) -> Term:
        """A power divided by a column."""
        found = self.power(power)
        assert found is not None
        return super().apply("div", (), power, self.repeated(total, found.mark))

    def repeated(self, column: Term, mark: object) -> Term:
        return column if mark is None else self.make("rows", mark, column)
