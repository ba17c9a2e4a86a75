"""Fronts, knees, halving and the choice of passages: pure arithmetic with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reel.errors import UserError
from reel.search.goals import (
    Box,
    Goal,
    Limit,
    Scored,
    affordable,
    dominates,
    entrants,
    front,
    hypervolume,
    knee,
    parse_limit,
    passages,
    ranked,
    rung,
)

FLICKER = Goal("flicker.mean", higher=False)


def points(*losses: tuple[float, ...]) -> list[Scored]:
    return [Scored(number, pair) for number, pair in enumerate(losses)]


def test_front_leaves_out_what_is_dominated_and_what_is_the_same():
    found = front(points((1, 5), (2, 2), (3, 3), (2, 2), (5, 1), (5, 5)))
    assert [point.name for point in found] == [0, 1, 4]


def test_a_point_beyond_a_limit_is_on_no_front_and_never_first():
    many = [Scored(0, (0.0, 0.0), violation=1.0), Scored(1, (1.0, 2.0)), Scored(2, (0.5, 0.5), violation=0.2)]
    assert [point.name for point in front(many)] == [1]
    assert [point.name for point in ranked(many)] == [1, 2, 0]
    assert front(many[:1]) == []
    assert knee(many[:1]) is None


losses = st.tuples(*[st.integers(0, 6).map(float)] * 2)


@settings(deadline=None, max_examples=60)
@given(st.lists(losses, min_size=1, max_size=25))
def test_front_is_what_nothing_dominates(pairs: list[tuple[float, float]]):
    many = points(*pairs)
    found = front(many)
    assert found
    assert not any(dominates(a, b) for a in many for b in found)
    for point in many:  # whoever is not on it has somebody there who is at least as good
        assert any(all(x <= y for x, y in zip(best.losses, point.losses, strict=True)) for best in found)
    order = ranked(many)
    assert sorted(point.name for point in order) == list(range(len(many)))
    assert {p.losses for p in order[: len(found)]} <= {p.losses for p in found}
    first = [place for place, point in enumerate(order) if point.losses in {p.losses for p in found}]
    assert first == list(range(len(first))), "no dominated point stands before one of the front"


def test_within_a_front_the_ends_and_lonely_points_come_first():
    order = [point.name for point in ranked(points((0, 10), (1, 9), (1.5, 8.5), (2, 8), (6, 3), (10, 0)))]
    assert set(order[:2]) == {0, 5}
    assert order[2] == 4
    assert order[-1] == 2


def test_knee_is_the_balanced_point():
    assert knee(points((0, 10), (1, 2), (4, 1), (10, 0))).name == 1
    assert knee(points((0, 1), (1, 0))).name == 0  # equally near: the better one in the first goal
    assert knee(points((0, 1000), (0.2, 100), (1, 0))).name == 1, "goals are scaled"
    assert knee(points((3, 4))).name == 0
    close = points((2.48, 0.04), (2.58, 0))
    assert knee(close).name == 0  # equally near
    assert knee(close, (0.5, 0.01)).name == 1, (
        "a tenth of a percent of the frame is none to the eye, a brown limb is one"
    )
    assert knee(points((0, 0, 1), (0.4, 0.4, 0.4), (1, 0, 0), (0, 1, 0))).name == 1, "three goals"


def test_hypervolume_of_known_boxes():
    assert hypervolume([(0, 0)], (2, 3)) == pytest.approx(6)
    assert hypervolume([(0, 2), (1, 1), (2, 0)], (3, 3)) == pytest.approx(3 + 2 + 1)
    assert hypervolume([(0, 2), (1, 1), (2, 0), (2, 2)], (3, 3)) == pytest.approx(6), "dominated points add nothing"
    assert hypervolume([(4, 0), (3, 3)], (3, 3)) == 0
    assert hypervolume([], (1, 1)) == 0
    assert hypervolume([(0, 0, 0), (1, 1, 0)], (2, 2, 2)) == pytest.approx(8)


def test_normalised_hypervolume_does_not_depend_on_units():
    pairs = [(2.0, 0.3), (5.0, 0.1), (9.0, 0.05)]
    scaled = [(x * 100, y - 7) for x, y in pairs]
    assert Box.around(pairs).volume(pairs) == pytest.approx(Box.around(scaled).volume(scaled))
    assert Box.around(pairs).volume([(2.0, 0.05)]) == pytest.approx(1.1**2)
    assert Box.around(pairs).volume(pairs[1:]) < Box.around(pairs).volume(pairs)


@pytest.mark.parametrize(
    ("text", "value", "first", "kept"),
    [("5", 5, None, True), (5, 5.1, None, False), ("1.5x", 3, 2, True), ("1.5x", 3.1, 2, False), ("2X", 9, None, True)],
)
def test_limits(text: str, value: float, first: float | None, kept: bool):
    if text == "2X":
        with pytest.raises(UserError, match="is not a bound"):
            parse_limit(FLICKER, text)
        return
    assert (parse_limit(FLICKER, text).violation(value, first) <= 0) == kept


def test_limits_of_what_is_to_be_high_are_lower_bounds():
    limit = parse_limit(Goal("pose.oks", higher=True), "0.9x")
    assert limit == Limit(Goal("pose.oks", higher=True), 0.9, relative=True)
    assert limit.violation(0.75, 0.8) <= 0 < limit.violation(0.7, 0.8)
    assert str(limit) == "pose.oks >= 0.9 x that of the given settings"


@pytest.mark.parametrize("text", ["x", "abc", "1..5", "-1x", "0x", "nan", "inf"])
def test_bounds_that_are_none(text: str):
    with pytest.raises(UserError, match=r"search.constraints.flicker.mean: '.*' is not a bound"):
        parse_limit(FLICKER, text)


def test_halving_and_what_a_budget_pays_for():
    assert entrants(27, 3, 3) == [27, 10, 4]
    assert entrants(1, 3, 3) == [1, 1, 1]
    assert entrants(10, 3, 3) == [10, 5, 3]
    assert entrants(7, 1, 3) == [7]
    costs = [0.25, 0.5, 1.0]
    trials = affordable(10, costs, 3)

    def price(count: int) -> float:
        return sum(n * cost for n, cost in zip(entrants(count, 3, 3), costs, strict=True))

    assert price(trials) <= 10 < price(trials + 1)
    assert affordable(1.74, costs, 3) == 0
    assert affordable(1.75, costs, 3) == 1


def test_cost_of_a_rung_is_its_part_of_the_frame_steps():
    assert rung("proxy", [[0, 1], [5, 6]], steps=4, count=16, full_steps=8).cost == pytest.approx(1 / 8)
    assert rung("full", [range(16)], steps=8, count=16, full_steps=8).cost == 1


def person(angle: float, x: float = 50, size: float = 20) -> np.ndarray:
    """A body whose right arm points into a direction."""
    points = np.zeros((18, 4), np.float32)
    points[:, 3] = 1
    points[:, 0] = x + size * np.cos(np.arange(18))
    points[:, 1] = 50 + size * np.sin(np.arange(18) * 1.7)
    points[4, :2] = x + size * math.cos(angle), 50 + size * math.sin(angle)
    return points


def test_passages_are_the_most_different_runs():
    still, up, down = person(0.0), person(1.5), person(-1.5)
    poses = [still] * 5 + [up] * 3 + [still] * 6 + [down] * 3 + [still] * 5
    assert passages(poses, 6, 2) == [[5, 6, 7], [14, 15, 16]]
    three = passages(poses, 9, 3)
    assert three[1:] != three[:-1]
    assert {5, 6, 7, 14, 15, 16} <= {frame for run in three for frame in run}


def test_where_the_person_stands_and_how_large_is_no_difference():
    poses = [person(0.3, x=10 + 5 * place, size=10 + place) for place in range(10)]
    assert passages(poses, 4, 2) == [[0, 1], [8, 9]], "nothing differs: evenly over the clip"
    poses[4] = person(2.5)
    assert 4 in {frame for run in passages(poses, 4, 2) for frame in run}


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 8), st.integers(0, 3))
def test_passages_never_overlap_and_have_the_wanted_length(count: int, frames: int, runs: int, kind: int):
    poses = {
        0: [None] * count,
        1: [person(place * 0.7) for place in range(count)],
        2: [person(0.0)] * count,
        3: [None if place % 3 else person(place) for place in range(count)],
    }[kind]
    found = passages(poses, frames, runs)
    flat = [frame for run in found for frame in run]
    assert flat == sorted(set(flat))
    assert len(flat) == min(frames, count)
    assert 0 <= flat[0] <= flat[-1] < count
    assert all(run == list(range(run[0], run[0] + len(run))) for run in found)
    assert found == passages(poses, frames, runs)


def test_frames_without_anybody_are_chosen_last():
    poses = [None, None, person(0.0), person(0.1), None, None, person(1.5), person(1.4), None]
    assert passages(poses, 4, 2) == [[2, 3], [6, 7]]
