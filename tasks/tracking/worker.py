"""The logging process, run as ``python -m tasks.tracking.worker <store>`` beside renders.

It is told in lines: ``open <run>``, ``close <run>`` when the record is closed, ``sweep <id>`` when a sweep began or
ended. While there is nothing to do it logs what earlier renders could not. The end of its input means that the renders'
process is done, or was killed: a run that was opened and not closed is logged as interrupted then.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import time

from reel.history.record import load, record_path
from reel.history.recorder import reconcile
from reel.store import Store
from tasks.tracking.links import pending, read_link
from tasks.tracking.record import catch_up
from tasks.tracking.sweep import catch_up_sweeps

PATIENCE = 120
"""How long a database or server may take after the render's end (seconds); a first migration takes 5."""
HEAD_START = 8.0
"""Seconds that a render has for its own start: MLflow's import beside Prefect's would slow it down."""


class _Lines:
    """Lines of a pipe, which also tells whether one is waiting."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b""

    def waiting(self) -> bool:
        return b"\n" in self._data or bool(select.select([self._descriptor], [], [], 0)[0])

    def hold(self, seconds: float) -> None:
        """Let so much time pass, or less: until a run is closed, or the end."""
        limit = time.monotonic() + seconds
        while b"close " not in self._data and (left := limit - time.monotonic()) > 0:
            if not select.select([self._descriptor], [], [], left)[0]:
                return
            part = os.read(self._descriptor, 65536)
            if not part:
                return
            self._data += part

    def next(self) -> str | None:
        """The next line; None at the end."""
        while b"\n" not in self._data:
            part = os.read(self._descriptor, 65536)
            if not part:
                return None
            self._data += part
        line, _, self._data = self._data.partition(b"\n")
        return line.decode()


def main(root: str) -> None:
    """Log what the renders' process tells of, until it ends."""
    os.nice(int(os.environ.get("ROTOSCOPE_LOG_NICE", "10")))  # what a render leaves free is enough
    answers = os.dup(1)
    os.dup2(2, 1)  # with a tracking server MLflow prints the addresses of runs, which must not get among the answers
    store, lines = Store(root), _Lines(0)
    opened: dict[str, None] = {}
    sweeps: dict[str, None] = {}
    lines.hold(HEAD_START)
    while (line := lines.next()) is not None:
        what, _, name = line.partition(" ")
        if what == "sweep":
            sweeps[name] = None
            _answer(answers, name, _show_sweep(store, name))
            continue
        signal.alarm(PATIENCE if what == "close" else 0)  # a server that hangs must not hold up the others for ever
        _answer(answers, name, _attempt(store, name))
        signal.alarm(0)
        if what == "open":
            opened[name] = None
            _catch_up_while_waiting(store, lines, name)
        else:
            opened.pop(name, None)
    signal.alarm(PATIENCE)  # nobody waits for this process any more: it must not hang
    for run in opened:
        _render_died(store, run)
        _attempt(store, run)
    for sweep in sweeps:
        _show_sweep(store, sweep)
    gc.freeze()  # the interpreter ends sooner


def _answer(answers: int, name: str, error: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the render does not wait for ever
        os.write(answers, json.dumps({"name": name, "error": error}).encode() + b"\n")


def _attempt(store: Store, run: str) -> str:
    return catch_up(store, [run])[1].get(run, "")


def _show_sweep(store: Store, sweep: str) -> str:
    return catch_up_sweeps(store, [sweep]).get(sweep, "")


def _catch_up_while_waiting(store: Store, lines: _Lines, run: str) -> None:
    """Earlier renders' records, at least one, then as many as there is time for while the render works."""
    link = read_link(store, run)
    if link is None or link.logged is None:  # not reachable now
        return
    reconcile(store)
    for other in pending(store):
        if other != run:
            catch_up(store, [other])
        if lines.waiting():
            return


def _render_died(store: Store, run: str) -> None:
    """Its lock is freed about when its pipe closes: look a few times."""
    for _ in range(20):
        reconcile(store)
        if load(record_path(store, run)).status != "running":
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
