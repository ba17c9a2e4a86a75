"""The two servers, both on loopback and both optional: Prefect's (flow runs) and MLflow's (comparison).

Everything they write lies in ``<store>/servers``: Prefect's database and home, process ids and logs. A run finds the
Prefect server when it is up; without it Prefect starts one of its own for the run, which takes 10-16 s.

Either Prefect server asks for a log-in (`login`) and answers no page but its own; MLflow's answers to loopback's names
alone, and takes changes from no page of another host.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.edge.exits import debugging
from flows.prefect_server.launch import keep_inside, last_lines, launch, log_path, page_folder
from flows.prefect_server.login import CLIENT, SERVER, login
from flows.prefect_server.place import HOST, environment, folder
from reel.errors import UserError
from reel.files import flocked, make_folder, read_regular, write_atomic

NAMES = ("prefect", "mlflow")
PORTS = {"prefect": 4200, "mlflow": 5000}
_HEALTH = {"prefect": "/api/health", "mlflow": "/health"}
START_TIMEOUT = 300.0  # seconds; the first start makes the databases, on a busy machine slowly


@dataclass(frozen=True)
class Server:
    """A server that was started by `up`.

    Attributes:
        started: start time of its process as the kernel counts it, so that a reused id is not taken for it.
    """

    name: str
    pid: int
    port: int
    started: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        """Address of Prefect's API."""
        return f"{self.url}/api"

    def is_at(self, url: str) -> bool:
        """Whether an address is that of this server's API, by either name of loopback."""
        return url.rstrip("/") in (self.api, self.api.replace(HOST, "localhost"))


def prepare(store: Path) -> str | None:
    """Set the environment for a run, and point it at the Prefect server if that is up. What you set yourself stays.

    Returns:
        the address of Prefect's API, or None when the run will start its own server.
    """
    prepare_unseen(store)
    return look()


def prepare_unseen(store: Path) -> None:
    """As `prepare`, but the server is looked for when Prefect is needed (`look`): what is all cached needs none."""
    if debugging():
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    for name, value in environment(store).items():
        os.environ.setdefault(name, value)
    make_folder(store, "paths.store")
    with contextlib.suppress(OSError):  # on a read-only store, where what is all there needs no Prefect
        Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    _UNSEEN[:] = [store]


_UNSEEN: list[Path] = []
"""The store whose server was not looked for yet."""


def look() -> str | None:
    """Point this process at the Prefect server of the store that was prepared, if it is up; before Prefect's import.

    Returns:
        as `prepare`.
    """
    if _UNSEEN:
        store = _UNSEEN[0]
        server = running(store, "prefect")
        if "PREFECT_API_URL" not in os.environ and server and healthy(server):
            os.environ["PREFECT_API_URL"] = server.api
        os.environ.update(access(store, os.environ.get("PREFECT_API_URL"), server))
    _UNSEEN.clear()
    return os.environ.get("PREFECT_API_URL")


def access(store: Path, url: str | None, server: Server | None) -> dict[str, str]:
    """Environment variables by which Prefect logs in to the project's own server; none for any other.

    Args:
        url: of the API that is used; None: of a temporary server, which is still to be started and asks for the same.
        server: the one that `up` started, if it is up.
    """
    if url is None:
        return {SERVER: login(store), CLIENT: login(store)}
    return {CLIENT: login(store)} if server and server.is_at(url) else {}


def running(store: Path, name: str) -> Server | None:
    """The server of that name if `up` started it and its process still lives."""
    try:
        server = Server(**json.loads(read_regular(folder(store) / f"{name}.json")))
    except (OSError, ValueError, TypeError):
        return None
    return server if _started(server.pid) == server.started else None


def healthy(server: Server, timeout: float = 5.0) -> bool:
    """Whether it answers (seconds to wait: on a machine that renders, seconds pass)."""
    try:
        return _status(f"{server.url}{_HEALTH[server.name]}", timeout) == 200
    except (OSError, ValueError):
        return False


def guarded(server: Server) -> bool:
    """Whether a Prefect server sends away whoever does not log in. One that an older version started does not."""
    try:
        return _status(f"{server.api}/admin/version", timeout=10.0) == 401
    except (OSError, ValueError):
        return True  # it answers nobody at all


def _status(url: str, timeout: float) -> int:
    """HTTP status of an address.

    Raises:
        OSError, ValueError: there is no answer.
    """
    import urllib.error
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    try:
        with opener.open(url, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def up(store: Path, name: str, port: int | None = None) -> tuple[Server, bool]:
    """Start a server in the background and wait until it answers.

    Args:
        port: None takes the one it runs on, or else its usual one.

    Returns:
        the server, and whether it was started now.

    Raises:
        UserError: the port is taken, it did not come up (the message ends with the last lines of its log), or it was
            started by a version whose server asks for no log-in.
    """
    with flocked(folder(store) / f"{name}.lock"):
        known = running(store, name)
        if known:
            if port not in (None, known.port):
                raise UserError(
                    f"{name} is up already, on port {known.port}", fix="`rotoscope down` first, then `up` with the port"
                )
            server = _await(store, known)
            if name == "prefect" and not guarded(server):
                raise UserError(
                    f"the Prefect server on {server.url} lets anybody in: an older version started it",
                    fix="rotoscope down; rotoscope up",
                )
            return server, False
        port = port or PORTS[name]
        if not _free(port):
            raise UserError(
                f"{name}: port {port} is in use by another program",
                fix=f"choose another: rotoscope up --{name}-port {port + 1}",
            )
        with _tables(store, name):
            started = _await(store, _started_now(store, name, port))
        if name == "prefect":
            keep_inside(page_folder(store))
        return started, True


def _tables(store: Path, name: str) -> contextlib.AbstractContextManager[Any]:
    """Held while a server makes its tables: MLflow's fails where a render's logging process is just making the same."""
    if name != "mlflow":
        return contextlib.nullcontext()
    (store / "locks").mkdir(parents=True, exist_ok=True)
    return flocked(store / "locks" / "mlflow.lock")  # the one of `tasks.tracking.client.connect`


def down(store: Path, name: str) -> bool:
    """Stop a server with all its worker processes; True if it was up."""
    with flocked(folder(store) / f"{name}.lock"):
        server = running(store, name)
        (folder(store) / f"{name}.json").unlink(missing_ok=True)
        if server is None:
            return False
        for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, number)
            if _gone(server, patience):
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # workers that outlived their leader
        return True


def _started_now(store: Path, name: str, port: int) -> Server:
    """Start a server, and note for later processes which it is."""
    pid = launch(store, name, port)
    server = Server(name, pid, port, _started(pid) or "")
    write_atomic(folder(store) / f"{name}.json", json.dumps(asdict(server)).encode())
    return server


def _await(store: Path, server: Server) -> Server:
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        if healthy(server):
            return server
        if _started(server.pid) != server.started:
            break
        time.sleep(0.25)
    told = last_lines(store, server.name)
    down_quietly(store, server)
    raise UserError(
        f"{server.name} did not start on {server.url}; the end of its log:\n{told}",
        fix=f"the whole log: {log_path(store, server.name)}",
    )


def down_quietly(store: Path, server: Server) -> None:
    (folder(store) / f"{server.name}.json").unlink(missing_ok=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)


def _started(pid: int) -> str | None:
    """Start time of a living process; None for one that is gone or a zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def _gone(server: Server, patience: float) -> bool:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(server.pid, os.WNOHANG)
        if _started(server.pid) != server.started:
            return True
        time.sleep(0.1)
    return False


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
