"""A Prefect server that goes away: what a run has done counts, and what the server knows of it can wait.

Left to itself Prefect asks a server that is gone for minutes, for each of its steps again, and calls a run failed whose
work is done. So we look whether the server takes what it is told before a run begins and when its work has ended: one
whose database is locked answers, too.
"""

from __future__ import annotations

import base64
import json
import logging
import time
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flows.prefect_server import services
from reel import interrupt

if TYPE_CHECKING:
    import urllib.request  # with all of ssl: what is all cached asks nobody

log = logging.getLogger(__name__)
Result = TypeVar("Result")

UNSEEN = "this run is not shown there"

PATIENCE = 3.0
"""Seconds in which a server may come back before it counts as gone."""

AWAY = 600.0
"""Seconds that a flow run of `serve` waits for the server, which `serve` starts again."""

WRITING = 10.0
"""Seconds that a server may take to answer a request or to write something down; one that takes longer counts as gone.
"""

RETRIES = 2
"""How often one of Prefect's own requests is tried again, after 2 and 4 s."""


class Ending(Generic[Result]):
    """How the work of a run ended, kept apart from what Prefect makes of it."""

    def __init__(self, work: Callable[[], Result], url: str, flow: str) -> None:
        self._work = work
        self._url = url
        self._flow = flow
        self._result: list[Result] = []
        self.begun = False
        self.error: BaseException | None = None

    def run(self) -> Result:
        """Do the work, as the body of a Prefect flow.

        Raises:
            Abort: the server is gone: Prefect ends the run here, without asking it for anything more.
        """
        from prefect.exceptions import Abort

        self.begun = True
        try:
            self._result.append(self._work())
        except BaseException as error:
            self.error = error
        if not takes(self._url, self._flow, PATIENCE):
            raise Abort("the server is gone")
        if self.error is not None:
            raise self.error
        return self._result[0]

    def alone(self, why: str) -> Result:
        """Do the work without the server, and say so."""
        from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED, temporary_settings

        tell(self._url, why, UNSEEN)
        # Without an address each stage would start a server of its own, and the first one would ask it for its version.
        known: dict[Any, Any] = {PREFECT_API_URL: self._url, PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}
        try:
            with temporary_settings(known):
                return self._work()
        finally:
            services.let_go()

    def instead_of(self, trouble: BaseException) -> Result:
        """What the work came to, where what Prefect raised at its end is not from the work."""
        from prefect.exceptions import Abort

        if trouble is self.error or not isinstance(trouble, (Exception, Abort)):
            raise trouble
        services.let_go()
        interrupt.check()
        why = (
            "does not answer any more"
            if isinstance(trouble, Abort)
            else f"failed at the end ({type(trouble).__name__})"
        )
        tell(self._url, why, "this run stays unfinished there, and is whole here")
        if self.error is not None:
            raise self.error
        return self._result[0]


def answers(url: str, patience: float = 0.0) -> bool:
    """Whether an API answers, whatever it says.

    Args:
        patience: seconds in which it may come back.
    """
    import urllib.request

    return _asked(urllib.request.Request(f"{url}/health"), patience, 5.0, worst=599)


def takes(url: str, flow: str, patience: float = 0.0) -> bool:
    """Whether an API writes down what it is told: it is given a flow's name, which it has or is about to have.

    One that wants another log-in than we have has answered as well.
    """
    import urllib.request

    from prefect.settings import get_current_settings

    login = get_current_settings().api.auth_string
    headers = {"Content-Type": "application/json"}
    if login is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(login.get_secret_value().encode()).decode()}"
    told = urllib.request.Request(f"{url}/flows/", json.dumps({"name": flow}).encode(), headers)
    return _asked(told, patience, WRITING, worst=499)


def _asked(request: urllib.request.Request, patience: float, timeout: float, *, worst: int) -> bool:
    """Whether there is an answer whose status is no worse."""
    import urllib.error
    import urllib.request

    url = request.full_url
    local = urllib.parse.urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")  # these go through no proxy
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    end = time.monotonic() + patience
    while True:
        try:
            with opener.open(request, timeout=timeout):
                return True
        except urllib.error.HTTPError as error:
            with error:
                if error.code <= worst:
                    return True
        except (OSError, ValueError):
            pass
        if time.monotonic() >= end:
            return False
        time.sleep(0.25)


def caused(error: BaseException) -> bool:
    """Whether the server's absence is what an error, or one that it comes from, tells of.

    Its answers with a status of 500 and more are such: so it answers while it ends, and while its database is locked.
    """
    import httpx
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (httpx.TransportError, ConcurrencySlotAcquisitionError)):
            return True
        if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code >= 500:
            return True
        cause = cause.__cause__
    return False


def tell(url: str, why: str, so: str) -> None:
    """Warn of a server, once a process."""
    if url not in _TOLD:
        _TOLD.add(url)
        log.warning("the Prefect server at %s %s: %s", url.removesuffix("/api"), why, so)


_TOLD: set[str] = set()


__all__ = ["AWAY", "PATIENCE", "RETRIES", "WRITING", "Ending", "answers", "caused", "takes", "tell"]
