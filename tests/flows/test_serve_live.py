"""`rotoscope serve` from outside: a schedule that fires, a clip that comes out, Ctrl-C, `kill`, a killed server.

It starts a Prefect server of its own and kills it, which takes minutes: `make test-live` runs it. What it is made of is
tested one by one in test_serve_server, test_serve_recover and test_serve_inbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flows.prefect_server import servers
from flows.prefect_server.login import login
from reel.store import Store

ROOT = Path(__file__).parents[2]
TINY = "[tracking=none, extract.max_frames=2, extract.short_side=64, stylize.num_inference_steps=2]"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not os.environ.get("ROTOSCOPE_TEST_LIVE"), reason="takes minutes: make test-live"),
    pytest.mark.usefixtures("prefect_server"),
]


def wait(what: str, until: Callable[[], bool], log: Path, seconds: float = 500) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, f"waited {seconds} s for: {what}\n{log.read_text()[-6000:]}"
        time.sleep(0.5)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A store with a Prefect server of its own, and two deployments."""
    (tmp_path / "deployment").mkdir()
    (tmp_path / "deployment/tick.yaml").write_text(
        f"flow: dance\noverrides: {TINY}\nschedules: [{{interval: 60}}]\ncollision_strategy: CANCEL_NEW\n"
    )
    (tmp_path / "deployment/drop.yaml").write_text(
        f"flow: dance\noverrides: {TINY}\nwatch: {{folder: {tmp_path}/inbox, stable_seconds: 1}}\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    servers.up(tmp_path / "store", "prefect", port)
    yield tmp_path
    servers.down(tmp_path / "store", "prefect")


def serve(place: Path) -> subprocess.Popen[bytes]:
    """A `serve` in the foreground of a terminal of its own: Ctrl-C reaches it and all it started."""
    command = [
        *(sys.executable, "-m", "flows.cli", "serve", f"folder={place}/deployment", f"paths.store={place}/store"),
        *(f"paths.renders={place}/renders", "allow.dance=[clip,tracking,extract.*,stylize.*]"),
    ]
    space = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    space["PYTHONFAULTHANDLER"] = "1"  # a process that is ended by a signal says where it was
    with (place / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=space,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores Ctrl-C
        )


def states(place: Path, name: str) -> list[str]:
    """States of a deployment's runs that were due, as the server has them."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    server = servers.running(place / "store", "prefect")

    async def read() -> list[str]:
        async with get_client() as client:
            runs = await client.read_flow_runs(
                deployment_filter=filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=[name]))
            )
            return sorted(run.state.type.value for run in runs if run.state.name != "Scheduled" or run.run_count)

    if server is None or not servers.healthy(server):
        return []
    with temporary_settings({PREFECT_API_URL: server.api, PREFECT_API_AUTH_STRING: login(place / "store")}):
        return asyncio.run(read())


def render(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The process in which `serve` renders."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.Error):
                if "PREFECT__FLOW_RUN_ID" in child.environ():
                    return child
    return None


def test_ctrl_c_kill_and_a_killed_server_lose_nothing(place: Path, capsys: pytest.CaptureFixture[str]):
    log = place / "log"
    process = serve(place)
    try:
        wait("the folder to be watched", (place / "inbox").is_dir, log)
        shutil.copy(ROOT / "data/source/sample.mp4", place / "inbox/first.mp4")
        wait("the render to begin", lambda: any((place / "store/serve/runs").glob("*.lock")), log)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(200) == 0, log.read_text()[-4000:]
        assert "RUNNING" not in states(place, "drop"), "what was under way is left to be gone on with"

        process = serve(place)
        wait("it to begin again", lambda: "RUNNING" in states(place, "drop"), log)
        rendering = render(process)
        assert rendering
        process.terminate()
        asked = time.monotonic()
        rendering.wait(100)
        gone = time.monotonic() - asked
        assert process.wait(200) == 0, log.read_text()[-4000:]
        with capsys.disabled():
            print(f"\nSIGTERM to serve: the render was gone after {gone:.1f} s, serve after "
                  f"{time.monotonic() - asked:.1f} s (bar on an idle machine: 5 s)")  # fmt: skip
        assert "RUNNING" not in states(place, "drop")

        process = serve(place)
        wait("it to begin once more", lambda: "RUNNING" in states(place, "drop"), log)
        server = servers.running(place / "store", "prefect")
        assert server
        os.killpg(server.pid, signal.SIGKILL)
        wait("the server to be back", lambda: bool(states(place, "drop")), log)
        wait("the clip to be rendered", lambda: states(place, "drop") == ["COMPLETED"], log)
        wait("the schedule to have fired", lambda: "COMPLETED" in states(place, "tick"), log)
        [film] = (place / "renders/drop").glob("first-*/movie.mp4")
        assert film.stat().st_size > 1000
        wait("it to be told", lambda: "first.mp4 is rendered" in log.read_text(), log)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(200)
    store = Store(place / "store")
    for digest in store.digests():
        store.verify(digest)
