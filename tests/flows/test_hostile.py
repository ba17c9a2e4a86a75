"""The table of bad inputs, and a part of it in real processes; all of it: ``python -m benchmarks.hostile``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.hostile.run import Outcome
from benchmarks.hostile.table import CASES, KINDS
from flows import cli

ROOT = Path(__file__).parents[2]


def test_the_table_is_about_all_that_people_type():
    assert len(CASES) >= 400
    assert {case.argv[0] for case in CASES if case.argv} >= set(cli.available())
    assert min(Counter(case.kind for case in CASES).values()) >= 10
    assert all(case.said for case in CASES), "each must say something"
    assert all(case.code for case in CASES if case.kind != "store"), "only what a store holds is passed over, and told"
    assert len(KINDS) >= 10


def test_what_an_outcome_is_called():
    case = next(one for one in CASES if one.said == ("unknown key 'sed'; nearest: seed",))
    told = "error: unknown key 'sed'; nearest:\nseed\n"

    def verdict(code: int | None, output: str) -> str:
        return Outcome(case, code, output, 0.1).verdict

    assert verdict(2, told) == "ok"
    assert verdict(2, "error: no\n") == "unclear"
    assert verdict(1, told) == "unclear"
    assert verdict(0, told) == "accepted"
    assert verdict(None, told) == "hang"
    assert verdict(-11, told) == "traceback"
    assert verdict(2, f"{told}Traceback (most recent call last):\n") == "traceback"


def test_a_part_of_the_table():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hostile", "--part", "7/35", "--limit", "120"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
