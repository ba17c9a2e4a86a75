"""Sweeps in processes of their own, of which some are killed, run out of memory, or do the same beside one another."""

from __future__ import annotations

import signal

import pytest

from reel.history.sweep import DEATHS, Manifest
from reel.store import Store
from tests.flows.demo_runs import caller, ran, settle, spawn, sweeps


@pytest.fixture
def place(tmp_path, monkeypatch):
    return settle(tmp_path, monkeypatch)


@pytest.fixture
def call(place, capsys):
    return caller(place, capsys, "-m")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_after_a_kill_exactly_the_missing_points_are_run(call, place, number):
    process = spawn(place, "-m", "steps=4,5,6,7", hook="6:wait")
    assert process.stdout.readline() == "waiting\n"
    [sweep] = sweeps(place)
    assert [point.status for point in sweep.points] == ["done", "done", "running", "pending"]
    assert sweep.driven
    process.send_signal(number)
    process.communicate(timeout=120)
    assert not sweep.driven
    assert [point.status for point in sweep.points] == ["done", "done", "pending", "pending"]
    code, got, _, err = call("steps=4,5,6,7")
    assert (code, [one["steps"] for one in got]) == (0, [6, 7]), err
    assert [point.attempts for point in sweep.points] == [1, 1, 2, 1]


@pytest.mark.slow
def test_two_processes_on_one_sweep_run_no_point_twice(place):
    axes = ("steps=range(4,10)", "seed=1,2")
    processes = [spawn(place, "-m", *axes, hook="*:pause") for _ in range(2)]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    points = [(one["steps"], one["seed"]) for one in ran(place)]
    assert sorted(points) == [(steps, seed) for steps in range(4, 10) for seed in (1, 2)]
    [sweep] = sweeps(place)
    assert sweep.counts["done"] == 12
    assert [point.attempts for point in sweep.points] == [1] * 12


@pytest.mark.slow
def test_a_point_that_runs_out_of_memory_does_not_stop_the_rest(place):
    process = spawn(place, "-m", "steps=4,5,6", hook="5:memory", limit=8 << 30)
    err = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    assert [one["steps"] for one in ran(place)] == [4, 6], err
    [sweep] = sweeps(place)
    assert "MemoryError" in sweep.points[1].reason


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_no_other_point_with_it(place, prefect_server):
    """As the kernel kills a process that takes too much memory: joblib gives up its whole pool then, each time."""
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    process = spawn(place, "-m", "steps=4,5,6,7", *joblib, hook="5:die,4:slow")
    err = process.communicate(timeout=300)[1]
    assert process.returncode == 1, err
    sweep = Manifest.load(Store(place / "store"), "latest")
    assert [point.status for point in sweep.points] == ["done", "failed", "done", "done"], err
    assert f"died {DEATHS} times" in sweep.points[1].reason
    assert [point.attempts <= 2 for point in sweep.points] == [True, False, True, True], "run again one by one"
    assert sorted({one["steps"] for one in ran(place)}) == [4, 6, 7]
