"""Drawn motions begin at the first frame's pose, do what they are called, and are read back by the probe's joints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.sprite.attributes import random_attributes
from tasks.sprite.ltx.captions import NOT_SAID, plain_caption, random_caption, random_empty, vocabulary
from tasks.sprite.ltx.motions import ACTIONS, CAMERAS, CLIP_FRAMES, Motion, moving_person, random_motion
from tasks.sprite.skeleton import FRAME, L_ANKLE, L_WRIST, NECK, NOSE, R_ANKLE, R_HIP, R_SHOULDER, R_WRIST

PROBE = Path(__file__).parents[2] / "data" / "models" / "sprite" / "probe.safetensors"


def people(action: str, camera: str = "static", seed: int = 0) -> np.ndarray:
    return moving_person(np.random.default_rng(seed), Motion(action, camera), posed=0.0)


def way(track: np.ndarray) -> np.ndarray:
    """How far a joint `(F, 4)` is from its beginning, in px: `(F, 2)`."""
    return track[:, :2] - track[0, :2]


def test_a_motion_has_a_known_action_and_a_known_camera():
    with pytest.raises(ValueError, match="'dance' is not one of stand_still"):
        Motion("dance")
    for action in ACTIONS:
        assert Motion.from_indices(Motion(action, "push_in").to_indices()) == Motion(action, "push_in")


def test_all_motions_occur_and_steps_are_never_panned():
    rng = np.random.default_rng(0)
    drawn = {random_motion(rng) for _ in range(2000)}
    assert {motion.action for motion in drawn} == set(ACTIONS)
    assert {motion.camera for motion in drawn} == set(CAMERAS)
    assert not any(m.action.startswith("step") and m.camera.startswith("pan") for m in drawn)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("action", ["wave_both", "jump", "bow", "turn", "stand_still"])
def test_the_figure_is_inside_the_frame_and_begins_as_it_stands(action: str, camera: str):
    person = people(action, camera)
    assert person.shape == (CLIP_FRAMES, 18, 4)
    inside = person if camera != "push_in" else person[:1]
    assert inside[..., :2].min() >= 0
    assert inside[..., :2].max() <= FRAME
    still = people("stand_still", "static")
    assert np.ptp(still, axis=0).max() == 0
    assert person[0, R_WRIST, 1] > person[0, R_SHOULDER, 1]  # arms are down in the picture that is given


@pytest.mark.parametrize(("action", "raised"), [("wave_right", {R_WRIST}), ("wave_left", {L_WRIST}),
                                                ("wave_both", {R_WRIST, L_WRIST})])  # fmt: skip
def test_a_wave_raises_the_named_arm_alone(action: str, raised: set[int]):
    person = people(action)
    up = {wrist for wrist in (R_WRIST, L_WRIST) if person[-1, wrist, 1] < person[-1, NECK, 1] + 5}
    assert up == raised


def test_steps_and_pans_go_to_the_named_side_of_the_picture():
    assert way(people("step_left")[:, R_HIP])[-1, 0] < -15
    assert way(people("step_right")[:, R_HIP])[-1, 0] > 15
    assert way(people("stand_still", "pan_left")[:, R_HIP])[-1, 0] > 15
    assert way(people("stand_still", "pan_right")[:, R_HIP])[-1, 0] < -15


def test_the_foot_that_stands_does_not_slide():
    ankles = people("step_left")[:, [R_ANKLE, L_ANKLE], 0]
    moved = np.abs(np.diff(ankles, axis=0))
    assert (moved.min(axis=1) < 0.8).mean() > 0.8  # one of them is at rest, but where the steps change
    assert np.ptp(ankles, axis=0).min() > 15


def test_a_jump_leaves_the_ground_a_bow_lowers_the_head_a_turn_shows_the_back():
    jump, bow, turn = people("jump"), people("bow"), people("turn")
    assert way(jump[:, L_ANKLE])[:, 1].min() < -10
    assert abs(way(jump[:, L_ANKLE])[-1, 1]) < 2
    assert way(bow[:, NOSE])[:, 1].max() > 10
    assert abs(way(bow[:, L_ANKLE])).max() < 1
    assert turn[0, NOSE, 2] < turn[0, NECK, 2]
    assert turn[-1, NOSE, 2] > turn[-1, NECK, 2]


def test_a_push_in_makes_the_figure_larger():
    person = people("stand_still", "push_in")
    size = np.linalg.norm(person[:, NECK, :2] - person[:, R_HIP, :2], axis=-1)
    assert 1.3 < size[-1] / size[0] < 1.6


def test_the_rules_read_what_was_drawn_from_the_joints_themselves():
    reader = pytest.importorskip("tasks.sprite.ltx.reader")
    rng = np.random.default_rng(4)
    wanted = [Motion(ACTIONS[i % len(ACTIONS)]) for i in range(180)]
    wanted += [Motion(does, camera) for camera in CAMERAS[1:] for does in ("stand_still", "wave_left", "bow")] * 10
    joints = [moving_person(rng, motion, posed=0.0)[:, :14, :2] for motion in wanted]
    right = reader.accuracy([reader.read_motion(each) for each in joints], wanted)
    assert right["action"] >= 0.98
    assert right["camera"] >= 0.98
    noisy = [reader.read_motion(each + rng.normal(0, 1.5, each.shape)) for each in joints]
    assert reader.accuracy(noisy, wanted)["action"] >= 0.9


@pytest.mark.skipif(not PROBE.is_file(), reason="the embedded family is not in this checkout")
def test_the_probe_reads_the_motions_of_drawn_clips():
    pytest.importorskip("torch")
    from tasks.sprite import probe
    from tasks.sprite.ltx import reader
    from tasks.sprite.ltx.data import draw_clip

    instrument, rng = probe.load(PROBE), np.random.default_rng(3)
    clips = [draw_clip(rng, instrument.spec, Motion(action), posed=0.0) for action in ACTIONS * 2]
    found, _ = reader.read_clips(instrument, np.stack([clip.rgb for clip in clips]))
    assert reader.accuracy(found, [clip.motion for clip in clips])["action"] >= 0.85


def test_captions_say_what_their_labels_say():
    rng = np.random.default_rng(2)
    for _ in range(300):
        motion, who = random_motion(rng), random_attributes(rng)
        caption = random_caption(motion, who, rng)
        assert caption.text
        assert caption.labels[0] in (NOT_SAID, ACTIONS.index(motion.action))
        text = caption.text.lower()
        if motion.action == "jump" and caption.labels[0] != NOT_SAID:
            assert any(word in text for word in ("jump", "hop", "leap"))
        if motion.action == "wave_both" and caption.labels[0] != NOT_SAID:
            assert "both" in text
        if motion.camera.startswith("pan"):
            assert motion.camera.removeprefix("pan_") in text
    assert plain_caption(Motion("wave_right", "push_in")) == "she waves with the right arm, push-in"
    assert random_empty(rng).labels.tolist() == [NOT_SAID, NOT_SAID]


def test_every_word_of_a_caption_is_in_the_vocabulary():
    rng, known = np.random.default_rng(5), set(vocabulary())
    for _ in range(400):
        text = random_caption(random_motion(rng), random_attributes(rng), rng).text.lower()
        words = text.replace("-", " ").replace(",", " ").replace(".", " ").split()
        assert set(words) <= known, text
