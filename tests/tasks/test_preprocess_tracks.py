"""Poses over time: who is who, gaps and the missing-person policy, smoothing, the maps drawn from them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from reel import pose
from reel.clip import Clip
from reel.errors import UserError
from reel.op import Context, get
from reel.pose import Poses, Sighting
from tasks.preprocess.figure_depth import FigureDepth, ground_lines
from tasks.preprocess.pose_map import PoseMap, draw_poses
from tasks.preprocess.smoothing import bridge, smooth
from tasks.preprocess.steady import at, steady
from tasks.preprocess.tracks import Track, follow
from tests.tasks.preprocess_people import standing, store_clip, store_poses

WIDTH, HEIGHT = 160, 120


def walk(count: int, x: float = 40, height: float = 90) -> list[np.ndarray]:
    """A person who moves 1 px to the right each frame."""
    return [standing(x + index, 60, height) for index in range(count)]


def sighted(frames, confidence: float = 1.0) -> list[list[Sighting]]:
    return [[Sighting(person, confidence, number) for number, person in enumerate(here)] for here in frames]


def steadied(store, frames, **settings) -> tuple[list[list[np.ndarray]], dict]:
    ctx = Context(store)
    poses = Poses.open(store, store_poses(store, frames, WIDTH, HEIGHT))
    tracks = steady(poses, PoseMap(**settings), ctx, "preprocess.pose_map")
    return [at(tracks, index) for index in range(len(frames))], ctx.facts


def test_two_people_who_cross_keep_their_tracks():
    left, right = walk(20, 30), [standing(130 - 2 * i, 60, 80) for i in range(20)]
    frames = [
        pose.largest_first([a, b])[:: (-1 if i % 3 else 1)] for i, (a, b) in enumerate(zip(left, right, strict=True))
    ]
    tracks = follow(sighted(frames), max_gap=3)
    assert len(tracks) == 2
    for track in tracks:
        steps = np.diff([track.people[i][pose.NECK, 0] for i in range(20)])
        assert np.allclose(steps, steps[0], atol=1e-3)


def test_a_person_seen_again_after_a_short_gap_is_the_same_one_after_a_long_one_another():
    people = walk(30)
    short = [[p] if not 10 <= i < 13 else [] for i, p in enumerate(people)]
    assert len(follow(sighted(short), max_gap=3)) == 1
    assert len(follow(sighted(short), max_gap=2)) == 2


@pytest.mark.parametrize("smoothing", [0.0, 0.4])
def test_hold_moves_evenly_over_a_short_gap_and_stands_still_at_the_ends(store, smoothing):
    people = walk(16)
    frames = [[p] if i >= 2 and not 8 <= i < 11 else [] for i, p in enumerate(people)]
    drawn, facts = steadied(store, frames, smoothing=smoothing)
    assert facts["frames_without_people"] == "0-1, 8-10"
    assert all(len(here) == 1 for here in drawn)
    x = [here[0][pose.NECK, 0] for here in drawn]
    assert np.allclose(x[5:], [people[i][pose.NECK, 0] for i in range(5, 16)], atol=0.05)
    if not smoothing:
        assert x[0] == x[1] == x[2]


def test_empty_leaves_the_frames_empty_and_names_them(store):
    frames = [[p] if i not in (3, 4) else [] for i, p in enumerate(walk(8))]
    drawn, facts = steadied(store, frames, missing="empty")
    assert [len(here) for here in drawn] == [1, 1, 1, 0, 0, 1, 1, 1]
    assert facts["frames_without_people"] == "3-4"


def test_error_names_the_frames_and_the_ways_out(store):
    frames = [[p] if i not in (3, 4, 6) else [] for i, p in enumerate(walk(8))]
    with pytest.raises(UserError, match=r"found nobody in 3 of 8 frames: 3-4, 6") as caught:
        steadied(store, frames, missing="error")
    assert "preprocess.pose_map.missing=hold or empty" in str(caught.value)


def test_a_clip_without_anybody_cannot_be_held(store):
    with pytest.raises(UserError, match="nobody in 3 of 3 frames"):
        steadied(store, [[], [], []])
    drawn, _ = steadied(store, [[], [], []], missing="empty")
    assert drawn == [[], [], []]


def test_the_largest_people_of_the_clip_are_kept_in_the_same_order(store):
    frames = [[standing(40, 60, 60), standing(80, 60, 100), standing(120, 60, 30)] for _ in range(6)]
    frames[2] = frames[2][::-1]
    drawn, _ = steadied(store, frames, people=2)
    assert [[round(pose.size(p)) for p in here] for here in drawn] == [[87, 52]] * 6


def test_smoothing_takes_jitter_and_keeps_movement():
    rng = np.random.default_rng(0)
    t = np.arange(48)
    truth = np.stack(
        [standing(80 + 30 * np.sin(2 * np.pi * i / 24), 60, 90) for i in t]
    )  # 2 s at 24 fps, one swing a s
    noisy = truth + np.concatenate([rng.normal(0, 1.0, (48, 18, 3)), np.zeros((48, 18, 1))], axis=2)
    track = Track({int(i): noisy[i].astype(np.float64) for i in t})
    smooth(track, 5)
    result = np.stack([track.people[int(i)] for i in t])
    before, after = (np.abs(x[..., :2] - truth[..., :2]).mean() for x in (noisy, result))
    assert after < 0.8 * before
    assert np.abs(result[..., 0].mean(axis=1) - truth[..., 0].mean(axis=1)).max() < 1.5


def test_smoothing_does_not_reach_over_a_break():
    people = {i: standing(20.0 if i < 10 else 120.0, 60, 90).astype(np.float64) for i in range(20) if i != 10}
    track = Track(people)
    smooth(track, 7)
    assert track.people[9][pose.NECK, 0] == pytest.approx(20)
    assert track.people[11][pose.NECK, 0] == pytest.approx(120)


def test_a_hidden_elbow_between_two_seen_ends_is_drawn_an_absent_one_is_not():
    person = standing(60, 60, 100)
    person[pose.R_ELBOW, 3] = 0.05
    assert bridge(person)[pose.R_ELBOW, 3] == 1
    person[pose.R_ELBOW, 3] = 0
    assert bridge(person)[pose.R_ELBOW, 3] == 0
    person[[pose.L_ELBOW, pose.L_WRIST], 3] = 0.05
    assert bridge(person)[pose.L_ELBOW, 3] == pytest.approx(0.05)


def test_a_short_exchange_of_left_and_right_is_undone_and_a_turn_is_not(store):
    mirror, sides = list(range(18)), {"right": "left", "left": "right"}
    for point, name in enumerate(pose.BODY18):
        side, _, part = name.partition("_")
        if side in sides:
            mirror[point] = pose.BODY18.index(f"{sides[side]}_{part}")
    people = walk(48)
    flipped = [[p[mirror]] if 20 <= i < 24 else [p] for i, p in enumerate(people)]
    drawn, facts = steadied(store, flipped, smoothing=0)
    assert facts["frames_with_sides_exchanged"] == 4
    assert all(np.allclose(here[0], p, atol=0.01) for here, p in zip(drawn, people, strict=True))
    seen_from_behind = [[p[mirror]] if i >= 24 else [p] for i, p in enumerate(people)]
    drawn, facts = steadied(store, seen_from_behind, smoothing=0)
    assert facts["frames_with_sides_exchanged"] == 0
    assert steadied(store, flipped, smoothing=0, keep_sides=False)[0][21][0][pose.R_WRIST, 0] > 60


def test_a_jump_does_not_move_the_floor():
    people = {i: standing(60, 60 - (15 if 10 <= i < 14 else 0), 90).astype(np.float64) for i in range(30)}
    lines = ground_lines(Track(people), fps=24)
    assert max(lines.values()) - min(lines.values()) < 1


def test_pose_map_draws_every_frame_at_its_time_and_size(store):
    frames = [[p] for p in walk(6)]
    digest = store_poses(store, frames, WIDTH, HEIGHT, fps=10)
    op = get("preprocess", "pose_map")
    drawn = Clip.open(store, op.fn(op.config(smoothing=0), {"poses": digest}, Context(store)))
    assert (drawn.kind, drawn.width, drawn.height, drawn.count, drawn.fps) == ("map", WIDTH, HEIGHT, 6, 10)
    assert all((drawn.frame(i) == draw_poses(frames[i], WIDTH, HEIGHT)).all() for i in range(6))


def test_figure_depth_refuses_poses_without_depth_and_poses_of_another_clip(store):
    op = get("preprocess", "figure_depth")
    flat = [[p * [1, 1, 0, 1]] for p in walk(3)]
    frames = store_clip(store, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 3)
    with pytest.raises(UserError, match="needs joints with depth") as caught:
        op.fn(FigureDepth(), {"frames": frames, "poses": store_poses(store, flat, WIDTH, HEIGHT)}, Context(store))
    assert "detector=blazepose" in str(caught.value)
    with pytest.raises(UserError, match="4 frames of 160x120, the clip has 3"):
        four = store_poses(store, [[p] for p in walk(4)], WIDTH, HEIGHT)
        op.fn(FigureDepth(), {"frames": frames, "poses": four}, Context(store))


def test_figure_depth_makes_a_map_of_every_frame(store):
    op = get("preprocess", "figure_depth")
    poses = store_poses(store, [[p] for p in walk(3)], WIDTH, HEIGHT)
    frames = store_clip(store, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 3)
    drawn = Clip.open(store, op.fn(FigureDepth(), {"frames": frames, "poses": poses}, Context(store)))
    assert (drawn.width, drawn.height, drawn.count) == (WIDTH, HEIGHT, 3)
    x, y = walk(1)[0][pose.NECK, :2].astype(int)
    assert drawn.frame(0)[y + 10, x, 0] > 80


def test_memory_does_not_grow_with_the_length(store):
    """Peak of what Python and numpy allocate while drawing 100 frames against 20: key points may grow, frames not."""
    op = get("preprocess", "pose_map")
    peaks = []
    for count in (20, 20, 100):  # the first run pays for imports
        digest = store_poses(store, [[p] for p in walk(count)], 640, 480)
        tracemalloc.start()
        op.fn(PoseMap(), {"poses": digest}, Context(store))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 3 * 640 * 480 * 3  # three frames; 80 would be 74 MB


def test_poses_survive_the_store_rounded_to_two_decimals(store):
    person = standing(60, 60, 100) + np.float32(0.123456)
    person[:, 3] = 0.987654
    poses = Poses.open(store, store_poses(store, [[person], []], WIDTH, HEIGHT, fps=25))
    assert np.allclose(poses.frames[0][0], np.round(person, 2), atol=1e-4)
    assert poses.frames[1] == []
    assert (poses.fps, poses.detector) == (25, "blazepose")
    with pytest.raises(UserError, match="not the poses of a clip"):
        Poses.open(store, store_clip(store, [np.zeros((8, 8, 3), np.uint8)]))


@pytest.mark.parametrize(
    ("broken", "message"),
    [(np.zeros((17, 4)), "array"), (np.full((18, 4), np.nan), "finite"), (np.full((18, 4), 2.0), "scores")],
)
def test_a_wrong_person_is_refused(broken, message):
    with pytest.raises(ValueError, match=message):
        pose.check_person(broken)


def test_frame_numbers_are_named_in_groups():
    assert pose.ranges([3, 7, 8, 9, 20]) == "3, 7-9, 20"
    assert pose.ranges(range(0, 60, 2), limit=3) == "0, 2, 4 and 27 more"
    assert pose.ranges([]) == ""
