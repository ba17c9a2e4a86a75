"""The film's plan: whatever shots, rates and transitions, all adds up, and what cannot be is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reel.config import parse
from reel.errors import UserError
from tasks.film.plan import Length, plan, samples_at
from tasks.film.settings import Film, Frame, Shot, Title, Transition

RATES = [Fraction(count) for count in (8, 12, 15, 16, 24, 25, 30, 50, 60)]
RATES += [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)]


@st.composite
def films(draw: st.DrawFn) -> tuple[list[Shot], list[Length], Film]:
    """Shots of 4 to 120 frames at any rates and speeds, every kind of transition, short enough to fit."""
    shots, lengths = [], []
    for number in range(draw(st.integers(1, 12))):
        fps = draw(st.sampled_from(RATES))
        lengths.append(Length(draw(st.integers(16, 120)) / fps, fps))
        kinds = ["cut", "fade", "crossfade"] if number else ["cut", "fade"]
        kind: Any = draw(st.sampled_from(kinds))
        speed = draw(st.sampled_from([0.5, 0.75, 1.0, 1.0, 1.5, 1.9]))
        shots.append(Shot(transition=Transition(kind=kind, frames=draw(st.integers(1, 2))), speed=speed))
    fps = draw(st.sampled_from(["shots", "24", "30000/1001", "12"]))
    ends = {"opening": Title(text="a"), "closing": Title(text="b")} if draw(st.booleans()) else {}
    if ends and shots[0].transition.kind == "cut":
        ends["closing"] = Title(text="b", transition=Transition(kind="crossfade", frames=1))
    return shots, lengths, Film(frame=Frame(fps=fps), **ends)


@given(films())
def test_everything_adds_up(film: tuple[list[Shot], list[Length], Film]) -> None:
    shots, lengths, settings = film
    made = plan(shots, lengths, settings)
    assert made.frames == sum(one.frames for one in made.placed) - sum(one.overlap_in for one in made.placed)
    assert abs(made.samples - made.frames * 48_000 / made.fps) <= Fraction(1, 2)
    assert made.placed[0].first == 0
    assert made.placed[-1].last == made.frames
    for before, after in pairwise(made.placed):
        assert before.overlap_out == after.overlap_in == before.last - after.first
        assert before.stop - after.start == samples_at(before.last, made.fps) - samples_at(after.first, made.fps)
    for one in made.placed:
        assert one.overlap_in + one.overlap_out + one.fade_in + one.fade_out <= one.frames
        assert (one.start, one.stop) == (samples_at(one.first, made.fps), samples_at(one.last, made.fps))
        if one.shot is not None:  # no shot is more than half a frame off its own length
            wanted = lengths[one.shot].seconds / one.speed * made.fps
            assert abs(one.frames - wanted) <= Fraction(1, 2)


def two(kind: str, frames: int, *, seconds: int = 2, **film: Any) -> Any:
    shots = [Shot(), parse(Shot, {"transition": {"kind": kind, "frames": frames}})]
    return plan(shots, [Length(Fraction(seconds), Fraction(24))] * 2, Film(**film))


def test_what_each_transition_does_to_the_length() -> None:
    assert two("cut", 12).frames == 96
    assert two("fade", 12).frames == 96
    assert (two("crossfade", 12).frames, two("crossfade", 12).samples) == (84, 168_000)
    fade = two("fade", 13)
    assert (fade.placed[0].fade_out, fade.placed[1].fade_in) == (6, 7)


def test_a_length_in_seconds_is_rounded_to_frames_of_the_film() -> None:
    assert Transition(kind="crossfade", seconds=0.5).length(Fraction(25)) == 12
    assert Transition(kind="fade", seconds=0.01).length(Fraction(24)) == 1
    assert Transition(seconds=3).length(Fraction(24)) == 0


def test_speed_and_seconds_give_the_same_length() -> None:
    length = [Length(Fraction(2), Fraction(24))]
    assert plan([Shot(speed=2)], length, Film()).frames == 24
    fixed = plan([Shot(seconds=1)], length, Film())
    assert (fixed.frames, fixed.placed[0].speed) == (24, 2)
    assert plan([Shot(seconds=0.01)], length, Film()).frames == 1


def test_the_rate_is_that_of_most_seconds() -> None:
    mixed = [Length(Fraction(2), Fraction(24)), Length(Fraction(3), Fraction(25)), Length(Fraction(2), Fraction(24))]
    assert plan([Shot()] * 3, mixed, Film()).fps == 24
    assert plan([Shot()] * 2, mixed[:2], Film()).fps == 25
    assert plan([Shot()], [Length(Fraction(1), Fraction(0))], Film()).fps == 25
    assert plan([Shot()] * 3, mixed, Film(frame=Frame(fps="30"))).fps == 30


def test_titles_take_their_place_and_their_transitions() -> None:
    title = Title(text="x", seconds=1, transition=Transition())
    made = two("crossfade", 12, opening=title, closing=title)
    assert [one.title for one in made.placed] == ["opening", "", "", "closing"]
    assert [one.first for one in made.placed] == [0, 24, 60, 108]
    assert made.frames == 132


def test_five_hundred_shots() -> None:
    shots = [Shot(), *[Shot(transition=Transition(kind="crossfade", frames=3))] * 499]
    assert plan(shots, [Length(Fraction(1), Fraction(24))] * 500, Film()).frames == 500 * 24 - 499 * 3


@pytest.mark.parametrize(
    ("kind", "frames", "film", "told"),
    [
        ("crossfade", 60, {}, "shot 1: it has 48 frames (2.00 s), and its transitions take 60: crossfade to the next"),
        ("fade", 200, {}, "shot 1: it has 48 frames (2.00 s), and its transitions take 100: fade out of 100"),
        ("crossfade", 30, {"fade_out": 1.0}, "shot 2: it has 48 frames (2.00 s), and its transitions take 54"),
    ],
)
def test_transitions_that_do_not_fit(kind: str, frames: int, film: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        two(kind, frames, **film)
    assert caught.value.message.startswith(told)


def test_a_film_of_nothing_and_a_crossfade_from_nothing() -> None:
    with pytest.raises(UserError, match="there are none"):
        plan([], [], Film())
    with pytest.raises(UserError, match="nothing before it"):
        plan([Shot(transition=Transition(kind="crossfade"))], [Length(Fraction(2), Fraction(24))], Film())


def test_unknown_words_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(UserError, match="'cut', 'fade' or 'crossfade'"):
        parse(Shot, {"transition": {"kind": "dissolve"}})
    with pytest.raises(UserError, match="leave one of them out"):
        parse(Shot, {"speed": 2, "seconds": 3})
