"""The gallery in a real browser: found, looked at, marked, compared; on a phone; from disk; and not by other pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.gallery.page import export
from flows.gallery.server import Gallery
from reel.history import marks
from reel.store import Store
from tests.browser import PATIENCE, browser, watched
from tests.flows.galleries import FAILED, RUNNING, SEARCH, TRIAL, fill, served
from tests.flows.test_other_pages import attempts, elsewhere  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("gallery")
    store = Store(folder / "store")
    fill(store, folder)
    return store


@pytest.fixture(scope="module")
def gallery(filled: Store) -> Iterator[Gallery]:
    with served(filled) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser("--host-resolver-rules=MAP elsewhere.example 127.0.0.1") as running:
        yield running


def opened(running: Any, url: str, **options: Any) -> tuple[Any, list[str]]:
    page = running.new_page(**{"viewport": {"width": 1400, "height": 900}, **options})
    page.set_default_timeout(PATIENCE)
    heard = watched(page)
    page.goto(url)
    page.wait_for_selector("html[data-ready]", state="attached")
    return page, heard


@pytest.fixture
def page(chromium: Any, gallery: Gallery) -> Iterator[Any]:
    """The page of the server; it has complained of nothing and asked nobody else when the test is over."""
    view, heard = opened(chromium, gallery.url)
    yield view
    view.close()
    assert [line for line in heard if not line.startswith(f"request: {gallery.url}")] == []


def names(page: Any) -> list[str]:
    return page.eval_on_selector_all(".tile", "tiles => tiles.map(one => one.dataset.run)")


def test_tiles_show_results_sources_and_how_far_a_render_is(page: Any):
    assert len(names(page)) == 11
    assert page.evaluate("window.hacked") is None
    running = page.locator(f"[data-run='{RUNNING}']")
    running.locator(".badge", has_text="denoise 4/16").wait_for()
    assert "left" in running.locator(".badge").inner_text()
    page.locator(f"[data-run='{FAILED}'] .gone", has_text="no room left while writing movie.mp4").wait_for()
    done = page.locator(".tile.done").first
    done.locator("img[src*='result']").wait_for()
    done.hover()
    done.locator("img[src*='source']").wait_for()
    assert done.locator(".badge.source").inner_text() == "source"


def test_trials_of_a_search_are_laid_aside_until_somebody_filters_by_it(page: Any):
    assert TRIAL not in names(page)
    assert "1 trial of a search" in page.locator("#summary").inner_text()
    page.select_option("select[data-key='sweep']", f"search {SEARCH}")
    assert names(page) == [TRIAL]
    assert page.locator("#summary").inner_text().startswith("1 of 12 renders")


def test_words_and_filters_narrow_and_the_order_follows_a_number(page: Any):
    page.fill("#words", "boy lineart")
    page.wait_for_function("document.querySelectorAll('.tile').length === 3")
    assert page.locator("#summary").inner_text().startswith("3 of 11")
    page.fill("#words", "nothing like it")
    page.locator("#nothing").wait_for()
    page.fill("#words", "")
    page.select_option("select[data-key='status']", "failed")
    assert names(page) == [FAILED]
    page.select_option("select[data-key='status']", "")
    page.select_option("#sort", "flicker.mean")
    first = page.evaluate("JSON.parse(document.getElementById('data').textContent).renders")
    best = min(
        (one for one in first if "flicker.mean" in one["metrics"]), key=lambda one: one["metrics"]["flicker.mean"]
    )
    assert names(page)[0] == best["run"]


def test_by_keys_alone_a_render_gets_stars_a_note_and_is_compared(page: Any, filled: Store):
    page.keyboard.press("/")
    page.keyboard.type("boy")
    page.keyboard.press("Enter")
    run = page.evaluate("document.activeElement.dataset.run")
    page.keyboard.press("4")
    page.wait_for_function(
        "run => document.querySelectorAll(`.tile[data-run='${run}'] .stars .on`).length === 4", arg=run
    )
    page.keyboard.press("n")
    page.locator("#detail #note").fill("the arms are right")
    page.keyboard.press("Escape")
    page.locator(f".tile[data-run='{run}']", has_text="note").wait_for()
    page.wait_for_function("async () => (await (await fetch('data.json')).json()).renders.some(one => one.note)")
    assert marks.read(filled, run) == marks.Marks(4, "the arms are right")
    page.locator(f".tile[data-run='{run}']").focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    assert page.locator("#chosen-count").inner_text() == "2 chosen"
    page.keyboard.press("c")
    table = page.locator("#compare table")
    table.wait_for()
    assert "controls.lineart.weight" in table.inner_text() or "controls.pose.weight" in table.inner_text()
    assert run in page.locator("#compare code").inner_text()
    page.keyboard.press("Escape")
    page.click("#clear")
    assert page.locator("#chosen").is_hidden()


def test_the_command_and_the_settings_are_copied(chromium: Any, gallery: Gallery):
    view, _ = opened(chromium, gallery.url, permissions=["clipboard-read", "clipboard-write"])
    view.locator(".tile.done").first.click()
    run = view.locator("#detail").get_attribute("data-run")
    view.click("text=Copy command")
    view.locator("#said", has_text="command copied").wait_for()
    assert view.evaluate("navigator.clipboard.readText()") == f"rotoscope dance --from {run}"
    view.click("text=Copy settings")
    view.locator("#said", has_text="settings copied").wait_for()
    assert "controls:" in view.evaluate("navigator.clipboard.readText()")
    view.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_two_columns_and_nothing_beside_the_screen(chromium: Any, gallery: Gallery, scheme: str):
    view, _ = opened(chromium, gallery.url, viewport={"width": 420, "height": 860}, color_scheme=scheme)
    assert view.evaluate("document.documentElement.scrollWidth") <= 420
    assert (
        view.evaluate("getComputedStyle(document.getElementById('tiles')).gridTemplateColumns.split(' ').length") == 2
    )
    ground = view.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark")
    view.locator(".tile.done").first.click()
    view.locator("#detail").wait_for()
    assert view.evaluate("document.getElementById('detail').scrollWidth") <= 420
    view.close()


def test_pictures_far_from_the_window_are_let_go(chromium: Any, gallery: Gallery):
    view, _ = opened(chromium, gallery.url, viewport={"width": 420, "height": 300})
    view.wait_for_selector(".tile.done img")
    view.evaluate("scrollTo(0, 0)")
    view.wait_for_function("!document.querySelector('.tile:last-child img')")
    view.evaluate("scrollTo(0, 1e6)")
    view.wait_for_selector(".tile:last-child img")
    assert view.locator(".tile:last-child img").count() == 1
    view.close()


def test_from_disk_it_shows_the_same_and_asks_nobody(chromium: Any, filled: Store, tmp_path: Path):
    export(filled, tmp_path / "page")
    view, heard = opened(chromium, (tmp_path / "page" / "index.html").as_uri())
    view.wait_for_selector(".tile.done img")
    assert len(names(view)) == 11
    assert view.locator(".stars button").first.is_disabled()
    assert heard == []
    view.close()


def test_a_page_of_another_origin_changes_nothing(chromium: Any, gallery: Gallery, filled: Store, elsewhere: int):  # noqa: F811
    url, run = gallery.url, FAILED
    before = marks.read(filled, run)
    targets = [("POST", f"{url}marks/{run}", '{"stars": 5, "note": "from elsewhere"}'), ("GET", f"{url}data.json", "")]
    for host in ("elsewhere.example", "127.0.0.1"):
        seen = attempts(chromium, f"http://{host}:{elsewhere}/", targets)
        assert {kind for kind, _, _ in seen} <= {"opaque", "blocked"}, "it reads nothing"
    origin = f"http://elsewhere.example:{gallery.server_port}"
    assert {status for _, status, _ in attempts(chromium, origin, [("GET", f"{origin}/data.json", "")])} == {421}
    assert marks.read(filled, run) == before
