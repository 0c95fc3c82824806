"""Lower bounds on the bytes that a program moves between off-chip memory and an SRAM of a given size.

Plain data in, bytes out. Tensors are named by their position in a workload's lists.

Sources: J.-W. Hong, H. T. Kung, "I/O complexity: the red-blue pebble game", STOC 1981; D. Irony, S. Toledo, A. Tiskin,
"Communication lower bounds for distributed-memory matrix multiplication", JPDC 64, 2004; T. M. Smith, B. Lowery,
J. Langou, R. A. van de Geijn, "A tight I/O lower bound for matrix multiplication", arXiv:1702.02017, 2019;
G. Kwasniewski, M. Kabic, M. Besta, J. VandeVondele, R. Solca, T. Hoefler, "Red-blue pebbling revisited: near optimal
parallel matrix-matrix multiplication", SC 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import floor, sqrt


@dataclass(frozen=True, slots=True)
class Product:
    """C = A B. `a`, `b` are the operands' tensors, `macs` the multiplications (m*n*k, padded), `c_bytes` the bytes of C
    and `widths` the bytes of one element of A, B and C."""

    a: int
    b: int
    macs: int
    c_bytes: int
    widths: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layer:
    """What computes one tensor: the bytes that it reads of other tensors, those that it writes, and its products."""

    reads: dict[int, int]
    written: int
    products: tuple[Product, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A program as far as the bounds need it: per tensor the compulsory bytes read and written, and the layers."""

    reads: dict[int, int] = field(default_factory=dict[int, int])
    writes: dict[int, int] = field(default_factory=dict[int, int])
    layers: tuple[Layer, ...] = ()
    opaque: int = 0
    """Bytes that opaque operations read and write off chip."""


@dataclass(frozen=True, slots=True)
class LowerBounds:
    """Bytes. `compulsory` and `program` hold for every schedule of the program, and `program` is the larger one;
    `layered` holds only where each layer's operands come from off chip and its result goes there."""

    compulsory: int
    program: int
    layered: int

    @property
    def kind(self) -> str:
        """Which argument gives the program's bound."""
        return "I/O of one product" if self.program > self.compulsory else "compulsory"


def bounds_of(workload: Workload, sram: int) -> LowerBounds:
    """All bounds of a workload for an SRAM of `sram` bytes."""
    compulsory = compulsory_bytes(workload)
    # A product of arguments has to read both; what is computed may have stayed on chip and costs no read.
    products = [[p for p in layer.products if {p.a, p.b} <= workload.reads.keys()] for layer in workload.layers]
    apart = [of_layer[0] for of_layer in products if len(of_layer) == 1]
    return LowerBounds(
        compulsory,
        compulsory + excess_reads([p for of_layer in products for p in of_layer], workload.reads, sram, apart),
        sum(layer_bytes(layer, sram) for layer in workload.layers) + workload.opaque,
    )


def compulsory_bytes(workload: Workload) -> int:
    """Every argument that is needed is read once and every result that is computed is written once (Hong and Kung's
    inputs and outputs). Tiles move whole, so that their padding counts."""
    return sum(workload.reads.values()) + sum(workload.writes.values()) + workload.opaque


def layer_bytes(layer: Layer, sram: int) -> int:
    """One layer that nothing is fused with: its operands read, by the I/O bound if it is a product, its result
    written."""
    return sum(layer.reads.values()) + layer.written + excess_reads(layer.products, layer.reads, sram)


def excess_reads(
    products: Iterable[Product], reads: Mapping[int, int], sram: int, apart: Iterable[Product] = ()
) -> int:
    """The most by which the I/O bound of one of the products exceeds the bytes of its operands, each read once.

    Only one of them counts, since two products may share what they read. Of those `apart`, each with a result of its
    own, all that share one operand are also one product, with the others and the results concatenated. The square of a
    matrix is left out: there an element serves as one of A and as one of B, which the bound does not allow for.
    """
    excesses = [product_reads(p, sram) - reads[p.a] - reads[p.b] for p in products if p.a != p.b]
    for siblings in _siblings(p for p in apart if p.a != p.b):
        whole = replace(siblings[0], macs=sum(p.macs for p in siblings), c_bytes=sum(p.c_bytes for p in siblings))
        operands = {tensor for p in siblings for tensor in (p.a, p.b)}
        excesses.append(product_reads(whole, sram) - sum(reads[tensor] for tensor in operands))
    return max(0, max(excesses, default=0))


def _siblings(products: Iterable[Product]) -> Iterator[list[Product]]:
    """The products that share A, or B, and nothing else: each other operand is one of one of them only."""
    found: dict[tuple[str, int, tuple[int, int, int]], dict[int, Product]] = {}
    for p in products:
        for side, shared, other in (("a", p.a, p.b), ("b", p.b, p.a)):
            found.setdefault((side, shared, p.widths), {}).setdefault(other, p)
    return (list(group.values()) for group in found.values() if len(group) > 1)


def product_reads(product: Product, sram: int) -> int:
    """Bytes of A and B that any order of the multiplications of C = A B reads, with an SRAM of S = `sram` bytes.

    With G = m*n*k * sqrt(wa*wb*wc) / sqrt(S) and C's bytes c = m*n*wc the bound is

        reads >= 2 G - c   if G >= c,   and   reads >= G*G / c   otherwise.

    Derivation (Irony et al.; the phases of 2 S are Smith et al.'s). Sums are never stored half-done, so that every
    element of C is started once, on chip, where it stays until it is complete. Let a start cost p bytes per byte of C,
    0 < p <= 1, a read of A or B its bytes, and cut the schedule in phases of cost 2 S. The elements of A, B and C that
    a phase works on, x, y and z of them, were on chip when it began or have been read or started in it:
    wa*x + wb*y + p*wc*z <= 3 S. By Loomis and Whitney it does at most sqrt(x*y*z) multiplications, by the inequality of
    the means at most S*sqrt(S) / sqrt(p*wa*wb*wc). In these units, the first phase, which begins with nothing on chip,
    does at most (2/3)^1.5 = 0.54, and a last one that costs only r*S at most ((1 + r) / 3)^1.5. With q phases of
    2 S in all, N multiplications in these units need N <= q - 1 + 0.54 + ((1 + r) / 3)^1.5 <= q + r/2, so that the
    cost, (2 q + r) S, is at least 2 N S: reads + p*c >= 2 sqrt(p) G. The best p is 1, or (G / c)^2 if that is less.

    The 2mnk/sqrt(S) - 2S of Smith et al. is the first case for C += A B, where each start is a read of C. For C = A B
    starts are free, and the published figure is no bound on reads if k is small: a 512x32 by 32x512 product of f32
    at 72 KiB needs 128 KiB of reads (B stays, A and C pass), the formula says 338 KiB. See `published_figure`.
    """
    wa, wb, wc = product.widths
    g = product.macs * sqrt(wa * wb * wc) / sqrt(sram)
    c = product.c_bytes
    return floor(2 * g - c if g >= c else g * g / c)


def published_figure(product: Product, sram: int) -> int:
    """Bytes: 2mnk/sqrt(S) read and mn written, generalised to element widths, as the literature's tables have it (Smith
    et al. without the lower-order term; Kwasniewski et al., theorem 1). For comparison only; `product_reads` says why
    it is no bound where k is small. Blocked schedules come near it where k is at least about 2 sqrt(S)."""
    wa, wb, wc = product.widths
    return floor(2 * product.macs * sqrt(wa * wb * wc) / sqrt(sram)) + product.c_bytes
