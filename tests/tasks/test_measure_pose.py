"""Pose metrics: the formulas to the digit, and the right way on figures that are known."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from reel import pose as poses
from reel.errors import UserError
from reel.measure import Result
from reel.store import Store
from tasks.measure import pose
from tests.tasks import measure_clips
from tests.tasks.measure_clips import measured
from tests.tasks.preprocess_people import standing, store_clip, store_poses

CFG = pose.Pose()
BOX = 0.64 * 100, 0.87 * 100
"""Width and height of the box around a standing person of 100 px, px."""


def moved(person: np.ndarray, point: int, x: float) -> np.ndarray:
    other = person.copy()
    other[point, 0] += x
    return other


def test_oks_is_cocos_formula():
    """A knee moved by s k is worth exp(-1/2), the other 16 points 1; the neck is not COCO's."""
    person = standing(60, 60, 100)
    step = np.sqrt(0.53 * BOX[0] * BOX[1]) * 2 * 0.087
    assert pose.oks(person, person) == 1
    assert pose.oks(person, moved(person, poses.R_KNEE, step)) == pytest.approx((16 + np.exp(-0.5)) / 17, abs=1e-4)
    assert pose.oks(person, moved(person, poses.NECK, 500)) == 1
    assert pose.oks(person, person + np.float32([1000, 0, 0, 0])) == pytest.approx(0, abs=1e-6)


def test_points_unsure_in_the_source_are_not_asked_for_and_points_absent_from_the_render_are_wrong():
    person = standing(60, 60, 100)
    unsure, absent = person.copy(), person.copy()
    unsure[poses.L_WRIST, 3] = 0.2
    absent[poses.L_WRIST, 3] = 0
    assert pose.oks(unsure, moved(person, poses.L_WRIST, 40)) == 1
    assert pose.oks(person, absent) == pytest.approx(16 / 17)
    assert pose.pck(person, absent, CFG) == pytest.approx(17 / 18)


def test_pck_counts_points_within_a_tenth_of_the_longer_side():
    person = standing(60, 60, 100)
    reach = 0.1 * BOX[1]
    assert pose.pck(person, moved(person, poses.R_WRIST, reach - 0.1), CFG) == 1
    assert pose.pck(person, moved(person, poses.R_WRIST, reach + 0.1), CFG) == pytest.approx(17 / 18)
    assert pose.pck(person, person + np.float32([reach + 0.1, 0, 0, 0]), CFG) == 0
    assert pose.pck(person, moved(person, poses.R_WRIST, 20), pose.Pose(threshold=0.5)) == 1


def test_people_are_compared_with_whom_they_fit_and_the_lost_count_nothing():
    left, right = standing(40, 60, 80), standing(150, 60, 80)
    both = {0: left, 1: right}
    assert compared(both, [right, left]) == ((1, 1, 1, 0), set())
    assert compared(both, [right]) == ((0.5, 0.5, 0.5, 0), {0})
    assert compared({0: left}, []) == ((0, 0, 0, 0), {0})
    assert compared({0: left}, [right, left]) == ((1, 1, 1, 1), set())
    assert compared({0: left}, [right]) == ((0, 0, 0, 1), {0})  # somebody else is not the person who was looked for
    assert pose.compare({}, [left], CFG) is None


def test_who_is_not_asked_for_counts_neither_as_missing_nor_as_added():
    left, right = standing(40, 60, 80), standing(150, 60, 80)
    assert compared({0: left, 1: right}, [left, right], asked={0}) == ((1, 1, 1, 0), set())
    assert compared({0: left, 1: right}, [right], asked={0}) == ((0, 0, 0, 0), {0})
    assert pose.compare({1: right}, [right], CFG, asked={0}) is None


def compared(source, render, asked=None) -> tuple[tuple[float, ...], set[int]]:
    found = pose.compare(source, render, CFG, asked)
    return tuple(found.values[name] for name in ("oks", "pck", "found", "added")), set(found.missed)


def test_a_missing_person_is_named_and_not_praised(store: Store):
    """One in front, one behind: a render that shows the one behind alone."""
    near, far = standing(40, 60, 110), standing(100, 60, 80)
    source = store_poses(store, [[near, far]] * 12, 128, 128)
    render = store_poses(store, [[near, far]] * 4 + [[far]] * 8, 128, 128)
    found = measured(store, "pose", poses=source, poses_render=render)
    assert found.values["found"] == pytest.approx((4 * 2 + 8) / 24)
    assert found.values["oks"] < 0.7
    assert found.notes["people"] == "2; no. 1 missing in 8 of 12 frames"
    back = measured(store, "pose", poses=render, poses_render=source)
    assert back.values["found"] == 1
    assert back.values["added"] > 0.5
    assert back.notes["people"] == "2; somebody more in 8 frames"
    alone = measured(store, "pose", {"people": "largest"}, poses=source, poses_render=render)
    assert alone.notes["people"] == "1; no. 1 missing in 8 of 12 frames"
    assert alone.values["added"] == 0


def test_frames_without_anybody_in_the_source_are_not_counted(store: Store):
    person = standing(60, 60, 100)
    source = store_poses(store, [[person]] * 4 + [[]] * 4, 128, 128)
    render = store_poses(store, [[]] * 2 + [[person]] * 6, 128, 128)
    found = measured(store, "pose", poses=source, poses_render=render)
    assert found.values == {"oks": 0.5, "pck": 0.5, "found": 0.5, "added": 0}
    assert found.frames["oks"] == [0, 0, 1, 1, None, None, None, None]
    assert found.notes == {"detector": "blazepose", "people": "1; no. 1 missing in 2 of 4 frames"}
    empty = store_poses(store, [[]] * 8, 128, 128)
    assert measured(store, "pose", poses=empty, poses_render=render).missing == "blazepose found nobody in the source"


def test_different_detectors_are_never_compared(store: Store):
    person = standing(60, 60, 100)
    ours = store_poses(store, [[person]], 128, 128)
    other = store_poses(store, [[person]], 128, 128, detector="dwpose")
    with pytest.raises(UserError, match=r"the render was read by dwpose, not by blazepose: .* never compared"):
        measured(store, "pose", poses=ours, poses_render=other)
    with pytest.raises(UserError, match="the source was read by blazepose, not by dwpose"):
        measured(store, "pose", {"detector": "dwpose"}, poses=ours, poses_render=other)
    with pytest.raises(UserError, match="the render is 128x128 px x 2 frames, the source 128x128 px x 1 frames"):
        measured(store, "pose", poses=ours, poses_render=store_poses(store, [[person], [person]], 128, 128))


@pytest.fixture(scope="module")
def module_store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("measure") / "store")


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    return measure_clips.dance()


@pytest.fixture(scope="module")
def joints(module_store, people):
    """From a variant of the drawn dance to what the probe says of it against the dance's own skeletons."""
    clips = measure_clips.made(measure_clips.drawn(people))
    source = store_poses(module_store, [[person] for person in people], 128, 128)

    @functools.cache
    def run(name: str) -> Result:
        return measured(module_store, "probe_joints", frames=store_clip(module_store, clips[name]), poses=source)

    return run


def test_the_probe_finds_drawn_joints_where_they_are(joints):
    found = joints("true")
    assert found.values["error"] < 6
    assert found.values["within"] == 1
    assert len(found.frames["error"]) == measure_clips.FRAMES
    assert found.values["found"] == 1
    assert found.notes == {"detector": "blazepose", "reader": "probe", "people": "1"}


def test_a_second_person_whom_the_render_does_not_show_is_missing(module_store, people, joints):
    far = people.copy()
    far[:, :, :2] = far[:, :, :2] * 0.5 + [66, 8]
    source = store_poses(module_store, [[one, other] for one, other in zip(people, far, strict=True)], 128, 128)
    frames = store_clip(module_store, measure_clips.drawn(people))
    found = measured(module_store, "probe_joints", frames=frames, poses=source)
    assert found.values["found"] == 0.5
    assert found.values["within"] == 0.5
    assert found.values["error"] == pytest.approx((joints("true").values["error"] + 17) / 2, abs=0.5)
    assert found.notes["people"] == "2; no. 2 missing in 8 of 8 frames"
    asked = measured(module_store, "probe_joints", {"people": "largest"}, frames=frames, poses=source)
    assert asked.values == joints("true").values


@pytest.mark.parametrize("worse", ["frozen", "shuffled", "mirrored"])
def test_a_figure_in_another_pose_gets_a_larger_error(joints, worse: str):
    assert joints(worse).values["error"] > 1.3 * joints("true").values["error"]
    assert joints(worse).values["within"] <= 1


LOOKS = [("black", "white", "red"), ("blonde", "yellow", "black"), ("red", "green", "yellow"), ("pink", "red", "red")]


def test_another_look_in_the_same_pose_gets_the_same_error(module_store, people, joints):
    import dataclasses

    source = store_poses(module_store, [[person] for person in people], 128, 128)
    errors = []
    for hair, top, bottom in LOOKS:
        other = dataclasses.replace(measure_clips.PINK, hair_color=hair, top_color=top, bottom_color=bottom)
        frames = store_clip(module_store, measure_clips.drawn(people, other))
        errors.append(measured(module_store, "probe_joints", frames=frames, poses=source).values["error"])
    # The probe sees some looks a little better than others: black hair over a white top costs it 2 of 128 px.
    assert max(errors) == pytest.approx(joints("true").values["error"], abs=2.5)
    assert np.mean(errors) == pytest.approx(joints("true").values["error"], abs=1)


def test_other_sizes_are_read_through_the_probes_square(module_store, people, joints):
    import cv2

    frames = [cv2.resize(frame, (192, 192)) for frame in measure_clips.drawn(people)]
    frames = [np.pad(frame, ((0, 0), (32, 32), (0, 0)), mode="edge") for frame in frames]  # 256 x 192
    larger = people.copy()
    larger[:, :, :2] = larger[:, :, :2] * 1.5 + [32, 0]
    source = store_poses(module_store, [[person] for person in larger], 256, 192)
    found = measured(module_store, "probe_joints", frames=store_clip(module_store, frames), poses=source)
    assert found.values["error"] < 6


def test_nobody_in_the_source_is_nothing_to_compare(module_store, people):
    empty = store_poses(module_store, [[]] * 3, 128, 128)
    frames = store_clip(module_store, measure_clips.drawn(people[:3]))
    assert "found nobody" in measured(module_store, "probe_joints", frames=frames, poses=empty).missing


@pytest.mark.slow
def test_blazepose_finds_a_filmed_pose_again_and_tells_it_from_others(module_store):
    """The sample clip against itself in other colours, out of order, and mirrored, all read by BlazePose."""
    import av
    import cv2

    from benchmarks.runs import ROOT
    from reel.op import Context, get

    with av.open(str(ROOT / "data" / "source" / "sample.mp4")) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)][::9][:6]
    scale = 256 / min(frames[0].shape[:2])
    frames = [cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for frame in frames]
    op = get("preprocess", "blazepose")
    found = {
        name: op.fn(op.config(), {"frames": store_clip(module_store, variant)}, Context(module_store))
        for name, variant in measure_clips.made(frames).items()
        if name in ("true", "shuffled", "mirrored", "flickering")
    }
    score = {
        name: measured(module_store, "pose", poses=found["true"], poses_render=read).values
        for name, read in found.items()
    }
    assert score["true"] == {"oks": 1, "pck": 1, "found": 1, "added": 0}
    assert score["flickering"]["oks"] > 0.8
    for worse in ("shuffled", "mirrored"):
        assert score[worse]["oks"] < 0.8 * score["flickering"]["oks"]
        assert score[worse]["pck"] < score["flickering"]["pck"]
