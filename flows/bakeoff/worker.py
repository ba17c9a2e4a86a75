"""The process that forks one for each animator, which makes its films; run as ``python -m flows.bakeoff.worker``.

Its input is a socket: a task comes as a line of JSON, and the exit code of the process that did it goes back as a line.
Each animator has a process of its own, so that what memory it takes is its own, and that one which takes all of it ends
nothing but itself. When the process that started them goes, they stop too.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import logging.config
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from flows import flow as flows
from flows.edge.exits import INTERRUPTED, stoppable
from flows.edge.job import Job, call
from flows.prefect_server.run import import_prefect, one_client
from flows.prefect_server.services import handed_over
from flows.sweep.point import claimed, out_of_memory
from reel.config import parse
from reel.history.sweep import Manifest
from reel.store import Store

STOPPED = 3
"""Exit code: memory ran out, so the films that were left would have failed as well."""


def main() -> int:
    """Do tasks until no more come; on macOS one, in this very process."""
    imports()
    for task in sys.stdin.buffer:
        if sys.platform == "darwin":  # its frameworks do not work in a fork: another process does the next task
            return films(json.loads(task))
        code = in_a_fork(json.loads(task))
        with contextlib.suppress(BrokenPipeError):  # nobody is there any more, and no further task comes
            os.write(sys.stdin.fileno(), f"{code}\n".encode())
    return 0


def imports() -> None:
    """Import what films of any animator need. Nothing here may start a thread: a fork has none but its own."""
    flows.get("animate")
    import_prefect()


def in_a_fork(task: Any) -> int:
    """Exit code of a process that does a task; negative: the signal that ended it."""
    if (pid := os.fork()) == 0:
        sys.exit(films(task))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def films(task: Any) -> int:
    """Make the films of a task, one after the other; what they fail with is noted in the manifest."""
    threading.Thread(target=_stop_with_them, daemon=True).start()
    atexit.register(gc.freeze)  # or the interpreter's end looks through all that torch made, for more than a second
    logging.config.dictConfig(task["logging"])
    try:
        with stoppable(), handed_over(), one_client():
            return work(task)
    except KeyboardInterrupt:  # what was under way goes on from its step another time
        return INTERRUPTED


def work(task: Any) -> int:
    """The films of a task: ``store``, ``bakeoff`` (the manifest's id), ``driver``, ``statuses``, ``flow``, ``job``,
    ``films``."""
    flow = flows.get(task["flow"])
    manifest = Manifest.load(Store(task["store"]), task["bakeoff"])
    for film in task["films"]:
        job = Job(flow.name, **task["job"], num=film["index"], sweep=Path(task["folder"]))
        run = functools.partial(call, flow.run, parse(flow.settings, film["settings"]), job)
        try:
            claimed(manifest, film["index"], task["statuses"], task["driver"], len(manifest.planned), run)
        except Exception:  # noted and told
            if out_of_memory(manifest.point(film["index"]).reason or ""):
                return STOPPED
    return 0


def _stop_with_them() -> None:
    """Wait for the end of the input, to which nobody adds while a task is done, and stop as by ``kill``."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
