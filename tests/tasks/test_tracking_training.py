"""Training curves reach MLflow, survive kills and dead servers, and are never logged twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.sprite.loop import Log
from tasks.tracking.settings import Tracking
from tasks.tracking.training import TrainingCurves

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory, mlflow_tables) -> Tracking:
    place = tmp_path_factory.mktemp("mlflow")
    shutil.copy(mlflow_tables, place / "mlflow.db")
    return Tracking(uri=f"sqlite:///{place}/mlflow.db", artifacts=place / "artifacts")


def write(folder: Path, stage: str, steps: range, curves: TrainingCurves | None = None) -> None:
    log = Log(folder / stage, stage, curves.report if curves else None)
    for step in steps:
        log.write(step, {"loss": 1 / step, "text_worst": step / 10})


def history(tracking: Tracking, run: str, key: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    return [(m.step, m.value) for m in MlflowClient(tracking_uri=tracking.uri).get_metric_history(run, key)]


@pytest.mark.slow
def test_a_killed_training_goes_on_in_the_same_run_and_ends_there(tracking, tmp_path):
    from mlflow import MlflowClient

    config = {"seed": 1, "start": None, "joint": {"lr": 0.5}}
    first = TrainingCurves(tracking, tmp_path, config)
    write(tmp_path, "joint", range(1, 3), first)  # and here it is killed: nobody closes it
    write(tmp_path, "joint", range(3, 4))  # a line that was written but not logged any more
    second = TrainingCurves(tracking, tmp_path, config)
    write(tmp_path, "joint", range(4, 6), second)
    (tmp_path / "joint" / "sheets").mkdir()
    (tmp_path / "joint" / "sheets" / "000005.png").write_bytes(b"png")
    second.close("FINISHED")
    client = MlflowClient(tracking_uri=tracking.uri)
    (run,) = client.search_runs([client.get_experiment_by_name(tracking.experiment).experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "1", "joint.lr": "0.5"}
    assert history(tracking, run.info.run_id, "joint.text_worst") == [(s, s / 10) for s in range(1, 6)]
    assert [f.path for f in client.list_artifacts(run.info.run_id, "sheets/joint")] == ["sheets/joint/000005.png"]


def test_a_dead_server_is_said_once_and_stops_nothing(tracking, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    curves = TrainingCurves(tracking.model_copy(update={"uri": DEAD}), tmp_path, {})
    write(tmp_path, "vae", range(1, 4), curves)
    curves.close("FINISHED")
    assert [record.message for record in caplog.records if "not in MLflow" in record.message] == caplog.messages
    assert len(caplog.messages) == 1
    assert len((tmp_path / "vae" / "log.jsonl").read_text().splitlines()) == 3


def test_switched_off_it_writes_nothing(tracking, tmp_path):
    curves = TrainingCurves(tracking.model_copy(update={"enabled": False}), tmp_path, {})
    write(tmp_path, "vae", range(1, 2), curves)
    curves.close("FINISHED")
    assert {path.name for path in tmp_path.iterdir()} == {"vae"}
