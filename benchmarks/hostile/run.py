"""Runs bad inputs, each in a process of its own that is forked from one that has imported what all of them import."""

from __future__ import annotations

import atexit
import importlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.hostile.case import Case
from benchmarks.hostile.made import checkout

LIMIT = 20.0  # seconds
MEMORY = 6 * 2**30  # bytes of address space: a case that takes all must not take the machine with it
LIGHT = (
    *("flows.cli", "flows.dance.flow", "flows.search.flow", "flows.compare.flow", "flows.serve.flow"),
    *("flows.sweep.sweep", "flows.train_sprite", "flows.commands.common", "hydra", "av", "PIL.Image", "numpy"),
)
"""What is imported before the first case: whatever most of them need, and nothing that starts threads."""

Verdict = Literal["ok", "traceback", "hang", "accepted", "unclear"]


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        code: exit code; minus the signal's number where one ended it; None: it did not end.
        output: both streams, as a terminal shows them.
        missing: what should have been said and was not.
    """

    case: Case
    code: int | None
    output: str
    seconds: float

    @property
    def missing(self) -> list[str]:
        flat = " ".join(self.output.split())
        return [words for words in self.case.said if " ".join(words.split()) not in flat]

    @property
    def verdict(self) -> Verdict:
        if self.code is None:
            return "hang"
        if self.code < 0 or "Traceback (most recent call last)" in self.output:
            return "traceback"
        if self.code == 0 and self.case.code != 0:
            return "accepted"
        return "unclear" if self.code != self.case.code or self.missing else "ok"


def prepare(work: Path) -> None:
    """Import what all cases need, and make the checkout that they share."""
    from flows.config import kept

    for name in LIGHT:
        importlib.import_module(name)
    kept.PLACE = work / "kept"  # what is kept for people is not pushed out by what is kept for hundreds of cases
    (work / "shared").mkdir(parents=True)
    checkout(work / "shared")


def run(case: Case, work: Path, limit: float = LIMIT) -> Outcome:
    """Run a case in a fresh folder, which is removed afterwards; what takes longer than the limit is killed."""
    here = Path(tempfile.mkdtemp(dir=work, prefix="here-"))  # what a killed one left running may still write there
    if case.make is not None:
        case.make(here)
    log = work / "output.txt"
    log.write_bytes(b"")
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(case, here, work, log)
    code = _awaited(pid, began + limit)
    took = time.monotonic() - began
    shutil.rmtree(here, ignore_errors=True)
    return Outcome(case, code, log.read_text("utf-8", "replace"), took)


def _awaited(pid: int, until: float) -> int | None:
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _child(case: Case, here: Path, work: Path, log: Path) -> None:
    """What a shell would do, and then the program, to its very end."""
    code = 1
    try:
        os.setsid()
        _streams(log)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(here)
        _environment(case, here, work)
        _stand_in(here if (here / "conf").is_dir() else work / "shared")
        from flows.cli import main

        try:
            code = main([word.replace("{here}", str(here)) for word in case.argv])
        except SystemExit as end:  # argparse's way to be done
            code = end.code if isinstance(end.code, int) else 1
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _streams(log: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(log, os.O_WRONLY | os.O_TRUNC), 1)
    os.dup2(1, 2)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8") for number, mode in enumerate(("r", "w", "w"))
    )


def _environment(case: Case, here: Path, work: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("ROTOSCOPE_", "PREFECT_", "MLFLOW_"))]:
        del os.environ[name]
    os.environ |= {
        "ROTOSCOPE_STORE": str(here / "store"),
        "ROTOSCOPE_CACHE": str(work / "cache"),
        "HF_HUB_OFFLINE": "1",
        "HOME": str(here),
    }
    for name, value in case.env.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value.replace("{here}", str(here))


def _stand_in(place: Path) -> None:
    """Have ``conf`` be that of a checkout, as if it were the one that is installed."""
    from flows.config.root import project_root

    sys.path.insert(0, str(place))
    sys.modules.pop("conf", None)
    importlib.invalidate_caches()
    project_root.cache_clear()


def part(found: Sequence[Case], number: int, of: int) -> list[Case]:
    """Every ``of``-th case from ``number`` (1..of) on, so that each part holds something of every kind."""
    return list(found[number - 1 :: of])
