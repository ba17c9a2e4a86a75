"""What leaves or enters the store behind Prefect's back: after a pull an op is a hit, after gc it runs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from reel.gc import collect
from reel.history.recorder import begin
from reel.mirror import pull, push
from reel.store import Store
from tests.tasks.counting import Counting, calls, run

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_what_was_pulled_from_a_mirror_is_not_computed(store: Store, tmp_path: Path):
    recorder = begin(store, "test", {})
    stage = recorder.stage(run(store, Counting()))
    recorder.finish("done")
    push(store, f"file://{tmp_path}/mirror", [recorder.run])
    there = Store(tmp_path / "there")
    pull(there, f"file://{tmp_path}/mirror", [recorder.run])
    pulled = run(there, Counting())
    assert (pulled.reused, pulled.digest, calls(there)) == (True, stage.digest, 0)


def test_what_was_collected_is_computed_again_and_what_was_kept_is_not(store: Store):
    recorder = begin(store, "test", {})
    kept = recorder.stage(run(store, Counting(value=1)))
    recorder.finish("done")
    lost = run(store, Counting(value=2))
    plan = collect(store, [recorder.run])
    assert {item.name for item in plan.items} == {lost.digest, lost.key, f"{lost.key}.json"}
    plan.apply()
    assert run(store, Counting(value=1)).reused
    again = run(store, Counting(value=2))
    assert (again.reused, again.digest) == (False, lost.digest)
    assert kept.digest != lost.digest
