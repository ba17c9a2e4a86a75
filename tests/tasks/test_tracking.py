"""Tracking: every end of a render shows in MLflow, and MLflow's troubles never show in a render."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reel.config import parse
from reel.errors import UserError
from reel.history.record import RenderRecord, load, record_path
from reel.store import Store
from tasks.cached import Stage
from tasks.tracking.links import pending, read_link
from tasks.tracking.rebuild import flush_pending, rebuild
from tasks.tracking.render import tracked
from tasks.tracking.settings import Tracking

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def place(tmp_path_factory, mlflow_tables) -> Path:
    """One MLflow database for all tests here."""
    place = tmp_path_factory.mktemp("mlflow")
    shutil.copy(mlflow_tables, place / "mlflow.db")
    return place


@pytest.fixture
def tracking(place: Path) -> Tracking:
    return Tracking(uri=f"sqlite:///{place}/mlflow.db", artifacts=place / "artifacts", timeout=100)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def client(tracking: Tracking):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking.uri)


def seen(store: Store, tracking: Tracking, run: str):
    """What MLflow shows of a render; exactly one run must carry its id."""
    mlflow = client(tracking)
    experiment = mlflow.get_experiment_by_name(tracking.experiment)
    runs = mlflow.search_runs([experiment.experiment_id], f"tags.`rotoscope.run` = '{run}'")
    assert len(runs) == 1
    assert runs[0].info.run_id == read_link(store, run).mlflow_run
    return runs[0]


def stage(op: str, *, reused: bool = False, digest: str = "d" * 64) -> Stage:
    return Stage(op, "0" * 64, digest, reused, 0.25, {})


def wait_for(condition, seconds: float = 200) -> None:  # the logging process gives way to all others
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_render_is_running_in_mlflow_then_finished_with_all_that_was_recorded(store, tracking, tmp_path):
    config = {"prompt": "1girl, (red:1.2)", "controls": {"pose": {"weight": 0.6}}, "paths": {"root": str(tmp_path)}}
    out = tmp_path / "out"
    out.mkdir()
    many = {f"n{number}": number for number in range(150)}  # more than MLflow takes in one call
    with tracked(store, tracking, "dance", config, output=out, result={"seed": 7, "many": many}) as recorder:
        wait_for(lambda: read_link(store, recorder.run).logged == "running")
        run = seen(store, tracking, recorder.run)
        assert run.info.status == "RUNNING"
        assert run.data.params == {"seed": "7", **{f"many.{name}": str(number) for name, number in many.items()}}
        recorder.stage(stage("extract", reused=True))
        recorder.stage(stage("stylize", digest="e" * 64))
        for name, role in (("clip.mp4", "movie"), ("sheet.png", "sheet"), ("maps.png", "preview"), ("f.txt", "other")):
            (out / name).write_bytes(name.encode())
            recorder.output(out / name, role)
        recorder.metric(joint_error_px=3.5)
    run = seen(store, tracking, recorder.run)
    record = load(record_path(store, recorder.run))
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == pytest.approx(record.seconds * 1000, abs=2)
    assert run.data.metrics["seconds.stylize"] == 0.25
    assert run.data.metrics["joint_error_px"] == 3.5
    assert run.data.metrics["peak_memory_mib"] > 1
    assert (run.data.metrics["stages.reused"], run.data.metrics["stages.computed"]) == (1, 1)
    assert run.data.tags["reused"] == "false"
    assert record.mlflow_run == run.info.run_id
    files = {
        item.path for folder in ("", "clip", "contact_sheet", "preview") for item in artifacts(tracking, run, folder)
    }
    sheet = f"![contact sheet](get-artifact?path=contact_sheet%2Fsheet.png&run_uuid={run.info.run_id})"
    assert sheet in run.data.tags["mlflow.note.content"]
    assert not any(name.startswith("digest.") for name in run.data.tags)
    assert {"config.yaml", "identity.json", "clip/clip.mp4", "contact_sheet/sheet.png", "preview/maps.png"} <= files
    assert not any("f.txt" in name for name in files)


def artifacts(tracking: Tracking, run, folder: str):
    return client(tracking).list_artifacts(run.info.run_id, folder)


@pytest.mark.slow
def test_parts_of_a_render_hang_below_it_and_are_logged_by_its_process(store, tracking):
    with tracked(store, tracking, "search", {}, title="search-1") as whole:
        for number in range(2):
            told = {"trial": {"number": number}}
            with tracked(store, tracking, "trial", told, parent=whole.run, title=f"trial {number}") as part:
                part.metric(error=number)
        assert not list((store.root / "tracking").glob(f"{part.run}.log")), "no process of its own"
    parent, child = seen(store, tracking, whole.run), seen(store, tracking, part.run)
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (child.info.status, child.info.run_name, child.data.metrics["error"]) == ("FINISHED", "trial 1", 1)
    assert child.data.params["trial.number"] == "1"
    assert (parent.info.run_name, "mlflow.parentRunId" in parent.data.tags) == ("search-1", False)


@pytest.mark.slow
def test_a_failed_render_says_why_and_its_error_goes_on(store, tracking):
    with pytest.raises(UserError, match="no room left"), tracked(store, tracking, "dance", {}) as recorder:
        raise UserError("no room left while writing x", fix="free some")
    run = seen(store, tracking, recorder.run)
    assert (run.info.status, run.data.tags["reason"]) == ("FAILED", "no room left while writing x")
    assert load(record_path(store, recorder.run)).status == "failed"


@pytest.mark.slow
def test_a_cached_render_is_logged_as_reused_and_nobody_waits_for_it(store, tracking):
    with store.lock("mlflow"):  # MLflow cannot be reached meanwhile
        with tracked(store, tracking, "dance", {}) as recorder:
            recorder.stage(stage("extract", reused=True))
        assert pending(store) == [recorder.run]
    wait_for(lambda: read_link(store, recorder.run).logged == "done")
    assert seen(store, tracking, recorder.run).data.tags["reused"] == "true"


RENDER = """
import sys, time
from pathlib import Path
from reel.store import Store
from tasks.tracking.render import tracked
from tasks.tracking.settings import Tracking
root, uri, artifacts = sys.argv[1:]
with tracked(Store(root), Tracking(uri=uri, artifacts=artifacts, timeout=100), "dance", {}) as recorder:
    print(recorder.run, flush=True)
    time.sleep(1000)
"""


@contextlib.contextmanager
def rendering(store: Store, tracking: Tracking):
    process = subprocess.Popen(
        [sys.executable, "-c", RENDER, str(store.root), tracking.uri, str(tracking.artifacts)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores Ctrl-C
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "why"), [(signal.SIGKILL, "without closing"), (signal.SIGINT, "keyboard")])
def test_a_killed_or_interrupted_render_does_not_stay_running(store, tracking, number, why):
    with rendering(store, tracking) as (process, name):
        wait_for(lambda: read_link(store, name).logged == "running")
        process.send_signal(number)
        wait_for(lambda: read_link(store, name).logged == "interrupted")
    run = seen(store, tracking, name)
    assert run.info.status == "KILLED"
    assert why in run.data.tags["reason"]


@pytest.mark.slow
def test_a_server_that_is_down_loses_nothing(store, tracking, caplog):
    down = tracking.model_copy(update={"uri": DEAD})
    with tracked(store, down, "dance", {"seed": 7}) as recorder:
        recorder.stage(stage("extract"))
    assert "kept in the store" in caplog.text
    assert load(record_path(store, recorder.run)).status == "done"
    assert pending(store) == [recorder.run]
    logged, failed = flush_pending(store)
    assert (logged, list(failed)) == ([], [recorder.run])
    assert rebuild(store, tracking) == ([recorder.run], {})
    run = seen(store, tracking, recorder.run)
    assert (run.info.status, run.data.params) == ("FINISHED", {"seed": "7"})
    assert rebuild(store, tracking) == ([recorder.run], {})
    assert seen(store, tracking, recorder.run).info.run_id == run.info.run_id
    assert pending(store) == []


@pytest.mark.slow
def test_a_locked_database_holds_nothing_up_and_a_later_run_catches_up(store, tracking, caplog):
    with tracked(store, tracking, "dance", {}):
        pass
    hurried = tracking.model_copy(update={"timeout": 0.5})
    lock = sqlite3.connect(tracking.uri.removeprefix("sqlite:///"))
    lock.execute("BEGIN EXCLUSIVE")
    with tracked(store, hurried, "dance", {}) as late:
        pass
    assert "not in MLflow yet" in caplog.text
    assert read_link(store, late.run).logged != "done"
    wait_for(lambda: not busy(store, late.run), 150)
    lock.rollback()
    lock.close()
    with tracked(store, tracking, "dance", {}) as after:
        wait_for(lambda: read_link(store, late.run).logged == "done")
    assert seen(store, tracking, late.run).info.status == "FINISHED"
    assert seen(store, tracking, after.run).info.status == "FINISHED"


def busy(store: Store, run: str) -> bool:
    with store.lock(f"tracking-{run}", wait=False) as free:
        return not free


@pytest.mark.slow
def test_files_that_were_cleared_away_are_logged_from_the_store(store, tracking, tmp_path):
    with store.draft("movie") as draft:
        draft.add("film.mp4", b"film")
        digest = draft.commit()
    out = tmp_path / "out"
    out.mkdir()
    (out / "clip.mp4").write_bytes(b"film")
    (out / "sheet.png").write_bytes(b"sheet")
    with tracked(store, tracking, "dance", {}, output=out) as recorder:
        recorder.stage(stage("assemble", digest=digest))
        recorder.output(out / "clip.mp4", "movie")
        recorder.output(out / "sheet.png", "sheet")
        (out / "clip.mp4").write_bytes(b"another film by now")
        (out / "sheet.png").unlink()
    run = seen(store, tracking, recorder.run)
    logged = client(tracking).download_artifacts(run.info.run_id, "clip")
    assert [path.read_bytes() for path in Path(logged).iterdir()] == [b"film"]
    assert [item.path for item in artifacts(tracking, run, "contact_sheet")] == []


def test_tracking_off_leaves_the_record_and_nothing_else(store, tracking):
    with tracked(store, tracking.model_copy(update={"enabled": False}), "dance", {}) as recorder:
        pass
    assert load(record_path(store, recorder.run)).status == "done"
    assert read_link(store, recorder.run) is None
    assert not (store.root / "tracking").exists()


def test_an_address_that_does_not_answer_is_asked_once_and_a_damaged_record_says_nothing_of_it():
    from tasks.tracking.client import each_reachable
    from tasks.tracking.links import Link

    asked: list[str] = []

    def log(run: str) -> None:
        asked.append(run)
        if run.startswith("damaged"):
            raise UserError(f"{run} cannot be read")
        if run.startswith("far"):
            raise ConnectionError("no answer\nat all")

    def link(run: str) -> Link:
        uri = run.split("-")[0].replace("damaged", "near")
        return Link(run=run, uri=uri, experiment="e", artifacts="", log_clip=False)

    logged, failed = each_reachable(["damaged-1", "near-2", "far-3", "far-4", "near-5"], link, log)
    assert logged == ["near-2", "near-5"]
    assert failed == {
        "damaged-1": "damaged-1 cannot be read",
        "far-3": "ConnectionError: no answer",
        "far-4": "ConnectionError: no answer",
    }
    assert asked == ["damaged-1", "near-2", "far-3", "near-5"]


def test_parameters_are_the_settings_people_compare():
    from tasks.tracking.record import params

    record = RenderRecord(
        run="20260101-000000-abcdef",
        flow="dance",
        started=datetime.now(UTC),
        config={"paths": {"store": "/somewhere"}, "tracking": {"uri": "x"}},
        result={
            "prompt": "a" * 900,
            "negative_prompt": "",
            "seed": 0,
            "controls": {"pose": {"weight": 0.5, "preprocess": "blazepose"}, "odd,name": {"weight": 1}},
            "preprocess": {"blazepose": {"passes": 2}},
            "model": {"name": "sprite", "base": {"id": "sprite", "sha256": "ab"}},
            "stylize": {"strength": 0.8, "vae": None, "loras": []},
            "compute": {"dtype": "float32"},
            "empty": {},
        },
    )
    assert params(record, {}) == {
        "prompt": "a" * 500,
        "seed": "0",
        "controls.pose.weight": "0.5",
        "controls.pose.preprocess": "blazepose",
        "controls.odd_name.weight": "1",
        "preprocess.blazepose.passes": "2",
        "model.name": "sprite",
        "stylize.strength": "0.8",
        "compute.dtype": "float32",
        "model.base.id": "sprite",
        "model.base.sha256": "ab",
    }


def test_a_points_axes_are_parameters_even_where_a_value_takes_its_setting_out_of_the_result():
    from tasks.tracking.record import params

    record = RenderRecord(
        run="20260101-000000-abcdef",
        flow="dance",
        started=datetime.now(UTC),
        config={"controls": {"lineart": {"weight": 0.0}, "pose": {"weight": 0.4}}, "strength_schedule": None},
        result={"controls": {"pose": {"weight": 0.4}}},
    )
    axes = {"controls.lineart.weight": "0", "controls.pose.weight": "0.4", "control": "[pose,lineart]"}
    axes |= {"strength_schedule": "null", "negative_prompt": ""}
    assert params(record, axes) == {
        "controls.lineart.weight": "0.0",  # as the other points have theirs: by the settings
        "controls.pose.weight": "0.4",
        "control": "[pose,lineart]",
        "strength_schedule": "null",
    }


def test_the_render_pays_for_no_heavy_import():
    code = (
        "import sys, tempfile; from pathlib import Path; from reel.store import Store\n"
        "from tasks.tracking.render import tracked; from tasks.tracking.settings import Tracking\n"
        f"with tempfile.TemporaryDirectory() as d, tracked(Store(d), Tracking(uri={DEAD!r}, artifacts=d), 'x', {{}}):\n"
        "    pass\n"
        "print([name for name in ('mlflow', 'torch', 'pandas', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_mlflow_prints_does_not_get_among_the_answers(tmp_path):
    code = (
        "import sys; from tasks.tracking import worker\n"
        "worker._show_sweep = lambda store, sweep: print('View run at http://...', flush=True) or ''\n"
        "worker.main(sys.argv[1])"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(arguments, input="sweep a\n", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"name": "a", "error": ""}
    assert "View run" in done.stderr


@pytest.mark.slow
def test_logging_itself_does_not_import_torch(store, tracking):
    with tracked(store, tracking.model_copy(update={"uri": DEAD}), "dance", {}) as recorder:
        pass
    code = (
        "import sys; from reel.store import Store; from tasks.tracking.record import log_record\n"
        "from tasks.tracking.links import read_link, save_link\n"
        "store, run, uri = Store(sys.argv[1]), sys.argv[2], sys.argv[3]\n"
        "save_link(store, read_link(store, run).model_copy(update={'uri': uri}))\n"
        "assert log_record(store, run).logged == 'done'; print('torch' in sys.modules, 'mlflow' in sys.modules)"
    )
    arguments = [sys.executable, "-c", code, str(store.root), recorder.run, tracking.uri]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["False", "True"]


@pytest.mark.parametrize("uri", ["", "ftp://x", "mlruns", "http://", "sqlite://x.db", "http:/x"])
def test_an_address_of_mlflow_is_one(uri: str):
    with pytest.raises(UserError, match="uri: must be an address of MLflow's: sqlite:///<file>, http://host:port"):
        parse(Tracking, {"uri": uri, "artifacts": "x"})
    for good in ("sqlite:///x.db", "http://127.0.0.1:5000", "https://host/path", "postgresql+psycopg2://host/db"):
        assert parse(Tracking, {"uri": good, "artifacts": "x"}).uri == good
