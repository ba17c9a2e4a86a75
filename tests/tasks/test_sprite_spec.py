"""What a family draws is read from its own folder, so that generations live side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reel.errors import UserError
from tasks.sprite import poses, spec
from tasks.sprite.attributes import CHOICES, Attributes, random_attributes
from tasks.sprite.skeleton import FRAME, L_ANKLE, L_SHOULDER, NOSE, R_ANKLE, R_SHOULDER, random_person

SMALL = spec.Spec(128, {"hair_length": ("short", "long"), "bottom": ("trousers", "skirt")})


def test_a_spec_comes_back_from_its_folder(tmp_path):
    for written in (SMALL, spec.Spec()):
        written.save(tmp_path)
        assert spec.load(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == [spec.FILE]
    assert spec.Spec().cells == 24


def test_the_family_in_this_checkout_says_what_it_draws():
    found = spec.load(Path(__file__).parents[2] / "data" / "models" / "sprite")
    assert set(found.choices) <= set(CHOICES)
    assert {"hair_length", "bottom", "background"} <= set(found.choices)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no family.json"),
        ("{", "is not a family that this version knows"),
        ([1], "is not a family that this version knows"),
        ({"frame": 100, "style": 3, "choices": {"skin": ["light"]}}, "100 px is not a multiple of 32"),
        (
            {"frame": 128, "style": 2, "choices": {"skin": ["light"]}},
            "style: 2 is the drawing of another version",
        ),
        ({"frame": 128, "style": 3, "choices": {"hair_color": ["green"]}}, "hair_color green cannot be drawn"),
        ({"frame": 128, "style": 3}, "choices"),
    ],
)
def test_a_folder_without_a_sound_spec_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / spec.FILE).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=message):
        spec.load(tmp_path)


def test_columns_are_the_familys_own():
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = random_attributes(rng, spec.load(Path(__file__).parents[2] / "data" / "models" / "sprite").choices)
        assert Attributes.from_indices(drawn.to_indices()) == drawn
    girl = Attributes("long", "red", "red", "skirt", "blue", "green", "light", mouth="open")
    np.testing.assert_array_equal(girl.to_indices(SMALL.choices), [1, 1])
    with pytest.raises(ValueError, match="dress"):
        Attributes("long", "red", "red", "dress", "blue", "green", "light")
    dress = Attributes("long", "red", "red", "dress", "red", "green", "light")
    with pytest.raises(ValueError, match="tuple"):  # this family draws no dress
        dress.to_indices(SMALL.choices)


def test_people_are_as_large_as_the_familys_frame():
    one, other = (poses.sized(random_person(np.random.default_rng(5)), side) for side in (FRAME, 192))
    np.testing.assert_allclose(other[:, :3], 1.5 * one[:, :3])
    np.testing.assert_array_equal(other[:, 3], one[:, 3])


def test_real_poses_are_whole_people_at_one_height():
    real = poses.real_poses()
    assert len(real.joints) > 100
    assert real.starts[0] == 0
    assert real.starts[-1] == len(real.joints)
    upright = (real.joints[:, NOSE, 1] < real.joints[:, R_ANKLE, 1]).mean()
    assert upright > 0.95
    assert 0.6 < np.median(np.ptp(real.joints[..., 1], axis=1)) < 1.1


def test_a_clip_of_real_poses_moves_on_and_turns_back_at_its_end():
    real = poses.real_poses()
    for seed in range(20):
        joints = real.clip(np.random.default_rng(seed), 40)
        assert joints.shape == (40, 18, 3)
        steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
        assert np.median(steps) < 0.1  # of the height: no jump from the end to the beginning


def test_a_mirrored_pose_keeps_left_and_right():
    facing = np.zeros((1, 18, 3))
    facing[0, L_SHOULDER, 0], facing[0, R_SHOULDER, 0] = 1, -1
    facing[0, L_ANKLE, 1], facing[0, R_ANKLE, 1] = 2, 3
    seen = {
        tuple(np.round(poses._varied(facing, np.random.default_rng(seed))[0, [R_ANKLE, L_ANKLE], 1]))
        for seed in range(8)
    }
    assert seen == {(3.0, 2.0), (2.0, 3.0)}
    for seed in range(8):
        varied = poses._varied(facing, np.random.default_rng(seed))[0]
        assert varied[L_SHOULDER, 0] > 0 > varied[R_SHOULDER, 0]  # a person who faces the camera still does
