"""The process that makes one animator's films, run as ``python -m flows.bakeoff.worker``.

It is given its task as a line of JSON. Each animator has a process of its own, so that what memory it takes is its
own, and that one which takes all of it ends nothing but itself. When the process that started it goes, it stops too.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from flows.animate.flow import FLOW
from flows.animate.settings import Animate
from flows.edge.exits import INTERRUPTED, stoppable
from flows.edge.job import Job, call
from flows.prefect_server.services import handed_over
from flows.sweep.point import claimed, out_of_memory
from reel.config import parse
from reel.history.sweep import Manifest
from reel.store import Store

STOPPED = 3
"""Exit code: memory ran out, so the films that were left would have failed as well."""


def main() -> int:
    """Make the films, one after the other; what they fail with is noted in the manifest."""
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_stop_with_them, daemon=True).start()
    try:
        with stoppable(), handed_over():
            return work(task)
    except KeyboardInterrupt:  # what was under way goes on from its step another time
        return INTERRUPTED


def work(task: Any) -> int:
    """The films of a task: ``store``, ``bakeoff`` (the manifest's id), ``driver``, ``statuses``, ``job``, ``films``."""
    manifest = Manifest.load(Store(task["store"]), task["bakeoff"])
    for film in task["films"]:
        job = Job("animate", **task["job"], num=film["index"], sweep=Path(task["folder"]))
        run = functools.partial(call, FLOW.run, parse(Animate, film["settings"]), job)
        try:
            claimed(manifest, film["index"], task["statuses"], task["driver"], len(manifest.planned), run)
        except Exception:  # noted and told
            if out_of_memory(manifest.point(film["index"]).reason or ""):
                return STOPPED
    return 0


def _stop_with_them() -> None:
    """Wait for the end of the input, which nobody writes to, and stop as by ``kill``."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
