"""Runs of Prefect flows that a command starts: on the server at hand, or on a temporary one of this process."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from flows.prefect_server import lost, servers
from flows.prefect_server.stale import close_stale
from reel import interrupt
from reel.store import Store

Result = TypeVar("Result")


def as_flow(work: Callable[[], Result], name: str, run_name: str, store: Store | None = None) -> Result:
    """Do something as a run of a Prefect flow, on the server at hand or a temporary one.

    The work counts, whatever becomes of the server: where it goes away meanwhile, or does not take the run at all, that
    is a warning. A flow run of `serve` waits for the server instead, which `serve` starts again.

    No heartbeats are sent unless ``PREFECT_FLOWS_HEARTBEAT_FREQUENCY`` asks for them: their thread is waited for at the
    end of each run, up to a second, and a killed render is told from its record. The flow that `serve` calls has them.

    Args:
        store: has the records of earlier runs, which the server is told the end of.
    """
    servers.look()
    import_prefect()
    from prefect import flow
    from prefect.context import FlowRunContext

    url = start_temporary()
    settings = {"name": name, "flow_run_name": run_name, "persist_result": False, "validate_parameters": False}
    with _as_we_run_flows():
        if FlowRunContext.get() is not None:
            lost.answers(url, lost.AWAY)
            return _uninterrupted(flow(work, **settings))
        ending = lost.Ending(work, url, name)
        if not lost.takes(url, name):
            return ending.alone("does not answer")
        _share_client()
        if store is not None:
            close_stale(store)
        try:
            return _uninterrupted(flow(ending.run, **settings))
        except BaseException as trouble:
            if ending.begun:
                return ending.instead_of(trouble)
            if not isinstance(trouble, Exception):
                raise
            return ending.alone(f"does not take it ({type(trouble).__name__})")


def _uninterrupted(run: Callable[[], Result]) -> Result:
    """What a flow gives. An interruption between two of Prefect's steps comes back as an error of its own.

    Raises:
        KeyboardInterrupt: there was one.
    """
    try:
        return run()
    except Exception:
        interrupt.check()
        raise


def share(store: Path) -> str:
    """One Prefect server for this process and those it starts: the one at hand, else a temporary one.

    Returns:
        the address of its API.
    """
    os.environ["PREFECT_API_URL"] = servers.prepare(store) or start_temporary()
    return os.environ["PREFECT_API_URL"]


@contextlib.contextmanager
def one_client() -> Iterator[None]:
    """Runs of flows inside share one client of Prefect's API; making one takes as long as ten of its requests."""
    with contextlib.ExitStack() as held:
        token = _held.set(held)
        try:
            yield
        finally:
            _held.reset(token)


_held: contextvars.ContextVar[contextlib.ExitStack | None] = contextvars.ContextVar("held", default=None)
"""Closes the client of `one_client`, which the first run makes."""


def _share_client() -> None:
    from prefect.context import SyncClientContext

    held = _held.get()
    if held is not None and SyncClientContext.get() is None:
        held.enter_context(SyncClientContext())


def _as_we_run_flows() -> contextlib.AbstractContextManager[object]:
    """Prefect's settings without heartbeats and with less patience, where the environment does not say otherwise. They
    are made once: `temporary_settings` takes a tenth of a second.
    """
    from prefect.context import SettingsContext, get_settings_context
    from prefect.settings import (
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    )

    ours: dict[Any, Any] = {
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_CLIENT_MAX_RETRIES: lost.RETRIES,
        PREFECT_API_REQUEST_TIMEOUT: lost.WRITING,
    }
    ours = {setting: value for setting, value in ours.items() if setting.name not in os.environ}
    context = get_settings_context()
    if not _OURS or _OURS[0] is not context.settings or _OURS[1] != ours:
        _OURS[:] = [context.settings, ours, context.settings.copy_with_update(updates=ours)]
    return SettingsContext(profile=context.profile, settings=_OURS[2])


_OURS: list[Any] = []
"""Prefect's settings, what we change of them, and the changed ones."""


def import_prefect() -> None:
    """Import what a first run of a flow needs, out of the garbage collector's sight.

    It would look through all that these thousand modules make many times meanwhile, and once more at every full
    collection of a long render, for a tenth of a short one's time. None of it is ever garbage.
    """
    if "prefect.flow_engine" in sys.modules:
        return
    gc.disable()
    try:
        for name in ("prefect.flow_engine", "prefect.task_engine"):
            importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def start_temporary() -> str:
    """Start Prefect's own server for this process, where no other is at hand, so that Ctrl-C does not reach it.

    Left to itself Prefect starts it as a plain child. A terminal sends Ctrl-C to children, too: the server would be
    gone before the interrupted run is told to it, and the run would end after a minute with "connection refused".
    What the server complains of, such as queries that its own end cuts off, goes to a file beside its database.

    Returns:
        the address of the API; where the server could not be started, which is told, nothing answers there.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME

    if PREFECT_API_URL.value():
        return str(PREFECT_API_URL.value())
    if _FAILED:  # not each point of a sweep shall wait for it
        return _FAILED[0]
    from prefect.server.api.server import SubprocessASGIServer

    errors = Path(PREFECT_HOME.value()) / "temporary-server.log"
    print("  server   Prefect's starts for this run, some seconds; rotoscope up keeps one running", file=sys.stderr)

    class Logged(SubprocessASGIServer):
        def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
            with _stderr_in(errors):
                return super()._run_uvicorn_command()

    server = Logged()

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread; its children inherit it
        try:
            server.start()
            if server.server_process:
                _end_with_us(server.server_process.pid)
        except Exception as error:
            server.stop()  # or it would begin beside the render
            _FAILED.append(str(server.api_url))
            why = next(iter(str(error).splitlines()), type(error).__name__)
            lost.tell(_FAILED[0], f"could not be started ({why} Its log: {errors})", lost.UNSEEN)

    thread = threading.Thread(target=start, daemon=True)  # the main thread stays free to be interrupted
    thread.start()
    thread.join()
    return str(server.api_url)


_FAILED: list[str] = []
"""The address of a temporary server that could not be started in this process."""


@contextlib.contextmanager
def _stderr_in(path: Path) -> Iterator[None]:
    """The error output of this process, and of those that it starts meanwhile, at the end of a file."""
    own = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def _end_with_us(pid: int) -> None:
    """Have a process ended when this one is gone, also by ``kill -9``: a shell waits for the end of a pipe we hold."""
    watch = ["sh", "-c", 'cat > /dev/null; kill "$0" 2> /dev/null', str(pid)]
    _WATCHES.append(subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True))


_WATCHES: list[subprocess.Popen[bytes]] = []
"""Kept so that their pipes stay open as long as this process lives."""
