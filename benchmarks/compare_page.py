"""How large a comparison's page is, how long it takes to make, and how long until it can be used.

    python -m benchmarks.compare_page --renders 100 --size 512x768 --frames 48

Renders are the sample clip at that size in another hue each, as films of real camera pictures; the page is made by the
real flow and opened from disk in headless Chromium, several times. Times are wall times of this machine: give it rest.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import ROOT
from benchmarks.synthetic_renders import films
from flows import cli
from reel.history.record import list_records
from reel.store import Store

READY = "document.documentElement.dataset.ready"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renders", type=int, default=100)
    parser.add_argument("--size", default="512x768", help="of the renders, px")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--fps", type=int, default=24)
    parser.add_argument("--opened", type=int, default=5, help="how often the page is opened")
    parser.add_argument("--folder", type=Path, help="where to work; kept, and gone on with (default: a temporary one)")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        page = made(folder, chosen)
        opened(page, chosen.opened)
    return 0


def made(folder: Path, chosen: Any) -> Path:
    """The page of that many renders; tells how long it took and how large it is."""
    store = Store(folder / "store")
    width, _, height = chosen.size.partition("x")
    side = math.isqrt(chosen.renders)
    if not list_records(store)[0]:
        sample = ROOT / "data" / "source" / "sample.mp4"
        films(
            store, folder / "films", side, sample, size=(int(width), int(height)), count=chosen.frames, fps=chosen.fps
        )
    names = [record.run for record in list_records(store)[0] if record.flow == "dance"]
    common = [
        f"paths.store={store.root}",
        f"paths.output={folder / 'out'}",
        "tracking=none",
        "film=false",
        "plots=false",
    ]
    started = time.perf_counter()
    if cli.main(["compare", f"runs=[{','.join(names)}]", *common]):
        raise SystemExit(1)
    page = folder / "out" / "compare.html"
    tiles = sorted({tuple(tile[2:4]) for tile in _data(page)["tiles"]})
    print(f"\n{len(names)} renders of {chosen.size} px, {chosen.frames} frames: {page.stat().st_size / 1e6:.1f} MB, "
          f"made in {time.perf_counter() - started:.0f} s; clips at {tiles} px")  # fmt: skip
    return page


def _data(page: Path) -> Any:
    import json
    import re

    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def opened(page: Path, times: int) -> None:
    """Milliseconds from navigation to the first picture, when every control answers, and frames shown per second."""
    from tests.browser import browser

    ready, painted, loops = [], [], []
    with browser() as running:
        for _ in range(times):
            view = running.new_page(viewport={"width": 1600, "height": 1000}, reduced_motion="reduce")
            view.goto(page.as_uri(), wait_until="commit")
            view.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
            ready.append(int(view.evaluate(READY)))
            view.keyboard.press("Space")
            view.wait_for_timeout(500)
            painted.append(view.evaluate(_RATE))
            view.keyboard.press("Space")
            loops.append(view.evaluate(LOOP))
            view.close()
    print(f"ready after {statistics.median(ready):.0f} ms (median of {times}; {min(ready)} to {max(ready)} ms)")
    print(f"3e8 additions take this browser {statistics.median(loops):.0f} ms")
    print(f"while it plays: {statistics.median(painted):.1f} frames a second drawn on all clips in view")


LOOP = """() => {
  const began = performance.now();
  let sum = 0;
  for (let at = 0; at < 3e8; at++) sum += at & 7;
  return performance.now() - began + 0 * sum;
}"""
_RATE = """() => new Promise(resolve => {
  const clip = document.querySelector('.cell canvas'), began = performance.now();
  let count = 0;
  new MutationObserver(() => count++).observe(clip, { attributes: true, attributeFilter: ['data-frame'] });
  setTimeout(() => resolve(1000 * count / (performance.now() - began)), 2000);
})"""


if __name__ == "__main__":
    sys.exit(main())
