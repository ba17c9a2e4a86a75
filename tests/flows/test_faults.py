"""What can go wrong around a render: kills, two at once, a full disk, Ctrl-C (at length: benchmarks/chaos)."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.runs import QUICK, ROOT, command, digests, last_record
from flows import cli
from reel.store import Store

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Path:
    """A store with a whole render."""
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    render(store)
    return store


def render(store: Path) -> None:
    """A whole render, in this process: what disturbs one happens to processes of their own."""
    _, _, _, *argv = command(store, QUICK)
    assert cli.main(argv) == 0


def started(store: Path, stages: int) -> subprocess.Popen[str]:
    """A render in a process of its own, of which so many stages are finished and the next is under way."""
    process = subprocess.Popen(
        command(store, QUICK),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores Ctrl-C
    )
    while len(list((store / "keys").glob("*.json"))) < stages:
        assert process.poll() is None, "the render ended before it could be disturbed"
        time.sleep(0.02)
    return process


def verify(store: Path) -> int:
    """Read every byte of every object; their number."""
    whole = Store(store)
    for digest in whole.digests():
        whole.verify(digest)
    return len(whole.digests())


@pytest.mark.parametrize("stages", [0, 1, 3])
def test_killed_and_run_again_gives_the_same(undisturbed: Path, tmp_path: Path, stages: int):
    process = started(tmp_path / "store", stages)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    verify(tmp_path / "store")
    render(tmp_path / "store")
    assert digests(tmp_path / "store") == digests(undisturbed)
    assert verify(tmp_path / "store") == len(set(digests(undisturbed).values()))


def test_two_at_once_compute_each_stage_once_and_digests_repeat_in_other_processes(undisturbed: Path, tmp_path: Path):
    store = tmp_path / "store"
    quiet = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    both = [
        subprocess.Popen([*command(store, QUICK), f"paths.output={tmp_path / name}"], **quiet) for name in ("a", "b")
    ]
    assert [process.wait(300) for process in both] == [0, 0]
    made = [entry.stem for entry in (store / "keys").glob("*.json")]
    assert len(made) == len(digests(undisturbed))
    assert digests(store) == digests(undisturbed)
    assert (tmp_path / "a" / "movie.mp4").read_bytes() == (tmp_path / "b" / "movie.mp4").read_bytes()


@pytest.mark.parametrize("limit", [2_000, 20_000])
def test_no_room_left_is_one_clear_error_and_a_sound_store(undisturbed: Path, tmp_path: Path, limit: int):
    """A file-size limit stands in for a full disk: the kernel refuses writes the same way."""
    store = tmp_path / "store"
    Store(store)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(command(store, QUICK), cwd=ROOT, capture_output=True, text=True, preexec_fn=limited)
    assert done.returncode == 2, done.stderr[-3000:]
    assert "no room left" in done.stderr
    assert "Traceback" not in done.stderr
    verify(store)
    render(store)
    assert digests(store) == digests(undisturbed)


def test_ctrl_c_ends_cleanly(undisturbed: Path, tmp_path: Path):
    store = tmp_path / "store"
    process = started(store, 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert last_record(store)["status"] == "interrupted"
    verify(store)
