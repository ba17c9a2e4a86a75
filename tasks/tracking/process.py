"""The logging process: MLflow works in a process of its own, told what begins and ends (`tasks.tracking.worker`)."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import subprocess
import time
from pathlib import Path

from reel import child
from reel.store import Store


class Logger:
    """The logging process: told of what begins and ends, it brings MLflow up to date, one after the other."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._errors = store.root / "tmp" / f"logger-{os.getpid()}-{secrets.token_hex(4)}.log"
        self._process = _spawn(store, self._errors)
        self._owed: dict[str, str] = {}
        self._ended = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, what: str, name: str) -> None:
        """Hand over work: ``open`` or ``close`` a run, show a ``sweep``."""
        assert self._process.stdin is not None
        self._owed[name] = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{what} {name}\n".encode())
            self._process.stdin.flush()
        while self._answered(0):  # read, so that its pipe never fills
            pass

    def end(self, timeout: float) -> str:
        """No more work comes; wait for what was handed over.

        Args:
            timeout: seconds to wait at most; logging goes on in the background after that.

        Returns:
            why something is not logged, or an empty text.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        limit = time.monotonic() + timeout
        while self._answered(max(0.0, limit - time.monotonic())):
            pass
        if self._ended:
            self._process.wait()
            return self._trouble()
        return f"it is slow (over {timeout:g} s); logging goes on in the background"

    def _answered(self, patience: float) -> bool:
        """Take in one answer, or the end; False when neither came in time (seconds)."""
        assert self._process.stdout is not None
        if self._ended or not select.select([self._process.stdout], [], [], patience)[0]:
            return False
        line = self._process.stdout.readline()
        self._ended = not line
        if line:
            answer = json.loads(line)
            self._owed[answer["name"]] = answer["error"]
        return True

    def _trouble(self) -> str:
        errors = [error for error in self._owed.values() if error]
        if not errors and self._process.returncode:
            errors = [_last_line(self._errors)]
        if not errors:
            self._errors.unlink(missing_ok=True)
            return ""
        return f"{errors[-1]}; kept in the store, logged with a later run"


KEPT: dict[Path, Logger] = {}
"""Logging processes that outlive a render, by store."""


def keep_logger(store: Store) -> Logger:
    """The logging process that the points of a sweep share in this process; it ends with it."""
    known = KEPT.get(store.root)
    if known is None or not known.alive:
        known = KEPT[store.root] = Logger(store)
    return known


def _spawn(store: Store, errors: Path) -> subprocess.Popen[bytes]:
    """The logging process, in a session of its own so that Ctrl-C leaves it to log the interruption."""
    with errors.open("wb") as stderr:
        return subprocess.Popen(
            child.command("tasks.tracking.worker", str(store.root)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=child.environment(),
            start_new_session=True,
        )


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "no answer"
