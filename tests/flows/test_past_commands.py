"""Commands that look at what was rendered, or take it away: runs, why, gc."""

from __future__ import annotations

from datetime import datetime

import pytest

from reel.history.record import load, save
from reel.history.recorder import begin
from tests.flows.program import program, render


@pytest.fixture
def run(capsys, monkeypatch):
    return program(capsys, monkeypatch)


def test_runs(run, store):
    first = render(store, 2.0)
    again = render(store, 2.0)
    failed = render(store, 3.0, "failed")
    code, out, err = run("runs", "--store", store.root)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert set(rows) == {first.run, again.run, failed.run}
    assert " done " in rows[first.run]
    assert " reused " in rows[again.run]
    assert rows[failed.run].endswith("steps: 0 is too few")
    only = run("runs", "--store", store.root, "-n", "1", "--status", "done")[1]
    assert again.run in only or first.run in only
    assert "(1 earlier ones: rotoscope runs -n 0)" in only


def test_a_killed_render_is_shown_as_interrupted(run, store):
    recorder = begin(store, "dance", {})
    recorder._held.close()  # what the kernel does to the lock of a killed process
    out = run("runs", "--store", store.root)[1]
    assert "interrupted" in out
    assert "killed" in out


def test_a_damaged_record_is_named_and_the_others_are_shown(run, store):
    good = render(store, 2.0)
    bad = store.root / "records" / "20260202-000000-abcdef.json"
    bad.write_text("{", "utf-8")
    code, out, err = run("runs", "--store", store.root)
    assert code == 0
    assert good.run in out
    assert bad.name in err


def test_open_takes_the_latest_with_files_and_no_trial_of_a_search(run, store, tmp_path):
    searched = begin(store, "search", {}, output=tmp_path)
    (tmp_path / "front.png").write_bytes(b"a plot")
    searched.output(tmp_path / "front.png", "plot")
    trial = begin(store, "trial", {}, parent=searched.run).finish("done")
    searched.finish("done")
    code, out, _ = run("open", "--print", "--store", store.root)
    assert (code, out.split()) == (0, ["plot", str(tmp_path / "front.png")])
    code, _, err = run("open", trial.run, "--store", store.root)
    assert code == 2
    assert f"trial {trial.run}, done: it made no files" in err
    assert f"fix: rotoscope open {searched.run}, what it is a part of" in err


def test_why(run, store):
    render(store, 2.0)
    changed = render(store, 3.0)
    code, out, _ = run("why", "last", "--store", store.root)
    assert code == 0
    assert changed.run in out
    first, second = (line for line in out.splitlines() if line.startswith(("  hit", "  miss")))
    assert first.startswith("  hit   test.first")
    assert second.startswith("  miss  test.second")
    assert "config.sigma: 2.0 -> 3.0" in out
    assert run("why", "--store", store.root)[1] == out
    assert run("why", changed.run, "--store", store.root)[1] == out


def test_why_of_the_first_render(run, store):
    render(store, 2.0)
    assert "the first of its kind" in run("why", "--store", store.root)[1]


def test_why_of_nothing(run, store):
    assert run("why", "--store", store.root)[0] == 2
    assert "no run fits" in run("why", "1999", "--store", store.root)[2]


def test_gc_shows_first_and_removes_only_when_told(run, store):
    old, new = render(store, 2.0), render(store, 3.0)
    before = set(store.digests())
    assert len(before) == 3
    code, out, _ = run("gc", "--store", store.root)
    assert code == 0
    assert "nothing can go" in out
    code, out, _ = run("gc", "--store", store.root, "--keep-last", "1")
    assert code == 0
    assert f"rotoscope gc --store {store.root} --keep-last 1 --yes" in out
    assert set(store.digests()) == before
    out = run("gc", "--store", store.root, "--keep-last", "1", "--yes")[1]
    assert "freed" in out
    gone = before - set(store.digests())
    kept = {stage.digest for stage in new.stages}
    assert gone == {stage.digest for stage in old.stages} - kept
    for digest in kept:
        store.verify(digest)


def test_gc_keeps_a_named_render(run, store):
    old = render(store, 2.0)
    render(store, 3.0)
    run("gc", "--store", store.root, "--keep-last", "0", "--keep", old.run, "--yes")
    assert set(store.digests()) == {stage.digest for stage in old.stages}


def test_gc_refuses_nonsense(run, store):
    code, _, err = run("gc", "--store", store.root, "--keep-last", "-1")
    assert (code, "--keep-last: must be a whole number, 0 or more, got '-1'" in err) == (2, True)


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_clock_that_stood_elsewhere(run, store, year):
    """A record whose times no zone of this machine can be told for is shown all the same."""
    render(store, 2.0)
    [path] = (store.root / "records").glob("*.json")
    moment = datetime.fromisoformat(year)
    save(store, load(path).model_copy(update={"started": moment, "ended": moment}))
    code, out, err = run("runs", "--store", store.root)
    assert (code, err) == (0, "")
    assert year[:3] in out
    assert run("why", "--store", store.root)[0] == 0
