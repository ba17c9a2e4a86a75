"""BlazePose with its real weights, on drawn figures: who is found, where, and that nothing but the frame decides it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.pose_figures import figures
from reel import pose
from reel.compute import Compute
from reel.op import Context, get
from reel.pose import Poses
from reel.store import Store
from tasks.preprocess import blaze
from tasks.preprocess.blazepose import BlazePose, finder
from tests.tasks.preprocess_people import store_clip

SIDE = 384
SAMPLE = Path(__file__).parents[2] / "data" / "source" / "sample.mp4"


@cache
def drawn(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Persons `(18, 4)` px and pictures `(384, 384, 3)` of the first `count` drawn figures."""
    scale = np.array([SIDE / 128, SIDE / 128, SIDE / 128, 1])
    enlarged = cv2.INTER_CUBIC
    return [(p * scale, cv2.resize(d.rgb, (SIDE, SIDE), interpolation=enlarged)) for p, d in figures(count)]


@cache
def find():
    return finder(BlazePose())


def detect(store: Store, frames, **compute) -> tuple[Poses, dict]:
    op = get("preprocess", "blazepose")
    ctx = Context(store, Compute(**compute))
    return Poses.open(store, op.fn(op.config(), {"frames": store_clip(store, frames)}, ctx)), ctx.facts


def test_drawn_figures_are_found_with_their_joints_and_outline():
    errors, control, overlap = [], [], []
    people = drawn(12)
    for (truth, picture), (other, _) in zip(people, people[1:] + people[:1], strict=True):
        found = find()(picture)
        if not found.people:
            continue
        body = slice(pose.NECK, pose.L_ANKLE + 1)
        errors.append(np.linalg.norm(found.people[0][body, :2] - truth[body, :2], axis=1))
        control.append(np.linalg.norm(found.people[0][body, :2] - other[body, :2], axis=1))
        background = np.abs(picture.astype(int) - picture[0, 0]).max(axis=-1) < 12
        overlap.append((found.mask > 0)[~background].mean() - (found.mask > 0)[background].mean())
    assert len(errors) >= 11
    assert np.median(errors) < 0.08 * SIDE
    assert np.median(errors) < 0.4 * np.median(control)
    assert np.mean(overlap) > 0.5


def test_left_and_right_are_the_persons_own():
    _, picture = next(
        (p, f) for p, f in drawn(12) if p[pose.R_SHOULDER, 0] < p[pose.L_SHOULDER, 0] - 30 and p[pose.NOSE, 2] < 0
    )
    person = find()(picture).people[0]
    assert person[pose.R_SHOULDER, 0] < person[pose.L_SHOULDER, 0]
    assert person[pose.R_HIP, 0] < person[pose.L_HIP, 0]


def test_two_clips_side_by_side_give_each_person_as_alone():
    """Two figures in one frame of twice the width: half of them within 3 % of their height of the single result.

    Filmed people are held to more below.
    """
    # Cartoon figures are far from what the network was trained on: two passes leave some of them unsettled, and one
    # in black with black hair, from the side, may be lost beside another. Which ones depends on the processor's
    # arithmetic.
    first_look, together = finder(BlazePose(search="whole", passes=4)), finder(BlazePose(passes=4))
    parts: list[float] = []
    lost = 0
    for (_, left), (_, right) in zip(drawn(24)[::2], drawn(24)[1::2], strict=True):
        singles = [first_look(picture).people for picture in (left, right)]
        if not all(singles):
            continue
        both = together(np.hstack([left, right])).people
        if len(both) < 2:
            lost += 1
            continue
        for alone, offset in zip(singles, (0, SIDE), strict=True):
            moved = alone[0][:, :2] + [offset, 0]
            seen = alone[0][:, 3] > 0.5
            height = np.ptp(alone[0][seen, 1])
            apart = min(np.linalg.norm(p[seen, :2] - moved[seen], axis=1).mean() for p in both)
            parts.append(float(apart / height))
    assert lost <= 1
    assert len(parts) >= 16
    assert np.median(parts) < 0.03, parts
    assert sorted(parts)[int(len(parts) * 0.9) - 1] < 0.06, parts
    assert max(parts) < 0.1, parts


@cache
def filmed(every: int) -> list[np.ndarray]:
    """Frames `(480, 480, 3)` of the project's sample clip."""
    import av

    with av.open(str(SAMPLE)) as container:
        return [f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i % every == 0]


@pytest.mark.slow
def test_the_sample_clips_person_is_found_in_every_frame_large_and_small():
    frames = filmed(4)
    assert len(frames) == 12
    for side in (480, 128):
        people = [find()(cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA)).people for f in frames]
        assert sum(len(here) == 1 for here in people) >= 0.95 * len(frames)


@pytest.mark.slow
def test_two_filmed_people_side_by_side_are_each_found_as_alone():
    frames = filmed(6)
    pairs = list(zip(frames, frames[4:] + frames[:4], strict=True))
    assert len(pairs) == 8
    for left, right in pairs:
        both = find()(np.hstack([left, right])).people
        for picture, offset in ((left, 0), (right, 480)):
            alone = find()(picture).people[0]
            seen = alone[:, 3] > 0.5
            apart = [np.linalg.norm(p[seen, :2] - alone[seen, :2] - [offset, 0], axis=1).mean() for p in both]
            assert min(apart) < 0.05 * np.ptp(alone[seen, 1])


def test_neither_batch_nor_threads_change_what_is_stored(tmp_path):
    frames = [picture for _, picture in drawn(5)]
    digests = {
        detect(Store(tmp_path / str(index)), frames, **compute)[0].stored.digest
        for index, compute in enumerate([{"batch": 1}, {"batch": 8, "threads": 1}, {"batch": 3, "threads": 2}])
    }
    assert len(digests) == 1


def test_a_longer_cut_detects_new_frames_only(store):
    frames = [picture for _, picture in drawn(5)]
    first, facts = detect(store, frames[:3])
    assert facts["frames_computed"] == 3
    longer, facts = detect(store, frames)
    assert facts["frames_computed"] == 2
    assert pose.dump(first.frames, 1, 1, "") == pose.dump(longer.frames[:3], 1, 1, "")
    assert any(first.frames)
    _, facts = detect(store, frames)
    assert facts["frames_computed"] == 0


def test_another_setting_does_not_take_the_results_of_the_first(store):
    frames = [drawn(5)[0][1]]
    detect(store, frames)
    op = get("preprocess", "blazepose")
    ctx = Context(store)
    op.fn(op.config(passes=1), {"frames": store_clip(store, frames)}, ctx)
    assert ctx.facts["frames_computed"] == 1


def test_frames_without_anybody_are_named(store):
    empty = np.full((SIDE, SIDE, 3), 90, np.uint8)
    person = drawn(5)[0][1]
    poses, facts = detect(store, [empty, person, empty + 1, empty + 2])
    assert facts["frames_without_people"] == "0, 2-3"
    assert facts["found"] == 1
    assert [len(people) for people in poses.frames] == [0, 1, 0, 0]
    assert not poses.mask(0).any()
    assert poses.mask(1).shape == (SIDE, SIDE)
    assert set(np.unique(poses.mask(1))) == {0, 255}


def test_a_small_person_is_found_by_looking_again():
    """Far away in a wide frame: too small for the first look at the whole frame, found in the tiles."""
    _, picture = drawn(5)[4]
    small = cv2.resize(picture, (96, 96), interpolation=cv2.INTER_AREA)
    frame = np.full((720, 1280, 3), picture[0, 0], np.uint8)
    frame[500:596, 900:996] = small
    assert not finder(BlazePose(search="whole"))(frame).people
    found = find()(frame).people
    assert len(found) == 1
    x, y = found[0][pose.NECK, :2]
    assert 900 < x < 996
    assert 500 < y < 596


def test_anchors_are_those_of_the_detector():
    anchors = blaze.anchors()
    assert anchors.shape == (2254, 2)
    assert anchors.min() > 0
    assert anchors.max() < 1
    assert np.allclose(anchors[:3], [[4 / 224, 4 / 224]] * 2 + [[12 / 224, 4 / 224]])


def test_overlapping_detections_become_one_and_distant_ones_stay():
    box = np.zeros((3, 6, 2))
    box[:, 0] = [[0.3, 0.3], [0.32, 0.3], [0.8, 0.8]]
    box[:, 1] = 0.2
    groups = blaze.suppress(np.array([0.6, 0.9, 0.7]), box)
    assert [round(score, 2) for score, _ in groups] == [0.9, 0.7]
    assert groups[0][1][0, 0] == pytest.approx((0.6 * 0.3 + 0.9 * 0.32) / 1.5)


def test_a_region_and_its_crop_agree_on_places():
    region = blaze.Region(200, 120, 300, 0.4)
    matrix = region.matrix(256)
    middle = matrix[:, :2] @ np.full(2, 127.5) + matrix[:, 2]
    assert np.allclose(middle, [199.5, 119.5])
    across = matrix[:, :2] @ np.array([256.0, 0.0])
    assert np.allclose(np.linalg.norm(across), 300)
    leaning = blaze.Region.from_points(np.array([100.0, 100.0]), np.array([150.0, 100.0]))
    assert leaning.angle == pytest.approx(np.pi / 2)
    assert leaning.side == pytest.approx(125)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (405, 720), (512, 512)])
def test_tiles_cover_the_frame_and_overlap(width, height):
    side = min(width, height) / 2
    windows = list(blaze.tiles(width, height, side))
    assert len(windows) >= 9
    seen = np.zeros((height, width), int)
    for window in windows:
        seen[round(window.y) : round(window.y + side), round(window.x) : round(window.x + side)] += 1
    assert seen.min() >= 1
    assert np.median(seen) >= 2


def test_a_doubtful_box_does_not_move_a_sure_one():
    """Else who is read from the region would be read differently for every weak box that is kept for the tracking."""
    boxes = np.zeros((3, 6, 2), np.float32)
    boxes[:, 0], boxes[:, 1] = [[0.50, 0.5], [0.52, 0.5], [0.58, 0.5]], 0.4
    scores = np.array([0.8, 0.6, 0.3], np.float32)
    ((score, box),) = blaze.suppress(scores, boxes, sure=0.5)
    assert score == pytest.approx(0.8)
    assert box[0, 0] == pytest.approx((0.8 * 0.50 + 0.6 * 0.52) / 1.4)
    ((_, weak),) = blaze.suppress(scores[1:] / 2, boxes[1:], sure=0.5)  # nobody is sure: all are averaged
    assert weak[0, 0] == pytest.approx((0.6 * 0.52 + 0.3 * 0.58) / 0.9)
