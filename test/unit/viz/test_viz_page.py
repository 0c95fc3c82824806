"""The page of mir-viz in headless Chromium: what it shows, mouse, keys, search, themes, two schedules, size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tilewright.viz.page import page

from ..models import REFERENCE, chain_text
from .test_viz_model import SPILLS, picture, scheduled

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.xdist_group("viz_page"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    small = picture(scheduled(REFERENCE, "schedule{sram=16KiB}"))
    made = {
        "small": [small],
        "spills": [picture(scheduled(SPILLS, "schedule"))],
        "two": [small, picture(scheduled(REFERENCE, "schedule,prefetch"))],
        "large": [picture(scheduled(chain_text((512, 512, 512)), "schedule"))],
        "ranks": [picture(scheduled(BATCHES, "tile{sizes=4x4x4},lower,forward,schedule"))],
        "empty": [
            picture("func.func @f() attributes {sched.sram = {alignment = 64, total_bytes = 64}} {\n  return\n}\n")
        ],
    }
    for name, pictures in made.items():
        (folder / f"{name}.html").write_text(page(pictures), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


BATCHES = """\
func.func @f(%a: tensor<2x8x8xf32>, %b: tensor<8x8xf32>) -> tensor<2x8x8xf32> {
  %y = graph.matmul %a, %b : (tensor<2x8x8xf32>, tensor<8x8xf32>) -> tensor<2x8x8xf32>
  return %y : tensor<2x8x8xf32>
}
"""


class View:
    """An opened page; what it says on its console, and what it asks of the network, is kept."""

    def __init__(self, browser: Any, path: Path, wishes: str = "", **options: Any):
        self.said: list[str] = []
        self.page = browser.new_page(viewport={"width": 1400, "height": 860}, **options)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda r: self.said.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        self.page.goto(f"{path.as_uri()}{wishes}")
        self.page.wait_for_selector("html[data-drawn]", timeout=30_000)

    def state(self, name: str) -> Any:
        return self.page.evaluate(f"state.{name}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.page.wait_for_timeout(60)

    def place(self, tile: str, life: int = 0, plot: int = 0) -> tuple[float, float]:
        """Where the middle of a tile's life is on the screen."""
        box = self.page.locator("canvas.base").nth(plot).bounding_box()
        x, y = self.page.evaluate(
            f"""(() => {{ const p = plots[{plot}], s = p.schedule;
            const b = p.box(s.livesOf(s.tileCalled({tile!r}))[{life}]);
            return [b.left + b.width / 2, b.top + b.height / 2]; }})()"""
        )
        return box["x"] + x, box["y"] + y

    def lane(self, queue: int, share: float) -> tuple[float, float]:
        box = self.page.locator("canvas.base").first.bounding_box()
        band = self.page.evaluate(f"plots[0].lanes[{queue}]")
        return box["x"] + 72 + share * (box["width"] - 86), box["y"] + band["top"] + band["height"] / 2

    def colour(self, x: float, y: float) -> list[int]:
        """The canvas's colour at a place on the screen."""
        return self.page.evaluate(
            f"""(() => {{ const base = plots[0].base, b = base.getBoundingClientRect();
            const image = base.getContext('2d').getImageData({x} - b.left, {y} - b.top, 1, 1);
            return [...image.data].slice(0, 3); }})()"""
        )

    def close(self) -> None:
        assert self.said == []
        self.page.close()


@pytest.fixture
def view(browser: Any, files: dict[str, Path]) -> Iterator[View]:
    opened = View(browser, files["small"])
    yield opened
    opened.close()


def test_words_and_tables(view: View) -> None:
    assert view.page.inner_text("h1") == "s.mir @mlp131 operations, peak 16,384 B, 27,776 cycles"
    legend = view.page.inner_text("#legend").split("\n")
    assert legend[:3] == ["%x", "%w1", "%h1"]
    assert {"accumulator", "reload"} <= set(legend)
    figures = view.page.inner_text("#figures")
    assert "16,384 B (100.0%)" in figures
    assert "27,776 cycles" in figures
    assert view.page.inner_text("#moved").count("%") == 7
    assert view.page.get_attribute("canvas.base", "aria-label").startswith("SRAM map, bytes live and engines of @mlp")


def test_the_map_has_the_tensors_colours(view: View) -> None:
    x, y = view.place("%x[0, 0]")
    assert view.colour(x + 40, y + 20) == [0x77, 0xAA, 0xDD]


def test_hover_tells_of_a_tile(view: View) -> None:
    view.page.mouse.move(*view.place("%x[0, 0]"))
    said = view.page.inner_text("#tip")
    assert "%x[0, 0] operand, 4,096 B, life 1 of 1" in said
    assert "@0x0000 to @0x1000" in said
    assert "live for ops 0 to 14, cycles 0 to 3,072" in said
    assert "line 5:" in said
    assert "sched.load %x[0, 0] @0x0000 {bytes = 4096}" in said
    view.page.mouse.move(5, 5)
    assert view.page.is_hidden("#tip")


def test_hover_tells_of_an_operation_and_its_stall(view: View) -> None:
    view.press("x")
    op = view.page.evaluate("plots[0].schedule.byQueue[1][3]")
    middle = view.page.evaluate(f"(plots[0].schedule.ops.start[{op}] + 1) / plots[0].schedule.makespan")
    view.page.mouse.move(*view.lane(1, middle))
    said = view.page.inner_text("#tip")
    assert f"op {op}, line {op + 5}, compute" in said
    assert "sched.exec matmul %h1[0, 0] @0x2000 += %x[0, 3] @0x3000, %w1[3, 0] @0x1000" in said
    assert "waited 512 cycles: its data is not there yet (read after write)" in said


def test_click_pins_a_tile_and_keys_follow_it(view: View) -> None:
    lives = view.page.evaluate(
        "(() => { const s = plots[0].schedule; return s.livesOf(s.tileCalled('%h1[0, 0]')).length; })()"
    )
    assert lives == 2
    view.page.mouse.click(*view.place("%h1[0, 0]"))
    assert view.state("pinned") == "%h1[0, 0]"
    pinned = view.page.inner_text("#pinned")
    assert "%h1[0, 0], 4,096 B, 2 lives" in pinned
    assert "1. @0x2000 accumulator, ops 2 to 12" in pinned
    assert "2. @0x0000 reload" in pinned
    first = view.state("life")
    view.press("n")
    assert view.state("life") != first
    view.press("n")
    assert view.state("life") == first
    view.press("p", "Escape")
    assert view.state("pinned") is None
    assert view.page.is_hidden("#pinned")


def test_search_by_tensor(view: View) -> None:
    view.press("/")
    view.page.keyboard.type("w1")
    assert view.page.inner_text("#matches") == "8 tiles"
    assert view.page.evaluate("plots[0].schedule.lit.reduce((a, b) => a + b)") == 8
    x, y = view.place("%x[0, 0]")
    view.page.wait_for_timeout(60)
    assert view.colour(x + 40, y + 20) != [0x77, 0xAA, 0xDD], "what is not found is dimmed"
    view.press("Enter", "Enter")
    assert view.state("pinned") == "%w1[1, 0]"
    view.press("Escape")
    assert view.state("query") == ""
    view.page.click("#legend button >> nth=2")
    assert view.state("query") == "%h1"
    assert view.page.get_attribute("#legend button >> nth=2", "aria-pressed") == "true"


def test_zoom_and_pan(view: View) -> None:
    view.press("+", "+")
    left, right = view.state("x")
    assert right - left == pytest.approx(131 * 0.36)
    view.press("ArrowRight")
    assert view.state("x")[0] > left
    view.press("-", "-", "-")
    assert view.state("x") == [0, 131]
    x, y = view.place("%x[0, 0]")
    view.page.mouse.move(x, y)
    view.page.mouse.wheel(0, -400)
    view.page.wait_for_timeout(60)
    left, right = view.state("x")
    assert (left, right) != (0, 131)
    assert left < 7.5 < right
    view.page.mouse.move(x + 200, y)
    view.page.mouse.down()
    view.page.mouse.move(x, y, steps=4)
    view.page.mouse.up()
    assert view.state("x")[0] > left
    assert view.state("pinned") is None, "a drag is no click"
    view.press("0")
    assert view.state("x") == [0, 131]
    view.page.keyboard.down("Shift")
    view.page.mouse.wheel(0, -400)
    view.page.keyboard.up("Shift")
    assert view.state("y")[1] - view.state("y")[0] < 16384


def test_axes(view: View) -> None:
    view.press("x")
    assert (view.state("axis"), view.state("x")) == ("cycle", [0, 27776])
    view.press("+")
    view.page.click("#axis-op")
    left, right = view.state("x")
    assert 0 < left < right < 131


def test_keys_are_explained(view: View) -> None:
    view.press("?")
    assert view.page.is_visible("#keys")
    view.press("Escape")
    assert view.page.is_hidden("#keys")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(browser: Any, files: dict[str, Path], scheme: str) -> None:
    view = View(browser, files["small"], color_scheme=scheme)
    ground = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 29)"}
    shown = "getComputedStyle(document.body).backgroundColor"
    assert view.page.evaluate(shown) == ground[scheme]
    view.press("t")
    other = "dark" if scheme == "light" else "light"
    assert view.page.evaluate(shown) == ground[other]
    assert view.page.inner_text("#theme") == f"Theme: {other}"
    view.close()


def test_reloads_and_spills_are_marked(browser: Any, files: dict[str, Path]) -> None:
    view = View(browser, files["spills"])
    assert view.state("moveRows") == ["reloads", "spills"]
    life = view.page.evaluate("schedules[0].lives.ended.indexOf(SPILLED)")
    tile = view.page.evaluate(f"schedules[0].tileName(schedules[0].lives.tile[{life}])")
    view.page.mouse.move(*view.place(tile))
    assert "spilled at op" in view.page.inner_text("#tip")
    assert "spill" in view.page.inner_text("#legend")
    view.close()


def test_two_schedules_share_their_axes(browser: Any, files: dict[str, Path]) -> None:
    view = View(browser, files["two"], "#axis=cycle")
    assert view.page.locator("canvas.base").count() == 2
    assert view.page.inner_text("#figures").split("\n")[1].split() == ["left", "right"]
    assert view.state("x") == [0, 27776]
    view.page.mouse.click(*view.place("%w3[0, 0]", plot=1))
    assert view.page.evaluate("plots.map(p => p.schedule.lit[p.schedule.tileCalled('%w3[0, 0]')])") == [1, 1]
    view.press("+")
    assert view.page.evaluate("plots.map(p => p.valueAt(72)).every(v => v === state.x[0])")
    view.close()


def test_many_operations(browser: Any, files: dict[str, Path]) -> None:
    view = View(browser, files["large"], "#axis=cycle")
    assert view.page.evaluate("plots[0].visibleLives().length > 2500"), "drawn by level of detail"
    spent = view.page.evaluate(
        "(() => { const t = performance.now(); plots[0].draw(); return performance.now() - t; })()"
    )
    assert spent < 1500
    view.page.evaluate("setX(0, 20000)")
    box = view.page.locator("canvas.base").bounding_box()
    view.page.mouse.move(box["x"] + 90, box["y"] + view.page.evaluate("plots[0].y(10)"))
    assert "%x[0, 0]" in view.page.inner_text("#tip")
    view.close()


def test_tiles_have_all_their_coordinates(browser: Any, files: dict[str, Path]) -> None:
    view = View(browser, files["ranks"])
    names = "(() => { const s = plots[0].schedule; return [...s.tiles.tensor].map((_, tile) => s.tileName(tile)); })()"
    assert {"%a[1, 0, 1]", "%y[0, 1, 1]", "%b[1, 0]"} < set(view.page.evaluate(names))
    view.close()


def test_a_schedule_without_operations(browser: Any, files: dict[str, Path]) -> None:
    view = View(browser, files["empty"])
    view.press("x", "+", "0", "n")
    view.page.mouse.move(*view.lane(0, 0.5))
    view.close()


def test_small_windows(browser: Any, files: dict[str, Path]) -> None:
    view = View(browser, files["two"])
    for width, height in ((360, 640), (800, 500)):
        view.page.set_viewport_size({"width": width, "height": height})
        view.page.wait_for_timeout(100)
        assert view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    view.close()
