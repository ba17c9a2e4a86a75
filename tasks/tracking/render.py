"""Tracking: every render becomes an MLflow run, and no render waits for it or fails because of it.

The record in the store is the truth (`reel.history.record`). Beside it stands a `Link`: where the run is to be
logged and how far that got. Logging means bringing MLflow up to date with the record; it can be repeated at any time,
so a server that is down or a locked database loses nothing: the link stays behind its record, and a later run or
`tasks.tracking.rebuild.flush_pending` catches up.

MLflow itself works in a process of its own (`tasks.tracking.worker`): its import, a new database (5 s) and a server
that does not answer cost the render nothing, and it notices at once when the render is killed. The points of a sweep
share one such process (`sweeping`, `keep_logger`) and do not wait for it; a sweep is a run of its own, the parent of
theirs.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.history.record import Status
from reel.history.recorder import Recorder, begin, reconcile
from reel.history.sweep import Manifest
from reel.masking import masked
from reel.store import Store
from tasks.cached import peak_memory
from tasks.tracking.links import Link, new_link, new_sweep_link, read_link, save_link, save_sweep_link
from tasks.tracking.process import KEPT, Logger, keep_logger
from tasks.tracking.settings import Tracking

logger = logging.getLogger(__name__)


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
        del KEPT[store.root]
        if trouble := shared.end(tracking.timeout):
            logger.warning("not all of the sweep is in MLflow yet: %s", trouble)


def log_later(store: Store, tracking: Tracking, run: str) -> None:
    """Have the closed record of a render that another process made logged, in the background, inside `sweeping`."""
    if tracking.enabled:
        save_link(store, new_link(tracking, run))
        keep_logger(store).tell("close", run)


class Tracker:
    """The tracking of one render: the logging process opened its run and waits for its end."""

    def __init__(self, store: Store, run: str, timeout: float) -> None:
        self.store = store
        self.run = run
        self.timeout = timeout
        self._shared = store.root in KEPT
        self._logger = keep_logger(store) if self._shared else Logger(store)
        self._logger.tell("open", run)

    def log(self, run: str) -> None:
        """Have a closed record that is a part of this render logged, in the background."""
        self._logger.tell("close", run)

    def close(self, wait: bool = True) -> Link | None:
        """Have the closed record logged; waits ``timeout`` seconds at most, and not at all for a point of a sweep.

        Args:
            wait: False: not at all; the logging process goes on when this one has ended.

        Returns:
            the link, or None when the record is pending (said in the log; nothing is lost).
        """
        self._logger.tell("close", self.run)
        if self._shared or not wait:
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
    if not tracking.enabled or not recorder.kept:
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
    result: Mapping[str, Any] | None = None,
) -> Iterator[Recorder]:
    """Record a render and log it, whatever happens inside: done, failed with the reason, or interrupted.

    Args:
        config, output, run, parent, title, result: as for `reel.history.recorder.begin`.
    """
    reconcile(store)
    recorder = begin(store, flow, config, output=output, run=run, parent=parent, title=title, result=result)
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
            # MLflow's import takes longer than all the rest of a render that is wholly in the store
            tracker.close(wait=not recorder.record.reused)
        elif tracking.enabled and (whole := _OPEN.get(parent or "")):
            whole.log(recorder.run)


def _close(recorder: Recorder, status: Status, why: str | None) -> None:
    link = read_link(recorder.store, recorder.run)
    recorder.finish(
        status, why, peak_memory_mib=round(peak_memory() / 2**20, 1), mlflow_run=link.mlflow_run if link else None
    )


def reason(error: BaseException) -> str:
    """What ended a render, in words for people; secrets masked."""
    if isinstance(error, UserError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted from the keyboard"
    return masked(f"{type(error).__name__}: {error}") if str(error) else type(error).__name__
