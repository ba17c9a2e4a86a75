"""Where a record, or a sweep, stands in MLflow and how far that got: a `Link` beside it in the store."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from reel.errors import UserError
from reel.files import read_regular, write_atomic
from reel.history.record import Status, load, record_path
from reel.masking import without_password
from reel.store import Store
from tasks.tracking.settings import Tracking


class Link(BaseModel):
    """A record's place in MLflow, kept in ``<store>/tracking/<run>.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

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
        uri = without_password(self.uri)
        if self.mlflow_run is None:
            return f"{uri}, experiment {self.experiment} (not logged yet: in progress, or left for a later run)"
        return self.url or f"{uri}, run {self.mlflow_run}"

    @property
    def url(self) -> str | None:
        """Page of the run, for a tracking server; None for a database file."""
        if self.mlflow_run is None or not self.uri.startswith("http"):
            return None
        return f"{without_password(self.uri).rstrip('/')}/#/experiments/{self.experiment_id}/runs/{self.mlflow_run}"


class SweepLink(Link):
    """A sweep's place in MLflow, kept in ``<store>/tracking/sweeps/<id>.json``; ``run`` is the sweep's id."""

    shown: str | None = None
    """Digest of the `tasks.tracking.sweep.summary` that MLflow shows; any but the present one means pending."""


def pending(store: Store) -> list[str]:
    """Runs, oldest first, whose closed record MLflow does not show yet."""
    found = []
    for path in sorted(links_folder(store).glob("*.json")):
        link = read_link(store, path.stem)
        if link is None or link.logged not in (None, "running"):
            continue
        with contextlib.suppress(UserError):  # a damaged or missing record is `rotoscope runs`' to report
            if load(record_path(store, link.run)).status != "running":
                found.append(link.run)
    return found


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
        return SweepLink.model_validate_json(read_regular(_sweep_link_path(store, sweep)))
    except (OSError, ValidationError):
        return None


def tracked_sweeps(store: Store) -> list[str]:
    """Ids of the sweeps that are to be shown in MLflow."""
    return sorted(path.stem for path in (links_folder(store) / "sweeps").glob("*.json"))


def _sweep_link_path(store: Store, sweep: str) -> Path:
    return links_folder(store) / "sweeps" / f"{sweep}.json"


def read_link(store: Store, run: str) -> Link | None:
    """A run's link, or None when the run is not tracked (or its link is damaged: `rebuild` makes it anew)."""
    try:
        return Link.model_validate_json(read_regular(link_path(store, run)))
    except (OSError, ValidationError):
        return None


def link_path(store: Store, run: str) -> Path:
    return links_folder(store) / f"{run}.json"


def links_folder(store: Store) -> Path:
    return store.root / "tracking"
