"""A sweep in MLflow: one run, the parent of its points', made from the manifest and made again when it is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reel.history.recorder import as_point
from reel.history.sweep import Manifest
from reel.history.sweep_files import Axis, Planned
from reel.store import Store
from tasks.tracking.links import read_sweep_link
from tasks.tracking.process import keep_logger
from tasks.tracking.rebuild import rebuild
from tasks.tracking.render import log_later, sweeping, tracked
from tasks.tracking.settings import Tracking

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory, mlflow_tables) -> Path:
    """One MLflow database for all tests here."""
    place = tmp_path_factory.mktemp("mlflow")
    shutil.copy(mlflow_tables, place / "mlflow.db")
    return place


@pytest.fixture
def tracking(place: Path) -> Tracking:
    return Tracking(uri=f"sqlite:///{place}/mlflow.db", artifacts=place / "artifacts", timeout=100)


def start(store: Store, *, name: str = "weight") -> Manifest:
    points = [
        Planned(index=index, overrides=(f"{name}={value}",), values={name: value}, digest=value)
        for index, value in enumerate(("0.4", "0.6", "0.8"))
    ]
    axis = Axis(keys=(name,), values=(("0.4",), ("0.6",), ("0.8",)))
    return Manifest.start(store, "dance", (f"{name}=0.4,0.6,0.8", 'prompt="<b>a, b</b>"'), (axis,), points)


def render(sweep: Manifest, tracking: Tracking, index: int, *, fail: bool = False) -> str:
    claim = sweep.claim(index, ("pending", "failed"))
    try:
        with as_point(claim), tracked(sweep.store, tracking, "dance", {"weight": index}) as recorder:
            if fail:
                raise ValueError("no luck")
    except ValueError as error:
        claim.fail(str(error), "ValueError")
    else:
        claim.done()
    return recorder.run


def runs(tracking: Tracking, sweep: str):
    """The parent's run and the children's, as MLflow has them."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking.uri)
    experiment = client.get_experiment_by_name(tracking.experiment)
    found = client.search_runs([experiment.experiment_id], f"tags.`rotoscope.sweep` = '{sweep}'")
    [parent] = [run for run in found if "rotoscope.sweep.parent" in run.data.tags]
    children = [run for run in found if run.info.run_id != parent.info.run_id]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parent.info.run_id}
    return parent, children


def ends(children):
    return sorted((run.data.tags["rotoscope.point"], run.info.status) for run in children)


@pytest.mark.slow
def test_a_sweep_is_one_run_with_a_child_a_point(store, tracking, tmp_path):
    sweep = start(store)
    with sweeping(sweep, tracking):
        render(sweep, tracking, 0)
        render(sweep, tracking, 1, fail=True)
        limit = time.monotonic() + 200
        while read_sweep_link(store, sweep.id).mlflow_run is None:
            assert time.monotonic() < limit
            time.sleep(0.1)
        assert runs(tracking, sweep.id)[0].info.status == "RUNNING"
    parent, children = runs(tracking, sweep.id)
    assert parent.info.status == "KILLED"  # one point is missing, and nobody works on it
    assert parent.data.params["axis.weight"] == "0.4, 0.6, 0.8"
    assert parent.data.metrics["points.done"] == 1
    assert ends(children) == [("0", "FINISHED"), ("1", "FAILED")]
    assert {run.info.run_name for run in children} == {"#0 weight=0.4", "#1 weight=0.6"}
    with sweeping(sweep, tracking):
        render(sweep, tracking, 2)
    assert runs(tracking, sweep.id)[0].info.status == "FAILED"
    with sweeping(sweep, tracking):
        render(sweep, tracking, 1)
    parent, children = runs(tracking, sweep.id)
    assert (parent.info.status, parent.data.metrics["points.done"]) == ("FINISHED", 3)
    everything = [("0", "FINISHED"), ("1", "FAILED"), ("1", "FINISHED"), ("2", "FINISHED")]
    assert ends(children) == everything

    fresh = tracking.model_copy(update={"experiment": "fresh"})
    logged, failed = rebuild(store, fresh)
    assert (len(logged), failed) == (4, {})
    parent, children = runs(fresh, sweep.id)
    assert (parent.info.status, parent.data.metrics["points.total"]) == ("FINISHED", 3)
    assert ends(children) == everything


@pytest.mark.slow
def test_points_that_other_processes_made_are_children_as_well(store, tracking):
    sweep = start(store, name="height")
    untracked = tracking.model_copy(update={"enabled": False})
    with sweeping(sweep, tracking):
        for index in range(3):
            log_later(store, tracking, render(sweep, untracked, index))
    parent, children = runs(tracking, sweep.id)
    assert ends(children) == [("0", "FINISHED"), ("1", "FINISHED"), ("2", "FINISHED")]
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_points_of_a_sweep_share_one_logging_process(store, tracking, monkeypatch):
    from tasks.tracking import process as module

    made = []
    spawn = module._spawn
    monkeypatch.setattr(module, "_spawn", lambda *arguments: made.append(1) or spawn(*arguments))
    sweep = start(store, name="other")
    with sweeping(sweep, tracking):
        for index in range(3):
            render(sweep, tracking, index)
        assert keep_logger(store).alive
    assert len(made) == 1
    assert module.KEPT == {}
    assert runs(tracking, sweep.id)[0].info.status == "FINISHED"


KILLED = """
import sys, time
from reel.store import Store
from reel.history.sweep import Manifest
from tasks.tracking.render import log_later, sweeping, tracked
from tasks.tracking.settings import Tracking
from reel.history.recorder import as_point
root, uri, artifacts, sweep = sys.argv[1:]
tracking = Tracking(uri=uri, artifacts=artifacts)
sweep = Manifest.load(Store(root), sweep)
with sweeping(sweep, tracking), as_point(sweep.claim(0)), tracked(sweep.store, tracking, "dance", {}):
    print("runs", flush=True)
    time.sleep(100)
"""


@pytest.mark.slow
def test_a_killed_sweep_does_not_stay_running(store, tracking):
    sweep = start(store, name="killed")
    arguments = [sys.executable, "-c", KILLED, str(store.root), tracking.uri, str(tracking.artifacts), sweep.id]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert process.stdout.readline() == "runs\n"
    limit = time.monotonic() + 200

    def shown():
        with contextlib.suppress(Exception):
            parent, children = runs(tracking, sweep.id)
            return parent.info.status, [run.info.status for run in children]

    while shown() != ("RUNNING", ["RUNNING"]):
        assert time.monotonic() < limit, shown()
        time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while shown() != ("KILLED", ["KILLED"]):
        assert time.monotonic() < limit, shown()
        time.sleep(0.3)


def test_a_sweep_without_tracking_is_driven_all_the_same(store, tracking):
    sweep = start(store)
    with sweeping(sweep, tracking.model_copy(update={"enabled": False})):
        assert sweep.driven
    with sweeping(sweep, None):
        assert sweep.driven
    assert not sweep.driven
    assert not (store.root / "tracking").exists()
