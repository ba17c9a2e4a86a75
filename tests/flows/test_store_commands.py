"""`rotoscope mirror` and `rotoscope track`, from their arguments to what they leave behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hostile import made
from flows.commands import mirror, track
from reel.errors import UserError
from reel.history.record import find_record
from reel.history.recorder import begin
from reel.store import Store
from tasks.tracking.links import new_link, read_link, save_link
from tasks.tracking.settings import Tracking

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("store", "told"),
    [("elsewhere", "nothing has been rendered here yet: no store at {here}/elsewhere"), ("5", "paths.store: ")],
)
def test_commands_look_into_the_store_that_ones_own_settings_name(tmp_path, store, told):
    made.local(f"# @package _global_\npaths:\n  store: {store}\n")(tmp_path)
    env = {name: value for name, value in os.environ.items() if name != "ROTOSCOPE_STORE"}
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "runs"],
        cwd=tmp_path, env={**env, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert told.format(here=tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_render_goes_to_a_mirror_and_into_a_store_that_is_new(store: Store, tmp_path, capsys):
    run = begin(store, "dance", {}).finish("done").run
    url = f"file://{tmp_path}/mirror"
    assert mirror.main(["push", url, run, "--store", str(store.root)]) == 0
    there = tmp_path / "there"
    assert mirror.main(["pull", url, "--store", str(there)]) == 0
    assert find_record(Store(there), "latest").run == run
    assert capsys.readouterr().out.count("1 renders; 0 objects") == 2
    with pytest.raises(UserError, match="invalid choice: 'upload'"):
        mirror.main(["upload", url])


@pytest.mark.slow
def test_pending_runs_are_logged_or_named(store: Store, tmp_path, capsys, mlflow_tables):
    run = begin(store, "dance", {}).finish("done").run
    down = Tracking(uri="http://127.0.0.1:9", artifacts=tmp_path / "a")
    save_link(store, new_link(down, run))
    assert track.main(["--store", str(store.root)]) == 1
    assert run in capsys.readouterr().out
    shutil.copy(mlflow_tables, tmp_path / "mlflow.db")
    up = down.model_copy(update={"uri": f"sqlite:///{tmp_path}/mlflow.db"})
    save_link(store, new_link(up, run))
    assert track.main(["--store", str(store.root)]) == 0
    assert "logged 1 renders" in capsys.readouterr().out
    assert read_link(store, run).logged == "done"
