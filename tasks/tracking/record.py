"""What MLflow is told about a render's record. Logging means bringing MLflow up to date with it; it can be repeated."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from reel.errors import UserError
from reel.history import summary
from reel.history.comparison import place_of, settings
from reel.history.record import RenderRecord, load, locate, record_path
from reel.history.sweep import Manifest
from reel.history.sweep_files import Point
from reel.nested import flat
from reel.store import Store
from tasks.tracking.client import allowed, connect, each_reachable, experiment_id
from tasks.tracking.links import Link, read_link, save_link
from tasks.tracking.sweep import parent_run
from tasks.tracking.view import SUBJECT_TAG, experiment_tags, note

RUN_TAG = "rotoscope.run"
PARAMS = 100
"""Parameters that MLflow takes in one call."""
_STATUS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_FOLDERS = {
    **{"movie": "clip", "sheet": "contact_sheet", "preview": "preview"},
    **{"page": "compare", "plot": "plots", "table": "tables"},
}


def log_record(store: Store, run: str) -> Link | None:
    """Bring MLflow up to date with a record; does nothing when it is, and can be repeated after any failure.

    Raises:
        Exception: whatever MLflow raises when it cannot be reached; UserError for a damaged record.
    """
    with store.lock(f"tracking-{run}"):
        link, record = read_link(store, run), load(record_path(store, run))
        if link is None or link.logged == record.status:
            return link
        client = connect(store, link.uri)
        link = _opened(client, store, link, record)
        if record.status != "running":
            _log_end(client, store, link, record)
        link = link.model_copy(update={"logged": record.status})
        save_link(store, link)
        return link


def catch_up(store: Store, runs: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """`log_record` of each; gives the runs logged, and the reason by run for the others."""
    return each_reachable(runs, lambda run: read_link(store, run), lambda run: log_record(store, run))


def _opened(client: Any, store: Store, link: Link, record: RenderRecord) -> Link:
    """The link with its MLflow run: the noted one, one that carries our tag, or a new one."""
    experiment, point = experiment_id(client, link), _point(store, record)
    dress(client, experiment, record)
    tags = {RUN_TAG: record.run, "mlflow.user": os.environ.get("USER", ""), **_sweep_tags(client, store, link, record)}
    known = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{record.run}'", max_results=1)
    if known:
        mlflow_run = known[0].info.run_id
    else:
        started = int(record.started.timestamp() * 1000)
        name = _name(record, point)
        mlflow_run = client.create_run(experiment, start_time=started, tags=tags, run_name=name).info.run_id
    link = link.model_copy(update={"mlflow_run": mlflow_run, "experiment_id": experiment})
    save_link(store, link)
    from mlflow.entities import Param, RunTag

    found = [Param(key, value) for key, value in params(record, point.values if point else {}).items()]
    client.log_batch(
        mlflow_run,
        params=found[:PARAMS],
        tags=[
            *_run_tags(record),
            *(RunTag(key, value) for key, value in tags.items() if value),
            *_parent_tags(store, record),
        ],
    )
    for start in range(PARAMS, len(found), PARAMS):
        client.log_batch(mlflow_run, params=found[start : start + PARAMS])
    return link


def _parent_tags(store: Store, record: RenderRecord) -> list[Any]:
    """What hangs a part of a render below its run in MLflow's table; nothing where that one is not tracked."""
    from mlflow.entities import RunTag

    if record.parent is None or (link := read_link(store, record.parent)) is None:
        return []
    if link.mlflow_run is None:
        link = log_record(store, record.parent)
    return [RunTag("mlflow.parentRunId", link.mlflow_run)] if link and link.mlflow_run else []


def _sweep_tags(client: Any, store: Store, link: Link, record: RenderRecord) -> dict[str, str]:
    """What makes a render a child of its sweep's run."""
    if record.sweep is None:
        return {}
    parent = parent_run(client, store, link, record.sweep)
    found = {"rotoscope.sweep": record.sweep, "rotoscope.point": "" if record.point is None else str(record.point)}
    return {**found, "mlflow.parentRunId": parent} if parent else found


def _log_end(client: Any, store: Store, link: Link, record: RenderRecord) -> None:
    from mlflow.entities import Metric, RunTag

    at = int((record.ended or record.started).timestamp() * 1000)
    client.log_batch(
        link.mlflow_run,
        metrics=[Metric(key, value, at, 0) for key, value in metrics(record).items()],
        tags=[
            *_run_tags(record),
            *(RunTag(key, value) for key, value in tags(record).items()),
            RunTag("mlflow.note.content", note(record, str(link.mlflow_run))[:5000]),
        ],
    )
    dress(client, str(link.experiment_id), record)
    client.log_text(link.mlflow_run, _yaml(record.config), "config.yaml")
    client.log_dict(link.mlflow_run, identity(record), "identity.json")
    above = _compared(client, store, link, record)
    for item in record.outputs:
        folder = _FOLDERS.get(item.role)
        if folder and (item.role != "movie" or link.log_clip) and (path := locate(store, record, item)):
            client.log_artifact(link.mlflow_run, str(path), folder)
            if above and item.role in ("page", "plot", "table"):
                client.log_artifact(above, str(path), folder)
    client.set_terminated(link.mlflow_run, _STATUS[record.status], end_time=at)


def _compared(client: Any, store: Store, link: Link, record: RenderRecord) -> str | None:
    """MLflow's run of the sweep that a comparison is of: its page stands there, too."""
    if record.sweep is None or record.point is not None:
        return None
    return parent_run(client, store, link, record.sweep)


def params(record: RenderRecord, axes: Mapping[str, str]) -> dict[str, str]:
    """The settings that can change the result, as MLflow takes them; all of them are in config.yaml.

    Args:
        axes: text of the value by key of the axes whose point this is. They are parameters even where the result does
            not depend on them, as on the weight 0 of a control: MLflow draws a run without it at the axis's upper end.
    """
    own = {key: value for key, value in flat(record.config) if key in axes and value is not None}
    found = {**axes, **own, **settings(record)}
    return {allowed(key): str(value)[:500] for key, value in found.items() if str(value)}


def metrics(record: RenderRecord) -> dict[str, float]:
    """The render's own numbers, what it cost, how much was reused, seconds of each stage.

    MLflow shows them in the order in which they come here, and plots the first of them unless told otherwise.
    """
    found = {key: record.metrics[key] for key in sorted(record.metrics, key=place_of)}
    if record.seconds is not None:
        found["seconds.total"] = record.seconds
    if record.peak_memory_mib is not None:
        found["peak_memory_mib"] = record.peak_memory_mib
    found["stages.reused"] = float(sum(stage.reused for stage in record.stages))
    found["stages.computed"] = len(record.stages) - found["stages.reused"]
    for stage in record.stages:
        key = f"seconds.{stage.op}"
        found[key] = found.get(key, 0.0) + stage.seconds
    return {allowed(key): value for key, value in found.items()}


def tags(record: RenderRecord) -> dict[str, str]:
    """What one may look for: whether it was reused, where its files are, why it failed."""
    found = {"reused": str(record.reused).lower(), "output": record.output or ""}
    if record.reason:
        found["reason"] = record.reason
    return {key: value[:5000] for key, value in found.items()}


def identity(record: RenderRecord) -> dict[str, Any]:
    """What identifies the result: keys and digests of its stages, models, versions of libraries."""
    stages = [{"op": one.op, "key": one.key, "digest": one.digest, "reused": one.reused} for one in record.stages]
    return {"stages": stages, "models": record.models, "versions": record.packages}


def dress(client: Any, experiment: str, record: RenderRecord) -> None:
    """Have the experiment's page show renders like this one as they are told apart (`tasks.tracking.view`)."""
    known = dict(client.get_experiment(experiment).tags)
    for key, value in experiment_tags(known, record).items():
        client.set_experiment_tag(experiment, key, value)


def _run_tags(record: RenderRecord) -> list[Any]:
    from mlflow.entities import RunTag

    known = {
        "flow": record.flow,
        SUBJECT_TAG: summary.subject(record),
        "mlflow.source.name": f"rotoscope {record.flow}",
        "host": record.host,
    }
    known |= {"mlflow.source.type": "LOCAL", "mlflow.source.git.commit": record.commit or ""}
    known |= {"git.dirty": "" if record.dirty is None else str(record.dirty).lower()}
    return [RunTag(key, value) for key, value in known.items() if value]


def _point(store: Store, record: RenderRecord) -> Point | None:
    """The point of a sweep that the render is; None where it is none, or its sweep cannot be read any more."""
    if record.sweep is not None and record.point is not None:
        with contextlib.suppress(UserError, FileNotFoundError, IndexError):
            return Manifest.load(store, record.sweep).point(record.point)
    return None


def _name(record: RenderRecord, point: Point | None) -> str:
    """What the run is called: its title, the values of its point in a sweep, or its clip and weights."""
    return (point.label if point and not record.title else summary.name(record))[:250]


def _yaml(config: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=1000)
