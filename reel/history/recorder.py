"""The record of a render that goes on: opened by `begin`, written after every stage, closed once.

While the render lives it holds a flock, which the kernel frees however the process ends: a record that says "running"
and whose lock is free belongs to a render that was killed (`reconcile`).
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import platform
import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from reel import clock
from reel.canonical import canonical
from reel.errors import UserError
from reel.files import here, sha256_file
from reel.history.record import Output, RenderRecord, Role, StageRecord, Status, load, record_path, save
from reel.keys import library_version, recall
from reel.live import progress_path
from reel.store import Store

log = logging.getLogger(__name__)

LOST = "the process ended without closing the render (killed, or the machine went down)"


class StageLike(Protocol):
    """What a record keeps of a stage; `tasks.cached.Stage` is one."""

    @property
    def op(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def reused(self) -> bool: ...
    @property
    def seconds(self) -> float: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...


class PointLike(Protocol):
    """The point of a sweep that a render is; `reel.history.sweep_points.Claim` is one."""

    @property
    def sweep(self) -> str: ...
    @property
    def index(self) -> int: ...
    def began(self, run: str) -> None: ...


S = TypeVar("S", bound=StageLike)

_point: contextvars.ContextVar[PointLike | None] = contextvars.ContextVar("point", default=None)


class Recorder:
    """Keeps the record of a render that is going on. Made by `begin`; not for use from several threads.

    Attributes:
        kept: whether it is written at all: in a store that is read-only it is not, and that is told.
    """

    def __init__(self, store: Store, record: RenderRecord, root: Path | None = None) -> None:
        self.store = store
        self.record = record
        self.kept = store.writable
        self._began = _elapsed()
        self._held = contextlib.ExitStack()
        if self.kept:
            self._held.enter_context(store.lock(_lock_name(record.run)))
        else:
            log.warning("the store %s is read-only: no record is kept of this render", store.root)
        self._at_once = False
        commit, dirty = git_state(root)
        self._update(commit=commit, dirty=dirty)

    @property
    def run(self) -> str:
        return self.record.run

    def stage(self, stage: S) -> S:
        """Note a finished stage, with the models and library versions of its key; hands it back."""
        fields = (recall(self.store, stage.key) or {}).get("fields", {})
        noted = StageRecord(
            op=stage.op,
            key=stage.key,
            digest=stage.digest,
            reused=stage.reused,
            seconds=round(stage.seconds, 4),
            facts=dict(stage.facts),
        )
        self._update(
            stages=(*self.record.stages, noted),
            models={**self.record.models, **fields.get("models", {})},
            packages={**self.record.packages, **fields.get("libraries", {})},
        )
        return stage

    def metric(self, **values: float) -> None:
        """Note numbers that describe the result, such as ``joint_error_px=3.2``."""
        self._update(metrics={**self.record.metrics, **{name: float(value) for name, value in values.items()}})

    def pictures(self, **digests: str) -> None:
        """Note clips to look at by their role, such as ``frames``."""
        self._update(pictures={**self.record.pictures, **digests})

    def sources(self, digests: Mapping[str, str]) -> None:
        """Note the files that it is made from, by the settings that name them."""
        self._update(sources=dict(digests))

    def server(self, *, up: bool) -> None:
        """Note whether a Prefect server was up already: starting one takes longer than many a render."""
        self._update(server=up)

    def of_sweep(self, sweep: str) -> None:
        """Note that this is not a point of a sweep but about all of it."""
        self._update(sweep=sweep)

    def move(self, output: Path) -> None:
        """Say that files are exported to another folder than was said at first; none has been noted yet."""
        self._update(output=str(output.absolute()))

    def output(self, path: Path, role: Role = "other") -> None:
        """Note an exported file, which must lie in the record's output folder; written with the next change."""
        if self.record.output is None:
            raise ValueError("this render has no output folder")
        name = path.absolute().relative_to(Path(self.record.output)).as_posix()
        noted = Output(name=name, sha256=sha256_file(path), size=path.stat().st_size, role=role)
        self.record = self.record.model_copy(update={"outputs": (*self.record.outputs, noted)})

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """What is noted inside is written at its end, and not one by one: nothing in it takes long."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
            self._update()

    def finish(self, status: Status, reason: str | None = None, **fields: Any) -> RenderRecord:
        """Close the record, once: it never changes again."""
        ended = self.record.started + timedelta(seconds=_elapsed() - self._began)  # whatever became of the wall's clock
        self._update(status=status, reason=reason, ended=ended, **fields)
        if self.kept:
            (self.store.root / "locks" / f"{_lock_name(self.run)}.lock").unlink(missing_ok=True)
            progress_path(self.store, self.run).unlink(missing_ok=True)
        self._held.close()
        return self.record

    def _update(self, **fields: Any) -> None:
        if self.record.status != "running":
            raise ValueError(f"the record of {self.run} is closed")
        self.record = RenderRecord.model_validate({**dict(self.record), **fields})
        if self.kept and not self._at_once:
            save(self.store, self.record)


def begin(
    store: Store,
    flow: str,
    config: Mapping[str, Any],
    *,
    output: Path | None = None,
    run: str | None = None,
    parent: str | None = None,
    title: str | None = None,
    result: Mapping[str, Any] | None = None,
) -> Recorder:
    """Open the record of a render that starts now; until `Recorder.finish` it counts as running.

    Args:
        config: the resolved settings, plain data.
        output: folder that files will be exported to.
        run: an id from `new_run_id`, where the caller needed it before (a folder's name).
        parent, title, result: see `RenderRecord`.
    """
    settings = canonical(config)
    root = settings.get("paths", {}).get("root") if isinstance(settings.get("paths"), Mapping) else None
    point = _point.get() if parent is None else None  # a part of a render is no point of its own
    record = RenderRecord(
        run=run or new_run_id(),
        flow=flow,
        parent=parent,
        title=title,
        started=clock.now(),
        config=settings,
        result=canonical(result),
        output=str(output.absolute()) if output else None,
        packages={"rotoscope": library_version("rotoscope")},
        sweep=point.sweep if point else None,
        point=point.index if point else None,
        cwd=here(),
        host=platform.node(),
        pid=os.getpid(),
    )
    if point:
        point.began(record.run)
    return Recorder(store, record, Path(root) if root else None)


@contextlib.contextmanager
def as_point(point: PointLike) -> Iterator[None]:
    """The render that begins inside is that point of a sweep: its record says so, and the point gets its id."""
    token = _point.set(point)
    try:
        yield
    finally:
        _point.reset(token)


def new_run_id() -> str:
    """Sortable to the microsecond; the last digit keeps two processes apart."""
    now = clock.now()
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond:05x}{secrets.token_hex(1)[0]}"


def alive(store: Store, run: str) -> bool:
    """Whether a render's process still holds its lock."""
    if not (store.root / "locks" / f"{_lock_name(run)}.lock").exists():
        return False
    with store.lock(_lock_name(run), wait=False) as free:
        return not free


def reconcile(store: Store) -> list[RenderRecord]:
    """Close the records of renders whose process is gone; returns those that were closed."""
    closed: list[RenderRecord] = []
    if not store.writable:
        return closed
    for lock in sorted((store.root / "locks").glob("run-*.lock")):  # left only by renders that live or were killed
        run = lock.stem.removeprefix("run-")
        with store.lock(lock.stem, wait=False) as free:
            if not free:
                continue
            with contextlib.suppress(UserError):  # killed before its first record, or a damaged one: nothing to close
                if (record := _lost(store, run)) is not None:
                    closed.append(record)
            progress_path(store, run).unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
    return closed


def _lost(store: Store, run: str) -> RenderRecord | None:
    path = record_path(store, run)
    record = load(path)
    if record.status != "running":
        return None
    last = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    record = record.model_copy(update={"status": "interrupted", "reason": LOST, "ended": last})
    save(store, record)
    return record


def git_state(root: Path | None = None) -> tuple[str | None, bool | None]:
    """Commit of the checkout and whether tracked files differ from it; (None, None) outside of git."""
    # `describe --dirty` would write the index anew, and a render that dies meanwhile would leave the checkout locked
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None, None
    commit = re.search(r"^# branch\.oid ([0-9a-f]{40,})$", done.stdout, re.MULTILINE)
    if commit is None:  # nothing is committed yet
        return None, None
    return commit[1], any(line and not line.startswith("#") for line in done.stdout.splitlines())


def _lock_name(run: str) -> str:
    return f"run-{run}"


def _elapsed() -> float:
    """Seconds on a clock that nobody sets; where the system has one, it goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
