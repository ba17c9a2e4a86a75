"""What MLflow is told about a record. Run as ``python -m tasks.tracking.log <store>`` beside renders.

The process is told in lines: ``open <run>``, ``close <run>`` when the record is closed, ``sweep <id>`` when a sweep
began or ended. While nothing is to be done it logs what earlier renders could not. The end of its input means that the
renders' process is done, or was killed: a run that was opened and not closed is logged as interrupted then.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.history.comparison import place_of, settings
from reel.history.record import RenderRecord, load, locate, record_path
from reel.history.recorder import reconcile
from reel.history.sweep import Manifest
from reel.store import Store
from tasks.tracking.links import Link, pending, read_link, save_link

RUN_TAG = "rotoscope.run"
PATIENCE = 120
"""How long a database or server may take after the render's end (seconds); a first migration takes 5."""
HEAD_START = 8.0
"""Seconds that a render has for its own start: MLflow's import beside Prefect's would slow it down."""
_STATUS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_FOLDERS = {"movie": "clip", "sheet": "contact_sheet", "preview": "preview", "page": "compare", "plot": "plots"}
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds; a server that is down must not hold anything up
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
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
    """`log_record` of each; after one failure an address is not tried again.

    Returns:
        runs logged, and the reason by run for the others.
    """
    logged: list[str] = []
    failed: dict[str, str] = {}
    dead: dict[str, str] = {}
    for run in runs:
        link = read_link(store, run)
        uri = link.uri if link else ""
        try:
            if uri in dead:
                raise ConnectionError(dead[uri])
            log_record(store, run)
            logged.append(run)
        except Exception as error:  # whatever a server or database comes up with: the record stays pending
            failed[run] = dead[uri] = one_line(error)
    return logged, failed


def connect(store: Store, uri: str) -> Any:
    """MLflow's client for an address; a database's folder is made where it is not there."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with store.lock("mlflow"):  # two first renders must not both create the database's tables
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def _opened(client: Any, store: Store, link: Link, record: RenderRecord) -> Link:
    """The link with its MLflow run: the noted one, one that carries our tag, or a new one."""
    experiment = experiment_id(client, link)
    tags = {RUN_TAG: record.run, "mlflow.user": os.environ.get("USER", ""), **_sweep_tags(client, store, link, record)}
    known = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{record.run}'", max_results=1)
    if known:
        mlflow_run = known[0].info.run_id
    else:
        started = int(record.started.timestamp() * 1000)
        name = _name(store, record)
        mlflow_run = client.create_run(experiment, start_time=started, tags=tags, run_name=name).info.run_id
    link = link.model_copy(update={"mlflow_run": mlflow_run, "experiment_id": experiment})
    save_link(store, link)
    from mlflow.entities import Param, RunTag

    client.log_batch(
        mlflow_run,
        params=[Param(key, value) for key, value in params(record.config).items()],
        tags=[
            *_run_tags(record),
            *(RunTag(key, value) for key, value in tags.items() if value),
            *_parent_tags(store, record),
        ],
    )
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
    from tasks.tracking.sweep import parent_run

    parent = parent_run(client, store, link, record.sweep)
    found = {"rotoscope.sweep": record.sweep, "rotoscope.point": "" if record.point is None else str(record.point)}
    return {**found, "mlflow.parentRunId": parent} if parent else found


def experiment_id(client: Any, link: Link) -> str:
    known = client.get_experiment_by_name(link.experiment)
    if known:
        if known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)
    place = None if link.uri.startswith("http") else Path(link.artifacts).as_uri()
    try:
        return str(client.create_experiment(link.experiment, artifact_location=place))
    except Exception:  # another process made it in this moment
        known = client.get_experiment_by_name(link.experiment)
        if known is None:
            raise
        return str(known.experiment_id)


def _log_end(client: Any, store: Store, link: Link, record: RenderRecord) -> None:
    from mlflow.entities import Metric, RunTag

    at = int((record.ended or record.started).timestamp() * 1000)
    client.log_batch(
        link.mlflow_run,
        metrics=[Metric(key, value, at, 0) for key, value in metrics(record).items()],
        tags=[*_run_tags(record), *(RunTag(key, value) for key, value in tags(record).items())],
    )
    client.log_text(link.mlflow_run, _yaml(record.config), "config.yaml")
    above = _compared(client, store, link, record)
    for item in record.outputs:
        folder = _FOLDERS.get(item.role)
        if folder and (item.role != "movie" or link.log_clip) and (path := locate(store, record, item)):
            client.log_artifact(link.mlflow_run, str(path), folder)
            if above and item.role in ("page", "plot"):
                client.log_artifact(above, str(path), folder)
    client.set_terminated(link.mlflow_run, _STATUS[record.status], end_time=at)


def _compared(client: Any, store: Store, link: Link, record: RenderRecord) -> str | None:
    """MLflow's run of the sweep that a comparison is of: its page stands there, too."""
    if record.sweep is None or record.point is not None:
        return None
    from tasks.tracking.sweep import parent_run

    return parent_run(client, store, link, record.sweep)


def params(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings that people compare, as MLflow takes them; the rest is in config.yaml."""
    found = {allowed(key): str(value)[:500] for key, value in settings(config).items()}
    return dict(list(found.items())[:100])


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
    """What identifies the result: digests, models, library versions; whether it was reused; why it failed."""
    found = {"reused": str(record.reused).lower(), "output": record.output or ""}
    found |= {f"digest.{stage.op}": stage.digest for stage in record.stages}
    found |= {f"model.{label}": content for label, content in record.models.items()}
    found |= {f"version.{name}": version for name, version in record.packages.items()}
    if record.reason:
        found["reason"] = record.reason
        found["mlflow.note.content"] = record.reason
    return {allowed(key): value[:5000] for key, value in found.items()}


def _run_tags(record: RenderRecord) -> list[Any]:
    from mlflow.entities import RunTag

    known = {"flow": record.flow, "mlflow.source.name": f"rotoscope {record.flow}", "host": record.host}
    known |= {"mlflow.source.type": "LOCAL", "mlflow.source.git.commit": record.commit or ""}
    known |= {"git.dirty": "" if record.dirty is None else str(record.dirty).lower()}
    return [RunTag(key, value) for key, value in known.items() if value]


def _name(store: Store, record: RenderRecord) -> str:
    """What the run is called: its title, the values of its point in a sweep, or its flow and id."""
    if record.title:
        return record.title
    if record.sweep is not None and record.point is not None:
        with contextlib.suppress(UserError, FileNotFoundError, IndexError):
            return Manifest.load(store, record.sweep).point(record.point).label[:250]
    return f"{record.flow} {record.run}"


def allowed(key: str) -> str:
    """MLflow's alphabet for names."""
    return re.sub(r"[^\w\-./ :]", "_", key)[:250]


def _yaml(config: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=1000)


def one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


class _Lines:
    """Lines of a pipe, which also tells whether one is waiting."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b""

    def waiting(self) -> bool:
        return b"\n" in self._data or bool(select.select([self._descriptor], [], [], 0)[0])

    def hold(self, seconds: float) -> None:
        """Let so much time pass, or less: until a run is closed, or the end."""
        limit = time.monotonic() + seconds
        while b"close " not in self._data and (left := limit - time.monotonic()) > 0:
            if not select.select([self._descriptor], [], [], left)[0]:
                return
            part = os.read(self._descriptor, 65536)
            if not part:
                return
            self._data += part

    def next(self) -> str | None:
        """The next line; None at the end."""
        while b"\n" not in self._data:
            part = os.read(self._descriptor, 65536)
            if not part:
                return None
            self._data += part
        line, _, self._data = self._data.partition(b"\n")
        return line.decode()


def main(root: str) -> None:
    """Log what the renders' process tells of, until it ends."""
    os.nice(int(os.environ.get("ROTOSCOPE_LOG_NICE", "10")))  # what a render leaves free is enough
    answers = os.dup(1)
    os.dup2(2, 1)  # with a tracking server MLflow prints the addresses of runs, which must not get among the answers
    store, lines = Store(root), _Lines(0)
    opened: dict[str, None] = {}
    sweeps: dict[str, None] = {}
    lines.hold(HEAD_START)
    while (line := lines.next()) is not None:
        what, _, name = line.partition(" ")
        if what == "sweep":
            sweeps[name] = None
            _answer(answers, name, _show_sweep(store, name))
            continue
        signal.alarm(PATIENCE if what == "close" else 0)  # a server that hangs must not hold up the others for ever
        _answer(answers, name, _attempt(store, name))
        signal.alarm(0)
        if what == "open":
            opened[name] = None
            _catch_up_while_waiting(store, lines, name)
        else:
            opened.pop(name, None)
    signal.alarm(PATIENCE)  # nobody waits for this process any more: it must not hang
    for run in opened:
        _render_died(store, run)
        _attempt(store, run)
    for sweep in sweeps:
        _show_sweep(store, sweep)
    gc.freeze()  # the interpreter ends sooner


def _answer(answers: int, name: str, error: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the render does not wait for ever
        os.write(answers, json.dumps({"name": name, "error": error}).encode() + b"\n")


def _attempt(store: Store, run: str) -> str:
    return catch_up(store, [run])[1].get(run, "")


def _show_sweep(store: Store, sweep: str) -> str:
    from tasks.tracking.sweep import catch_up_sweeps

    return catch_up_sweeps(store, [sweep]).get(sweep, "")


def _catch_up_while_waiting(store: Store, lines: _Lines, run: str) -> None:
    """Earlier renders' records, at least one, then as many as there is time for while the render works."""
    link = read_link(store, run)
    if link is None or link.logged is None:  # not reachable now
        return
    reconcile(store)
    for other in pending(store):
        if other != run:
            catch_up(store, [other])
        if lines.waiting():
            return


def _render_died(store: Store, run: str) -> None:
    """Its lock is freed about when its pipe closes: look a few times."""
    for _ in range(20):
        reconcile(store)
        if load(record_path(store, run)).status != "running":
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
