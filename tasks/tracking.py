"""Tracking: every render becomes an MLflow run, and no render waits for it or fails because of it.

The record in the store is the truth (`reel.record`). Beside it stands a `Link`: where the run is to be logged and how
far that got. Logging means bringing MLflow up to date with the record; it can be repeated at any time, so a server
that is down or a locked database loses nothing: the link stays behind its record, and a later run or `flush_pending`
catches up.

MLflow itself works in a process of its own (`tasks.tracking_log`): its import, a new database (5 s) and a server that
does not answer cost the render nothing, and it notices at once when the render is killed. The points of a sweep share
one such process (`sweeping`, `keep_logger`) and do not wait for it; a sweep is a run of its own, the parent of theirs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reel.config import Config, Text
from reel.errors import UserError
from reel.record import Recorder, Status, begin, list_records, load, reconcile, record_path
from reel.store import Store, write_atomic
from reel.sweep import Manifest, list_sweeps
from tasks.cached import peak_memory

logger = logging.getLogger(__name__)


class Tracking(Config):
    """Where runs are logged. The store's records are the truth; MLflow can be rebuilt from them."""

    enabled: bool = True
    """Log this run to MLflow."""
    uri: Text
    """MLflow tracking address: sqlite:///<file> or http://host:port."""
    experiment: Text = "rotoscope"
    """MLflow experiment that runs are filed under."""
    artifacts: Path
    """Folder of logged files when the address is a database file."""
    log_clip: bool = True
    """Log the film itself; contact sheet, map preview and settings are logged either way."""
    timeout: float = Field(default=3.0, gt=0)
    """How long the end of a render may wait for MLflow (seconds); after that it is logged in the background."""


class Link(BaseModel):
    """A record's place in MLflow, kept in ``<store>/tracking/<run>.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    uri: str
    experiment: str
    artifacts: str
    log_clip: bool
    mlflow_run: str | None = None
    experiment_id: str | None = None
    logged: Status | None = None
    """The record's status that MLflow shows; anything but the record's own status means pending."""

    def __str__(self) -> str:
        """Where to find the run."""
        if self.mlflow_run is None:
            return f"{self.uri} (not there yet; logged with a later run)"
        return self.url or f"{self.uri}, run {self.mlflow_run}"

    @property
    def url(self) -> str | None:
        """Page of the run, for a tracking server; None for a database file."""
        if self.mlflow_run is None or not self.uri.startswith("http"):
            return None
        return f"{self.uri.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{self.mlflow_run}"


class SweepLink(Link):
    """A sweep's place in MLflow, kept in ``<store>/tracking/sweeps/<id>.json``; ``run`` is the sweep's id."""

    shown: str | None = None
    """Digest of the `tasks.tracking_sweep.summary` that MLflow shows; any but the present one means pending."""


class Logger:
    """The logging process: told of what begins and ends, it brings MLflow up to date, one after the other."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._errors = store.root / "tmp" / f"logger-{os.getpid()}-{secrets.token_hex(4)}.log"
        self._process = _spawn(store, self._errors)
        self._owed: dict[str, str] = {}
        self._ended = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, what: str, name: str) -> None:
        """Hand over work: ``open`` or ``close`` a run, show a ``sweep``."""
        assert self._process.stdin is not None
        self._owed[name] = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{what} {name}\n".encode())
            self._process.stdin.flush()
        while self._answered(0):  # read, so that its pipe never fills
            pass

    def end(self, timeout: float) -> str:
        """No more work comes; wait for what was handed over.

        Args:
            timeout: seconds to wait at most; logging goes on in the background after that.

        Returns:
            why something is not logged, or an empty text.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        limit = time.monotonic() + timeout
        while self._answered(max(0.0, limit - time.monotonic())):
            pass
        if self._ended:
            self._process.wait()
            return self._trouble()
        return f"it is slow (over {timeout:g} s); logging goes on in the background"

    def _answered(self, patience: float) -> bool:
        """Take in one answer, or the end; False when neither came in time (seconds)."""
        assert self._process.stdout is not None
        if self._ended or not select.select([self._process.stdout], [], [], patience)[0]:
            return False
        line = self._process.stdout.readline()
        self._ended = not line
        if line:
            answer = json.loads(line)
            self._owed[answer["name"]] = answer["error"]
        return True

    def _trouble(self) -> str:
        errors = [error for error in self._owed.values() if error]
        if not errors and self._process.returncode:
            errors = [_last_line(self._errors)]
        if not errors:
            self._errors.unlink(missing_ok=True)
            return ""
        return f"{errors[-1]}; kept in the store, logged with a later run"


_kept: dict[Path, Logger] = {}
"""Logging processes that outlive a render, by store."""


def keep_logger(store: Store) -> Logger:
    """The logging process that the points of a sweep share in this process; it ends with it."""
    known = _kept.get(store.root)
    if known is None or not known.alive:
        known = _kept[store.root] = Logger(store)
    return known


@contextlib.contextmanager
def sweeping(manifest: Manifest, tracking: Tracking | None) -> Iterator[None]:
    """Drive a sweep and show it in MLflow: as running meanwhile, then as it stands. Renders inside share one process.

    Args:
        tracking: None, or switched off: the sweep is driven, and nothing is logged.
    """
    if tracking is None or not tracking.enabled:
        with manifest.driving():
            yield
        return
    store = manifest.store
    save_sweep_link(store, new_sweep_link(tracking, manifest.id))
    try:
        with manifest.driving():
            keep_logger(store).tell("sweep", manifest.id)
            yield
    finally:
        shared = keep_logger(store)
        shared.tell("sweep", manifest.id)
        del _kept[store.root]
        if trouble := shared.end(tracking.timeout):
            logger.warning("not all of the sweep is in MLflow yet: %s", trouble)


class Tracker:
    """The tracking of one render: the logging process opened its run and waits for its end."""

    def __init__(self, store: Store, run: str, timeout: float) -> None:
        self.store = store
        self.run = run
        self.timeout = timeout
        self._shared = store.root in _kept
        self._logger = keep_logger(store) if self._shared else Logger(store)
        self._logger.tell("open", run)

    def log(self, run: str) -> None:
        """Have a closed record that is a part of this render logged, in the background."""
        self._logger.tell("close", run)

    def close(self) -> Link | None:
        """Have the closed record logged; waits ``timeout`` seconds at most, and not at all for a point of a sweep.

        Returns:
            the link, or None when the record is pending (said in the log; nothing is lost).
        """
        self._logger.tell("close", self.run)
        if self._shared:
            return read_link(self.store, self.run)
        trouble = self._logger.end(self.timeout)
        link = read_link(self.store, self.run)
        if link and link.logged not in (None, "running"):
            return link
        logger.warning("not in MLflow yet: %s", trouble)
        return None


_OPEN: dict[str, Tracker] = {}
"""The trackers of this process's renders by run."""


def open_run(tracking: Tracking, recorder: Recorder) -> Tracker | None:
    """Begin to track a render: its MLflow run is opened in the background. None when tracking is off, and for a part
    of a render that this process tracks: that one's logging process takes it on when it is closed (`Tracker.log`).
    """
    if not tracking.enabled:
        return None
    save_link(recorder.store, new_link(tracking, recorder.run))
    if recorder.record.parent in _OPEN:
        return None
    return Tracker(recorder.store, recorder.run, tracking.timeout)


@contextlib.contextmanager
def tracked(
    store: Store,
    tracking: Tracking,
    flow: str,
    config: Mapping[str, Any],
    *,
    output: Path | None = None,
    run: str | None = None,
    parent: str | None = None,
    title: str | None = None,
) -> Iterator[Recorder]:
    """Record a render and log it, whatever happens inside: done, failed with the reason, or interrupted.

    Args:
        config, output, run, parent, title: as for `reel.record.begin`.
    """
    reconcile(store)
    recorder = begin(store, flow, config, output=output, run=run, parent=parent, title=title)
    tracker = open_run(tracking, recorder)
    if tracker:
        _OPEN[recorder.run] = tracker
    try:
        yield recorder
    except BaseException as error:
        with contextlib.suppress(OSError, UserError):  # a full disk must not hide why the render failed
            _close(recorder, "failed" if isinstance(error, Exception) else "interrupted", reason(error))
        raise
    else:
        _close(recorder, "done", None)
    finally:
        if tracker:
            del _OPEN[recorder.run]
            tracker.close()
        elif tracking.enabled and (whole := _OPEN.get(parent or "")):
            whole.log(recorder.run)


def _close(recorder: Recorder, status: Status, why: str | None) -> None:
    link = read_link(recorder.store, recorder.run)
    recorder.finish(
        status, why, peak_memory_mib=round(peak_memory() / 2**20, 1), mlflow_run=link.mlflow_run if link else None
    )


def reason(error: BaseException) -> str:
    """What ended a render, in words for people."""
    if isinstance(error, UserError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted from the keyboard"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def pending(store: Store) -> list[str]:
    """Runs, oldest first, whose closed record MLflow does not show yet."""
    found = []
    for path in sorted(_links(store).glob("*.json")):
        link = read_link(store, path.stem)
        if link is None or link.logged not in (None, "running"):
            continue
        with contextlib.suppress(UserError):  # a damaged or missing record is `rotoscope runs`' to report
            if load(record_path(store, link.run)).status != "running":
                found.append(link.run)
    return found


def flush_pending(store: Store) -> tuple[list[str], dict[str, str]]:
    """Log what could not be logged before; renders whose process is gone are closed first.

    Returns:
        the runs that were logged, and the reason by run for those that still could not be.
    """
    from tasks.tracking_log import catch_up
    from tasks.tracking_sweep import catch_up_sweeps

    reconcile(store)
    logged, failed = catch_up(store, pending(store))
    return logged, failed | catch_up_sweeps(store)


def rebuild(store: Store, tracking: Tracking) -> tuple[list[str], dict[str, str]]:
    """Log every record and every sweep, as into a fresh MLflow; runs that are there already are not doubled."""
    for manifest in list_sweeps(store):
        save_sweep_link(store, new_sweep_link(tracking, manifest.id))
    for record in list_records(store)[0]:
        save_link(store, new_link(tracking, record.run))
    return flush_pending(store)


def new_link(tracking: Tracking, run: str) -> Link:
    return Link(run=run, **_place(tracking))


def new_sweep_link(tracking: Tracking, sweep: str) -> SweepLink:
    return SweepLink(run=sweep, **_place(tracking))


def _place(tracking: Tracking) -> dict[str, Any]:
    return {
        "uri": tracking.uri,
        "experiment": tracking.experiment,
        "artifacts": str(tracking.artifacts.absolute()),
        "log_clip": tracking.log_clip,
    }


def save_link(store: Store, link: Link) -> None:
    write_atomic(link_path(store, link.run), link.model_dump_json(indent=1).encode())


def save_sweep_link(store: Store, link: SweepLink) -> None:
    """Keep a sweep's link; a new one for the same place takes over what is known of the parent run."""
    known = read_sweep_link(store, link.run)
    if link.mlflow_run is None and known and (known.uri, known.experiment) == (link.uri, link.experiment):
        link = link.model_copy(update={"mlflow_run": known.mlflow_run, "experiment_id": known.experiment_id})
    write_atomic(_sweep_link_path(store, link.run), link.model_dump_json(indent=1).encode())


def read_sweep_link(store: Store, sweep: str) -> SweepLink | None:
    """A sweep's link, or None when it is not tracked."""
    try:
        return SweepLink.model_validate_json(_sweep_link_path(store, sweep).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def tracked_sweeps(store: Store) -> list[str]:
    """Ids of the sweeps that are to be shown in MLflow."""
    return sorted(path.stem for path in (_links(store) / "sweeps").glob("*.json"))


def _sweep_link_path(store: Store, sweep: str) -> Path:
    return _links(store) / "sweeps" / f"{sweep}.json"


def read_link(store: Store, run: str) -> Link | None:
    """A run's link, or None when the run is not tracked (or its link is damaged: `rebuild` makes it anew)."""
    try:
        return Link.model_validate_json(link_path(store, run).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def link_path(store: Store, run: str) -> Path:
    return _links(store) / f"{run}.json"


def _links(store: Store) -> Path:
    return store.root / "tracking"


def _spawn(store: Store, errors: Path) -> subprocess.Popen[bytes]:
    """The logging process, in a session of its own so that Ctrl-C leaves it to log the interruption."""
    first = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [first, os.environ.get("PYTHONPATH", "")]))
    with errors.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tasks.tracking_log", str(store.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "no answer"
