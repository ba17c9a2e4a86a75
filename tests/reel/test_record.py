"""Records: written whole, closed once, refused when damaged or foreign, and true about renders that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reel.errors import UserError
from reel.files import sha256_bytes
from reel.history.record import RUN_ID, find_record, list_records, load, record_path
from reel.history.recorder import LOST, alive, begin, git_state, new_run_id, reconcile
from reel.keys import Key, remember
from reel.store import Store


@dataclass(frozen=True)
class Stage:
    op: str
    reused: bool = False
    key: str = "0" * 64
    digest: str = "1" * 64
    seconds: float = 0.5
    facts: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def finished(store: Store, *stages: Stage, status="done", **kw):
    recorder = begin(store, "dance", {"prompt": "a, b", "weight": 0.6000000000000001}, **kw)
    for stage in stages:
        recorder.stage(stage)
    return recorder.finish(status)


def test_a_record_comes_back_as_it_was_closed(store, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    recorder = begin(store, "dance", {"weight": 0.6000000000000001}, output=out)
    recorder.stage(Stage("extract", facts={"frames": 16}))
    (out / "clip.mp4").write_bytes(b"film")
    recorder.output(out / "clip.mp4", "movie")
    recorder.metric(joint_error_px=3.25)
    closed = recorder.finish("done", peak_memory_mib=812.5)
    back = load(record_path(store, recorder.run))
    assert back == closed
    assert back.config == {"weight": 0.6}
    assert back.outputs[0].sha256 == sha256_bytes(b"film")
    assert (back.outputs[0].name, back.outputs[0].size, back.outputs[0].role) == ("clip.mp4", 4, "movie")
    assert back.metrics == {"joint_error_px": 3.25}
    assert back.stages[0].facts == {"frames": 16}
    assert back.seconds is not None
    assert back.seconds >= 0


def test_models_and_libraries_come_from_the_key_of_each_stage(store):
    fields = {"inputs": {}, "models": {"wheel:pose": "sha256:ab"}, "libraries": {"numpy": "2.4.6"}}
    remember(store, Key("0" * 64, fields), "1" * 64, {}, 1.0)
    record = finished(store, Stage("preprocess.blazepose"))
    assert record.models == fields["models"]
    assert record.packages["numpy"] == "2.4.6"
    assert "rotoscope" in record.packages


def test_reused_means_that_nothing_was_computed(store):
    assert finished(store, Stage("a", reused=True), Stage("b", reused=True)).reused
    assert not finished(store, Stage("a", reused=True), Stage("b")).reused
    assert not finished(store).reused
    assert not finished(store, Stage("a", reused=True), status="failed").reused


def test_stages_are_on_disk_before_the_render_ends(store):
    recorder = begin(store, "dance", {})
    recorder.stage(Stage("extract"))
    seen = load(record_path(store, recorder.run))
    assert (seen.status, [stage.op for stage in seen.stages]) == ("running", ["extract"])


def test_a_closed_record_does_not_change(store):
    recorder = begin(store, "dance", {})
    recorder.finish("failed", "no room left")
    with pytest.raises(ValueError, match="closed"):
        recorder.metric(late=1)
    assert load(record_path(store, recorder.run)).reason == "no room left"


def test_run_ids_sort_by_time_and_differ():
    ids = [new_run_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(RUN_ID.fullmatch(item) for item in ids)
    assert [item[:15] for item in ids] == sorted(item[:15] for item in ids)


def damage(path: Path, what: str) -> None:
    text = path.read_text()
    if what == "cut":
        path.write_text(text[: len(text) // 2])
    elif what == "flipped":
        path.write_text(text.replace('"a, b"', '"a, c"'))
    elif what == "foreign":
        path.write_text(text.replace('"schema": 1', '"schema": 99'))
    elif what == "list":
        path.write_text("[]")
    assert path.read_text() != text


@pytest.mark.parametrize(
    ("what", "says"),
    [("cut", "damaged"), ("flipped", "damaged.*checksum"), ("foreign", "schema 99.*reads 1"), ("list", "damaged")],
)
def test_a_damaged_or_foreign_record_is_refused_by_name(store, what, says):
    record = finished(store)
    good = finished(store)
    path = record_path(store, record.run)
    damage(path, what)
    with pytest.raises(UserError, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)
    records, problems = list_records(store)
    assert [item.run for item in records] == [good.run]
    assert len(problems) == 1


def test_records_are_found_by_any_unambiguous_part(store):
    first, second = (finished(store).run for _ in range(2))
    assert find_record(store, first).run == first
    assert find_record(store, second[-6:]).run == second
    assert find_record(store, "latest").run == max(first, second)
    with pytest.raises(UserError, match="2 runs fit"):
        find_record(store, "2")
    with pytest.raises(UserError, match="no run fits 'nothing'"):
        find_record(store, "nothing")


def test_a_killed_render_is_closed_and_a_living_one_is_not(store):
    code = (
        "import os, sys; from reel.history.recorder import begin; from reel.store import Store\n"
        "run = begin(Store(sys.argv[1]), 'dance', {}); print(run.run, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(store.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    killed = process.stdout.readline().strip()
    mine = begin(store, "dance", {})
    assert alive(store, killed)
    assert reconcile(store) == []
    process.kill()
    process.communicate()
    assert not alive(store, killed)
    assert [record.run for record in reconcile(store)] == [killed]
    closed = load(record_path(store, killed))
    assert (closed.status, closed.reason) == ("interrupted", LOST)
    assert closed.ended is not None
    assert load(record_path(store, mine.run)).status == "running"
    assert reconcile(store) == []
    mine.finish("done")
    assert list((store.root / "locks").glob("run-*")) == []


def test_the_commit_and_whether_files_differ_from_it(tmp_path):
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    assert git_state(tmp_path) == (None, None)
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    commit, dirty = git_state(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    assert dirty is False
    (tmp_path / "file").write_text("two")
    assert git_state(tmp_path) == (commit, True)


def test_looking_at_the_commit_never_writes_to_the_checkout(tmp_path):
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    os.utime(tmp_path / "file", (1, 1))  # git would note in its index that only the time differs
    before = (tmp_path / ".git" / "index").read_bytes()
    assert git_state(tmp_path)[1] is False
    assert (tmp_path / ".git" / "index").read_bytes() == before
