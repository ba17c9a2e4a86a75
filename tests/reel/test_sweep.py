"""The sweep manifest: what a sweep is, how far its points are, and who may run one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reel.errors import UserError
from reel.history.record import load, record_path
from reel.history.recorder import as_point, begin
from reel.history.sweep import DEATHS, Manifest, list_sweeps
from reel.history.sweep_files import Axis, Planned, sweep_id

ROOT = Path(__file__).parents[2]
OVERRIDES = ("weight=0.4,0.8", "seed=1,2")
AXES = (Axis(keys=("weight",), values=(("0.4",), ("0.8",))), Axis(keys=("seed",), values=(("1",), ("2",))))


def planned(digests="abcd"):
    points = [{"weight": weight, "seed": seed} for weight in ("0.4", "0.8") for seed in ("1", "2")]
    return [
        Planned(index=index, overrides=tuple(f"{k}={v}" for k, v in values.items()), values=values, digest=digest)
        for index, (values, digest) in enumerate(zip(points, digests, strict=True))
    ]


@pytest.fixture
def sweep(store):
    return Manifest.start(store, "dance", OVERRIDES, AXES, planned())


def test_the_same_overrides_in_any_order_are_the_same_sweep():
    assert sweep_id("dance", OVERRIDES) == sweep_id("dance", OVERRIDES[::-1])
    assert sweep_id("dance", OVERRIDES) != sweep_id("search", OVERRIDES)
    assert sweep_id("dance", OVERRIDES) != sweep_id("dance", ("weight=0.4,0.9", "seed=1,2"))
    assert sweep_id("dance", ("seed=1", "seed=2")) != sweep_id("dance", ("seed=2", "seed=1"))  # the last one counts


def test_a_sweep_reads_back(store, sweep):
    [found] = list_sweeps(store)
    assert found.id == sweep.id
    assert found.id.startswith("dance-")
    assert [axis.name for axis in found.axes] == ["weight", "seed"]
    assert [dict(point.values) for point in found.points][1] == {"weight": "0.4", "seed": "2"}
    assert found.points[1].overrides == ("weight=0.4", "seed=2")
    assert found.counts == {"done": 0, "failed": 0, "running": 0, "pending": 4}
    for name in (sweep.id, sweep.id[-8:], sweep.id[:8], "latest"):
        assert Manifest.load(store, name).id == sweep.id


def test_an_unknown_sweep_is_told_with_those_there_are(store, sweep):
    with pytest.raises(UserError, match="there is no sweep 'dance-0'") as told:
        Manifest.load(store, "dance-0")
    assert sweep.id in str(told.value)
    Manifest.start(store, "dance", ("weight=1,2",), (), planned())
    with pytest.raises(UserError, match="2 sweeps fit 'dance'"):
        Manifest.load(store, "dance")


def test_a_point_goes_from_pending_to_done(store, sweep):
    claim = sweep.claim(2)
    assert sweep.point(2).status == "running"
    with as_point(claim):
        recorder = begin(store, "dance", {"a": 1})
    recorder.finish("done")
    claim.done()
    point = Manifest.load(store, sweep.id).points[2]
    assert (point.status, point.run, point.attempts) == ("done", recorder.run, 1)
    assert point.seconds is not None
    record = load(record_path(store, recorder.run))
    assert (record.sweep, record.point) == (sweep.id, 2)
    assert sweep.claim(2) is None
    record_path(store, recorder.run).unlink()
    assert sweep.point(2).status == "pending"


def test_a_failed_point_says_why_and_is_claimed_only_as_such(sweep):
    sweep.claim(0).fail("no room left", "UserError")
    point = sweep.point(0)
    assert (point.status, point.reason, point.state.kind) == ("failed", "no room left", "UserError")
    assert sweep.claim(0) is None
    again = sweep.claim(0, ("failed",))
    again.done()
    assert (sweep.point(0).status, sweep.point(0).reason, sweep.point(0).attempts) == ("done", None, 2)


def test_a_point_given_back_is_pending(sweep):
    sweep.claim(0).release()
    assert sweep.point(0).status == "pending"
    assert sweep.claim(0) is not None


def test_one_point_one_process(sweep):
    claim = sweep.claim(1)
    assert sweep.claim(1) is None
    claim.done()
    assert sweep.claim(1) is None


def test_changed_settings_make_a_finished_point_pending(store, sweep):
    for index in range(4):
        sweep.claim(index).done()
    changed = Manifest.start(store, "dance", OVERRIDES[::-1], AXES[::-1], planned("abxd")[::-1])
    assert changed.id == sweep.id
    assert [point.status for point in changed.points] == ["done", "done", "pending", "done"]
    assert [dict(point.values) for point in changed.points] == [dict(point.values) for point in sweep.points]
    back = Manifest.start(store, "dance", OVERRIDES, AXES, planned())
    assert [point.status for point in back.points] == ["done"] * 4


HOLD = """
import sys, time
from reel.store import Store
from reel.history.sweep import Manifest
claim = Manifest.load(Store(sys.argv[1]), sys.argv[2]).claim(0, driver=sys.argv[3])
print("held" if claim else "not held", flush=True)
time.sleep(60)
"""


def hold(store, sweep, driver=""):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.root), sweep.id, driver],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return process, process.stdout.readline().strip()


def kill_one(store, sweep, driver):
    """A process that runs the first point for this driver, killed."""
    process, said = hold(store, sweep, driver)
    assert said == "held"
    assert sweep.point(0).status == "running"
    assert sweep.claim(0) is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert sweep.point(0).status == "pending"


def test_a_killed_process_gives_its_point_back_until_it_has_happened_too_often(store, sweep):
    with sweep.driving():
        for death in range(1, DEATHS + 1):
            kill_one(store, sweep, sweep.driver)
            assert sweep.point(0).attempts == death
        assert sweep.claim(0) is None
    assert sweep.point(0).status == "failed"
    assert f"died {DEATHS} times" in sweep.point(0).reason


def test_a_sweep_that_is_killed_whole_blames_no_point(store, sweep):
    with sweep.driving():
        kill_one(store, sweep, sweep.driver)
    for _ in range(DEATHS + 1):  # each time by a process that is gone, too, when the next one looks
        kill_one(store, sweep, "gone")
    claim = sweep.claim(0)
    assert claim is not None
    assert sweep.point(0).attempts == DEATHS + 3
    claim.done()


def test_a_sweep_is_driven_while_anybody_works_on_it(sweep):
    assert not sweep.driven
    with sweep.driving(), sweep.driving():
        assert sweep.driven
    assert not sweep.driven


def test_damage_is_told(store, sweep):
    path = sweep.folder / "manifest.json"
    envelope = json.loads(path.read_text())
    envelope["sweep"]["flow"] = "other"
    path.write_text(json.dumps(envelope))
    with pytest.raises(UserError, match="damaged manifest"):
        Manifest.load(store, sweep.id)
    assert list_sweeps(store) == []
    sweep.claim(0).done()
    assert Manifest.start(store, "dance", OVERRIDES, AXES, planned()).points[0].status == "done"
