"""The corpus: every documented trap is found, at its place, and valid schedules mean what their tool makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from reel.schedule.codes import CODES
from reel.schedule.compile import compile_prompts, compile_values
from reel.schedule.dialects.base import Options
from reel.schedule.dialects.catalogue import DIALECTS
from reel.schedule.lint import LintResult, lint

from .corpus import CASES
from .corpus_case import Case


def look(case: Case) -> LintResult:
    more = dict(case.lint)
    if "options" in more:
        more["options"] = Options(*more["options"])
    return lint(case.text, case.dialect if case.forced else None, case.what, frames=case.frames, **more)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_findings_are_exactly_these(case: Case) -> None:
    result = look(case)
    assert result.dialect == case.dialect
    found = [(f.code, f.line, f.column) for f in result.findings]
    assert sorted(found) == sorted(case.findings), "\n".join(f.render(case.id) for f in result.findings)


@pytest.mark.parametrize("case", [c for c in CASES if c.weights], ids=lambda c: c.id)
def test_prompts_have_these_weights(case: Case) -> None:
    schedule = look(case).schedule
    assert schedule is not None
    assert case.frames is not None
    track = compile_prompts(schedule, case.frames)
    for frame, expected in case.weights.items():
        got: dict[str, float] = {}
        for text, weight in ((track.a[frame], 1 - track.blend[frame]), (track.b[frame], track.blend[frame])):
            if weight:
                got[track.texts[text][0]] = got.get(track.texts[text][0], 0) + weight
        assert got == pytest.approx(expected), f"frame {frame}"


@pytest.mark.parametrize("case", [c for c in CASES if c.values], ids=lambda c: c.id)
def test_values_are_these(case: Case) -> None:
    schedule = look(case).schedule
    assert schedule is not None
    assert case.frames is not None
    values = compile_values(schedule, case.frames)
    got = {frame: float(values[frame]) for frame in case.values}
    assert got == pytest.approx(case.values)
    assert np.isfinite(values).all()


def test_the_corpus_covers_every_dialect_and_nearly_every_code() -> None:
    assert len(CASES) >= 60
    assert len({c.id for c in CASES}) == len(CASES)
    assert {c.dialect for c in CASES} == set(DIALECTS)
    told = {code for c in CASES for code, _, _ in c.findings}
    elsewhere = {
        "RS001",
        "RS002",
        "RS108",
        "RS317",
        *(c for c in CODES if c.startswith("RS5")),
    }  # see the other tests here
    assert set(CODES) - told <= elsewhere
