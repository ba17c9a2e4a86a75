"""What a command costs before and beside its work, this build against another one, in turn on one machine.

    python -m benchmarks.startup --base ../older-checkout              # five rounds: medians and ratios
    python -m benchmarks.startup --base ../older-checkout --rounds 9 --only help,typo

The other build is a checkout of this project whose packages run with this environment's libraries. Each has a store of
its own in which the small render stands already. CPU is user and system time of the process and of what it waited for.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.runs import QUICK, ROOT, server

COMMANDS = {
    "help": ["dance", "--help"],
    "typo": ["dance", "promt=x"],
    "lint": ["schedule", "lint", "0: red top; 8: blue top"],
    "unchanged": ["dance", *QUICK],
    "unchanged-server": ["dance", *QUICK],
}
OWN_STORE = ("unchanged", "unchanged-server")


class Cost(NamedTuple):
    """Seconds of one run."""

    wall: float
    cpu: float


def run(build: Path, argv: Sequence[str]) -> Cost:
    """One run of the program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(build)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flows.cli", *argv], cwd=build, env=environment, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{' '.join(argv)} failed in {build}:\n{done.stderr[-2000:]}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measured(name: str, builds: dict[str, Path], folder: Path, rounds: int) -> Iterator[str]:
    """Rows of a table: medians of both builds, taken in turn, and their ratio."""
    own = {side: [f"paths.store={folder / side}", f"paths.output={folder / side}-out"] for side in builds}
    argv = {side: [*COMMANDS[name], *(own[side] if name in OWN_STORE else [])] for side in builds}
    for side, build in builds.items():  # a first run makes what later ones find
        run(build, argv[side])
        run(build, argv[side])
    costs: dict[str, list[Cost]] = {side: [] for side in builds}
    for _ in range(rounds):
        for side, build in builds.items():
            costs[side].append(run(build, argv[side]))
    for kind in ("wall", "cpu"):
        mid = {side: statistics.median(getattr(cost, kind) for cost in found) for side, found in costs.items()}
        ratio = f"{mid['this'] / mid['base']:.2f}" if "base" in mid else ""
        yield f"| {name} | {kind} | {mid.get('base', float('nan')):.2f} | {mid['this']:.2f} | {ratio} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", type=Path, help="checkout of the other build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(COMMANDS), help=f"of {', '.join(COMMANDS)}")
    options = parser.parse_args()
    builds = {**({"base": options.base.absolute()} if options.base else {}), "this": ROOT}
    print("| command | s | base | this | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for command in options.only.split(","):
            if command == "unchanged-server":
                with server(Path(name) / "prefect"):
                    rows = list(measured(command, builds, Path(name), options.rounds))
            else:
                rows = list(measured(command, builds, Path(name), options.rounds))
            print("\n".join(rows), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
