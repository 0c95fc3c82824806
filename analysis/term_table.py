"""Terms by number, and those of tiles that are full of one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..dialects.kernels import KERNELS, Kernel
from ..dialects.kernels.constants import LAWS

NONE = -1

Term = int


class TermTable:
    """The terms met so far; `keys[t]` is how term t is made, `fulls` has those of tiles that are full of one number."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[Any, ...], Term] = {}
        self.keys: list[tuple[Any, ...]] = []
        self.fulls: dict[Term, float] = {}

    def make(self, *key: Any) -> Term:
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.keys)
            self.keys.append(key)
        return number

    def parts(self, term: Term) -> tuple[Any, ...] | None:
        """The function that `apply` made a term of, and its sources; None for a term of another kind."""
        key = self.keys[term]
        return key[1:] if key[0] == "apply" else None

    def full(self, number: float) -> Term:
        """A tile full of a number, as far as it is no padding."""
        term = self.make("full", repr(number))
        self.fulls[term] = number
        return term

    def without_useless(self, products: list[tuple[Term, Term]]) -> list[tuple[Term, Term]]:
        """The parts of a sum, or of a maximum, but those that change nothing of it: products of zeros, and the number
        that is the kernel's identity (`part` has looked). All of them, where none would be left."""
        if not self.fulls or not any(a in self.fulls or b in self.fulls for a, b in products):
            return products
        one = self.make("one")
        left = [
            (a, b)
            for a, b in products
            if not (0.0 in (self.fulls.get(a), self.fulls.get(b)) or (a in self.fulls and b == one))
        ]
        return left or products

    def of_full(self, kernel: Kernel, sources: Sequence[Term]) -> Term:
        """What a kernel makes of a tile full of a number, where that is known (`constants.py`); else `NONE`."""
        law = LAWS.get((kernel.name, self.fulls.get(sources[0])))
        if law is None or len(sources) != 1 + (law.beside is not None):
            return NONE
        return self.full(law.gives) if law.beside is None or self.is_reduced(sources[1], law.beside) else NONE

    def is_reduced(self, term: Term, combine: str) -> bool:
        """Whether a term is what a reduction makes of some tiles, repeated or not."""
        key = self.keys[term]
        key = self.keys[key[2]] if key[0] == "rows" else key
        if key[0] != "sum" or key[1][1] != self.make("one"):
            return False
        made = self.parts(key[1][0])
        return made is not None and KERNELS[made[0].name].combine == combine
