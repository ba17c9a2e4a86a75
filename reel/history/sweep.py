"""The sweep manifest: what a sweep is made of and how far each of its points is. It is the one truth about a sweep.

Layout under ``<store>/sweeps/<id>/``::

    manifest.json      flow, axes and points: what the command spans; written whole when the sweep starts
    points/<n>.json    how far point n is; a point without one is pending
    locks/<n>.lock     flock held by whoever runs point n, which the kernel frees however that process ends
    locks/drivers.lock shared flock of the processes that work on the sweep as a whole
    locks/driver-<id>.lock  flock of one of them

A point that says "running" and whose lock is free belongs to a process that is gone: it is pending again. If the
process that drives the sweep has outlived it, the point's own process died; if not, the whole sweep was killed, which
is no point's fault.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from reel import clock
from reel.config import suggest
from reel.errors import UserError
from reel.files import flocked, make_folder
from reel.history.record import load, record_path
from reel.history.sweep_files import (
    Axis,
    Definition,
    Planned,
    Point,
    PointStatus,
    State,
    continued,
    grown,
    manifest_path,
    read_definition,
    sweep_id,
    sweep_ids,
    sweeps_folder,
    write_definition,
)
from reel.history.sweep_points import Claim, PointFiles
from reel.store import Store

DEATHS = 3
"""Processes that may die at one point before it counts as failed: a point that runs out of memory each time must not
take the sweep down for ever."""
TRIES, PAUSE = 5, 0.02
"""A look at a lock holds it for an instant; whoever wants the point tries again (times, seconds)."""

log = logging.getLogger(__name__)


class Manifest:
    """A sweep of the store, made by `start` or `load`. It holds no state of points: `points` reads that anew."""

    def __init__(self, store: Store, definition: Definition) -> None:
        self.store = store
        self._definition = definition
        self._files = PointFiles(self.folder)
        self.driver = ""
        """Id of this process as one that works on the sweep, while it does (`driving`)."""
        self._seen: dict[Path, tuple[tuple[int, int], bool]] = {}
        """Records of finished points as they were read last, by time of change and size, and whether they are whole."""

    @property
    def id(self) -> str:
        return self._definition.id

    @property
    def flow(self) -> str:
        return self._definition.flow

    @property
    def overrides(self) -> tuple[str, ...]:
        """What the sweep was asked for with, axes included."""
        return self._definition.overrides

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self._definition.axes

    @property
    def created(self) -> datetime:
        return self._definition.created

    @property
    def folder(self) -> Path:
        return sweeps_folder(self.store) / self.id

    @property
    def planned(self) -> tuple[Planned, ...]:
        """The points as they were asked for, in the user's order."""
        return self._definition.points

    @property
    def points(self) -> list[Point]:
        """All points with their state at this moment, in the user's order."""
        return [self.point(index) for index in range(len(self.planned))]

    def point(self, index: int) -> Point:
        planned = self.planned[index]
        state = self._files.state(index)
        if state.status == "running" and not self._files.held(index):
            state = state.model_copy(update={"status": "pending"})
        elif state.status in ("done", "failed") and (state.digest != planned.digest or self._lost(state)):
            state = State(attempts=state.attempts)
        return Point(planned, state)

    @property
    def counts(self) -> dict[str, int]:
        """Number of points by status; every status is there."""
        found = Counter(point.status for point in self.points)
        return {name: found[name] for name in ("done", "failed", "running", "pending")}

    @classmethod
    def load(cls, store: Store, name: str) -> Manifest:
        """The sweep of that id, or the only one that an abbreviation fits; ``latest`` is the newest.

        Raises:
            UserError: there is none, several fit, or its manifest is damaged.
        """
        known = sweep_ids(store)
        if name == "latest":
            newest = max(known, key=lambda one: manifest_path(store, one).stat().st_mtime, default=None)
            fits = [newest] if newest else []
        else:
            fits = [name] if name in known else [one for one in known if name and (name in one)]
        if len(fits) == 1:
            return cls(store, read_definition(manifest_path(store, fits[0])))
        if fits:
            raise UserError(f"{len(fits)} sweeps fit {name!r}: {', '.join(fits[:5])}", fix="write more of its id")
        listed = ", ".join(known[-5:]) + (", ..." if len(known) > 5 else "")
        raise UserError(
            f"there is no sweep {name!r} in {store.root}{suggest(name, known)}",
            fix=f"sweeps here: {listed}" if known else "a sweep begins with: rotoscope <flow> -m key=a,b",
        )

    @classmethod
    def start(
        cls,
        store: Store,
        flow: str,
        overrides: Sequence[str],
        axes: Sequence[Axis],
        points: Sequence[Planned],
        *,
        grows: bool = False,
    ) -> Manifest:
        """Begin a sweep, or go on with the one that the same overrides began.

        The first start's order of points stays. Points whose settings have changed since (a file of conf/, the clip)
        are pending again.

        Args:
            overrides: those that make the sweep what it is; they give its id.
            points: no two with the same values; their overrides may hold more (where to log, which device).
            grows: points that it had and that are not among these stay, and new ones come behind them.
        """
        folder = sweeps_folder(store) / sweep_id(flow, overrides)
        for name in ("points", "locks"):
            make_folder(folder / name, "paths.store")
        with flocked(folder / "locks" / "manifest.lock"):
            manifest = cls.preview(store, flow, overrides, axes, points, grows=grows)
            write_definition(manifest_path(store, manifest.id), manifest._definition)
        return manifest

    @classmethod
    def preview(
        cls,
        store: Store,
        flow: str,
        overrides: Sequence[str],
        axes: Sequence[Axis],
        points: Sequence[Planned],
        *,
        grows: bool = False,
    ) -> Manifest:
        """What `start` gives, with nothing written."""
        id = sweep_id(flow, overrides)
        created = clock.now()
        new = Definition(
            id=id, flow=flow, overrides=tuple(overrides), axes=tuple(axes), points=tuple(points), created=created
        )
        with contextlib.suppress(FileNotFoundError, UserError):  # a damaged one is written anew
            new = (grown if grows else continued)(read_definition(manifest_path(store, id)), new)
        return cls(store, new)

    @contextlib.contextmanager
    def driving(self) -> Iterator[None]:
        """Held by a process that works on the sweep; while anybody holds it the sweep is not abandoned."""
        driver = secrets.token_hex(4)
        lock = self._files.driver_lock(driver)
        for left in lock.parent.glob("driver-*.lock"):  # by processes that were killed
            with flocked(left, wait=False) as free:
                if free:
                    left.unlink(missing_ok=True)
        with flocked(self.folder / "locks" / "drivers.lock", shared=True), flocked(lock):
            before, self.driver = self.driver, driver
            try:
                yield
            finally:
                self.driver = before
                lock.unlink(missing_ok=True)

    @property
    def driven(self) -> bool:
        """Whether a process works on the sweep."""
        with flocked(self.folder / "locks" / "drivers.lock", wait=False) as free:
            return not free

    def claim(
        self, index: int, statuses: Sequence[PointStatus] = ("pending",), driver: str | None = None
    ) -> Claim | None:
        """Take a point for this process; None when it is not in one of these statuses, or another process has it.

        Args:
            driver: id of the process that works on the sweep and had the point begun; None: this one.
        """
        held = contextlib.ExitStack()
        for attempt in range(TRIES):
            if held.enter_context(flocked(self._files.lock(index), wait=False)):
                break
            held.close()
            time.sleep(PAUSE * (attempt + 1))
        else:
            return None
        before = self._files.state(index)
        died = before.status == "running"
        now = self.point(index).state if not died else before.model_copy(update={"status": "pending"})
        if now.status not in statuses:
            held.close()
            return None
        own = died and self._files.lives(before.driver)
        if died and not own:
            log.warning("point #%d was under way when the whole sweep was killed; it goes on from the store", index)
        deaths = before.deaths + own if died else 0
        driver = self.driver if driver is None else driver
        attempts = before.attempts + (deaths < DEATHS)
        claim = Claim(self.id, self.planned[index], self._files, held, attempts=attempts, deaths=deaths, driver=driver)
        if deaths >= DEATHS:
            claim.fail(f"the process that ran it died {deaths} times (killed, or out of memory)", "died")
            return None
        return claim

    def reopen(self, kind: str) -> None:
        """Let points be pending again that failed so through no fault of their own, as the full disk's `NoRoom` is."""
        for point in self.points:
            if (
                point.status == "failed"
                and point.state.kind == kind
                and (claim := self.claim(point.index, ("failed",)))
            ):
                claim.release()

    def _lost(self, state: State) -> bool:
        """Whether a finished point's record is gone, or damaged."""
        if state.status != "done" or state.run is None:
            return False
        path = record_path(self.store, state.run)
        try:
            seen = (path.stat().st_mtime_ns, path.stat().st_size)
        except OSError:
            return True
        if self._seen.get(path, (None, False))[0] != seen:
            self._seen[path] = seen, self._reads(path)
        return not self._seen[path][1]

    @staticmethod
    def _reads(path: Path) -> bool:
        try:
            load(path)
        except UserError as error:
            log.warning("%s; its point is pending again", error.message)
            return False
        return True


def list_sweeps(store: Store) -> list[Manifest]:
    """All sweeps of the store, oldest first. A damaged one is told in the log and left out."""
    found = []
    for id in sweep_ids(store):
        try:
            found.append(Manifest.load(store, id))
        except UserError as error:
            log.warning("%s", error.message)
    return sorted(found, key=lambda one: one.created)
