"""Runs of flows: what they cost beside their work, and how they end when they are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.runs import ROOT, command
from flows.edge.job import Job, call
from flows.prefect_server import run as flowrun
from reel import interrupt
from reel.errors import UserError
from tests.flows.rendering import SMALL
from tests.servers import prefect_tables


@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_we_start_sends_no_heartbeats_unless_they_are_asked_for(monkeypatch: pytest.MonkeyPatch):
    """Their thread would be waited for at the end of every run, and so of every point of a sweep."""
    from prefect.settings import get_current_settings

    def every() -> int | None:
        return get_current_settings().flows.heartbeat_frequency

    assert flowrun.as_flow(every, "quiet", "quiet") is None
    monkeypatch.setenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "60")
    assert flowrun.as_flow(every, "asked", "asked") is not None


@pytest.mark.usefixtures("prefect_server")
def test_runs_inside_one_client_share_it():
    from prefect.context import SyncClientContext

    seen = []

    def run() -> None:
        seen.append(SyncClientContext.get())

    with flowrun.one_client():
        flowrun.as_flow(run, "first", "first")
        flowrun.as_flow(run, "second", "second")
    flowrun.as_flow(run, "alone", "alone")
    assert seen[0] is not None
    assert seen[0] is seen[1]
    assert seen[0] is not seen[2]
    assert SyncClientContext.get() is None


@pytest.mark.usefixtures("prefect_server")
def test_an_error_that_an_interruption_leaves_behind_is_that_interruption():
    """Prefect has one of its own where a task is interrupted before its run is known."""

    def interrupted() -> None:
        interrupt.remember("why")
        raise ValueError("Task run is not set")

    try:
        with pytest.raises(KeyboardInterrupt, match="why"):
            flowrun.as_flow(interrupted, "interrupted", "interrupted")
    finally:
        interrupt.forget()


def test_a_temporary_servers_complaints_go_to_its_log(tmp_path: Path, prefect_server: Path):
    prefect_tables(prefect_server, tmp_path)
    code = (
        "import os, sys; from pathlib import Path; from flows.prefect_server.run import share;"
        "share(Path(sys.argv[1])); from prefect.server.api.server import SubprocessASGIServer as Server;"
        "print(os.readlink(f'/proc/{Server().server_process.pid}/fd/2')); print(os.readlink('/proc/self/fd/2'))"
    )
    space = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=space, capture_output=True, text=True, check=True, cwd=ROOT
    )
    servers_, ours = done.stdout.split()
    assert servers_ == str(tmp_path / "servers" / "prefect" / "temporary-server.log")
    assert ours.startswith("pipe:")


def alone(store: Path) -> subprocess.Popen[str]:
    """A long render without a server, in a process group of its own, when its first stage is done."""
    process = subprocess.Popen(
        command(store, [*SMALL, "measure=none", "stylize.num_inference_steps=100"]),
        env={name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores Ctrl-C
    )
    while process.poll() is None and not list((store / "keys").glob("*.json")):
        time.sleep(0.05)  # pytest's own time limit ends this
    return process


@pytest.mark.slow
def test_a_killed_render_leaves_no_server_behind(tmp_path: Path):
    import psutil

    process = alone(tmp_path / "store")
    children = psutil.Process(process.pid).children()
    assert any("uvicorn" in " ".join(child.cmdline()) for child in children)
    process.kill()
    process.wait()
    assert psutil.wait_procs(children, timeout=15)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "number", "reason"),
    [(os.killpg, signal.SIGINT, "interrupted from the keyboard"), (os.kill, signal.SIGTERM, "stopped by SIGTERM")],
    ids=["Ctrl-C in a terminal", "kill"],
)
def test_an_interrupted_render_with_no_server_up(
    tmp_path: Path, send: Callable[[int, int], None], number: int, reason: str
):
    """A terminal interrupts the whole process group: Prefect's temporary server must live to be told, and then end."""
    import psutil

    from benchmarks.runs import last_record

    store = tmp_path / "store"
    process = alone(store)
    children = psutil.Process(process.pid).children()
    send(process.pid, number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said[-2000:]
    assert "interrupted" in said
    assert "Traceback" not in said, said
    assert (last_record(store)["status"], last_record(store)["reason"]) == ("interrupted", reason)
    assert children
    assert psutil.wait_procs(children, timeout=10)[1] == []


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://127.0.0.1/api", "http://", "http://127.0.0.1:99999/api", "http://x:port/api"]
)
def test_an_address_that_is_none_is_told_before_anything_runs(url, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(UserError, match=r"PREFECT_API_URL: .* is not an address of a Prefect API") as caught:
        call(lambda config: pytest.fail("it ran"), object(), Job("demo"))
    assert "http://127.0.0.1:4200/api" in str(caught.value.fix)


def test_a_clock_that_cannot_be_right_is_told_before_anything_runs(tmp_path, monkeypatch):
    """Prefect's server would not start, and be waited for in vain."""
    monkeypatch.setattr(time, "time", lambda: -304_000_000.0)
    with pytest.raises(UserError, match="the machine's clock says 1960-05-14 11:33"):
        call(lambda config: pytest.fail("it ran"), object(), Job("demo"))
