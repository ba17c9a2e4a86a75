"""Training curves in MLflow: a copy of the `log.jsonl` files that the stages of a training write.

The files are the truth. How far MLflow has them stands beside them in `mlflow.json`, so a training that was killed goes
on in the same MLflow run, and lines that could not be logged (server down, database locked) follow with the next report
instead of stopping hours of training.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reel.files import write_atomic
from reel.nested import flat
from tasks.tracking.client import allowed, experiment_id, open_client
from tasks.tracking.settings import Tracking

logger = logging.getLogger(__name__)

STATE = "mlflow.json"
BATCH = 900  # MLflow takes 1,000 metrics a call


class TrainingCurves:
    """One training's run in MLflow.

    Args:
        folder: the training's working folder; each stage's log is `<folder>/<stage>/log.jsonl`, its contact sheets are
            `<folder>/<stage>/sheets/*.png`.
        config: settings, logged as parameters when the run is opened.
    """

    def __init__(self, tracking: Tracking, folder: Path, config: Mapping[str, Any]) -> None:
        self.tracking, self.folder, self.config = tracking, folder, config
        self._client: Any = None
        self._state = self._read_state()
        self._failed = ""

    def report(self, figures: Mapping[str, float], step: int) -> None:
        """Called after each line of a log; the arguments are in the files already."""
        self.sync()

    def sync(self) -> bool:
        """Bring MLflow up to date with the files; says once why that is not possible and tries again next time."""
        if not self.tracking.enabled:
            return False
        try:
            self._sync()
        except Exception as error:  # whatever a server or database comes up with: training goes on
            why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            if why != self._failed:
                logger.warning("training is not in MLflow yet (%s); it follows with a later report", why)
            self._failed = why
            return False
        self._failed = ""
        return True

    def close(self, status: str) -> None:
        """Log what is left and end the run. status: FINISHED, FAILED or KILLED."""
        if self.sync():
            self._client.set_terminated(self._state["run"], status)

    def _read_state(self) -> dict[str, Any]:
        path = self.folder / STATE
        state: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if state.get("uri") != self.tracking.uri:  # another server knows nothing of it yet
            return {"uri": self.tracking.uri, "run": None, "lines": {}, "sheets": []}
        return state

    def _sync(self) -> None:
        client = self._connect()
        for log in sorted(self.folder.glob("*/log.jsonl")):
            stage, lines = log.parent.name, log.read_text("utf-8").splitlines()
            known = self._state["lines"].get(stage, 0)
            metrics = [metric for line in lines[known:] for metric in _metrics(json.loads(line))]
            for i in range(0, len(metrics), BATCH):
                client.log_batch(self._state["run"], metrics=metrics[i : i + BATCH])
            self._state["lines"][stage] = len(lines)
        for sheet in sorted(self.folder.glob("*/sheets/*.png")):
            name = sheet.relative_to(self.folder).as_posix()
            if name not in self._state["sheets"]:
                client.log_artifact(self._state["run"], str(sheet), f"sheets/{sheet.parts[-3]}")
                self._state["sheets"].append(name)
        self._save()

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / STATE, json.dumps(self._state, indent=1).encode())

    def _connect(self) -> Any:
        if self._client is None:
            self._client = open_client(self.tracking.uri)
        if self._state["run"] is None:
            self._open(self._client)
        return self._client

    def _open(self, client: Any) -> None:
        from mlflow.entities import Param

        experiment = experiment_id(client, self.tracking)
        run = client.create_run(experiment, run_name=f"train_sprite {time.strftime('%Y-%m-%d %H:%M')}")
        said = [(key, value) for key, value in flat(self.config) if value not in (None, "", {}, [])]
        found = {allowed(key): str(value)[:500] for key, value in said}
        client.log_batch(run.info.run_id, params=[Param(key, value) for key, value in list(found.items())[:100]])
        client.set_tag(run.info.run_id, "flow", "train_sprite")
        self._state["run"] = run.info.run_id
        self._save()


def _metrics(row: Mapping[str, Any]) -> list[Any]:
    """One line of a log as MLflow metrics `<stage>.<figure>` at its step and time."""
    from mlflow.entities import Metric

    at, step = int(row["time"] * 1000), int(row["step"])
    return [Metric(allowed(f"{row['stage']}.{key}"), float(value), at, step)
            for key, value in row.items() if key not in ("stage", "step", "time")]  # fmt: skip
