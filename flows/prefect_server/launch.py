"""How a server's process is started: its command line, its environment, and the pages that Prefect's shows."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from flows.prefect_server.login import CLIENT, SERVER, login
from flows.prefect_server.place import HOST, environment, folder
from reel.files import write_atomic


def command(store: Path, name: str, port: int) -> list[str]:
    """Command line of a server; MLflow's keeps its data where conf/tracking says by default."""
    if name == "prefect":
        return [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    data = store.absolute() / "mlflow"
    data.mkdir(parents=True, exist_ok=True)
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{data / 'mlflow.db'}"),
        *("--artifacts-destination", str(data / "artifacts")),
    ]


def page_folder(store: Path) -> Path:
    """Where Prefect's server copies the files of its pages to when it starts."""
    return folder(store) / "prefect" / "pages"


_POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; form-action 'self'; base-uri 'self'"
"""A page takes everything from its own server and sends everything there."""


def keep_inside(pages: Path) -> None:
    """Write into Prefect's pages that the browser lets them talk to their own server alone.

    With usage data switched off (PREFECT_SERVER_ANALYTICS_ENABLED) they send none, but the library that would do it
    asks its makers' host for its settings whenever a page is opened.
    """
    tag = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    for page in pages.glob("*/index.html"):
        text = page.read_text("utf-8")
        if tag not in text:
            write_atomic(page, text.replace("<head>", f"<head>{tag}", 1).encode())


def log_path(store: Path, name: str) -> Path:
    return folder(store) / f"{name}.log"


def launch(store: Path, name: str, port: int) -> int:
    """Start a server's process in the background, its log in `log_path`.

    Returns:
        the id of the process.
    """
    space = _space(store, name, port)
    Path(space["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    with log_path(store, name).open("ab") as log:
        process = subprocess.Popen(
            command(store, name, port),
            cwd=folder(store),
            env=space,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return process.pid


def _space(store: Path, name: str, port: int) -> dict[str, str]:
    """The environment of a server's process."""
    space = {**os.environ, **environment(store), "PREFECT_LOGGING_LEVEL": "INFO"}
    space["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # no job runners for models that are not served
    if name == "prefect":
        space["PREFECT_API_URL"] = f"http://{HOST}:{port}/api"
        space["PREFECT_UI_API_URL"] = "/api"  # what its page in the browser talks to, by whatever name it was opened
        page_folder(store).mkdir(parents=True, exist_ok=True)
        space["PREFECT_SERVER_UI_STATIC_DIRECTORY"] = str(page_folder(store))
        space |= {SERVER: login(store), CLIENT: login(store)}
        # Slots that are held outlive a restart of the server; kept in memory alone, they would stay taken for ever.
        space["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"] = "prefect.server.concurrency.lease_storage.filesystem"
    else:
        # Both names, and no other: a page whose own name was made to lead here (DNS rebinding) is sent away, and what a
        # page of another host asks to be changed is not. Pages of other programs on loopback MLflow lets through.
        space["MLFLOW_SERVER_ALLOWED_HOSTS"] = f"{HOST}:{port},localhost:{port}"
        space["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = f"http://{HOST}:{port}"
    return space


def last_lines(store: Path, name: str, count: int = 12) -> str:
    """The end of a server's log; empty where it has written none."""
    with contextlib.suppress(FileNotFoundError):
        return "\n".join(log_path(store, name).read_text("utf-8", "replace").splitlines()[-count:])
    return ""
