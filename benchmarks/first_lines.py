"""How long a person looks at an empty terminal: seconds to the first line, to the clip's report, to a settings error.

    python -m benchmarks.first_lines --base DIR               # this build against another one, in turn
    python -m benchmarks.first_lines --base DIR --offline     # also weights that are not here, with a hub that is not

``DIR`` is a checkout of the other build. Beside the seconds on the clock stand the CPU seconds that the command had
taken when the line came: on an idle machine the two are nearly the same, and on a busy one only those compare. A render
is stopped when its last line of interest has come. A line that a build does not have is a dash.
"""

from __future__ import annotations

import argparse
import re
import signal
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.runs import ROOT
from benchmarks.startup import Build

CLIP = ["dance", "tracking=none", "prompt=a girl with long pink hair in a red top, green background", "extract.end=1"]
HUB = {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "0"}


@dataclass(frozen=True)
class Row:
    """A command and the lines of it that are waited for.

    Attributes:
        lines: pattern by what it is called, in their order; the command is stopped after the last of them.
    """

    arguments: list[str]
    lines: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)


ROWS = [
    Row(["dance", "steps=20"], {"error: unknown key": "^fix:"}),
    Row(["dance", "extract.width=wide"], {"error: a value": r"^\s+\^"}),
    Row(["dance", "clip=nowhere.mp4"], {"error: no such clip": "^fix:"}),
    Row(CLIP, {"first line": r"\S", "the clip's report": r"^  clip ", "what is to do, how long": "^  time |how long"}),
]
OFFLINE = [Row(["dance", "model=sd15"], {"error: no weights": "^fix:"}, HUB)]

Seen = dict[str, tuple[float, float]]
"""Clock and CPU seconds of each line that came."""


def watch(build: Build, row: Row) -> Seen:
    """Run a command and note when each line comes."""
    environment = {**build.environment, **row.environment, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    running = subprocess.Popen(
        build.command(row.arguments),
        cwd=build.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    seen: Seen = {}
    assert running.stdout is not None
    for line in running.stdout:
        for name, pattern in row.lines.items():
            if name not in seen and re.search(pattern, line):
                seen[name] = time.monotonic() - started, _cpu(running.pid)
        if [*row.lines][-1] in seen:
            running.send_signal(signal.SIGTERM)
            break
    running.stdout.read()
    running.wait()
    return seen


def _cpu(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:  # it printed, and was gone
        return float("nan")
    return float(times.user + times.system)


def show(rows: list[Row], found: dict[str, list[list[Seen]]]) -> None:
    """The medians of both builds in one table."""
    print(f"{'seconds':28}{'clock':>8}{'base':>8}{'CPU':>8}{'base':>8}")
    for number, row in enumerate(rows):
        for name in row.lines:
            cells = [_median([one.get(name) for one in found[build][number]], kind)
                     for kind in (0, 1) for build in found]  # fmt: skip
            print(f"{name:28}{''.join(f'{cell:>8}' for cell in cells)}")


def _median(values: list[tuple[float, float] | None], kind: int) -> str:
    came = [value[kind] for value in values if value is not None]
    return f"{statistics.median(came):.2f}" if len(came) == len(values) else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", type=Path, required=True, help="checkout of the other build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--offline", action="store_true", help="also weights of a hub that does not answer, once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-lines-") as folder:
        work = Path(folder)
        builds = [Build("this", ROOT, work / "this"), Build("base", options.base.absolute(), work / "base")]
        rows = ROWS + (OFFLINE if options.offline else [])
        found: dict[str, list[list[Seen]]] = {build.name: [[] for _ in rows] for build in builds}
        for number, row in enumerate(rows):
            once = row in OFFLINE
            for build in () if once else builds:
                watch(build, row)  # what the first one keeps is there for the others
            for _ in range(1 if once else options.rounds):
                for build in builds:
                    found[build.name][number].append(watch(build, row))
        show(rows, found)


if __name__ == "__main__":
    main()
