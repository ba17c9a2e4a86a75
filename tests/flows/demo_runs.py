"""The demo flow, run in this process or in one of its own, and what it writes of its settings."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reel.history.sweep import Manifest, list_sweeps
from reel.store import Store
from tests.flows import demo

ROOT = Path(__file__).parents[2]


def environment(place: Path) -> dict[str, str]:
    """What a run writes to and takes for its project: all of it in one folder."""
    return {
        "DEMO_OUT": str(place / "out.jsonl"),
        "ROTOSCOPE_STORE": str(place / "store"),
        "ROTOSCOPE_ROOT": str(place),
    }


def settle(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of this process have a folder as theirs, and stand in it. Gives the folder."""
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROTOSCOPE_DEBUG", "0")  # put back afterwards: --debug sets it
    monkeypatch.chdir(place)
    return place


def caller(
    place: Path, capsys: pytest.CaptureFixture[str], *first: str
) -> Callable[..., tuple[int, list[dict[str, Any]], str, str]]:
    """What runs the demo flow, and gives its exit code, the settings of every run, and what went to stdout and stderr.

    Args:
        place: of `settle`.
        first: what each command line begins with.
    """

    def run(*argv: str) -> tuple[int, list[dict[str, Any]], str, str]:
        (place / "out.jsonl").unlink(missing_ok=True)
        code = demo.main([*first, *argv])
        captured = capsys.readouterr()
        return code, ran(place), captured.out, captured.err

    return run


def spawn(place: Path, *argv: str, hook: str = "", limit: int | None = None) -> subprocess.Popen[str]:
    """The demo flow in a process of its own.

    Args:
        hook: what befalls some of its points (`tests.flows.demo`).
        limit: bytes of address space that it may take.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROTOSCOPE_")}

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a suite in the background ignores Ctrl-C
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "tests.flows.demo", *argv],
        cwd=place,
        env={**kept, **environment(place), "DEMO_HOOK": hook, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def ran(place: Path) -> list[dict[str, Any]]:
    """The settings of every run, in the order of their ends."""
    out = place / "out.jsonl"
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []


def sweeps(place: Path) -> list[Manifest]:
    return list_sweeps(Store(place / "store"))
