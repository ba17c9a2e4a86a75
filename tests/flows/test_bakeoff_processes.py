"""Processes of animators: forks of one that has imported what films need; how they end, and what goes on after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.bakeoff import processes
from reel import child

STAND_IN = """
import os, signal, sys, time
from pathlib import Path
from flows.bakeoff import worker

def films(task):
    Path(task["pids"]).write_text(f"{os.getpid()} {os.getppid()}")
    if task["way"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task["way"] == "alone":
        os.kill(os.getppid(), signal.SIGKILL)
    if task["way"] in ("waits", "deaf"):
        if task["way"] == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        worker.threading.Thread(target=worker._stop_with_them, daemon=True).start()
        Path(task["pids"]).with_suffix(".ready").touch()
        time.sleep(600)
    return task["code"]

worker.films, worker.imports = films, lambda: None
sys.platform = os.environ.get("PLATFORM", sys.platform)
sys.exit(worker.main())
"""
"""The worker with films that end in one way or another."""

Task = Callable[..., dict[str, Any]]


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Makes a task of the stand-in, which notes its process and that one's parent."""
    monkeypatch.setattr(processes, "share", lambda store: "")
    monkeypatch.setattr(processes.child, "command", lambda name: [sys.executable, "-c", STAND_IN])
    return lambda way="", code=0: {"way": way, "code": code, "pids": str(tmp_path / "pids")}


@pytest.fixture
def doing(tmp_path: Path, task: Task) -> Iterator[processes.Processes]:
    with processes.Processes(tmp_path / "store") as them:
        yield them


def pids(tmp_path: Path) -> list[int]:
    """The process that did the last task, and the one that forked it."""
    return [int(one) for one in (tmp_path / "pids").read_text().split()]


def gone(pid: int, patience: float = 10.0) -> bool:
    """Whether a process is no more, or not any longer in a moment: its parent may not be there to wait for it."""
    end = time.monotonic() + patience
    while not (over := _ended(pid)) and time.monotonic() < end:
        time.sleep(0.02)
    return over


def _ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_each_task_has_a_process_of_its_own_and_all_of_them_one_parent(
    doing: processes.Processes, task: Task, tmp_path: Path
):
    ended, seen = [], []
    for one in (task(), task(code=3), task("killed"), task(code=1)):
        ended.append(doing.do(one))
        seen.append(pids(tmp_path))
    assert ended == [0, 3, -signal.SIGKILL, 1]
    assert len({own for own, _ in seen}) == 4
    assert len({parent for _, parent in seen}) == 1
    assert os.getpid() not in {pid for both in seen for pid in both}


def test_where_the_parent_is_killed_the_next_task_has_another_one(
    doing: processes.Processes, task: Task, tmp_path: Path
):
    assert doing.do(task("alone")) == -signal.SIGKILL
    [_, first] = pids(tmp_path)
    assert doing.do(task(code=4)) == 4
    assert pids(tmp_path)[1] != first


def test_on_macos_a_task_is_done_by_the_process_itself_and_the_next_one_by_another(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PLATFORM", "darwin")
    ended, parents, own = [], set(), set()
    with processes.Processes(tmp_path / "store") as them:
        for code in (0, 3):
            ended.append(them.do(task(code=code)))
            pid, parent = pids(tmp_path)
            own.add(pid)
            parents.add(parent)
    assert ended == [0, 3]
    assert len(own) == 2
    assert parents == {os.getpid()}


def test_all_are_gone_when_the_block_is_left(task: Task, tmp_path: Path):
    with processes.Processes(tmp_path / "store") as them:
        them.do(task())
        known = pids(tmp_path)
        assert not gone(known[1], 0.0)
    assert all(map(gone, known))


@pytest.mark.parametrize("way", ["waits", "deaf"])
def test_what_is_under_way_stops_with_an_interruption_and_is_killed_where_it_does_not(
    way: str, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if way == "deaf":
        monkeypatch.setattr(processes, "PATIENCE", 0.2)

    def interrupted() -> None:
        while not (tmp_path / "pids.ready").exists():
            time.sleep(0.02)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), processes.Processes(tmp_path / "store", interrupted) as them:
        them.do(task(way))
    assert all(map(gone, pids(tmp_path)))


def test_what_is_called_meanwhile_is_called_once(task: Task, tmp_path: Path):
    called: list[str] = []
    with processes.Processes(tmp_path / "store", lambda: called.append("meanwhile")) as them:
        assert [them.do(task()), them.do(task())] == [0, 0]
    assert called == ["meanwhile"]


def test_what_is_imported_for_all_starts_no_thread_and_loads_no_torch():
    """A fork has but the thread that forked, and what an animator's own imports take is a number of the table."""
    said = "import sys, threading; from flows.bakeoff import worker; worker.imports(); "
    said += "print(threading.active_count(), 'prefect.flow_engine' in sys.modules, 'torch' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", said], env=child.environment(), capture_output=True, text=True)
    assert made.stdout.split() == ["1", "True", "False"], made.stderr
