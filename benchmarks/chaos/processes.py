"""Commands as processes that can be killed: forked from one that has imported everything, or started from nothing."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Protocol

import psutil

from benchmarks.runs import ROOT

MARK = "ROTOSCOPE_CHAOS"
"""Environment variable of everything that a run starts, by which it is found again."""
LOOK = 0.02
"""Seconds between two looks at what a run has computed."""


class Handle(Protocol):
    """A process; `multiprocessing.Process` and `subprocess.Popen` put behind one face."""

    @property
    def pid(self) -> int: ...

    def ended(self, seconds: float) -> int | None: ...


@dataclass
class Forked:
    process: Any

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    def ended(self, seconds: float) -> int | None:
        self.process.join(seconds)
        return self.process.exitcode


@dataclass
class Spawned:
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self, seconds: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None


@dataclass
class Run:
    """A command under way, in a session of its own.

    Attributes:
        log: what it says, on both of its outputs.
        computed: CPU seconds that it had used when it was last looked at.
    """

    handle: Handle
    log: Path
    computed: float = 0.0

    def wait(self, seconds: float) -> int | None:
        """Its exit code (negative: the signal that ended it); None: it is still going."""
        return self.handle.ended(max(0.0, seconds))

    def compute(self, seconds: float, limit: float) -> int | None:
        """Wait until it has used so many CPU seconds, `limit` seconds at most; as `wait`.

        They tell how far it has come on a machine that is busy with other work, too.
        """
        end = time.monotonic() + limit
        while (code := self.wait(LOOK)) is None and time.monotonic() < end:
            with contextlib.suppress(psutil.Error):
                used = psutil.Process(self.handle.pid).cpu_times()
                self.computed = used.user + used.system
            if self.computed >= seconds:
                break
        return code

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the process, or to all that it has started in its group as well."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if group:
                os.killpg(self.handle.pid, number)
            else:
                os.kill(self.handle.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL, group=True)
        self.signal(signal.SIGKILL, group=False)  # where it has no group of its own yet
        self.wait(20)

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


class Starter:
    """Starts commands of the program."""

    def __init__(self, logs: Path, *, preload: Sequence[str] = ("benchmarks.chaos.preload",)) -> None:
        self.logs = logs
        self._number = 0
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))

    def fork(self, argv: Sequence[str], *, largest_file: int | None = None, clock: Clock | None = None) -> Run:
        """Run a command in a fork.

        Args:
            largest_file: bytes that one file may have, as a quota stands in for a full disk.
            clock: how its clock is wrong.
        """
        log = self._log()
        process = self._context.Process(target=_forked, args=(list(argv), str(log), largest_file, clock))
        process.start()
        return Run(Forked(process), log)

    def spawn(self, argv: Sequence[str]) -> Run:
        """Run a command in a process that is started from nothing."""
        log = self._log()
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", *argv],
                cwd=ROOT,
                env={**os.environ, MARK: "1"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=_interruptible,
            )
        return Run(Spawned(process), log)

    def _log(self) -> Path:
        self._number += 1
        return self.logs / f"{self._number:05d}.log"


@dataclass(frozen=True)
class Clock:
    """A clock that is set wrong.

    Attributes:
        off: by so many seconds.
        after: once the process has used so many CPU seconds; 0: from its start.
    """

    off: float
    after: float = 0.0

    def set(self) -> None:
        """Have this process go by it. What asks the system itself, such as Prefect's client, does not."""
        seconds, nanoseconds = time.time, time.time_ns

        def off() -> float:
            return self.off if time.process_time() >= self.after else 0.0

        for name, ask in {
            "time": lambda: seconds() + off(),
            "time_ns": lambda: nanoseconds() + int(off()) * 1_000_000_000,
        }.items():
            setattr(time, name, ask)


def _interruptible() -> None:
    """A benchmark that runs in the background ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _forked(argv: list[str], log: str, largest_file: int | None, clock: Clock | None) -> None:
    os.setsid()
    os.environ[MARK] = "1"
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(ROOT)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if clock is not None:
        clock.set()
    from flows import cli

    try:
        code = cli.main(argv)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    sys.exit(code)


def kill_tree(pid: int) -> None:
    """SIGKILL to a process and all that it has started, as a power cut ends them; waits until they are gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=10)


def left() -> set[tuple[int, float]]:
    """Processes that runs have started and that live, by id and time of their start."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and MARK in process.environ():
                found.add((process.pid, process.create_time()))
    return found


__all__ = ["MARK", "Clock", "Run", "Starter", "kill_tree", "left"]
