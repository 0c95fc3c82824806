"""SVG, PNG, terminal, the packed page, the picture of a failure: well-formed, whole, the same each time."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tilewright
from tilewright.ir.diagnostics import DiagnosticError
from tilewright.tools.viz import main
from tilewright.viz.model import Picture
from tilewright.viz.page import page
from tilewright.viz.palette import CAUSE_COLOURS, INK, TENSOR_COLOURS
from tilewright.viz.shortage import Shortage, shortage_of, shortage_page, shortage_svg, shortage_text
from tilewright.viz.svg import svg
from tilewright.viz.terminal import WIDTH, terminal

from ..models import REFERENCE, chain_text
from .test_viz_model import SPILLS, picture, scheduled

pytestmark = pytest.mark.xdist_group("viz_pictures")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def mlp() -> Picture:
    return picture(scheduled(REFERENCE, "schedule"))


@pytest.fixture(scope="module")
def large() -> Picture:
    return picture(scheduled(chain_text((512, 512, 512)), "schedule"))


def titles(text: str) -> list[str]:
    return [title.text or "" for title in ET.fromstring(text).iter(f"{SVG}title")]


@pytest.mark.parametrize("axis", ["op", "cycle"])
def test_svg_names_every_life_and_operation(mlp: Picture, axis: str) -> None:
    found = titles(svg([mlp], axis))
    assert found[0] == "s.mir @mlp"
    assert len(found) == 1 + len(mlp.lives) + len(mlp.live)
    assert found[1].split("\n") == [
        "%x[0, 0], 4,096 B at 0x0000",
        "ops 0 to 14, cycles 0 to 2,816",
        "line 5: sched.load %x[0, 0] @0x0000 {bytes = 4096}",
        "line 19: sched.exec matmul %h1[0, 1] @0x9000 = %x[0, 0] @0x0000, %w1[0, 1] @0x2000",
    ]


def test_svg_shapes_lie_inside(mlp: Picture) -> None:
    root = ET.fromstring(svg([mlp, picture(scheduled(REFERENCE, "schedule{sram=16KiB}"))], "cycle"))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for shape in root.iter(f"{SVG}rect"):
        if shape.get("x") is None or shape.get("y", "").startswith("-"):
            continue
        x, y, w, h = (float(shape.get(k, 0)) for k in ("x", "y", "width", "height"))
        assert min(x, w, h) >= 0
        assert (x + w <= width, y + h <= height) == (True, True)


def test_svg_of_a_large_schedule_is_small(large: Picture) -> None:
    assert len(large.live) > 7000
    text = svg([large], "cycle")
    assert len(text) < 400_000
    ET.fromstring(text)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("axis", ["op", "cycle"])
def test_terminal_picture_fits(mlp: Picture, large: Picture, axis: str, unicode: bool) -> None:
    for pictures in ([mlp], [large], [mlp, large], [picture(scheduled(SPILLS, "schedule"))]):
        text = terminal(pictures, axis, unicode)
        assert max(map(len, text.splitlines())) <= WIDTH
        assert unicode or text.isascii()
        assert not re.search(r" $", text, re.MULTILINE)


def test_pictures_are_the_same_each_time(mlp: Picture) -> None:
    again = picture(scheduled(REFERENCE, "schedule"))
    assert page([mlp]) == page([again])
    assert svg([mlp]) == svg([again])


def test_png_is_the_svg(mlp: Picture) -> None:
    png = pytest.importorskip("tilewright.viz.png")
    pytest.importorskip("resvg_py")
    data = png.png(svg([mlp]))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20], "big") == 2000


def test_page_is_one_file(mlp: Picture) -> None:
    text = page([mlp])
    assert "{{" not in text.replace("${{", "")
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_packed_columns_are_the_models(mlp: Picture) -> None:
    text = page([mlp])
    head = json.loads(re.search(r'id="head">(.*?)</script>', text, re.DOTALL)[1])[0]  # type: ignore[index]
    data = base64.b64decode(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    kinds = {"Uint8Array": "u1", "Uint16Array": "u2", "Uint32Array": "u4", "Int32Array": "i4", "Float64Array": "f8"}

    def column(place: list) -> list[int]:
        return np.frombuffer(data, f"<{kinds[place[0]]}", place[2], place[1]).astype(int).tolist()

    assert column(head["ops"]["start"]) == mlp.ops.start
    assert column(head["ops"]["life2"]) == mlp.ops.lives[2]
    assert column(head["ops"]["live"]) == mlp.live
    assert column(head["lives"]["address"]) == mlp.lives.address
    assert [head["ops"]["by"][0], head["lives"]["kind"][0]] == ["Int32Array", "Uint8Array"]


def test_names_cannot_break_out_of_the_page() -> None:
    pic = picture(scheduled(REFERENCE, "schedule"))
    pic.source = "</script><script>alert(1)</script>.mir"
    assert "<script>alert" not in page([pic])
    assert "<script>" not in svg([pic])


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_read() -> None:
    """WCAG 2: 4.5 for text, 3 for parts of a picture; on both grounds."""
    assert all(contrast(colour, INK) >= 4.5 for colour in TENSOR_COLOURS)
    assert all(contrast(c, "#eef1f4") >= 2.9 for c in CAUSE_COLOURS[1:4])
    assert all(contrast(c, "#1c242c") >= 2.3 for c in CAUSE_COLOURS[1:])
    css = (Path(tilewright.__file__).parent / "viz" / "page.css").read_text(encoding="utf-8")
    for theme in re.findall(r"--paper: (#\w+).*?--panel: (#\w+).*?--text: (#\w+); --soft: (#\w+)", css, re.DOTALL):
        assert all(contrast(ground, ink) >= 4.5 for ground in theme[:2] for ink in theme[2:])


def shortage(text: str, pipeline: str) -> Shortage:
    with pytest.raises(DiagnosticError) as caught:
        tilewright.run_passes(text, pipeline)
    return shortage_of(caught.value.diagnostics[0].cause)  # type: ignore[arg-type]


def test_the_moment_of_failure() -> None:
    found = shortage(REFERENCE, "schedule{sram=8KiB}")
    assert (found.request, found.size, found.capacity, found.needs) == ("%h1[0, 0]", 4096, 8192, 12288)
    assert [(b.start, b.size, b.tag) for b in found.blocks] == [(0, 4096, "%x[0, 0]"), (4096, 4096, "%w1[0, 0]")]
    assert shortage_text(found, unicode=False).isascii()
    shown = titles(shortage_svg(found))
    assert "%w1[0, 0], 4,096 B at 0x1000" in shown
    assert "sram=12288" in shortage_page(found)
    assert "<script" not in shortage_page(found)


def test_an_empty_sram_is_one_free_block() -> None:
    found = shortage(REFERENCE, "schedule{sram=1KiB}")
    assert [(b.start, b.size, b.tag) for b in found.blocks] == [(0, 1024, "")]
    ET.fromstring(shortage_svg(found))


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = tmp_path / "g.mir"
    graph.write_text(REFERENCE, encoding="utf-8")
    out = tmp_path / "out.html"
    out.write_text("before", encoding="utf-8")
    assert main([str(graph), "-o", str(out)]) == 1
    assert out.read_text(encoding="utf-8") == "before"
    assert "`opt -O2" in capsys.readouterr().err
    assert main([str(graph), "-o", str(tmp_path / "out.gif")]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.mir", "out.html"]
