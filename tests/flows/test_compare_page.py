"""The comparison's page in a real browser: a hundred renders, some with prompts that would like to be markup."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_renders import BITS, BLOCK, grid
from flows import cli
from reel.history.record import list_records
from reel.store import Store
from tests.browser import browser, opened

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SIDE, COUNT, SIZE = 10, 12, (64, 96)
HOSTILE = (
    "</script><script>window.hacked=1</script><!-- <script> --><img src=x onerror='window.hacked=1'>{{FILM}} &lt; "
    "\"double\" 'single' `tick` ${x} \\u003c \u2028\u2029 $\\frac{1}{2}$ 👩‍🎤 \u202eright to left\u202c שלום עולם"
)
PROMPTS = ["a girl in a red top", HOSTILE, "ten thousand letters " * 480]

# Reads the frame number that every visible canvas shows from its own pixels, through a scratch canvas.
READ = """([bits, block]) => {
  const scratch = new OffscreenCanvas(bits * block, block).getContext('2d', { willReadFrequently: true });
  return [...document.querySelectorAll('canvas[data-frame]')].filter(canvas => {
    const box = canvas.getBoundingClientRect();
    return box.width && box.bottom > 0 && box.top < innerHeight;
  }).map(canvas => {
    scratch.drawImage(canvas, 0, 0);
    const row = scratch.getImageData(0, block / 2, bits * block, 1).data;
    let number = 0;
    for (let bit = 0; bit < bits; bit++) if (row[4 * (bit * block + block / 2) + 1] > 127) number |= 1 << bit;
    return number;
  });
}"""
GROUND = """canvas => {
  const scratch = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  scratch.drawImage(canvas, 0, 0);
  return [...scratch.getImageData(2, canvas.height - 2, 1, 1).data];
}"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Path:
    """A hundred renders, compared by the real flow."""
    folder = tmp_path_factory.mktemp("hundred")
    store = Store(folder / "store")
    names = [record.run for record in grid(store, SIDE, size=SIZE, count=COUNT, prompts=PROMPTS)]
    asked = [f"runs=[{','.join(names)}]", f"paths.store={store.root}", f"paths.output={folder / 'out'}"]
    assert (
        cli.main(["compare", *asked, "tracking=none", "film=false", "plots=false", "axes=[controls.pose.weight]"]) == 0
    )
    assert list_records(store)[0][-1].flow == "compare"
    return folder / "out" / "compare.html"


@pytest.fixture(scope="module")
def chromium_running() -> Iterator[Any]:
    with browser() as running:
        yield running


@pytest.fixture
def page(chromium_running: Any, page_file: Path) -> Iterator[Any]:
    """The page from disk, its clips paused at the first frame; it must not have complained when the test is over."""
    view, heard = opened(chromium_running, page_file, viewport={"width": 1500, "height": 1000}, reduced_motion="reduce")
    view.wait_for_selector(".cell canvas[data-frame]")  # the film is ready before it is cut to the canvases in view
    yield view
    view.close()
    assert heard == []


def shown(page: Any) -> list[int]:
    """Frame numbers in the pixels of all clips that can be seen."""
    numbers = page.evaluate(READ, [BITS, BLOCK])
    assert len(numbers) > 20
    return numbers


def resting(page: Any, frame: int) -> None:
    page.wait_for_function(
        "frame => document.getElementById('clock').textContent.startsWith(`${frame + 1} /`)"
        " && [...document.querySelectorAll('.cell canvas[data-frame]')].some(c => c.dataset.frame == frame)",
        arg=frame,
    )  # fmt: skip


def test_a_hundred_clips_stand_at_one_frame_after_step_scrub_and_play(page: Any):
    assert page.locator(".cell canvas").count() == SIDE * SIDE
    assert set(shown(page)) == {0}

    page.keyboard.press("ArrowRight")
    resting(page, 1)
    assert set(shown(page)) == {1}
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # before the first comes the last
    resting(page, COUNT - 1)
    assert set(shown(page)) == {COUNT - 1}

    for frame in (5, 9, 2, 7):
        page.locator("#scrub").fill(str(frame))
        resting(page, frame)
        assert set(shown(page)) == {frame}

    page.keyboard.press("Space")
    seen = set()
    for _ in range(12):  # while it plays, too
        page.wait_for_timeout(120)
        now = set(shown(page))
        assert len(now) == 1
        seen |= now
    assert len(seen) > 2
    page.keyboard.press("Space")
    page.wait_for_timeout(500)
    assert len(set(shown(page))) == 1
    assert page.locator("#play").inner_text() == "Play"


def test_the_keyboard_moves_the_choice_makes_a_reference_and_shows_its_keys(page: Any):
    def chosen() -> int:
        return int(page.locator(".cell.chosen").get_attribute("data-point"))

    assert chosen() == 0
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("document.activeElement.dataset.point") == str(chosen())
    right = chosen()
    page.keyboard.press("Shift+ArrowDown")
    assert len({0, right, chosen()}) == 3
    assert page.locator(".cell.reference").get_attribute("data-point") == "0"
    page.keyboard.press("r")
    assert page.locator(".cell.reference").get_attribute("data-point") == str(chosen())
    assert "This is the reference" in page.locator("#detail").inner_text()

    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    assert "play or pause" in page.locator("#keys").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    page.keyboard.press("Enter")
    assert not page.locator("#grid").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#grid").is_visible()


def test_holding_c_shows_the_reference_in_place_of_the_chosen_render(page: Any):
    page.keyboard.press("Shift+ArrowDown")
    cell, reference = (page.locator(f".cell.{which} canvas[data-frame]") for which in ("chosen", "reference"))
    own, other = cell.evaluate(GROUND), reference.evaluate(GROUND)
    assert own != other
    page.keyboard.down("c")
    assert cell.evaluate(GROUND) == other
    page.keyboard.up("c")
    assert cell.evaluate(GROUND) == own


def test_the_grid_follows_its_selects(page: Any):
    page.locator("select[aria-label=Down]").select_option(label="lineart weight")
    page.locator("select[aria-label=Across]").select_option(label="pose weight")
    assert page.locator(".axis-x").count() == SIDE
    assert page.locator(".axis-y").count() == SIDE
    page.locator("select[aria-label=Down]").select_option(label="one row")
    page.locator("select[aria-label='lineart weight']").select_option(label="0.333")
    assert page.locator("#grid .cell").count() == SIDE
    assert f"{SIDE * SIDE - SIDE} of {SIDE * SIDE}" in page.locator("#grid-note").inner_text()
    page.locator("select[aria-label='lineart weight']").select_option(label="all")
    assert page.locator("#grid .cell").count() == SIDE * SIDE


def test_table_sorts_and_what_is_pointed_at_lights_up_everywhere(page: Any):
    rows = page.locator("#table tbody tr")
    assert rows.count() == SIDE * SIDE
    page.locator("#table th button", has_text="flicker").click()
    column = page.locator("#table th", has_text="flicker")
    index = column.evaluate("node => [...node.parentNode.children].indexOf(node)")
    values = [float(text) for text in page.locator(f"#table tbody td:nth-child({index + 1})").all_inner_texts()]
    assert values == sorted(values)
    assert column.get_attribute("aria-sort") == "ascending"
    page.locator("#table th button", has_text="flicker").click()
    assert column.get_attribute("aria-sort") == "descending"
    rows.nth(3).hover()
    point = page.locator(".cell.hover").get_attribute("data-point")
    assert page.locator("#trade circle.hover").get_attribute("data-point") == point
    assert page.locator("#parallel .line.hover").count() == 1
    page.locator("#trade circle").nth(57).dispatch_event("click")
    assert page.locator(".cell.chosen").get_attribute("data-point") == "57"


def test_a_range_on_a_parallel_axis_dims_the_others(page: Any):
    handle = page.locator("#parallel .handle[data-key='controls.pose.weight']")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, top = box["x"] + box["width"] / 2, box["y"]
    page.mouse.move(x, top + 2)
    page.mouse.down()
    page.mouse.move(x, top + box["height"] * 0.3)
    page.mouse.up()
    dim = page.locator(".cell.dim").count()
    assert 0 < dim < SIDE * SIDE
    assert page.locator("#table tr.dim").count() == dim
    page.locator("#clear").click()
    assert page.locator(".cell.dim").count() == 0


def test_hostile_prompts_are_only_ever_text(page: Any):
    assert page.evaluate("window.hacked") is None
    index = next(i for i in range(SIDE * SIDE) if prompt_of(page, i) == HOSTILE)
    assert index > 0
    assert page.locator("img").count() == 0
    long = next(i for i in range(SIDE * SIDE) if len(prompt_of(page, i)) > 10_000)
    assert page.locator("#detail").evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    assert page.locator("#detail .clamp").last.bounding_box()["height"] < 250
    assert long != index


def prompt_of(page: Any, index: int) -> str:
    page.evaluate("i => document.querySelector(`.cell[data-point='${i}']`).click()", index)
    return page.locator("#detail [aria-label=Prompt]").text_content()


def test_nothing_secret_is_in_the_page(page_file: Path):
    text = page_file.read_text("utf-8")
    assert "secret" not in text
    assert "sqlite" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(chromium_running: Any, page_file: Path, scheme: str):
    view, heard = opened(chromium_running, page_file, color_scheme=scheme, reduced_motion="reduce")
    ground = "getComputedStyle(document.body).backgroundColor"
    first = view.evaluate(ground)
    bright = sum(int(part) for part in first.removeprefix("rgb(").rstrip(")").split(",")) > 380
    assert bright == (scheme == "light")
    view.keyboard.press("t")  # light
    light = view.evaluate(ground)
    view.keyboard.press("t")  # dark
    assert view.evaluate(ground) != light
    assert first in (light, view.evaluate(ground))
    view.close()
    assert heard == []


def test_a_narrow_window_still_shows_everything(chromium_running: Any, page_file: Path):
    view, heard = opened(chromium_running, page_file, viewport={"width": 420, "height": 800}, reduced_motion="reduce")
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    for name in ("#grid", "#detail", "#trade", "#table", "#play"):
        assert view.locator(name).is_visible(), name
    across, up = (one.bounding_box() for one in view.locator("#trade text.name").all())
    assert up["y"] + up["height"] <= across["y"], "the names of both axes, which are as long as the metrics' are"
    view.close()
    assert heard == []


@pytest.mark.parametrize("width", [1400, 420])
def test_the_chosen_clip_is_the_largest_and_nothing_overlaps(chromium_running: Any, page_file: Path, width: int):
    size = {"width": width, "height": 900}
    view, heard = opened(chromium_running, page_file, viewport=size, reduced_motion="reduce")
    chosen = view.locator("#detail .stage canvas").first.bounding_box()
    cells = [one.bounding_box()["width"] for one in view.locator(".cell canvas").all()[:3]]
    assert chosen["width"] >= max(cells)
    boxes = [one.bounding_box() for one in view.locator(".transport > *").all()]
    boxes.sort(key=lambda box: box["x"])
    assert all(left["x"] + left["width"] <= right["x"] + 1 for left, right in itertools.pairwise(boxes))
    assert boxes[-1]["x"] + boxes[-1]["width"] <= width
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    view.close()
    assert heard == []
