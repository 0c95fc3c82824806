"""Bytes that the baseline moves, loads and stores, against the figures that an independent simulator measured."""

from __future__ import annotations

import pytest

import tilewright
from tilewright import SRAMConfig

from ..models import REFERENCE, chain_text

KIB = 1024

TRAFFIC = {
    "reference": [(12, 404, 404), (16, 376, 348), (28, 348, 292), (40, 268, 244), (52, 220, 220), (256, 220, 220)],
    "cube": [(64, 33_740, 20_480), (256, 18_248, 15_552)],
    "mnist": [(128, 15_171, 9_327), (256, 9_299, 8_455)],
}
"""By workload: SRAM, traffic with LRU, traffic with Belady's MIN; KiB."""

TEXTS = {
    "reference": REFERENCE,
    "cube": chain_text((512, 512, 512)),
    "mnist": chain_text((128, 784, 512, 256, 10)),
}


@pytest.mark.parametrize(
    ("workload", "sram", "evict", "traffic"),
    [
        (workload, sram, evict, traffic)
        for workload, rows in TRAFFIC.items()
        for sram, lru, least in rows
        for evict, traffic in (("lru", lru), ("min", least))
    ],
)
def test_traffic(workload: str, sram: int, evict: str, traffic: int) -> None:
    scheduler = tilewright.Scheduler(SRAMConfig(sram * KIB, 64), evict=evict)
    result = scheduler.run_on_graph(tilewright.parse(TEXTS[workload]))
    moved = sum(op.bytes for op in result.loads) + sum(op.bytes for op in result.stores)
    assert moved == traffic * KIB
