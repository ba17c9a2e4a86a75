"""The servers' pages in a real browser: what they ask of other hosts, and the table of renders that `up` links to."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.prefect_server import pages, servers
from flows.prefect_server.login import login
from reel.history.recorder import begin
from reel.store import Store
from tasks.tracking.links import new_link, read_link, save_link
from tasks.tracking.record import log_record
from tasks.tracking.settings import Tracking
from tests.browser import PATIENCE, browser
from tests.servers import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Both servers of a store in which a render is logged, and a browser."""
    store = Store(tmp_path_factory.mktemp("pages") / "store")
    tracking = Tracking(uri=pages.database(store.root), artifacts=store.root / "mlflow" / "artifacts")
    config = {"clip": "boxer.mp4", "prompt": "a girl in red", "controls": {"pose": {"weight": 1.0}}}
    recorder = begin(store, "dance", config, result=config)
    save_link(store, new_link(tracking, recorder.run))
    recorder.metric(**{"flicker.mean": 2.0})
    recorder.finish("done")
    log_record(store, recorder.run)
    running = {name: servers.up(store.root, name, free_port())[0] for name in servers.NAMES}
    try:
        with browser() as chromium:
            yield SimpleNamespace(store=store, run=recorder.run, chromium=chromium, **running)
    finally:
        for name in running:
            servers.down(store.root, name)


def visited(up: Any, server: servers.Server, addresses: list[str], look_for: str) -> tuple[Any, list[str]]:
    """The page at the last of the addresses, and all that was asked of hosts elsewhere."""
    page = up.chromium.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(PATIENCE)
    key = base64.b64encode(login(up.store.root).encode()).decode()
    page.add_init_script(f"localStorage.setItem('prefect-password', {json.dumps(key)})")
    asked: list[str] = []
    page.on("requestfinished", lambda one: asked.append(one.url))
    page.on("requestfailed", lambda one: asked.append(one.url) if "csp" not in (one.failure or "") else None)
    for address in addresses:
        page.goto(address, wait_until="commit")
        page.get_by_text(look_for).first.wait_for()
        page.wait_for_timeout(2000)
    return page, [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]


def test_prefects_pages_ask_nothing_of_hosts_elsewhere(up: Any):
    addresses = [f"{up.prefect.url}{path}" for path in ("/v2/dashboard", "/dashboard", "/v2/flows")]
    page, elsewhere = visited(up, up.prefect, addresses, "Flows")
    assert elsewhere == []
    page.close()


def test_up_links_to_a_table_that_tells_renders_apart(up: Any):
    address = pages.renders_page(up.mlflow, "rotoscope")
    assert address is not None
    page, elsewhere = visited(up, up.mlflow, [address], "boxer · pose 1.0")
    assert elsewhere == []
    heads = " ".join(page.locator(".ag-header").all_inner_texts())
    assert all(word in heads for word in ("clip", "prompt", "controls.pose", "flicker.mean"))
    link = read_link(up.store, up.run)
    assert link is not None
    page.goto(pages.shown_at(up.store.root, link), wait_until="commit")
    page.get_by_text("Again, with what you change").wait_for()
    page.close()
    assert pages.renders_page(up.mlflow, "nothing yet") is None


def test_a_server_makes_its_tables_while_no_render_makes_them(store: Store, monkeypatch: pytest.MonkeyPatch):
    free: list[bool] = []

    def started(*_: Any) -> servers.Server:
        with store.lock("mlflow", wait=False) as got:
            free.append(got)
        return servers.Server("mlflow", 0, 1, "")

    monkeypatch.setattr(servers, "_started_now", started)
    monkeypatch.setattr(servers, "_await", lambda store, server: server)
    servers.up(store.root, "mlflow", free_port())
    assert free == [False]


def test_a_server_that_is_down_is_no_link(store: Store, tmp_path: Path):
    link = new_link(Tracking(uri=pages.database(store.root), artifacts=tmp_path), begin(store, "dance", {}).run)
    assert pages.shown_at(store.root, link).startswith("sqlite:")
