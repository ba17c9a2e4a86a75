"""The processes that make films: each animator has its own, a fork of one that has imported what all of them need.

Those imports take as long as a small animator's own. They are done once, while the command still looks at what is asked
for, and forks share their memory. torch is not among them: it counts as the time and the memory of who uses it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from flows.prefect_server import servers
from flows.prefect_server.run import share
from reel import child, interrupt

PATIENCE = 30.0
"""Seconds in which a process that makes films must end once it is told to; the server may take some of them."""


class Processes:
    """Does tasks, each in a process of its own, one after the other. Leaving the block ends all of them."""

    def __init__(self, store: Path, meanwhile: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            meanwhile: called once, while the first task is being done.
        """
        self._store = store
        self._meanwhile = [meanwhile]
        self._running: Forking | None = None

    def __enter__(self) -> Processes:
        if servers.look() is not None:  # else Prefect's is started first, when there is something to do
            self._running = Forking()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._running is not None:
            self._running.end()

    def do(self, task: Mapping[str, Any]) -> int:
        """Exit code of a process that did a task, as `flows.bakeoff.worker` reads it; negative: the signal that ended
        it."""
        share(self._store)
        running, self._running = self._running or Forking(), None
        try:
            running.tell(task)
            while self._meanwhile:
                self._meanwhile.pop()()
                interrupt.check()
            code = running.answer()
        except BaseException:
            running.stop()
            raise
        if code is None:  # it is gone itself, and another one takes the next task
            return running.stop()
        self._running = running
        return code


class Forking:
    """`flows.bakeoff.worker`, in a session of its own: Ctrl-C reaches this process, which stops that one."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._answers = self._line.makefile("rb")
        with theirs:
            self._process = subprocess.Popen(
                child.command("flows.bakeoff.worker"),
                stdin=theirs.fileno(),
                env=child.environment(),
                start_new_session=True,
            )

    def tell(self, task: Mapping[str, Any]) -> None:
        """Give it a task."""
        with contextlib.suppress(ConnectionError):
            self._line.sendall(json.dumps(task).encode() + b"\n")

    def answer(self) -> int | None:
        """Wait for the exit code of the process that it forked; None: it has ended itself."""
        with contextlib.suppress(ConnectionError):
            if line := self._answers.readline():
                return int(line)
        return None

    def end(self) -> None:
        """End it where it has nothing to do."""
        self._process.kill()
        self.stop()

    def stop(self) -> int:
        """End it and what it forked; what is finished is kept either way. Returns its exit code."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)  # both wait for this
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait()
        finally:
            self._answers.close()
            self._line.close()
