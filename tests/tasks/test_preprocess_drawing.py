"""The pure functions: OpenPose drawing, line art, figure depth, canny, tile."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.pose_figures import crossing_order, figures, rank_agreement
from reel import pose
from tasks.preprocess.canny import Canny, canny_map
from tasks.preprocess.figure_depth import figure_depth_map, floor, ground_line, limb_outline
from tasks.preprocess.lineart_standard import lineart_map
from tasks.preprocess.pose_map import draw_poses
from tasks.preprocess.tile import tile_map
from tests.tasks.preprocess_people import standing


@pytest.mark.parametrize(("width", "height"), [(128, 128), (96, 160), (513, 257), (768, 512)])
def test_maps_have_exactly_the_size_of_the_frame(width, height):
    frame = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    person = standing(width / 2, height / 2, 0.8 * height)
    maps = [
        draw_poses([person], width, height),
        figure_depth_map([person], np.full((height, width), 255, np.uint8), width, height),
        lineart_map(frame),
        canny_map(frame, Canny()),
        tile_map(frame, 8),
    ]
    assert all(drawn.shape == (height, width, 3) and drawn.dtype == np.uint8 for drawn in maps)


def test_every_joint_is_drawn_in_its_own_openpose_colour():
    person = standing(256, 256, 400)
    drawn = draw_poses([person], 512, 512)
    for point, colour in enumerate(pose.COLOURS):
        x, y = person[point, :2].astype(int)
        assert tuple(drawn[y, x]) == colour, pose.BODY18[point]


def test_drawing_agrees_with_the_annotator_that_the_controlnet_was_trained_with():
    aux = pytest.importorskip("controlnet_aux.open_pose.util")
    from controlnet_aux.open_pose.body import Keypoint

    person = standing(256, 256, 400)
    points = [Keypoint(x / 512, y / 512) for x, y in person[:, :2]]
    theirs = aux.draw_bodypose(np.zeros((512, 512, 3), np.uint8), points).astype(int)
    ours = draw_poses([person], 512, 512).astype(int)
    drawn = (theirs.any(-1) | ours.any(-1)).sum()
    different = (np.abs(theirs - ours).max(-1) > 60).sum()  # soft edges and whole-pixel rounding differ
    assert different < 0.25 * drawn
    shifted = np.roll(ours, 12, axis=1)
    assert (np.abs(theirs - shifted).max(-1) > 60).sum() > 2 * different


def test_points_that_the_detector_is_unsure_of_are_left_out_with_their_limbs():
    person = standing(256, 256, 400)
    whole = draw_poses([person], 512, 512)
    person[pose.R_WRIST, 3] = 0.1
    without = draw_poses([person], 512, 512)
    x, y = person[pose.R_WRIST, :2].astype(int)
    assert whole[y, x].any()
    assert not without[y, x].any()
    assert (without.any(-1) <= whole.any(-1)).all()
    assert not draw_poses([person * [1, 1, 1, 0]], 512, 512, min_score=0).any()


def test_points_far_outside_the_frame_do_not_break_the_drawing():
    person = standing(64, 64, 100)
    person[pose.R_ANKLE, :2] = 1e9
    assert draw_poses([person], 128, 128).any()
    assert figure_depth_map([person], np.zeros((128, 128), np.uint8), 128, 128).any()


def test_movement_of_a_quarter_pixel_shows_at_128_px():
    person = standing(64, 64, 100)
    moved = person + np.array([0.25, 0, 0, 0], np.float32)
    a, b = (draw_poses([p], 128, 128).astype(int) for p in (person, moved))
    assert 0 < np.abs(a - b).mean() < np.abs(a - draw_poses([person + np.array([3, 0, 0, 0])], 128, 128)).mean() / 3


@pytest.mark.slow
def test_lineart_equals_the_annotators_at_512():
    aux = pytest.importorskip("controlnet_aux")
    frame = next(figures(1))[1].rgb.repeat(4, axis=0).repeat(4, axis=1)
    theirs = aux.LineartStandardDetector()(frame, detect_resolution=512, output_type="np")
    assert np.abs(theirs.astype(int) - lineart_map(frame)).max() <= 1
    assert theirs.max() > 200


def test_lineart_draws_dark_lines_bright_and_keeps_a_flat_frame_black():
    flat = np.full((128, 128, 3), 200, np.uint8)
    assert not lineart_map(flat).any()
    lined = flat.copy()
    lined[:, 64:66] = 20
    drawn = lineart_map(lined)
    assert drawn[:, 64:66].min() > 100
    assert drawn[:, :40].max() == 0


def test_figure_depth_ranks_the_body_as_its_solid_does():
    ranks, control = [], []
    for person, drawing in figures(40):
        drawn = figure_depth_map([person], drawing.mask, 128, 128)
        ranks.append(rank_agreement(person, drawing.mask, drawn))
        flat = person.copy()
        flat[:, 2] *= -1  # a body turned inside out must score worse, or the measure sees no depth at all
        control.append(rank_agreement(person, drawing.mask, figure_depth_map([flat], drawing.mask, 128, 128)))
    assert np.mean(ranks) >= 0.8
    assert np.mean(control) < 0.5


def test_the_nearer_of_two_crossing_arms_is_the_brighter():
    order = crossing_order(600)
    assert len(order) >= 15
    assert np.mean(order) >= 0.9


def test_the_floor_meets_the_feet_and_ends_at_the_horizon():
    ramp = floor(10, 100)[:, 0]
    assert ramp[:40].max() == 0
    assert (np.diff(ramp[40:]) > 0).all()
    person = standing(64, 64, 100)
    drawn = figure_depth_map([person], limb_outline([person], 128, 128), 128, 128)
    x, y = person[pose.R_ANKLE, :2].astype(int)
    foot_line = int(ground_line(person))
    assert abs(int(drawn[y, x, 0]) - int(drawn[foot_line, 2, 0])) < 30


def test_of_two_people_the_one_standing_lower_in_the_frame_is_nearer():
    far, near = standing(60, 90, 100), standing(140, 120, 130)
    mask = limb_outline([far, near], 200, 200)
    drawn = figure_depth_map([near, far], mask, 200, 200)[..., 0].astype(int)
    chest = [((p[pose.NECK] + (p[pose.R_HIP] + p[pose.L_HIP]) / 2) / 2)[:2].astype(int) for p in (near, far)]
    assert drawn[chest[0][1], chest[0][0]] > drawn[chest[1][1], chest[1][0]]


def test_depth_stays_inside_the_outline():
    person, drawing = next(figures(1))
    drawn = figure_depth_map([person], drawing.mask, 128, 128)[..., 0]
    beside = drawing.mask == 0
    expected = np.rint(floor(128, 128)).astype(np.uint8)
    assert (drawn[beside] == expected[beside]).all()


def test_tile_takes_the_detail_and_keeps_the_colours():
    frame = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    assert (tile_map(frame, 1) == frame).all()
    blurred = tile_map(frame, 8).astype(float)
    assert blurred.std() < 0.3 * frame.std()
    assert abs(blurred.mean() - frame.mean()) < 2


def test_drawing_needs_no_torch():
    code = (
        "import sys, tasks.preprocess.pose_map, tasks.preprocess.figure_depth, tasks.preprocess.lineart_standard;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'cv2', 'controlnet_aux', 'prefect')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
