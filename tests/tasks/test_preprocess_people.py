"""Who counts as a person of a clip: ghosts, doubles, people of whom the detector is unsure, people who are lost."""

from __future__ import annotations

import numpy as np
import pytest

from reel import pose
from reel.clip import Clip
from reel.op import Context, get
from reel.pose import Poses, Sighting
from reel.store import Store
from tasks.preprocess.pose_map import PoseMap
from tasks.preprocess.smoothing import settle
from tasks.preprocess.steady import at, choose, steady, told
from tasks.preprocess.tracks import Track, people_of
from tests.tasks.preprocess_people import standing, store_clip

FPS = 12
SURE = 0.5


def seen(*frames: list[tuple[np.ndarray, float]]) -> list[list[Sighting]]:
    return [[Sighting(person, sure, number) for number, (person, sure) in enumerate(here)] for here in frames]


def people(frames, carry: float = 1.0) -> list[Track]:
    return choose(people_of(frames, SURE, FPS, carry), "all")


def test_a_weak_sighting_counts_where_it_continues_somebody_and_not_by_itself():
    near, far = standing(40, 60, 90), standing(120, 60, 60)
    weak = [0.45, 0.45, 0.45, 0.6, 0.45, 0.45, 0.45, 0.45]
    both = people(seen(*([(near, 0.9), (far, sure)] for sure in weak)))
    assert [len(track.people) for track in both] == [8, 8]
    never = people(seen(*([(near, 0.9), (far, 0.4)] for _ in weak)))
    assert [len(track.people) for track in never] == [8]
    hardly = people(seen(*([(near, 0.9), (far, 0.6 if sure > 0.45 else 0.3)] for sure in weak)))
    assert [len(track.people) for track in hardly] == [8]


def test_a_ghost_that_flashes_up_is_dropped_however_sure_the_detector_was():
    person, ghost = standing(40, 60, 90), standing(120, 70, 50)
    frames = [[(person, 0.9)] + ([(ghost, 0.95)] if index in (5, 6) else []) for index in range(24)]
    assert [len(track.people) for track in people(seen(*frames))] == [24]


def test_where_nobody_is_beyond_doubt_the_likeliest_is_taken_and_who_was_never_sure_is_not():
    """A short clip of a small person, found in places that do not fit together."""
    here, there = standing(40, 60, 20), standing(120, 60, 60)
    (track,) = people(seen([(here, 0.6)], [(there, 0.5)], [(here, 0.3)], [(there, 0.55)]))
    assert pose.size(track.people[3]) == pytest.approx(pose.size(there))
    assert sorted(track.people) == [0, 1, 2, 3]
    assert people(seen(*([(here, 0.4)] for _ in range(4)))) == []


def test_a_part_of_somebody_does_not_take_over_their_track():
    """A smaller reading inside a person, surer than the person for a frame."""
    person, part = standing(60, 60, 100), standing(60, 75, 45)
    frames = seen(*([(person, 0.6)] + ([(part, 0.9)] if index in (4, 5) else []) for index in range(12)))
    (track,) = people(frames)
    assert all(pose.size(one) == pytest.approx(pose.size(person)) for one in track.people.values())


def test_one_person_who_was_read_twice_is_one():
    person = standing(60, 60, 100)
    twice = person + np.float32(4) * np.array([1, 0, 0, 0], np.float32)
    frames = seen(*([(person, 0.9), (twice, 0.6)] if index != 5 else [(twice, 0.6)] for index in range(12)))
    (track,) = people(frames)
    assert sorted(track.people) == list(range(12))


def test_two_who_stand_close_to_one_another_stay_two():
    frames = seen(*([(standing(50, 60, 100), 0.9), (standing(85, 60, 100), 0.9)] for _ in range(12)))
    assert len(people(frames)) == 2


def test_who_is_hidden_behind_somebody_else_is_carried_and_goes_on():
    def frame(index: int) -> list[tuple[np.ndarray, float]]:
        front, back = standing(20 + 5 * index, 60, 100), standing(140 - 5 * index, 60, 70)
        return [(front, 0.9)] if 9 <= index <= 15 else [(front, 0.9), (back, 0.8)]

    front, back = people(seen(*map(frame, range(24))))
    x = [back.people[index][pose.NECK, 0] for index in range(24)]
    assert np.allclose(np.diff(x), -5, atol=0.2)
    assert sorted(back.people.keys() - back.seen.keys()) == list(range(9, 16))
    assert told([front, back], 24) == "2; no. 2 in 24 of 24 frames, 7 of them carried"
    assert len(people(seen(*map(frame, range(24))), carry=0.2)) == 3


def test_who_leaves_is_not_drawn_any_more():
    stays = standing(40, 60, 90)
    frames = seen(
        *([(stays, 0.9), (standing(100 + 4 * i, 60, 90), 0.9)] if i < 10 else [(stays, 0.9)] for i in range(24))
    )
    tracks = people(frames)
    assert sorted(len(track.people) for track in tracks) == [10, 24]
    assert told(tracks, 24) == "2; no. 2 in 10 of 24 frames"


def test_who_is_lost_for_a_moment_at_the_end_of_the_clip_stays():
    stays, lost = (standing(40, 60, 90), 0.9), (standing(120, 60, 90), 0.9)
    tracks = people(seen(*([stays, lost] if 2 <= i < 21 else [stays] for i in range(24))))
    assert [len(track.people) for track in tracks] == [24, 24]
    longer = people(seen(*([stays, lost] if 2 <= i < 18 else [stays] for i in range(24))))
    assert sorted(len(track.people) for track in longer) == [18, 24]


def test_what_is_seen_here_and_there_in_long_gaps_is_nobody():
    stays, ghost = (standing(40, 60, 90), 0.9), (standing(120, 60, 90), 0.7)
    (track,) = people(seen(*([stays, ghost] if i % 6 == 0 else [stays] for i in range(36))))
    assert track.people[0][pose.NECK, 0] == 40


def test_the_largest_the_nearest_and_so_many():
    """A tall person far up in the picture, a small one in front, a small one far away."""
    tall, front, far = standing(30, 45, 90), standing(80, 100, 50), standing(120, 40, 30)
    tracks = people(seen(*([(tall, 0.9), (front, 0.9), (far, 0.9)] for _ in range(6))))

    def drawn(setting: str | int) -> list[int]:
        return [round(pose.size(track.people[0])) for track in choose(tracks, setting)]

    sizes = [round(pose.size(one)) for one in (tall, front, far)]
    assert drawn("all") == sizes
    assert drawn("largest") == sizes[:1]
    assert drawn("nearest") == [sizes[1]]
    assert drawn(2) == sizes[:2]


def test_a_point_that_drops_out_for_a_moment_is_carried_and_one_that_flashes_up_stays_hidden():
    moving = {index: standing(40.0 + index, 60, 90).astype(float) for index in range(24)}
    for index in (8, 9):
        moving[index][pose.R_WRIST] = [0, 0, 0, 0.1]
    for index, person in moving.items():
        person[pose.L_ANKLE, 3] = 0.6 if index in (14, 15) else 0.1
        person[pose.R_ANKLE, 3] = 0.9 if index >= 12 else 0.1
    track = Track(moving)
    settle(track, 4, min_score=0.3)
    x = [track.people[index][pose.R_WRIST, 0] for index in range(24)]
    assert np.allclose(np.diff(x), 1)
    assert all(track.people[index][pose.R_WRIST, 3] >= 0.3 for index in range(24))
    assert not any(track.people[index][pose.L_ANKLE, 3] >= 0.3 for index in range(24))
    assert [track.people[index][pose.R_ANKLE, 3] >= 0.3 for index in (11, 12)] == [False, True]


def stored(store: Store, frames, outlines, sure: float = SURE) -> str:
    """Sightings with outlines `(120, 160)` bool as a stored object of kind "poses"."""
    rows = [pose.to_row([one.person for one in here], [one.confidence for one in here]) for here in frames]
    with store.draft("poses") as draft:
        for index, here in enumerate(outlines):
            draft.add(pose.mask_name(index), pose.pack_outlines(here, 160, 120))
        draft.add("poses.json", pose.join_rows(rows, 160, 120, "blazepose", sure))
        meta = {"time_base": f"1/{FPS}", "pts": list(range(len(frames))), "color": "bt709", "detector": "blazepose"}
        return draft.commit(width=160, height=120, count=len(frames), **meta)


def box(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((120, 160), bool)
    mask[10:110, x0:x1] = True
    return mask


def test_a_frame_alone_knows_the_sure_ones_and_the_tracking_everybody(store):
    frames = seen(*([(standing(40, 60, 90), 0.9), (standing(120, 60, 70), 0.3)] for _ in range(3)))
    poses = Poses.open(store, stored(store, frames, [[box(10, 70), box(90, 150)]] * 3))
    assert [len(here) for here in poses.frames] == [1, 1, 1]
    assert [[one.confidence for one in here] for here in poses.sightings] == [[0.9, 0.3]] * 3
    assert (poses.mask(0) > 0).sum() == box(10, 70).sum()
    assert (poses.outline(0, [0, 1]) > 0).sum() == box(10, 70).sum() + box(90, 150).sum()
    assert not poses.outline(0, []).any()


def test_outlines_of_more_people_than_a_byte_has_bits(store):
    outlines = [box(10 * number, 10 * number + 10) for number in range(12)]
    frames = seen([(standing(5 + 10 * number, 60, 20), 0.9) for number in range(12)])
    poses = Poses.open(store, stored(store, frames, [outlines]))
    assert all((poses.outline(0, [n]) > 0).sum() == outlines[n].sum() for n in range(12))
    with pytest.raises(ValueError, match="17 outlines in a frame; there is room for 16"):
        pose.pack_outlines([outlines[0]] * 17, 160, 120)


def test_the_record_says_who_is_in_how_many_frames(store):
    one, other = standing(40, 60, 90), standing(120, 60, 70)
    frames = seen(*([(one, 0.9), (other, 0.9)] if index < 4 else [(one, 0.9)] for index in range(16)))
    ctx = Context(store)
    poses = Poses.open(store, stored(store, frames, [[box(10, 70), box(90, 150)][: len(here)] for here in frames]))
    tracks = steady(poses, PoseMap(people="largest"), ctx, "preprocess.pose_map")
    assert ctx.facts["people"] == "2; no. 2 in 4 of 16 frames"
    assert ctx.facts["drawn"] == 1
    assert [len(at(tracks, index)) for index in range(16)] == [1] * 16


def test_the_depth_of_one_person_leaves_the_other_out(store):
    frames = seen(*([(standing(40, 60, 90), 0.9), (standing(120, 60, 80), 0.9)] for _ in range(4)))
    poses = stored(store, frames, [[box(10, 70), box(90, 150)]] * 4)
    black = store_clip(store, [np.zeros((120, 160, 3), np.uint8)] * 4)
    op = get("preprocess", "figure_depth")
    given = {"frames": black, "poses": poses}
    one, both = (
        Clip.open(store, op.fn(op.config(people=people), given, Context(store))).frame(0)
        for people in ("largest", "all")
    )
    assert (one[:, :80] == both[:, :80]).all()
    assert one[15:40, 95:145].max() == 0  # above the horizon: nobody, and no floor
    assert both[15:40, 95:145].max() > 0
