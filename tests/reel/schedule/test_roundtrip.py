"""What is written in a dialect reads back to the same arrays; what a dialect cannot say is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reel.errors import UserError
from reel.schedule.compile import compile_pictures, compile_prompts, compile_values
from reel.schedule.dialects.base import Target
from reel.schedule.dialects.catalogue import DIALECTS
from reel.schedule.model import HOLD, Schedule
from reel.schedule.read import parse, read
from reel.schedule.write import write
from tests.examples import examples

from .strategies import FRAMES, WORDS, compound_then, plain_then, prompt_schedules, tracks, value_schedules


def back(schedule: Schedule, dialect: str) -> Schedule:
    text = DIALECTS[dialect].write(schedule, Target(FRAMES, 12.0))
    parsed = parse(text, dialect, schedule.what)
    assert parsed.schedule is not None, text
    assert not parsed.report.errors, [f.render(text) for f in parsed.report.errors]
    return parsed.schedule


def prompts_survive(schedule: Schedule, dialect: str) -> None:
    try:
        expected = compile_prompts(schedule, FRAMES, 12.0)
    except UserError:
        return
    got = compile_prompts(back(schedule, dialect), FRAMES, 12.0)
    assert got.same(expected)


def values_survive(schedule: Schedule, dialect: str) -> None:
    try:
        expected = compile_values(schedule, FRAMES, 12.0)
    except UserError:
        return
    np.testing.assert_allclose(compile_values(back(schedule, dialect), FRAMES, 12.0), expected, atol=1e-9)


@pytest.mark.parametrize("dialect", ["yaml", "short"])
@settings(max_examples=examples(900), deadline=None, database=None)
@given(schedule=prompt_schedules())
def test_own_forms_keep_every_prompt_schedule(dialect: str, schedule: Schedule) -> None:
    again = back(schedule, dialect)
    assert replace(again, dialect="", then=schedule.then, joiner="") == replace(
        _normal(schedule), dialect="", joiner=""
    )
    prompts_survive(schedule, dialect)


def _normal(schedule: Schedule) -> Schedule:
    """A key's transition that equals the schedule's own is not written."""
    return schedule.with_keys(
        tuple(replace(k, then=None if k.then == schedule.then else k.then) for k in schedule.keys)
    )


@pytest.mark.parametrize("dialect", ["yaml", "short"])
@settings(max_examples=examples(350), deadline=None, database=None)
@given(schedule=value_schedules())
def test_own_forms_keep_every_value_schedule(dialect: str, schedule: Schedule) -> None:
    values_survive(schedule, dialect)


@pytest.mark.parametrize("dialect", ["yaml", "short"])
@settings(max_examples=examples(300), deadline=None, database=None)
@given(schedule=tracks())
def test_own_forms_keep_every_track(dialect: str, schedule: Schedule) -> None:
    again = back(schedule, dialect)
    try:
        expected = compile_pictures(schedule, FRAMES, 12.0)
    except UserError:
        return
    got = compile_pictures(again, FRAMES, 12.0)
    assert [(p.picture, p.start, p.stop, p.strength.tolist()) for p in got] == [
        (p.picture, p.start, p.stop, p.strength.tolist()) for p in expected
    ]


@settings(max_examples=examples(600), deadline=None, database=None)
@given(schedule=prompt_schedules(then=plain_then, loops=False))
def test_fizznodes_keeps_holds_fades_and_negatives(schedule: Schedule) -> None:
    prompts_survive(replace(schedule, mixing="lerp"), "fizz")


@settings(max_examples=examples(600), deadline=None, database=None)
@given(schedule=prompt_schedules(words=WORDS, then=plain_then, loops=False, negatives=False))
def test_webui_keeps_holds_and_fades_inside_the_clip(schedule: Schedule) -> None:
    prompts_survive(replace(schedule, mixing="slerp", beyond="drop"), "webui")


@settings(max_examples=examples(600), deadline=None, database=None)
@given(schedule=prompt_schedules(then=plain_then, loops=False, negatives=False))
def test_prompt_travel_keeps_holds_and_fades_inside_the_clip(schedule: Schedule) -> None:
    prompts_survive(replace(schedule, mixing="slerp", beyond="drop"), "travel")


@pytest.mark.parametrize("dialect", ["evolved", "evolved-json"])
@settings(max_examples=examples(350), deadline=None, database=None)
@given(schedule=prompt_schedules(words=WORDS, then=compound_then, loops=False, negatives=False))
def test_animatediff_evolved_keeps_holds_and_its_own_fades(dialect: str, schedule: Schedule) -> None:
    prompts_survive(schedule, dialect)


@settings(max_examples=examples(350), deadline=None, database=None)
@given(schedule=prompt_schedules(then=lambda _: HOLD, loops=False))
def test_deforum_keeps_holds(schedule: Schedule) -> None:
    prompts_survive(replace(schedule, mixing="lerp"), "deforum")


@pytest.mark.parametrize("dialect", ["fizz-value", "deforum", "evolved", "evolved-json"])
@settings(max_examples=examples(250), deadline=None, database=None)
@given(schedule=value_schedules())
def test_value_dialects_keep_every_value(dialect: str, schedule: Schedule) -> None:
    values_survive(schedule, dialect)


@settings(max_examples=examples(250), deadline=None, database=None)
@given(schedule=value_schedules())
def test_latent_keyframes_keep_every_value_from_0_up(schedule: Schedule) -> None:
    if (compile_values(schedule, FRAMES, 12.0) >= 0).all():
        values_survive(schedule, "latent")


@settings(max_examples=examples(400), deadline=None, database=None)
@given(
    schedule=prompt_schedules(),
    dialect=st.sampled_from(["fizz", "webui", "travel", "deforum", "evolved", "evolved-json", "yaml", "short"]),
)
def test_a_loss_is_always_said(schedule: Schedule, dialect: str) -> None:
    try:
        expected = compile_prompts(schedule, FRAMES, 12.0)
    except UserError:
        return
    written = write(schedule, dialect, FRAMES, 12.0)
    again = parse(written.text, dialect, "prompt").schedule
    kept = again is not None and compile_prompts(again, FRAMES, 12.0).same(expected)
    assert kept or [n for n in written.notes if n.code.startswith("RS5") and n.severity != "note"]
    assert written.exact <= kept


@pytest.mark.parametrize(
    ("text", "dialect", "code"),
    [
        ("0 ease(in): a; 9: b", "fizz", "RS501"),
        ("loop: on; then: blend; 0: a; 9: b", "webui", "RS502"),
        ("0: a --neg b", "webui", "RS504"),
        ('0: say "a"', "evolved", "RS505"),
        ("0-4: a --pic b.png", "fizz", "RS506"),
        ("then: blend; 0: a; 9: b", "evolved", "RS501"),
        ("0: a; 50%: b", "fizz", "RS503"),
        ("mixing: slerp; 0: a", "fizz", "RS508"),
        ("0: a --neg b; 4: a --neg c", "travel", "RS504"),
    ],
)
def test_what_a_dialect_cannot_say_is_named(text: str, dialect: str, code: str) -> None:
    schedule = parse(text).schedule
    assert schedule is not None
    assert code in {n.code for n in write(schedule, dialect, 16).notes}


def test_formulas_become_numbers_where_a_dialect_has_none() -> None:
    written = write(read("0: sin(t)", what="value"), "evolved", 8)
    assert "RS507" in {n.code for n in written.notes}
    assert written.exact


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("evolved", "0 = 0.5, 4:8 = 0.9"),
        ("evolved-json", '"0": 0.5, "4:8": 0.9'),
        ("fizz-value", "0:(0.5), 4:(0.9)"),
        ("latent", "0 = 0.5, 1 = 0.6, 2 = 0.7, 3 = 0.8, 4:8 = 0.9"),
    ],
)
def test_values_in_the_form_of_each_dialect(dialect: str, text: str) -> None:
    written = write(read("0: 0.5; 4-8: 0.9", what="value"), dialect, 8)
    assert (written.text.strip(), written.exact) == (text, True)
    assert ("RS507" in {n.code for n in written.notes}) == (dialect == "latent")
    eased = write(read("0 ease(in): 0.5; 4: 0.9", what="value"), dialect, 8)
    assert eased.exact
    assert "RS507" in {n.code for n in eased.notes}


@pytest.mark.parametrize("dialect", ["fizz", "webui", "travel", "evolved", "yaml", "short"])
def test_a_schedule_beyond_the_clip_can_be_written(dialect: str) -> None:
    written = write(read("50: a; 60: b"), dialect, 48)
    assert compile_prompts(read(written.text, dialect), 48).texts == (("a", ""),)


def test_kinds_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UserError, match="no schedules of kind 'value'"):
        write(read("0: 1", what="value"), "fizz")


def test_frames_are_asked_for_where_they_matter() -> None:
    with pytest.raises(UserError, match="number of frames"):
        write(read("0: a; 50%: b"), "fizz")


def test_every_pair_of_prompt_dialects_carries_holds() -> None:
    """A schedule of holds means the same everywhere, through every chain of two conversions."""
    names = [d.name for d in DIALECTS.values() if "prompt" in d.kinds]
    expected = compile_prompts(read("0: red top; 12: blue top; 30: green top"), FRAMES)
    assert len(names) >= 7
    for first in names:
        for second in names:
            text = write(read("0: red top; 12: blue top; 30: green top"), first, FRAMES).text
            text = write(read(text, first), second, FRAMES).text
            assert compile_prompts(read(text, second), FRAMES).same(expected), (first, second)
