"""Twenty rounds of benchmarks/chaos: whatever is done to a render, the next one gives an undisturbed one's bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.chaos.rounds import Rounds
from benchmarks.chaos.subjects import LIGHT, SUBJECTS
from benchmarks.chaos.table import table

ROUNDS = 20
FAULTS = {"kill -9": 5, "SIGTERM, Ctrl-C": 3, "disk full": 3, "store damaged": 6, "two at once": 2, "clock": 1}
"""A server that is killed would be the one of all tests: tests/flows/test_flowrun.py closes the way to it instead."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_rounds_find_nothing(tmp_path: Path, prefect_server: Path):
    rounds = Rounds(tmp_path, seed=20, subjects=[LIGHT], flows={"dance": 1}, faults=FAULTS, slack=8)
    with rounds.ready():
        found = [rounds.play(number).plain() for number in range(ROUNDS)]
    trouble = {one["number"]: one["trouble"] for one in found if one["trouble"]}
    assert not trouble, table(found)
    assert len({one["fault"] for one in found}) >= 5
    assert sum(one["kills"] for one in found) >= 1, "a moment may fall after the end of a run"


def test_a_comparison_that_has_lost_nothing_is_held_against_the_undisturbed_one():
    [compare] = [one for one in SUBJECTS if one.name == "compare"]

    def excused(log: str) -> bool:
        return any(re.search(said, log) for said in compare.says)

    assert not excused("\ncompared 4 renders (4 done) in 3.1 s; 4 transcoded anew\n")
    assert excused("\ncompared 4 renders (3 done) in 3.1 s; 3 transcoded anew\n")
