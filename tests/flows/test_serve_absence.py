"""A run of `serve` that the Prefect server's absence ends is begun again; one that fails by itself is not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.serve import served


class Answering(http.server.BaseHTTPRequestHandler):
    """A server that is back: whatever it says, it answers."""

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as back:
        thread = threading.Thread(target=back.serve_forever, args=(0.05,))
        thread.start()
        try:
            with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{back.server_port}/api"}):
                yield
        finally:
            back.shutdown()
            thread.join()


def of_the_slot(cause: Exception) -> Exception:
    """What Prefect makes of all that happens while a run waits for its slot."""
    error = ConcurrencySlotAcquisitionError("Unable to acquire concurrency slots on ['gpu']")
    error.__cause__ = cause
    return error


def status(code: int) -> Exception:
    return httpx.HTTPStatusError("", request=httpx.Request("GET", "http://a"), response=httpx.Response(code))


@pytest.mark.parametrize("kind", ["cannot connect", "cut off", "database is locked", "slot", "slot, cut off"])
def test_a_run_that_the_servers_absence_ends_is_begun_again(kind, monkeypatch):
    """Prefect waits for a server that it has reached before; a client that is new when it is away gives up at once."""
    errors = {
        "cannot connect": httpx.ConnectError("All connection attempts failed"),
        "cut off": httpx.ReadError("the connection was reset"),
        "database is locked": status(503),
        "slot": of_the_slot(ValueError("closed")),
        "slot, cut off": of_the_slot(httpx.RemoteProtocolError("no response")),
    }
    monkeypatch.setattr(served, "PAUSE", 0.0)
    tries = []

    def work(times: int) -> int:
        tries.append(times)
        if len(tries) < times:
            raise errors[kind]
        return len(tries)

    assert served._in_spite_of_the_server(lambda: work(3)) == 3
    tries.clear()
    with pytest.raises(type(errors[kind])):
        served._in_spite_of_the_server(lambda: work(99))
    assert len(tries) == served.AGAIN + 1


@pytest.mark.parametrize("error", [ValueError("of the work itself"), status(422), KeyboardInterrupt()], ids=repr)
def test_a_run_that_fails_by_itself_is_not_begun_again(error):
    tries = []

    def work() -> None:
        tries.append(1)
        raise error

    with pytest.raises(type(error)):
        served._in_spite_of_the_server(work)
    assert tries == [1]
