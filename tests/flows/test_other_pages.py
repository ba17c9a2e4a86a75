"""What a page of another origin can do to the servers on loopback, in a real browser: nothing."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.prefect_server import servers
from flows.prefect_server.login import login
from tests.browser import PATIENCE, browser
from tests.servers import free_port

pytestmark = pytest.mark.slow

ATTEMPTS = """async (targets) => {
    const seen = [];
    const note = async (url, options) => {
        try {
            const answer = await fetch(url, options);
            seen.push([answer.type, answer.status, answer.type == 'opaque' ? '' : await answer.text()]);
        } catch (error) { seen.push(['blocked', 0, '']); }
    };
    for (const [method, url, body] of targets) {
        const sent = method == 'GET' ? {} : {body};
        await note(url, {method, mode: 'cors', headers: {'Content-Type': 'application/json'}, ...sent});
        await note(url, {method, mode: 'cors', credentials: 'include', ...sent});
        if (method == 'PATCH' || method == 'DELETE') continue;
        await note(url, {method, mode: 'no-cors', credentials: 'include', ...sent});
        if (method == 'GET') continue;
        await note(url, {method, mode: 'no-cors', body: new Blob([body])});  // without a content type
        const form = document.createElement('form');
        Object.assign(form, {method, action: url, enctype: 'text/plain', target: 'frame'});
        const [head, tail] = [body.slice(0, -1) + ', "x', '": 1}'];
        form.append(Object.assign(document.createElement('input'), {name: head, value: tail}));
        document.body.append(form);
        const done = new Promise((resolve) => document.querySelector('iframe').onload = resolve);
        form.submit();
        await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 3000))]);
    }
    return seen;
}"""
"""All ways in which a page may send a request without being asked, and what it gets to read."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """Port of a web server of somebody else's, on which one page lies."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><body><iframe name=frame></iframe>")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((servers.HOST, 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser("--host-resolver-rules=MAP elsewhere.example 127.0.0.1") as running:
        yield running


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer to a program, which no browser keeps from anything."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def attempts(chromium: Any, address: str, targets: list[tuple[str, str, str]]) -> list[Any]:
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    with contextlib.closing(page):
        page.goto(address)
        return page.evaluate(ATTEMPTS, targets)


@pytest.fixture(scope="module")
def prefect(prefect_server: Path) -> servers.Server:
    server = servers.running(prefect_server, "prefect")
    assert server
    return server


def authorization(home: Path) -> str:
    return f"Basic {base64.b64encode(login(home).encode()).decode()}"


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1"])
def test_a_page_of_another_origin_changes_nothing_on_prefects_server(
    prefect, prefect_server, elsewhere, chromium, host
):
    api, given = prefect.api, authorization(prefect_server)
    found = [
        *[("POST", f"{api}/flows/", '{"name": "from elsewhere"}'), ("GET", f"{api}/admin/settings", "")],
        *[("POST", f"{api}/deployments/filter", "{}"), ("POST", f"{api}/variables/", '{"name": "x", "value": "y"}')],
        ("GET", f"{api}/health", ""),
    ]
    seen = attempts(chromium, f"http://{host}:{elsewhere}/", found)
    assert len(seen) >= 14
    assert {kind for kind, _, _ in seen} <= {"opaque", "blocked"}, "it reads nothing"
    name = {"flows": {"name": {"any_": ["from elsewhere"]}}}
    assert ask(f"{api}/flows/filter", name, Authorization=given) == (200, [])
    assert ask(f"{api}/variables/filter", {"variables": {"name": {"any_": ["x"]}}}, Authorization=given) == (200, [])


def test_prefects_server_sends_a_stranger_away(prefect, prefect_server):
    for path in ("flows/filter", "deployments/filter", "admin/settings", "admin/version"):
        body = {} if "filter" in path else None
        assert ask(f"{prefect.api}/{path}", body)[0] == 401
        assert ask(f"{prefect.api}/{path}", body, Authorization="Basic cm90b3Njb3BlOng=")[0] == 401
        assert ask(f"{prefect.api}/{path}", body, Authorization=authorization(prefect_server))[0] == 200
    assert servers.guarded(prefect)


def test_its_own_page_works_after_the_log_in_by_either_name(prefect, prefect_server, chromium):
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    with contextlib.closing(page):
        for host in (servers.HOST, "localhost"):
            page.goto(f"http://{host}:{prefect.port}")
            field = page.wait_for_selector("input[type=password]")
            own = f"http://{host}:{prefect.port}/api/"
            field.fill(login(prefect_server))
            with page.expect_response(lambda one, own=own: one.url.startswith(own) and "/filter" in one.url) as asked:
                field.press("Enter")
            assert asked.value.status == 200
            page.wait_for_function("() => !/login|unauth/.test(location.pathname)")
            page.wait_for_selector("text=Deployments")


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Path) -> Iterator[servers.Server]:
    store = tmp_path_factory.mktemp("mlflow")
    (store / "mlflow").mkdir()
    shutil.copy(mlflow_tables, store / "mlflow" / "mlflow.db")
    server, _ = servers.up(store, "mlflow", free_port())
    yield server
    servers.down(store, "mlflow")


def test_a_page_of_another_host_changes_nothing_on_mlflows_server(mlflow, elsewhere, chromium):
    api = f"{mlflow.url}/api/2.0/mlflow"
    before = ask(f"{api}/experiments/search", {"max_results": 100})
    assert before[0] == 200
    found = [
        ("POST", f"{api}/experiments/create", '{"name": "from elsewhere"}'),
        ("POST", f"{api.replace('/api/', '/ajax-api/')}/experiments/create", '{"name": "from elsewhere, too"}'),
        ("POST", f"{api}/experiments/delete", '{"experiment_id": "0"}'),
        ("GET", f"{api}/experiments/search?max_results=10", ""),
    ]
    seen = attempts(chromium, f"http://elsewhere.example:{elsewhere}/", found)
    assert {kind for kind, _, _ in seen} <= {"opaque", "blocked"}
    assert ask(f"{api}/experiments/search", {"max_results": 100}) == before


def test_a_name_that_was_made_to_lead_here_is_no_name_of_ours(prefect, mlflow, chromium):
    """DNS rebinding: to the browser the server is then that page's own origin."""
    for server, path, expected in (
        (mlflow, "api/2.0/mlflow/experiments/search?max_results=1", 403),
        (prefect, "api/admin/settings", 401),
    ):
        origin = f"http://elsewhere.example:{server.port}"
        seen = attempts(chromium, f"{origin}/health", [("GET", f"{origin}/{path}", "")])
        assert {status for _, status, _ in seen} == {expected}
