"""`serve` disturbed: a clip is dropped into a watched folder, and comes out rendered whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.chaos.processes import Run, Starter, kill_tree
from benchmarks.chaos.subjects import SMALL, Made, digests, records
from benchmarks.runs import ROOT
from flows.prefect_server import servers

SAMPLE = ROOT / "data" / "source" / "sample.mp4"
ENDS = 20.0
"""Seconds in which it must end that was told to, in a machine as busy as these rounds make it."""
FAULTS = ("kill -9", "SIGTERM, Ctrl-C", "server killed", "render killed")


@dataclass
class Serving:
    """One round of it.

    Attributes:
        limit: seconds until the film must be there.
        slack: factor of the times in which it must end.
    """

    folder: Path
    home: Path
    name: str
    starter: Starter
    rng: random.Random
    limit: float = 600.0
    slack: float = 1.0
    kills: int = 0
    trouble: list[str] = field(default_factory=list)

    def play(self, fault: str, expected: Made) -> None:
        """Drop a clip, disturb, start again what has ended, wait for the film, and look at what is left."""
        (self.folder / "deployment").mkdir(parents=True)
        (self.folder / "deployment" / f"{self.name}.yaml").write_text(
            f"flow: dance\noverrides: [{', '.join(map(_quoted, SMALL))}]\n"
            f"watch: {{folder: {self.folder}/inbox, stable_seconds: 0.5}}\nslot: null\n"
        )
        run = self._serve()
        if not self._until((self.folder / "inbox").is_dir, run):
            return self._end(run)
        shutil.copy(SAMPLE, self.folder / "inbox" / "clip.mp4")
        self._until(lambda: any((self.folder / "store/serve/runs").glob("*.lock")), run)
        for _ in range(self.rng.randint(1, 3)):
            time.sleep(self.rng.uniform(0, 6))
            if self._states() != ["COMPLETED"]:
                run = self._disturb(fault, run)
        if self._until(lambda: self._states() == ["COMPLETED"], run):
            self._look(expected)
        self._end(run)
        if left := [state for state in self._states() if state != "COMPLETED"]:
            self.trouble.append(f"RUNNING: the server says {left}")

    def _serve(self) -> Run:
        allowed = "allow.dance=[clip,tracking,extract.*,stylize.*,assemble.*,measure,compute.*]"
        own = {"folder": "deployment", "paths.store": "store", "paths.renders": "renders"}
        where = [f"{key}={self.folder / name}" for key, name in own.items()]
        return self.starter.spawn(["serve", *where, allowed])

    def _disturb(self, fault: str, run: Run) -> Run:
        """Returns the `serve` that goes on."""
        self.kills += 1
        if fault == "server killed":
            known = servers.running(self.home, "prefect")
            if known is not None:
                kill_tree(known.pid)
                servers.up(self.home, "prefect", known.port)
            return run
        if fault == "render killed":
            for process in psutil.Process(run.handle.pid).children():
                with contextlib.suppress(psutil.Error):
                    if "PREFECT__FLOW_RUN_ID" in process.environ():
                        process.kill()
            return run
        if fault == "kill -9":
            kill_tree(run.handle.pid)
            run.wait(self.slack * ENDS)
        else:
            self._end(run, self.rng.choice([signal.SIGTERM, signal.SIGINT]))
        return self._serve()

    def _end(self, run: Run, number: int = signal.SIGINT) -> None:
        run.signal(number, group=number == signal.SIGINT)
        if run.wait(self.slack * ENDS) is None:
            self.trouble.append(f"hang: serve does not end: {run.log}")
            kill_tree(run.handle.pid)
            run.wait(self.slack * ENDS)
        if f'File "{ROOT}' in run.said:  # Prefect's own runner shows tracebacks of its own when the server is away
            self.trouble.append(f"traceback: {run.log}")

    def _until(self, there: Callable[[], bool], run: Run) -> bool:
        end = time.monotonic() + self.limit
        while time.monotonic() < end:
            if there():
                return True
            if run.wait(0) is not None:
                self.trouble.append(f"exit {run.wait(0)}: serve has ended: {run.log}")
                return False
            time.sleep(0.5)
        self.trouble.append(f"hang: {run.log}")
        return False

    def _states(self) -> list[str]:
        """States of the deployment's runs, as the server has them."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas import filters

        async def read() -> list[str]:
            async with get_client() as client:
                name = filters.DeploymentFilterName(any_=[self.name])
                runs = await client.read_flow_runs(deployment_filter=filters.DeploymentFilter(name=name))
                return sorted(run.state.type.value for run in runs if run.state)

        try:
            return asyncio.run(read())
        except Exception:  # the server is just away
            return []

    def _look(self, expected: Made) -> None:
        found = digests(records(self.folder / "store", "dance")[-1])
        if wrong := sorted(name for name, digest in found.items() if expected.get(name) != digest):
            self.trouble.append(f"wrong: {', '.join(wrong[:4])}")
        if not any((self.folder / "renders" / self.name).glob("*/movie.mp4")):
            self.trouble.append("nothing made: no film")


def _quoted(override: str) -> str:
    return f"'{override}'"


__all__ = ["FAULTS", "Serving"]
