"""Runs of flows: what they cost beside their work, and how they end when they are interrupted."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.runs import ROOT, command
from flows.edge import exits
from flows.edge.job import Job, call
from flows.prefect_server import lost, servers, stale
from flows.prefect_server import run as flowrun
from reel import interrupt
from reel.errors import UserError
from reel.history.recorder import begin, reconcile
from reel.store import Store
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


LOST = """
import logging, sys, time
from pathlib import Path
from flows.prefect_server import run
from reel.op import Context, get
from reel.store import Store
from tasks.cached import call
from tests.tasks.counting import Counting

logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
folder = Path(sys.argv[1])

def work(value):
    stage = call(get("test", "counting"), Counting(value=value), {"source": "s"}, Context(Store(folder / "store")))
    (folder / "begun").touch()
    while not (folder / "gone").exists():
        time.sleep(0.02)
    call(get("test", "counting"), Counting(value=value + 1), {"source": "s"}, Context(Store(folder / "store")))
    if value == 20:
        raise ValueError("from the work")
    return stage.reused

print(run.as_flow(lambda: work(1), "first", "first"))
print(run.as_flow(lambda: work(10), "second", "second"))
try:
    run.as_flow(lambda: work(20), "third", "third")
except ValueError as error:
    print(error)
"""


@pytest.mark.timeout(120)
def test_a_server_that_goes_away_meanwhile_costs_a_warning_and_no_minutes(tmp_path: Path, prefect_server: Path):
    """Neither for the run under way nor for the next ones, nor at the end of the process."""
    (servers.folder(tmp_path) / "prefect").mkdir(parents=True)
    with Relay(servers.running(prefect_server, "prefect")) as relay:
        space = {**os.environ, **servers.environment(tmp_path), "PREFECT_API_URL": f"http://127.0.0.1:{relay.port}/api"}
        process = subprocess.Popen(
            [sys.executable, "-c", LOST, str(tmp_path)], cwd=ROOT, env=space,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while process.poll() is None and not (tmp_path / "begun").exists():
            time.sleep(0.02)
    (tmp_path / "gone").touch()
    said, told = process.communicate()
    assert said.splitlines() == ["False", "False", "from the work"], told
    assert process.returncode == 0
    warning = r"WARNING flows.prefect_server.lost: the Prefect server at \S+ does not answer any more: this run .*"
    assert re.fullmatch(warning, told.strip()), told


@pytest.mark.usefixtures("prefect_server")
def test_a_server_that_does_not_take_a_run_is_done_without(monkeypatch: pytest.MonkeyPatch, caplog):
    """As one whose database is locked: it answers, and every request ends in an error."""
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.exceptions import PrefectHTTPStatusError

    def refuse(*_: object, **__: object) -> None:
        raise PrefectHTTPStatusError("database is locked", request=None, response=None)

    monkeypatch.setattr(SyncPrefectClient, "create_flow_run", refuse)
    monkeypatch.setattr(lost, "_TOLD", set())  # a server is told of once a process, and all tests have the same one
    assert flowrun.as_flow(lambda: 7, "refused", "refused") == 7
    assert "does not take it (PrefectHTTPStatusError): this run is not shown there" in caplog.text


@pytest.mark.usefixtures("prefect_server")
def test_runs_that_the_server_takes_for_running_are_closed_as_their_records_say(tmp_path: Path, monkeypatch):
    """One that was killed, one that ended while the server was away, one that goes on; and one killed as it began."""
    from prefect.client.orchestration import get_client
    from prefect.flows import Flow
    from prefect.states import Pending, Running

    store = Store(tmp_path)
    recorders = {name: begin(store, "dance", {}) for name in ("killed", "done", "alive")}
    recorders["done"].finish("done")
    recorders["killed"]._held.close()  # as the kernel frees the lock of a process that is gone
    monkeypatch.setattr(stale, "BEGINNING", -1.0)
    with get_client(sync_client=True) as client:
        runs = {
            name: client.create_flow_run(Flow(lambda: None, name="x"), name=f"x {one.run}", state=Running())
            for name, one in recorders.items()
        }
        runs["unnamed"] = client.create_flow_run(Flow(lambda: None, name="x"), state=Pending())
        reconcile(store)
        stale.close_stale(store)
        states = {name: client.read_flow_run(run.id).state.type.value for name, run in runs.items()}
        for run in runs.values():
            client.delete_flow_run(run.id)
    recorders["alive"].finish("done")
    assert states == {"killed": "CRASHED", "done": "COMPLETED", "alive": "RUNNING", "unnamed": "CRASHED"}


MUTE = """
import sys, time
from pathlib import Path
from flows.edge import exits
from flows.prefect_server import lost, run
from reel import interrupt
from reel.op import Context, get
from reel.store import Store
from tasks.cached import call
from tests.tasks.counting import Counting

folder, interrupted = Path(sys.argv[1]), sys.argv[2] == "interrupted"
lost.WRITING, takes, asked = 1.0, lost.takes, []

def last(*given):
    asked.append(takes(*given))
    if len(asked) == 2:  # when the run began, and when its work has ended
        (folder / "ended").touch()
        while not (folder / "mute").exists():
            time.sleep(0.02)
    return asked[-1]

def work():
    call(get("test", "counting"), Counting(value=1), {"source": "s"}, Context(Store(folder / "store")))
    if interrupted:
        interrupt.stop()

lost.takes = last
sys.exit(exits.guarded(lambda: run.as_flow(work, "mute", "mute")))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("how", "code"), [("interrupted", exits.INTERRUPTED), ("done", exits.OK)])
def test_a_server_that_falls_mute_at_the_end_keeps_no_command_from_ending(
    tmp_path: Path, prefect_server: Path, how: str, code: int
):
    """It has just said that it takes what it is told. Prefect alone would wait a minute for each of its requests, and
    for its events without an end.
    """
    (servers.folder(tmp_path) / "prefect").mkdir(parents=True)
    with Relay(servers.running(prefect_server, "prefect")) as relay:
        space = {**os.environ, **servers.environment(tmp_path), "PREFECT_API_URL": f"http://127.0.0.1:{relay.port}/api"}
        process = subprocess.Popen(
            [sys.executable, "-c", MUTE, str(tmp_path), how], cwd=ROOT, env=space,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while process.poll() is None and not (tmp_path / "ended").exists():
            time.sleep(0.02)
        relay.mute = True
        (tmp_path / "mute").touch()
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code, told
    assert "Traceback" not in told


class Relay:
    """A way to a server that can be closed, as if the server were gone.

    Attributes:
        mute: nothing passes any more, though the connections stay: a server that hangs.
    """

    mute = False

    def __init__(self, server: servers.Server | None) -> None:
        assert server is not None
        self._to = (servers.HOST, server.port)
        self._door = socket.create_server((servers.HOST, 0))
        self.port = self._door.getsockname()[1]
        self._ends: list[socket.socket] = []

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(self._to)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if not self.mute:
                    other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)


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


SLOW = """
import logging, os, sys
from pathlib import Path
from flows.prefect_server import run, servers

logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
servers.prepare_unseen(Path(sys.argv[1]))
from prefect.server.api.server import SubprocessASGIServer

started = []
begin = SubprocessASGIServer._run_uvicorn_command

def kept(self):
    started.append(begin(self))
    return started[-1]

SubprocessASGIServer._run_uvicorn_command = kept
from prefect import task

print([run.as_flow(task(lambda: number), "alone", "alone") for number in (7, 8)])
print([process.returncode is not None for process in started])
"""


def test_a_temporary_server_that_is_too_slow_costs_a_warning_and_lives_no_longer(tmp_path: Path):
    """As on a machine with more to do than it can: the work is done, and no server begins beside it."""
    space = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    space["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", SLOW, str(tmp_path)], env=space, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["[7, 8]", "[True]"], done.stderr
    assert re.fullmatch(
        r"WARNING \S+: the Prefect server at \S+ could not be started \(.*temporary-server.log\): .* not shown there",
        done.stderr.strip().splitlines()[-1],
    )


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
