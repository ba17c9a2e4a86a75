"""How long the gallery takes to open with a thousand renders, and how much memory the browser's page takes.

    python -m benchmarks.gallery_page --renders 1000

Renders are records as `dance` leaves them, each with a folder of its own and a real film of the sample clip in it (as
many films as ``--films``, hard-linked). The page is the real server's, in headless Chromium: opened, scrolled to its
end, searched. Memory is what the page's process has to itself (private bytes), beside that of an empty page.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare_page import LOOP
from benchmarks.runs import ROOT
from benchmarks.synthetic_renders import films, numbers, record, settings
from flows.gallery.server import Gallery
from reel.history.record import Output, list_records
from reel.store import Store


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=int, default=1000)
    parser.add_argument("--films", type=int, default=16, help="different ones, a square number")
    parser.add_argument("--opened", type=int, default=5, help="how often the page is opened")
    parser.add_argument("--folder", type=Path, help="where to work; kept, and gone on with (default: a temporary one)")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        store = filled(folder, chosen.renders, chosen.films)
        with Gallery(store, 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            measured(server, chosen.opened)
            server.shutdown()
    return 0


def filled(folder: Path, count: int, different: int) -> Store:
    """A store of that many renders."""
    store = Store(folder / "store")
    if len(list_records(store)[0]) >= count:
        return store
    films(store, folder / "films", round(different**0.5), ROOT / "data" / "source" / "sample.mp4", size=(192, 192),
          count=16, fps=8)  # fmt: skip
    first = list_records(store)[0][:different]
    for number in range(different, count):
        film = first[number % different].outputs[0]
        place = folder / "renders" / f"{number:04}"
        place.mkdir(parents=True)
        os.link(Path(first[number % different].output or "") / film.name, place / film.name)
        noted = Output(name=film.name, sha256=film.sha256, size=film.size, role="movie")
        pose, lineart = number % 10 / 10, number // 10 % 10 / 10
        prompt = f"a girl with long hair, take {number}, in a red top and a blue skirt, green background, dancing"
        record(store, number, settings(pose, lineart, prompt), {}, numbers(pose, lineart), output=str(place),
               outputs=(noted,))  # fmt: skip
    return store


def measured(server: Gallery, times: int) -> None:
    from tests.browser import browser

    started = time.perf_counter()
    server.catalogue.data()
    print(f"records read by the server for the first time: {time.perf_counter() - started:.2f} s")
    ready, shown = [], []
    with browser("--enable-precise-memory-info") as running:
        empty = _memory(running)
        for number in range(times):
            view = running.new_page(viewport={"width": 1400, "height": 900})
            view.set_default_timeout(120_000)
            view.goto(server.url, wait_until="commit")
            view.wait_for_selector("html[data-ready]", state="attached")
            ready.append(int(view.evaluate("document.documentElement.dataset.ready")))
            view.wait_for_function(_ALL_SHOWN)
            shown.append(view.evaluate("performance.now()"))
            if number < times - 1:
                view.close()
        count = view.locator(".tile").count()
        still = _memory(running) - empty
        view.evaluate(_TO_THE_END)
        view.wait_for_timeout(1500)
        scrolled = _memory(running) - empty
        searched = view.evaluate(_SEARCH)
        heap = view.evaluate("performance.memory.usedJSHeapSize")
        spun = view.evaluate(LOOP)
    print(f"{count} renders: ready after {statistics.median(ready):.0f} ms (median of {times}; {min(ready)} to "
          f"{max(ready)}), all pictures in view after {statistics.median(shown):.0f} ms")  # fmt: skip
    print(f"3e8 additions take this browser {spun:.0f} ms")
    print(f"memory of the page's own process beside an empty page's {empty / 1e6:.0f} MB: {still / 1e6:.0f} MB, "
          f"after scrolling through all {scrolled / 1e6:.0f} MB; {heap / 1e6:.0f} MB of script's")  # fmt: skip
    print(f"a search of one word: {searched:.0f} ms")


def _memory(running: Any) -> int:
    """Private bytes of the largest of the browser's page processes."""
    session = running.new_browser_cdp_session()
    if not running.contexts:
        running.new_page().goto("about:blank")
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    sizes = [_private(one["id"]) for one in found if one["type"] == "renderer"]
    return max(sizes, default=0)


def _private(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    return sum(1024 * int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE))


_ALL_SHOWN = """() => {
  const seen = [...document.querySelectorAll('.tile')].filter(tile => tile.getBoundingClientRect().top < innerHeight);
  return seen.length && seen.every(tile => tile.querySelector('.shot img, .shot .gone'));
}"""
_TO_THE_END = """async () => {
  for (let at = 0; at < document.body.scrollHeight; at += 1500) {
    scrollTo(0, at);
    await new Promise(resolve => setTimeout(resolve, 120));
  }
}"""
_SEARCH = """async () => {
  const field = document.getElementById('words'), began = performance.now();
  field.value = 'take 77';
  field.dispatchEvent(new Event('input'));
  await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return performance.now() - began;
}"""


if __name__ == "__main__":
    sys.exit(main())
