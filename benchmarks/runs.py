"""Runs of the real program for benchmarks: `dance` in a process of its own, on a store of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.prefect_server import servers

ROOT = Path(__file__).parents[1]
SPRITE = ROOT / "data" / "models" / "sprite"
"""The embedded family."""
QUICK = [
    *("stylize.num_inference_steps=4", "extract.max_frames=8", "extract.short_side=64"),
    *("measure=none", "tracking=none", "compute.dtype=float32"),
]
"""Overrides for a short render of the sample clip."""


def command(store: Path, overrides: Sequence[str] = ()) -> list[str]:
    output = store.parent / f"{store.name}-out"
    return [sys.executable, "-m", "flows.cli", "dance", f"paths.store={store}", f"paths.output={output}", *overrides]


def dance(store: Path, overrides: Sequence[str] = (), *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """One render of the sample clip; its output is captured."""
    done = subprocess.run(command(store, overrides), cwd=ROOT, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"dance failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def last_record(store: Path) -> dict[str, Any]:
    """The newest record of a store, as plain data."""
    return json.loads(max((store / "records").glob("*.json")).read_text("utf-8"))["record"]


def digests(store: Path) -> dict[str, str]:
    """Output digest by stage of the newest render."""
    return {stage["op"]: stage["digest"] for stage in last_record(store)["stages"]}


@contextlib.contextmanager
def server(home: Path) -> Iterator[None]:
    """A Prefect server for the runs inside, started as `rotoscope up` starts it."""
    servers.down(home, "prefect")  # what a benchmark that was killed left behind
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started, _ = servers.up(home, "prefect", port)
    given = {"PREFECT_API_URL": started.api, **servers.access(home, started.api, started)}
    os.environ |= {**servers.environment(home), **given}
    try:
        yield
    finally:
        for name in given:
            os.environ.pop(name, None)
        servers.down(home, "prefect")
