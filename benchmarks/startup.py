"""What a command costs before it does anything: this build against another one, in turn.

    python -m benchmarks.startup --base DIR               # help, a typo, a schedule's line
    python -m benchmarks.startup --base DIR --render      # also an unchanged dance; renders once for each build first
    python -m benchmarks.startup --base DIR --render --servers    # the same with Prefect's and MLflow's servers up
    python -m benchmarks.startup --base DIR --render --no-light extract.max_frames=8    # of a short dance, that alone

``DIR`` is a checkout of the other build. Each build has a store, a cache and compiled modules of its own under
``--work``, which are made by a first run that does not count: kept, a second benchmark renders nothing. CPU seconds are
user and system time of the command and the processes that it waits for; what goes on in the background after it, the
logging of a render, is not among them.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.runs import ROOT

LIGHT = {
    "dance --help": ["dance", "--help"],
    "a typo": ["dance", "seeed=1"],
    "schedule lint": ["schedule", "lint", "0: red top; 24: blue top"],
}
PORTS = ((4310, 5310), (4311, 5311))
"""Of Prefect's and MLflow's server, by build."""
UNCHANGED = ["dance", "experiment=dance/new_character"]


@dataclass
class Build:
    """A checkout, with folders of its own for all that its commands write."""

    name: str
    root: Path
    work: Path
    took: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def environment(self) -> Mapping[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ROTOSCOPE_"))}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        return own | {
            "PYTHONPATH": str(self.root),
            "PYTHONPYCACHEPREFIX": str(self.work / "compiled"),
            "ROTOSCOPE_STORE": str(self.work / "store"),
            "ROTOSCOPE_CACHE": str(self.work / "cache"),
        }

    def command(self, arguments: list[str]) -> list[str]:
        if arguments[: len(UNCHANGED)] == UNCHANGED:
            arguments = [*arguments, f"paths.renders={self.work / 'renders'}"]
        return [sys.executable, "-m", "flows.cli", *arguments]

    def run(self, arguments: list[str]) -> tuple[float, float]:
        """CPU and wall seconds of a command, which may end with an error that it tells."""
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            self.command(arguments), cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 2):
            raise RuntimeError(f"{self.name}: {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return cpu, wall

    @contextmanager
    def servers(self, ports: tuple[int, int]) -> Iterator[None]:
        self.run(["up", "--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1])])
        try:
            yield
        finally:
            self.run(["down"])


def measure(builds: list[Build], what: str, arguments: list[str], rounds: int, settle: Callable[[], None]) -> None:
    """Run a command of each build in turn, after a first time that does not count."""
    for build in builds:
        build.run(arguments)
        build.run(arguments)  # what the first one keeps is there for the second
    for _ in range(rounds):
        for build in builds:
            settle()
            build.took.setdefault(what, []).append(build.run(arguments))


def wait_for_loggers() -> None:
    """Until no logging process of an earlier render works any more, which would be measured with the next."""
    import psutil

    def busy() -> bool:
        told = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
        return any("tasks.tracking.worker" in words for words in told)

    end = time.monotonic() + 120
    while busy() and time.monotonic() < end:
        time.sleep(0.5)


def show(new: Build, base: Build) -> None:
    print(f"{'':28}{'CPU s':>8}{'base':>8}{'ratio':>7}{'wall s':>9}{'base':>8}{'ratio':>7}")
    for what in new.took:
        cells = []
        for kind in (0, 1):
            ours, theirs = (statistics.median(one[kind] for one in build.took[what]) for build in (new, base))
            cells.append(f"{ours:8.2f}{theirs:8.2f}{ours / theirs:7.2f}")
        print(f"{what:28}{cells[0]} {cells[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", type=Path, required=True, help="checkout of the other build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--render", action="store_true", help="also an unchanged dance")
    parser.add_argument("--servers", action="store_true", help="an unchanged dance with the servers up, too")
    parser.add_argument("--no-light", dest="light", action="store_false", help="the renders alone")
    parser.add_argument(
        "overrides", nargs="*", help="of the dance, such as extract.max_frames=8: its first render takes less"
    )
    parser.add_argument("--work", type=Path, help="folder for both builds' stores and caches, kept")
    options = parser.parse_args()
    with ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="startup-")))
        builds = [Build("this", ROOT, work / "this"), Build("base", options.base.absolute(), work / "base")]
        unchanged = [*UNCHANGED, *options.overrides]
        for what, arguments in LIGHT.items() if options.light else ():
            measure(builds, what, arguments, options.rounds, lambda: None)
        if options.render:
            measure(builds, "unchanged dance", unchanged, options.rounds, wait_for_loggers)
        if options.render and options.servers:
            for build, ports in zip(builds, PORTS, strict=True):
                stack.enter_context(build.servers(ports))
            measure(builds, "unchanged dance, servers up", unchanged, options.rounds, wait_for_loggers)
        show(*builds)


if __name__ == "__main__":
    main()
