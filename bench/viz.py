"""Measures the page of a large schedule: how long it takes to make, how large it is, when Chromium has drawn it.

python bench/viz.py [--ops 100000]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import timed

import tilewright
from tilewright.viz.model import picture_of
from tilewright.viz.page import page

BIN = Path(sys.executable).parent
UOPS_PER_OP = 1.55
"""How many uops of `generate.py` it takes for an operation in an SRAM of 128 KiB, where many loads are left out."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the page of a large schedule.")
    parser.add_argument("--ops", type=int, default=100_000, help="about how many scheduled operations")
    args = parser.parse_args()
    from generate import uop_text

    with tempfile.TemporaryDirectory() as name:
        source, made = Path(name) / "large.mir", Path(name) / "large.html"
        text = tilewright.run_passes(uop_text(round(args.ops * UOPS_PER_OP)), "schedule{sram=128KiB}")
        source.write_text(text, encoding="utf-8")
        whole = timed(lambda: subprocess.run([BIN / "mir-viz", source, "-o", made], check=True))[0]
        module = tilewright.parse(text)
        extract, picture = timed(lambda: picture_of(next(module.functions()), module))
        pack = timed(lambda: page([picture]))[0]
        print(f"operations          {len(picture.live):>12,}")
        print(f"lives               {len(picture.lives):>12,}")
        print(f"the whole command   {whole:>12.2f} s")
        print(f"  of it the model   {extract:>12.2f} s")
        print(f"  of it the page    {pack:>12.2f} s")
        print(f"size                {made.stat().st_size / (1 << 20):>12.2f} MiB")
        browse(made)


def browse(made: Path) -> None:
    """First paint, when the picture is complete, and how long a redraw takes, in headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return print("no Chromium: first paint is not measured")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page(viewport={"width": 1400, "height": 860})
        view.goto(made.as_uri())
        view.wait_for_selector("html[data-drawn]")
        paint = view.evaluate("performance.getEntriesByType('paint')[0].startTime")
        drawn = view.evaluate("performance.getEntriesByName('drawn')[0].startTime")
        redraw = "(() => { const t = performance.now(); plots[0].draw(); return performance.now() - t; })()"
        print(f"first paint         {paint / 1000:>12.2f} s")
        print(f"picture complete    {drawn / 1000:>12.2f} s")
        print(f"a redraw            {view.evaluate(redraw):>12.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
