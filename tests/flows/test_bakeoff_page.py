"""A bakeoff's page in a real browser: films of 24 and 8 fps play by the clock, one that is refused is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reel.clip import Clip
from reel.history.record import RenderRecord, list_records
from reel.store import Store
from tests.browser import browser, opened
from tests.flows.test_bakeoff import bake, each, files, rows  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server"), pytest.mark.filterwarnings("ignore")]
NAMES = ("ltx_2b", "ltx_13b", "ltx_distilled")
OWN = {
    "ltx_13b": "model.limits.most_fps: 8, model.limits.frames: {step: 4, rest: 1, least: 5, most: 21}, height: 96",
    "ltx_distilled": "model.territory: 'the EU'",
}
FAST, SLOW = 24, 8
"""Frames a second of the two that make films; the page plays at the faster rate."""
LUMA = np.array([0.2126, 0.7152, 0.0722])
"""What H.264 keeps of noise: colours have a quarter of the pixels."""

# The pixels of all films in the grid and what the clock says, of one moment.
READ = """() => ({
  clock: document.getElementById('clock').textContent,
  films: [...document.querySelectorAll('.cell canvas[data-frame]')].map(canvas => {
    const scratch = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    scratch.drawImage(canvas, 0, 0);
    return { width: canvas.width, over: canvas.parentElement.classList.contains('over'),
             pixels: [...scratch.getImageData(0, 0, canvas.width, canvas.height).data] };
  }),
})"""


@pytest.fixture(scope="module")
def baked(files: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Iterator[Path]:  # noqa: F811
    """A bakeoff of three animators, one of which is not licensed here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
        folder = tmp_path_factory.mktemp("baked")
        asked = [f"animators=[{','.join(NAMES)}]", each(*NAMES, **OWN), "seconds=1", "territory=EU"]
        assert bake(folder, files, *asked) == 0
        yield folder


@pytest.fixture(scope="module")
def chromium_running() -> Iterator[Any]:
    with browser() as running:
        yield running


@pytest.fixture(params=[1400, 420])
def page(chromium_running: Any, baked: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page from disk in a wide and a narrow window, paused; it asked nobody and complained of nothing."""
    size = {"width": request.param, "height": 900}
    view, heard = opened(chromium_running, baked / "out" / "compare.html", viewport=size, reduced_motion="reduce")
    view.wait_for_selector(".cell canvas[data-frame]")
    yield view
    view.close()
    assert heard == []


def films(folder: Path) -> list[RenderRecord]:
    """Of the two that made one, the fast one's first."""
    made = [one for one in list_records(Store(folder / "store"))[0] if one.flow == "animate"]
    assert [one.config["fps"] for one in made] == [FAST, SLOW]
    return made


def shown(page: Any, folder: Path) -> tuple[int, list[int], list[bool]]:
    """The clock's frame; which frame of its own each film shows, by its pixels; and whether it is over."""
    found = page.evaluate(READ)
    store, numbers = Store(folder / "store"), []
    for film, record in zip(found["films"], films(folder), strict=True):
        drawn = np.array(film["pixels"]).reshape(-1, film["width"], 4)[..., :3] @ LUMA
        frames = Clip.open(store, record.pictures["frames"]).array() @ LUMA
        far = np.abs(frames - drawn).mean((1, 2))
        nearest, second = np.sort(far)[:2]
        assert nearest < second / 2, "no doubt which one it is"
        numbers.append(int(far.argmin()))
    return int(found["clock"].split(" /")[0]) - 1, numbers, [film["over"] for film in found["films"]]


def resting(page: Any, frame: int) -> None:
    page.locator("#scrub").fill(str(frame))
    page.wait_for_function(
        "frame => [...document.querySelectorAll('.cell canvas')].every(c => c.dataset.frame == frame)", arg=frame
    )


def test_at_any_moment_each_shows_the_frame_of_that_time(page: Any, baked: Path):
    assert page.locator("#scrub").get_attribute("max") == "26", "the longer film has 9 frames of an eighth of a second"
    for frame in (0, 1, 3, 11, 24, 25):
        resting(page, frame)
        at, numbers, over = shown(page, baked)
        assert at == frame
        assert numbers == [min(frame, 24), frame * SLOW // FAST]
        assert over == [frame > 24, False], "the shorter film stays on its last frame, dimmed"


def test_and_while_they_play(page: Any, baked: Path):
    page.locator("#speed").select_option("0.25")
    page.locator("#play").click()
    seen = set()
    for _ in range(6):
        page.wait_for_timeout(150)
        at, numbers, _ = shown(page, baked)
        assert numbers == [min(at, 24), at * SLOW // FAST]
        seen.add(at)
    assert len(seen) > 1


def test_the_one_that_made_none_says_so_and_why(page: Any, baked: Path):
    *made, refused = page.locator("#grid .cell").all()
    assert [one.locator("canvas").count() for one in made] == [1, 1]
    assert refused.locator("canvas").count() == 0
    assert refused.locator(".state").get_attribute("title") == rows(baked)[2]["reason"]
    box = refused.locator(".state").bounding_box()
    for words in (refused.locator("b").bounding_box(), refused.locator(".state span").bounding_box()):
        assert box["y"] <= words["y"] < words["y"] + words["height"] <= box["y"] + box["height"], "not cut"
    refused.click()
    assert "it is not licensed in the EU" in page.locator("#detail").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_size_length_and_rate_of_the_chosen_film_are_told(page: Any, baked: Path):
    for cell, row in zip(page.locator("#grid .cell").all(), rows(baked)[:2], strict=False):
        cell.click()
        told = f"{row['size']}, {row['frames']} frames at {float(row['fps']):g} fps"
        assert told in page.locator("#detail").inner_text()


def test_times_and_memory_are_those_of_the_table(page: Any, baked: Path):
    assert page.locator("#title").inner_text().startswith("bakeoff-")
    heads = [head.inner_text() for head in page.locator("#table th").all()]
    for row, line in zip(rows(baked)[:2], page.locator("#table tbody tr").all(), strict=False):
        cells = dict(zip(heads, (cell.inner_text() for cell in line.locator("td").all()), strict=True))
        assert float(cells["Render"]) == pytest.approx(float(row["seconds"]), rel=1e-3)
        assert float(cells["Render, a frame"]) == pytest.approx(float(row["seconds_a_frame"]), rel=1e-3)
        assert float(cells["Host memory"]) == pytest.approx(float(row["host_mib"]), rel=1e-3)
    assert "Device memory" not in heads, "nothing took any"
