"""Makes the pictures of the documents, in the folder of this file: `make pictures`. Needs Chromium.

The pictures show what the commands make of the examples now; the same inputs, Chromium and fonts give the same bytes.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
BIN = Path(sys.executable).parent

SQUARE = """\
func.func @product(%a: tensor<512x512xf32>, %b: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %c = graph.matmul %a, %b : (tensor<512x512xf32>, tensor<512x512xf32>) -> tensor<512x512xf32>
  return %c : tensor<512x512xf32>
}
"""

SCHEDULES = {
    "mlp.mir": ("mlp", "--schedule"),
    "mlp-O2.mir": ("mlp", "-O2"),
    "product-O2.mir": ("product", "-O2"),
    "layer-O0.mir": ("layer", "-O0=sram=64KiB"),
    "layer-O1.mir": ("layer", "-O1=sram=64KiB"),
    "layer-O2.mir": ("layer", "-O2=sram=64KiB"),
}
"""Which model is scheduled how, by the file that the page then names."""

PAGES = {
    "compare.png": (("mlp.mir", "mlp-O2.mir"), "#axis=cycle&theme=light", (1500, 720), ""),
    "map.png": (("mlp.mir",), "#theme=light", (1300, 760), ""),
    "follow.png": (("mlp.mir",), "#theme=light&q=%h1", (1300, 760), "Enter"),
    "large.png": (("product-O2.mir",), "#axis=cycle&theme=light", (1300, 760), ""),
    "layer.png": (("layer-O0.mir", "layer-O1.mir"), "#axis=cycle&theme=light", (1500, 720), ""),
    "attention.png": (("layer-O2.mir",), "#axis=cycle&theme=light&q=%l0.shares", (1300, 760), ""),
}
"""Per picture: the schedules, how the page is opened, the window's size, and a key to press."""


def tool(name: str, *words: str | Path, text: str | None = None) -> str:
    done = subprocess.run([BIN / name, *words], input=text, capture_output=True, encoding="utf-8", check=True)
    return done.stdout


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("error: the pictures need Chromium; on Debian or Ubuntu: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        models = {"mlp": (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8"), "product": SQUARE}
        models["layer"] = encoder_layer(folder)
        for file, (model, passes) in SCHEDULES.items():
            (folder / file).write_text(tool("opt", passes, text=models[model]), encoding="utf-8")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for picture in PAGES:
            draw_page(browser, folder, picture)
        draw_terminal(browser, folder)
        browser.close()
        draw_failure(folder)
    for picture in sorted(FOLDER.glob("*.png")):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size:,} B")


def encoder_layer(folder: Path) -> str:
    """The layer of the second tutorial, imported as there."""
    model, module = folder / "layer.onnx", folder / "layer.mir"
    subprocess.run([sys.executable, ROOT / "examples/minilm/model.py", "--random", "-o", model], check=True)
    words = ["--import-onnx", model, "--inputs", "embeddings,mask", "-o", module, "--weights", folder / "layer.npz"]
    tool("mir-translate", *words)
    return module.read_text(encoding="utf-8")


def draw_page(browser: Any, folder: Path, picture: str) -> None:
    files, wishes, (width, height), key = PAGES[picture]
    page = folder / "page.html"
    tool("mir-viz", *(folder / file for file in files), "-o", page)
    view = browser.new_page(viewport={"width": width, "height": height})
    view.goto(f"{page.as_uri()}{wishes}")
    view.wait_for_selector("html[data-drawn]")
    if key:
        view.locator("#search").press(key)
        view.evaluate("document.activeElement.blur()")
    view.wait_for_timeout(300)
    view.screenshot(path=FOLDER / picture)
    view.close()


def draw_terminal(browser: Any, folder: Path) -> None:
    text = folder / "mlp.txt"
    tool("mir-viz", folder / "mlp.mir", "-o", text)
    shown = html.escape("$ mir-viz --ascii mlp.mir\n" + text.read_text(encoding="utf-8"))
    style = 'margin:0;padding:14px;background:#12171d;color:#e6ebf0;font:13px/normal "DejaVu Sans Mono",monospace'
    view = browser.new_page(viewport={"width": 700, "height": 100})
    view.set_content(f"<body style=\"margin:0\"><pre style='{style}'>{shown}</pre>")
    view.locator("pre").screenshot(path=FOLDER / "terminal.png")
    view.close()


def draw_failure(folder: Path) -> None:
    from tilewright.viz.png import png

    drawn = folder / "failure.svg"
    source = ROOT / "test" / "passes" / "schedule_fragmentation.mir"
    subprocess.run([BIN / "opt", "--schedule", "--oom-map", drawn, source], capture_output=True, check=False)
    (FOLDER / "failure.png").write_bytes(png(drawn.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
