"""A randomised search for an order of tiles that moves few bytes, which shares no choice with the planner's own.

Recipes (`loop_recipes.py`) first: many to start with, runs of layers by dynamic programming, then simulated annealing
over recipes, with restarts. At last execs and blocks of execs of the best order are moved one by one. Deterministic for
a seed and a budget, which counts execs of all orders that were tried.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from loop_recipes import FOLLOW, LAZY, NONE, WHOLE, Layer, Loop, Recipe, write_out

from tilewright.planner.arena import SRAMConfig
from tilewright.planner.dependences import Chains
from tilewright.planner.lifetimes import LifetimePlanner, static_addresses
from tilewright.planner.liveness import STORE, Program, Step, liveness_of
from tilewright.planner.memory_planner import least_bytes
from tilewright.planner.residency import FirstFitPlanner, StepOutOfMemoryError, TrafficLimitError
from tilewright.planner.units import UNLIMITED

RESTARTS = 4
WARM, COLD = 0.03, 0.001
"""How much worse an order may be, as a share of what it moves, when annealing begins and ends."""

SHARES = {"runs": 0.25, "annealing": 0.75}
"""Of the budget, what is spent when starts and runs are done, and when annealing is; the rest moves execs."""


@dataclass
class Judge:
    """Tells what orders of a tile program move; `spent` counts the execs of those that were asked for."""

    chains: Chains
    config: SRAMConfig
    bound: int
    budget: int
    spent: int = 0
    mixed: bool = False

    def __post_init__(self) -> None:
        self.mixed = len(set(self.chains.program.sizes)) > 1

    def left(self, share: float = 1.0) -> bool:
        """Whether less than a share of the budget is spent."""
        return self.spent < share * self.budget

    def cost(self, order: Sequence[int], limit: int = UNLIMITED) -> int | None:
        """Bytes moved; None for an illegal order, one without a plan, or one that moves `limit` or more."""
        self.spent += len(order)
        emitted = self.chains.emit(order)
        if emitted is None:
            return None
        steps = self.chains.program.steps
        return self.planned([steps[e.step]._replace(accumulate=e.accumulate) for e in emitted], limit)

    def planned(self, steps: list[Step], limit: int = UNLIMITED) -> int | None:
        """Bytes that the steps move, as `cost`. Where tiles have several sizes and first fit finds no room, the second
        attempt is made as well."""
        given = self.chains.program
        program = Program(steps, given.sizes, given.names, given.limits)
        stored = sum(given.sizes[step.tile] for step in steps if step.kind == STORE)
        liveness = liveness_of(program)
        try:
            moved = FirstFitPlanner(program, liveness, self.config, "cost", limit - stored - 1).run().traffic(program)
        except TrafficLimitError:
            return None
        except StepOutOfMemoryError:
            if not self.mixed or least_bytes(program, self.config) > self.config.total_bytes:
                return None
            static = static_addresses(program, self.config)
            if static is None:
                return None
            try:
                moved = LifetimePlanner(program, liveness, self.config, "cost", static).run().traffic(program)
            except StepOutOfMemoryError:
                return None
        return moved if moved < limit else None


@dataclass
class Found:
    """The best order so far, what it moves, and where it comes from: a recipe, the name of a stage."""

    order: list[int]
    cost: int
    recipe: Recipe | None = None
    stage: str = "-O1"


@dataclass
class Annealing:
    """A search for one graph; `run` gives the best order found, never worse than the one given."""

    layers: list[Layer]
    judge: Judge
    best: Found
    seed: int = 0
    readers: list[set[int]] = field(default_factory=list[set[int]])

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.readers = [set() for _ in self.layers]
        for i, layer in enumerate(self.layers):
            for source in set(layer.sources) - {NONE}:
                self.readers[source].add(i)
        self.siblings = siblings_of(self.layers)

    def run(self) -> Found:
        """All stages of the search, until nothing can be better or the budget is spent."""
        starts = sorted(self.tried(self.starts(), "start"), key=lambda each: each[0])
        for start in starts[:3]:
            starts.append(self.with_best_runs(start))
        starts.sort(key=lambda each: each[0])
        for at in range(RESTARTS if starts else 0):
            share = SHARES["runs"] + (SHARES["annealing"] - SHARES["runs"]) * (at + 1) / RESTARTS
            self.anneal(*starts[at % len(starts)], share)
        self.move_execs()
        return self.best

    @property
    def is_least(self) -> bool:
        """Whether nothing can be better."""
        return self.best.cost <= self.judge.bound

    def take(self, recipe: Recipe, stage: str, limit: int = UNLIMITED) -> int | None:
        """What a recipe's order moves, as `Judge.cost`; it becomes the best if it is."""
        order = write_out(self.layers, recipe)
        cost = self.judge.cost(order, limit)
        if cost is not None and cost < self.best.cost:
            self.best = Found(order, cost, recipe, stage)
        return cost

    # Starts

    def starts(self) -> Iterator[Recipe]:
        """Recipes with one run of everything or a run for each layer, walked in many ways."""
        order = tuple(range(len(self.layers)))
        tall = max(layer.rows for layer in self.layers)
        heights = sorted({1, 2, 3, 4, tall // 2, tall} - {0})
        for style in self.styles(heights):
            for whole in (True, False):
                cuts = tuple(style[1] if not whole or not i else 0 for i in order)
                for teams in dict.fromkeys((self.siblings, order)):
                    yield Recipe(order, cuts, style[0], teams)

    def styles(self, heights: Sequence[int]) -> Iterator[tuple[tuple[Loop, ...], int]]:
        """Loops for all layers, with rows at a time."""
        for rows, wide, lazy, follow in product(heights, (1, 2, 3, 1000), (False, True), (False, True)):
            chunk = wide if lazy and wide < 1000 else 0
            loops = [
                self.loop(i, Loop(block=(rows, 1000 if lazy else wide), snake=True, chunk=chunk), lazy, follow)
                for i in range(len(self.layers))
            ]
            yield tuple(loops), rows

    def loop(self, i: int, loop: Loop, lazy: bool, follow: bool) -> Loop:
        """A layer's own: one whose result nobody reads can't wait for a reader."""
        if not self.layers[i].k and follow:
            return replace(loop, when=FOLLOW)
        return replace(loop, when=LAZY) if lazy and self.readers[i] else loop

    def tried(self, recipes: Iterator[Recipe], stage: str) -> list[tuple[int, Recipe]]:
        """Those recipes that have a plan, with what they move, as far as the budget goes."""
        found: list[tuple[int, Recipe]] = []
        for recipe in recipes:
            if self.is_least or not self.judge.left(SHARES["runs"]):
                break
            cost = self.take(recipe, stage)
            if cost is not None:
                found.append((cost, recipe))
        return found

    # Runs

    def with_best_runs(self, start: tuple[int, Recipe]) -> tuple[int, Recipe]:
        """The recipe with the runs, of all that its order allows, whose costs by themselves have the least sum."""
        recipe = start[1]
        count = len(self.layers)
        least: list[float] = [0.0] + [math.inf] * count
        came: list[tuple[int, int]] = [(0, 1)] * (count + 1)
        known: dict[object, int | None] = {}
        heights = sorted({1, 2, 4, max(recipe.cuts)})
        for first in range(count):
            for end in range(first + 1, count + 1):
                for rows in heights:
                    if self.is_least or not self.judge.left(SHARES["runs"]):
                        return start
                    cost = self.run_cost(recipe, first, end, rows, known)
                    if cost is not None and least[first] + cost < least[end]:
                        least[end], came[end] = least[first] + cost, (first, rows)
        cuts, end = [0] * count, count
        while end and least[count] < math.inf:
            end, rows = came[end]
            cuts[end] = rows
        if not all(cuts[:1]):
            return start
        best = replace(recipe, cuts=tuple(cuts))
        cost = self.take(best, "runs")
        return start if cost is None else (cost, best)

    def run_cost(self, recipe: Recipe, first: int, end: int, rows: int, known: dict[object, int | None]) -> int | None:
        """What a run of layers moves by itself; the same for layers that come up again."""
        run = recipe.order[first:end]
        place = {layer: at for at, layer in enumerate(run)}
        stored = {i for i in run if not self.readers[i] or not self.readers[i] <= place.keys()}
        key = (rows, *[
            (*self.layers[i][1:4], tuple(place.get(s, NONE) for s in self.layers[i].sources), i in stored) for i in run
        ])  # fmt: skip
        if key not in known:
            cuts = (*[1] * first, rows, *[0] * (end - first - 1), *[1] * (len(self.layers) - end))
            order = write_out(self.layers, replace(recipe, cuts=cuts), run)
            self.judge.spent += len(order)
            known[key] = self.judge.planned(self.steps_of(order, stored))
        return known[key]

    def steps_of(self, order: Sequence[int], stored: set[int]) -> list[Step]:
        """The steps of some execs, with a store of each tile of the layers that are needed outside."""
        chains, steps = self.judge.chains, self.judge.chains.program.steps
        layer_of = {i: at for at in stored for i in self.layers[at].execs.values()}
        left = [len(chain.execs) for chain in chains.chains]
        begun: set[int] = set()
        made: list[Step] = []
        for i in order:
            number = chains.chain_of[i]
            made.append(steps[i]._replace(accumulate=number in begun))
            begun.add(number)
            left[number] -= 1
            if not left[number] and i in layer_of:
                made.append(Step(STORE, steps[i].tile, retain=bool(self.readers[layer_of[i]])))
        return made

    # Annealing

    def anneal(self, cost: int, recipe: Recipe, share: float) -> None:
        """Small changes of a recipe until a share of the budget is spent, worse ones taken ever less often."""
        begun = self.judge.spent
        end = share * self.judge.budget
        while self.judge.spent < end and not self.is_least:
            done = (self.judge.spent - begun) / max(end - begun, 1)
            heat = WARM * (COLD / WARM) ** done
            trial = self.changed(recipe)
            worse = int(cost * heat * -math.log(1 - self.random.random()))
            found = self.take(trial, "annealing", cost + worse + 1)
            if found is not None:
                cost, recipe = found, trial
            self.judge.spent += 1

    def changed(self, recipe: Recipe) -> Recipe:
        """A recipe with one thing or several changed."""
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 3))):
            recipe = self.random.choice(self.moves)(recipe)
        return recipe

    @property
    def moves(self) -> list[Callable[[Recipe], Recipe]]:
        """What can be changed; loops twice as often as all else."""
        rare = [self.new_rows, self.new_cuts, self.new_loops, self.new_teams, self.new_order]
        return [*rare, self.new_loop, self.new_loop]

    def new_rows(self, recipe: Recipe) -> Recipe:
        """Other rows at a time for one run, and for its loops with them or not."""
        runs = [at for at, rows in enumerate(recipe.cuts) if rows]
        at = self.random.choice(runs)
        rows = self.random.randint(1, max(self.layers[i].rows for i in recipe.order))
        cuts = (*recipe.cuts[:at], rows, *recipe.cuts[at + 1 :])
        if self.random.random() < 0.5:
            return replace(recipe, cuts=cuts)
        end = next((later for later in runs if later > at), len(cuts))
        inside = set(recipe.order[at:end])
        loops = [replace(o, block=(rows, o.block[1])) if i in inside else o for i, o in enumerate(recipe.loops)]
        return replace(recipe, cuts=cuts, loops=tuple(loops))

    def new_cuts(self, recipe: Recipe) -> Recipe:
        """Two runs become one, or one becomes two."""
        if len(recipe.cuts) == 1:
            return recipe
        at = self.random.randrange(1, len(recipe.cuts))
        rows = 0 if recipe.cuts[at] else max(recipe.cuts[:at][::-1], key=bool)
        return replace(recipe, cuts=(*recipe.cuts[:at], rows, *recipe.cuts[at + 1 :]))

    def new_loop(self, recipe: Recipe) -> Recipe:
        """One layer is made in another way."""
        i = self.random.randrange(len(self.layers))
        return replace(recipe, loops=(*recipe.loops[:i], self.varied(i, recipe.loops[i]), *recipe.loops[i + 1 :]))

    def new_loops(self, recipe: Recipe) -> Recipe:
        """All layers like one, in their shape, are made in one way."""
        i = self.random.randrange(len(self.layers))
        loop, shape = self.varied(i, recipe.loops[i]), self.layers[i][1:4]
        loops = [
            loop if self.layers[j][1:4] == shape and (self.readers[j] or loop.when != LAZY) else own
            for j, own in enumerate(recipe.loops)
        ]
        return replace(recipe, loops=tuple(loops))

    def varied(self, i: int, loop: Loop) -> Loop:
        """A loop with one field changed."""
        layer, choose = self.layers[i], self.random.choice
        down, across = layer.rows, layer.columns * (3 if self.siblings.count(self.siblings[i]) > 1 else 1)
        whens = [WHOLE, *([LAZY] if self.readers[i] else []), *([] if layer.k else [FOLLOW])]
        return choose((
            lambda: replace(loop, when=choose(whens)),
            lambda: replace(loop, block=(self.random.randint(1, down), loop.block[1])),
            lambda: replace(loop, block=(loop.block[0], self.random.randint(1, across))),
            lambda: replace(loop, by_rows=not loop.by_rows),
            lambda: replace(loop, snake=not loop.snake),
            lambda: replace(loop, chunk=self.random.randint(0, max(layer.k - 1, 0))),
            lambda: replace(loop, backwards=not loop.backwards),
        ))()  # fmt: skip

    def new_teams(self, recipe: Recipe) -> Recipe:
        """A product joins those of its input, or goes by itself."""
        i = self.random.randrange(len(self.layers))
        team = i if recipe.teams[i] != i else self.siblings[i]
        return replace(recipe, teams=(*recipe.teams[:i], team, *recipe.teams[i + 1 :]))

    def new_order(self, recipe: Recipe) -> Recipe:
        """A layer goes to another place; what it reads is made before it in any case."""
        order = list(recipe.order)
        i = order.pop(self.random.randrange(len(order)))
        low = max((order.index(s) + 1 for s in self.layers[i].sources if s != NONE), default=0)
        high = min((order.index(r) for r in self.readers[i]), default=len(order))
        order.insert(self.random.randint(low, high), i)
        return replace(recipe, order=tuple(order))

    # Execs

    def move_execs(self) -> None:
        """Hill climbing on the best order itself: an exec, a sum or a block of execs goes elsewhere."""
        while len(self.best.order) > 2 and self.judge.left() and not self.is_least:
            trial = moved(self.best.order, self.judge.chains, self.random)
            cost = self.judge.cost(trial, self.best.cost + 1)
            if cost is None:
                continue
            stage = self.best.stage
            if cost < self.best.cost and not stage.endswith("execs moved"):
                stage += ", execs moved"
            self.best = Found(trial, cost, self.best.recipe, stage)


def siblings_of(layers: Sequence[Layer]) -> tuple[int, ...]:
    """For each layer the first product of the same input and height that neither reads the other; itself otherwise."""
    before: list[set[int]] = []
    found: list[int] = []
    for i, layer in enumerate(layers):
        sources = set(layer.sources) - {NONE}
        before.append(sources.union(*(before[s] for s in sources)))
        like = [
            j for j in range(i)
            if layer.k and layers[j].k == layer.k and layers[j].left is layer.left and layers[j].rows == layer.rows
            and j not in before[i] and found[j] == j
        ]  # fmt: skip
        found.append(like[0] if like else i)
    return tuple(found)


def moved(order: Sequence[int], chains: Chains, generator: random.Random) -> list[int]:
    """An order with some of its execs elsewhere: one of them, all of a sum, or a block of neighbours."""
    count = len(order)
    at = generator.randrange(count)
    kind = generator.random()
    if kind < 0.5:
        length = min(1 << generator.randrange(count.bit_length()), count - 1)
        taken = set(order[at : at + length])
    else:
        taken = set(chains.chains[chains.chain_of[order[at]]].execs) if kind < 0.75 else {order[at]}
    part = [i for i in order if i in taken]
    if generator.random() < 0.2:
        part.reverse()
    rest = [i for i in order if i not in taken]
    reach = generator.choice((4, 16, count // 4, count))
    place = min(max(at + generator.randint(-reach, reach), 0), len(rest))
    return [*rest[:place], *part, *rest[place:]]
