"""One Prefect server for all workers of a run, and databases whose tables are made once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.prefect_server import servers
from reel.files import flocked


def common(factory: pytest.TempPathFactory) -> Path:
    """The folder that the workers of a run share; without workers, the run's own."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((servers.HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def shared(home: Path) -> Iterator[None]:
    """The Prefect server in ``home``, for this process and those it starts.

    Whoever is first starts it, and the last one to leave stops it: each holds a shared lock meanwhile, which the kernel
    takes from a worker that dies.
    """
    home.mkdir(exist_ok=True)
    with (home / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with flocked(home / "start"):
            port = None if servers.running(home, "prefect") else free_port()
            server, _ = servers.up(home, "prefect", port)
        given = {"PREFECT_API_URL": server.api, **servers.access(home, server.api, server)}
        os.environ |= {**servers.environment(home), **given}
        try:
            yield
        finally:
            for name in given:
                os.environ.pop(name, None)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                servers.down(home, "prefect")


def prefect_tables(home: Path, store: Path) -> None:
    """Give the servers of a store the tables of the server in ``home``, which take seconds to make."""
    into = servers.folder(store) / "prefect"
    into.mkdir(parents=True)
    with (
        contextlib.closing(sqlite3.connect(servers.folder(home) / "prefect" / "prefect.db")) as source,
        contextlib.closing(sqlite3.connect(into / "prefect.db")) as copy,
    ):
        source.backup(copy)


def mlflow_tables(factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them, to copy from."""
    made = common(factory) / "mlflow.db"
    with flocked(made.with_suffix(".lock")):
        if not made.exists():
            from tasks.tracking.client import open_client

            draft = made.with_suffix(".draft")
            open_client(f"sqlite:///{draft}").search_experiments(max_results=1)
            draft.rename(made)
    return made
