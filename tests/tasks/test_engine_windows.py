"""Context windows: whatever the length and the overlap, every frame is covered and its weights sum to one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reel.errors import UserError
from tasks.stylize.engine.windows import WindowPlan, cut, make_windows, ordered_halving, relative_cost
from tests.examples import examples

SCHEDULES = ("standard-static", "standard-uniform", "looped-uniform")


@st.composite
def plans(draw):
    length = draw(st.integers(1, 40))
    schedule = draw(st.sampled_from(SCHEDULES))
    return WindowPlan(
        context_length=length,
        context_overlap=draw(st.integers(0, length - 1)),
        context_stride=draw(st.integers(1, 4)),
        schedule=schedule,
        fuse=draw(st.sampled_from(("flat", "pyramid", "overlap-linear"))),
        closed_loop=schedule == "looped-uniform" and draw(st.booleans()),
    )


@settings(max_examples=examples(200), deadline=None)
@given(plan=plans(), count=st.integers(1, 300), step=st.integers(0, 40))
def test_every_frame_is_covered_and_its_weights_sum_to_one(plan, count, step):
    if plan.closed_loop and count < plan.context_length:
        with pytest.raises(UserError, match="shorter than context_length"):
            make_windows(count, plan, step)
        return
    windows = make_windows(count, plan, step)
    total = np.zeros(count)
    for window in windows:
        assert len(window.frames) == min(count, plan.context_length)
        assert len(set(window.frames.tolist())) == len(window.frames), "a window must not see a frame twice"
        assert (window.weights > 0).all()
        total[window.frames] += window.weights
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "closed", "strides", "steps"),
    [
        ("standard-static", False, 1, 1),
        ("standard-uniform", False, 4, 8),
        ("looped-uniform", False, 4, 2),  # its windows turn with the step and change in nothing else
        ("looped-uniform", True, 4, 2),
    ],
)
def test_every_frame_of_every_small_clip_is_covered_at_every_step(schedule, closed, strides, steps):
    """Lengths 2 to 16, all overlaps, strides to 4, up to 40 frames; each set of windows once.

    A clip no longer than a window is a window; a stride too wide for the clip does what the widest does that fits.
    """
    for length, stride, step in itertools.product(range(2, 17), range(1, strides + 1), range(steps)):
        shortest = length if schedule == "looped-uniform" else length + 1
        if stride > 1:
            shortest = max(shortest, length * 2 ** (stride - 2) + 1)
        for overlap, count in itertools.product(range(length), range(shortest, 41)):
            windows = cut(count, WindowPlan(length, overlap, stride, schedule, closed_loop=closed), step)
            assert set().union(*windows) == set(range(count)), (length, overlap, stride, count, step)


def test_a_frame_that_every_window_leaves_out_gets_one():
    """The window that follows the one over the end was moved away from frame 0 as well, the next one is too wide."""
    found = [[*window] for window in cut(5, WindowPlan(4, 0, 2, "standard-uniform"), 3)]
    assert found == [[1, 2, 3, 4], [0, 1, 2, 3]]


@settings(max_examples=60, deadline=None)
@given(plan=plans(), count=st.integers(1, 200), step=st.integers(0, 20))
def test_standard_windows_keep_the_order_of_time(plan, count, step):
    if plan.schedule == "looped-uniform":
        return
    for window in make_windows(count, plan, step):
        assert (np.diff(window.frames) > 0).all()


def test_static_windows_of_a_known_case():
    windows = make_windows(20, WindowPlan(context_length=8, context_overlap=2))
    assert [w.frames[0] for w in windows] == [0, 6, 12]
    assert windows[-1].frames[-1] == 19


def test_uniform_windows_move_with_the_step_and_static_ones_do_not():
    uniform = WindowPlan(context_length=8, context_overlap=2, schedule="standard-uniform")
    static = WindowPlan(context_length=8, context_overlap=2)
    starts = [{int(w.frames[0]) for w in make_windows(40, uniform, step)} for step in (0, 1)]
    assert starts[0] != starts[1]
    same = [{int(w.frames[0]) for w in make_windows(40, static, step)} for step in (0, 1)]
    assert same[0] == same[1]


def test_a_closed_loop_has_as_many_windows_over_the_joint_as_anywhere():
    plan = WindowPlan(context_length=8, context_overlap=4, schedule="looped-uniform", closed_loop=True)
    windows = make_windows(24, plan)
    seen = np.zeros(24, int)
    for window in windows:
        seen[window.frames] += 1
    assert set(seen.tolist()) == {2}
    assert any({23, 0} <= set(w.frames.tolist()) for w in windows)


def test_a_closed_loop_fades_over_the_joint_as_everywhere_else():
    plan = WindowPlan(8, 4, schedule="looped-uniform", fuse="overlap-linear", closed_loop=True)
    windows = make_windows(24, plan)
    assert any({23, 0} <= set(window.frames.tolist()) for window in windows)
    for window in windows:
        np.testing.assert_allclose(window.weights, [0.2, 0.4, 0.6, 0.8, 0.8, 0.6, 0.4, 0.2])


def test_strides_reach_farther_frames():
    plan = WindowPlan(context_length=8, context_overlap=2, context_stride=2, schedule="standard-uniform")
    strides = {int(w.frames[1] - w.frames[0]) for w in make_windows(64, plan)}
    assert strides == {1, 2}


def test_overlap_linear_fades_across_the_overlap_only():
    windows = make_windows(12, WindowPlan(context_length=8, context_overlap=4, fuse="overlap-linear"))
    np.testing.assert_allclose(windows[0].weights, [1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_pyramid_counts_the_middle_most():
    first = make_windows(12, WindowPlan(context_length=8, context_overlap=4))[0].weights
    assert first[4] > first[7]


def test_extra_motion_work_of_the_usual_windows():
    assert relative_cost(64, WindowPlan()) == pytest.approx(80 / 64)
    assert relative_cost(16, WindowPlan()) == 1


def test_ordered_halving_visits_every_part_of_the_clip():
    assert sorted(ordered_halving(i) for i in range(8)) == [i / 8 for i in range(8)]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"context_length": 8, "context_overlap": 8}, "context_overlap"),
        ({"context_length": 0}, "1 or more"),
        ({"closed_loop": True}, "closed_loop"),
    ],
)
def test_impossible_windows_are_refused(settings_, message):
    with pytest.raises(UserError, match=message):
        WindowPlan(**settings_)


def test_windows_of_a_stride_are_those_that_animatediff_evolved_cuts():
    """Step 1 shifts by half the clip; a window that runs over the end is moved back and its lost frames made good."""
    found = make_windows(16, WindowPlan(8, 0, 2, "standard-uniform", "flat"), 1)
    starts = sorted((int(w.frames[0]), int(w.frames[1] - w.frames[0])) for w in found)
    assert starts == [(0, 1), (1, 1), (1, 2), (8, 1)]


def test_a_looped_clip_of_one_window_turns_with_the_step():
    plan = WindowPlan(16, 4, schedule="looped-uniform")
    assert [int(make_windows(16, plan, step)[0].frames[0]) for step in range(4)] == [0, 8, 4, 12]
