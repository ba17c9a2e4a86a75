"""The points of a sweep while they are worked on: how far each is, who holds it, and the claim of the one who does."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reel import clock
from reel.files import flocked, read_file, write_atomic
from reel.history.sweep_files import Planned, State

log = logging.getLogger(__name__)


class PointFiles:
    """The files of a sweep's points: states and locks, as `reel.history.sweep` lays them out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self, index: int) -> State:
        """How far a point is, as its file says; a damaged one says nothing."""
        path = self._state_path(index)
        try:
            data = read_file(path)
            if data is not None or not path.exists():
                return State.model_validate_json(data) if data is not None else State()
        except ValidationError:
            pass
        log.warning("%s: damaged; the point counts as pending", path)
        return State()

    def write(self, index: int, state: State) -> None:
        write_atomic(self._state_path(index), state.model_dump_json(indent=1).encode())

    def lock(self, index: int) -> Path:
        """Held by whoever runs the point."""
        return self._folder / "locks" / f"{index}.lock"

    def held(self, index: int) -> bool:
        """Whether somebody runs the point."""
        with flocked(self.lock(index), wait=False) as free:
            return not free

    def driver_lock(self, driver: str) -> Path:
        """Held by a process that works on the sweep as a whole."""
        return self._folder / "locks" / f"driver-{driver}.lock"

    def lives(self, driver: str) -> bool:
        """Whether a process that worked on the sweep still does."""
        if not driver or not self.driver_lock(driver).exists():
            return False
        with flocked(self.driver_lock(driver), wait=False) as free:
            return not free

    def _state_path(self, index: int) -> Path:
        return self._folder / "points" / f"{index}.json"


class Claim:
    """A point that this process runs, until `done`, `fail` or `release`. Its state says "running" meanwhile."""

    def __init__(
        self,
        sweep: str,
        planned: Planned,
        files: PointFiles,
        held: contextlib.ExitStack,
        *,
        attempts: int,
        deaths: int,
        driver: str,
    ) -> None:
        """
        Args:
            sweep: its id.
            held: the point's lock.
            driver: id of the process that works on the sweep and had the point begun.
        """
        self.sweep = sweep
        self.index = planned.index
        self._files = files
        self._held = held
        self._began = time.perf_counter()
        self._state = State(
            status="running",
            digest=planned.digest,
            attempts=attempts,
            deaths=deaths,
            driver=driver,
            started=clock.now(),
            host=platform.node(),
            pid=os.getpid(),
        )
        self._save()

    @property
    def run(self) -> str | None:
        return self._state.run

    def began(self, run: str) -> None:
        """Note the id of the point's render record."""
        self._save(run=run)

    def done(self) -> None:
        self._close(status="done", deaths=0)

    def fail(self, reason: str, kind: str) -> None:
        """Close the point as failed.

        Args:
            reason: for people, one line first.
            kind: class of the error.
        """
        self._close(status="failed", reason=reason, kind=kind, deaths=0)

    def release(self) -> None:
        """Give the point back unfinished: it is pending again."""
        self._close(status="pending", deaths=0)

    def _close(self, **fields: Any) -> None:
        try:
            self._save(seconds=round(time.perf_counter() - self._began, 3), **fields)
        finally:
            self._held.close()  # where the disk is full the point is pending again

    def _save(self, **fields: Any) -> None:
        self._state = self._state.model_copy(update=fields)
        self._files.write(self.index, self._state)
