"""A plan run step by step, byte range by byte range: an independent check of the planner and of its limits."""

from __future__ import annotations

from tilewright.planner.arena import SRAMConfig
from tilewright.planner.liveness import LOAD, STORE, Program, accumulator_residencies
from tilewright.planner.residency import FILL, SPILL, Plan


class Replay:
    """What is where; `limits` of the program are checked too."""

    def __init__(self, program: Program, config: SRAMConfig):
        self.program = program
        self.config = config
        self.version = [0] * len(program.sizes)
        self.off = [0] * len(program.sizes)
        self.copies: dict[int, tuple[int, int]] = {}
        self.overwritten: set[tuple[int, int]] = set()

    def run(self, plan: Plan) -> None:
        steps, done = self.program.steps, -1
        computed = {tile for _, _, tile in accumulator_residencies(self.program)}
        for tile in computed:
            self.off[tile] = -1
        for event in plan.events:
            step = steps[event.step]
            if event.kind == FILL:
                self.fill(event.tile, event.addresses[0])
                continue
            if event.kind == SPILL:
                assert event.tile not in self.program.limits.pinned
                self.store(event.tile, event.addresses[0])
                continue
            assert all(skipped.kind == LOAD for skipped in steps[done + 1 : event.step])
            done = event.step
            for tile, address in zip(step.sources, event.addresses[1:], strict=True):
                self.read(tile, address)
            if step.kind == STORE:
                self.store(step.tile, event.addresses[0])
                if not step.retain:
                    del self.copies[event.addresses[0]]
                continue
            if step.accumulate:
                self.read(step.tile, event.addresses[0])
            self.version[step.tile] += 1
            self.write(step.tile, event.addresses[0])
        assert all(skipped.kind == LOAD for skipped in steps[done + 1 :])

    def fill(self, tile: int, address: int) -> None:
        assert self.off[tile] == self.version[tile], "what is loaded is off chip"
        if tile in self.program.limits.pinned:
            assert (tile, self.version[tile]) not in self.overwritten, "a pinned tile was evicted"
        self.write(tile, address)

    def store(self, tile: int, address: int) -> None:
        self.read(tile, address)
        self.off[tile] = self.version[tile]

    def write(self, tile: int, address: int) -> None:
        end = address + self.program.sizes[tile]
        assert address % self.config.alignment == 0
        assert 0 <= address <= end <= self.config.total_bytes
        assert self.program.limits.at.get(tile, address) == address
        assert all(end <= start or stop <= address for start, stop in self.program.limits.reserved)
        for start, (other, version) in list(self.copies.items()):
            if start < end and address < start + self.program.sizes[other]:
                del self.copies[start]
                self.overwritten.add((other, version))
        self.copies[address] = (tile, self.version[tile])

    def read(self, tile: int, address: int) -> None:
        assert self.copies.get(address) == (tile, self.version[tile])


def replay(program: Program, plan: Plan, config: SRAMConfig) -> None:
    """Every step happens once, in order, and finds its tiles whole at the plan's addresses, all within the SRAM; pinned
    tiles are not evicted, fixed ones are where they are asked to be, and nothing is in a reserved range."""
    Replay(program, config).run(plan)
