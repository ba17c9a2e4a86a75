"""MLflow brought up to date from the store: what could not be logged before, or everything."""

from __future__ import annotations

from reel.history.record import list_records
from reel.history.recorder import reconcile
from reel.history.sweep import list_sweeps
from reel.store import Store
from tasks.tracking.links import new_link, new_sweep_link, pending, save_link, save_sweep_link
from tasks.tracking.record import catch_up
from tasks.tracking.settings import Tracking
from tasks.tracking.sweep import catch_up_sweeps


def flush_pending(store: Store) -> tuple[list[str], dict[str, str]]:
    """Log what could not be logged before; renders whose process is gone are closed first.

    Returns:
        the runs that were logged, and the reason by run for those that still could not be.
    """
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
