"""What MLflow is told about a sweep: one run, the parent of its points', with axes and counts. Made from the manifest,
so that it can be made again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from reel.errors import UserError
from reel.files import canonical_json, sha256_bytes
from reel.history.sweep import Manifest
from reel.masking import masked
from reel.store import Store
from tasks.tracking.client import connect, each_reachable, experiment_id
from tasks.tracking.links import Link, SweepLink, read_sweep_link, save_sweep_link, tracked_sweeps

SWEEP_TAG = "rotoscope.sweep.parent"


def summary(manifest: Manifest) -> dict[str, Any]:
    """How a sweep stands: MLflow's status of the parent run, counts, and every point's state.

    RUNNING while a process works on it; KILLED when points are missing and nobody does; FAILED when a point failed.
    """
    points = manifest.points
    counts = manifest.counts
    if counts["running"] or manifest.driven:
        status = "RUNNING"
    elif counts["pending"]:
        status = "KILLED"
    else:
        status = "FAILED" if counts["failed"] else "FINISHED"
    return {
        "status": status,
        "counts": {**counts, "total": len(points)},
        "seconds": round(sum(point.seconds or 0.0 for point in points if point.status == "done"), 3),
        "points": [
            {
                "point": point.index,
                **point.values,
                "status": point.status,
                "reason": point.reason,
                "run": point.run,
                "seconds": point.seconds,
            }
            for point in points
        ],
    }


def log_sweep(store: Store, sweep: str) -> None:
    """Bring a sweep's parent run up to date with its manifest; does nothing when it is.

    Raises:
        Exception: whatever MLflow raises when it cannot be reached; UserError: no such sweep.
    """
    manifest = Manifest.load(store, sweep)
    with store.lock(f"tracking-sweep-{sweep}"):
        link, now = read_sweep_link(store, sweep), summary(manifest)
        shown = sha256_bytes(canonical_json(now))
        if link is None or link.shown == shown:
            return
        client = connect(store, link.uri)
        link = _opened(client, store, link, manifest)
        _update(client, link, now)
        save_sweep_link(store, link.model_copy(update={"shown": shown}))


def catch_up_sweeps(store: Store, sweeps: Sequence[str] | None = None) -> dict[str, str]:
    """`log_sweep` of each, of all that are tracked where none is named; gives the reason by id of those that failed."""
    named = tracked_sweeps(store) if sweeps is None else sweeps
    return each_reachable(named, lambda sweep: read_sweep_link(store, sweep), lambda sweep: log_sweep(store, sweep))[1]


def parent_run(client: Any, store: Store, link: Link, sweep: str) -> str | None:
    """MLflow's id of the run that a point's run belongs under, made if need be; None when its manifest is gone.

    Args:
        link: the point's; where it is logged its parent is, too.
    """
    with store.lock(f"tracking-sweep-{sweep}"):
        try:
            manifest = Manifest.load(store, sweep)
        except UserError:
            return None
        known = read_sweep_link(store, sweep)
        if known is None or (known.uri, known.experiment) != (link.uri, link.experiment):
            known = SweepLink(**{**link.model_dump(), "run": sweep, "mlflow_run": None, "logged": None})
        return _opened(client, store, known, manifest).mlflow_run


def _opened(client: Any, store: Store, link: SweepLink, manifest: Manifest) -> SweepLink:
    """The link with its run: one that carries our tag, or a new one."""
    from mlflow.entities import Param, RunTag

    experiment = experiment_id(client, link)
    if link.mlflow_run is not None and link.experiment_id == experiment and _there(client, link.mlflow_run):
        return link
    known = client.search_runs([experiment], f"tags.`{SWEEP_TAG}` = '{manifest.id}'", max_results=1)
    if known:
        run = known[0].info.run_id
    else:
        at = int(manifest.created.timestamp() * 1000)
        name = f"sweep {manifest.id}"
        run = client.create_run(experiment, start_time=at, tags={SWEEP_TAG: manifest.id}, run_name=name).info.run_id
    axes = {f"axis.{axis.name}"[:250]: ", ".join(map(" & ".join, axis.values))[:500] for axis in manifest.axes}
    params = {"flow": manifest.flow, "points": str(len(manifest.planned)), **axes}
    about = "\n".join(f"- `{key.removeprefix('axis.')}`: {value}" for key, value in axes.items())
    tags = {
        "flow": manifest.flow,
        "rotoscope.sweep": manifest.id,
        "mlflow.source.name": f"rotoscope {manifest.flow} -m",
        "mlflow.note.content": f"Sweep of `{manifest.flow}` over\n{about}\n\n`{masked(' '.join(manifest.overrides))}`",
    }
    client.log_batch(
        run,
        params=[Param(_named(key), value) for key, value in params.items()],
        tags=[RunTag(key, value[:5000]) for key, value in tags.items()],
    )
    link = link.model_copy(update={"mlflow_run": run, "experiment_id": experiment})
    save_sweep_link(store, link)
    return link


def _there(client: Any, run: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run).info.lifecycle_stage == "active")
    except MlflowException:  # another database by now
        return False


def _update(client: Any, link: SweepLink, now: dict[str, Any]) -> None:
    from mlflow.entities import Metric

    at = int(time.time() * 1000)
    numbers = {f"points.{name}": float(count) for name, count in now["counts"].items()} | {"seconds": now["seconds"]}
    client.log_batch(link.mlflow_run, metrics=[Metric(key, value, at, 0) for key, value in numbers.items()])
    client.log_dict(link.mlflow_run, now, "sweep.json")
    if now["status"] == "RUNNING":
        client.update_run(link.mlflow_run, status="RUNNING")
    else:
        client.set_terminated(link.mlflow_run, now["status"], end_time=at)


def _named(key: str) -> str:
    """MLflow's alphabet for names has no ``&``."""
    return key.replace(" & ", " and ")
