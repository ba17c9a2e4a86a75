"""Prefect's database locked while a run reports to it, by a real lock on a real server's file."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.runs import ROOT
from flows.prefect_server import servers
from tests.servers import free_port, prefect_tables

RUN = """
import logging, sys, time
from pathlib import Path
from flows.prefect_server import run
from reel.op import Context, get
from reel.store import Store
from tasks.cached import call
from tests.tasks.counting import Counting

logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
folder = Path(sys.argv[1])
context = Context(Store(folder / "store"))

def work():
    call(get("test", "counting"), Counting(value=1), {"source": "s"}, context)
    (folder / "begun").touch()
    while not (folder / "locked").exists():
        time.sleep(0.02)
    return call(get("test", "counting"), Counting(value=2), {"source": "s"}, context).reused

print(run.as_flow(work, "first", "first"))
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Iterator[Path]:
    """That of a server of its own, so that no other test meets the lock."""
    home = tmp_path_factory.mktemp("home")
    prefect_tables(prefect_server, home)
    servers.up(home, "prefect", free_port())
    yield home
    servers.down(home, "prefect")


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Nobody else may write to the server's database, as while it is backed up or on a drive that hangs."""
    database = servers.folder(home) / "prefect" / "prefect.db"
    with contextlib.closing(sqlite3.connect(database, timeout=120, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        yield
        held.execute("ROLLBACK")


def begun(folder: Path, home: Path) -> subprocess.Popen[str]:
    """A run whose first stage is done, and that waits to go on."""
    server = servers.running(home, "prefect")
    assert server
    (servers.folder(folder) / "prefect").mkdir(parents=True)
    space = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    space |= {**servers.environment(folder), **servers.access(home, server.api, server)}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)], cwd=ROOT, env=space | {"PREFECT_API_URL": server.api},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not (folder / "begun").exists():
        time.sleep(0.02)
    return process


def test_a_database_locked_for_a_while_costs_nothing(tmp_path: Path, home: Path):
    process = begun(tmp_path, home)
    with locked(home):
        (tmp_path / "locked").touch()
        time.sleep(5)
    said, told = process.communicate()
    assert (process.returncode, said.split()) == (0, ["False"]), told
    assert told.count("WARNING") <= 1, told


def test_a_database_locked_to_the_end_costs_a_warning(tmp_path: Path, home: Path):
    process = begun(tmp_path, home)
    with locked(home):
        (tmp_path / "locked").touch()
        said, told = process.communicate()
    assert (process.returncode, said.split()) == (0, ["False"]), told
    warning = r"WARNING \S+: the Prefect server at \S+ does not answer any more: this run stays unfinished there.*"
    assert re.fullmatch(warning, told.strip()), told


def test_a_database_that_is_locked_from_the_start_is_done_without(tmp_path: Path, home: Path):
    (tmp_path / "locked").touch()
    with locked(home):
        said, told = begun(tmp_path, home).communicate()
    assert said.split() == ["False"], told
    assert re.fullmatch(r"WARNING \S+: the Prefect server at \S+ does not answer: .* not shown there", told.strip()), (
        told
    )
