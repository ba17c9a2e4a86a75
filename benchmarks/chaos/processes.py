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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Protocol

import psutil

from benchmarks.runs import ROOT

MARK = "ROTOSCOPE_CHAOS"
"""Environment variable of everything that a run starts, by which it is found again."""


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
    """

    handle: Handle
    log: Path
    began: float = field(default_factory=time.monotonic)

    def wait(self, seconds: float) -> int | None:
        """Its exit code (negative: the signal that ended it); None: it is still going."""
        return self.handle.ended(max(0.0, seconds))

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

    def fork(self, argv: Sequence[str], *, largest_file: int | None = None) -> Run:
        """Run a command in a fork.

        Args:
            largest_file: bytes that one file may have, as a quota stands in for a full disk.
        """
        log = self._log()
        process = self._context.Process(target=_forked, args=(list(argv), str(log), largest_file))
        process.start()
        return Run(Forked(process), log)

    def spawn(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
        """Run a command in a process that is started from nothing, with further environment variables."""
        log = self._log()
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", *argv],
                cwd=ROOT,
                env={**os.environ, MARK: "1", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        return Run(Spawned(process), log)

    def _log(self) -> Path:
        self._number += 1
        return self.logs / f"{self._number:05d}.log"


def _forked(argv: list[str], log: str, largest_file: int | None) -> None:
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


__all__ = ["MARK", "Run", "Starter", "kill_tree", "left"]
