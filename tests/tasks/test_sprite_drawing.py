"""The drawn figures mean what their attributes say, on any skeleton."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.sprite.attributes import BACKGROUND_COLORS, CHOICES, CLOTH_COLORS, HAIR_COLORS, Attributes, random_attributes
from tasks.sprite.canvas import shaded
from tasks.sprite.data import draw_data_set
from tasks.sprite.drawing import BOTTOM, EYES, HAIR, MOUTH, SKIN, TOP, draw_figure, standing_height
from tasks.sprite.maps import blank_region, control_map, head_region
from tasks.sprite.skeleton import (
    CLIP_FRAMES,
    FRAME,
    L_ANKLE,
    NECK,
    R_ELBOW,
    R_HIP,
    R_WRIST,
    Proportions,
    place,
    pose_joints,
    random_clip,
    random_person,
    random_proportions,
)

GIRL = Attributes("long", "pink", "red", "skirt", "blue", "green", "light")


def standing(height: float = 100.0) -> np.ndarray:
    """A figure that stands, arms down, facing the camera."""
    body = Proportions(0.29, 0.105, 0.058, 0.165, 0.145, 0.235, 0.235, 0.115, 0.046)
    return place(pose_joints(np.zeros(20), body), 64, 66, height)


def share_of(color: tuple[int, int, int], picture: np.ndarray) -> float:
    """Share of the pixels `(N, 3)` that have the colour, but for 4 of 255."""
    return float((np.abs(picture.astype(int) - color).max(-1) <= 4).mean())


@pytest.mark.parametrize(
    ("part", "color"),
    [
        (HAIR, HAIR_COLORS["pink"]),
        (TOP, CLOTH_COLORS["red"]),
        (BOTTOM, CLOTH_COLORS["blue"]),
        (0, BACKGROUND_COLORS["green"]),
    ],
)
def test_each_part_has_the_color_it_was_given(part, color):
    drawing = draw_figure(standing() * 1.5, GIRL, 192)
    where = drawing.parts == part
    assert where.sum() > 200
    light, dark = share_of(color, drawing.rgb[where]), share_of(shaded(color), drawing.rgb[where])
    assert light > 0.35  # the rest is its darker tone and its outline
    assert light + dark > 0.55


def test_eyes_and_mouth_open_and_close():
    """Open ones are larger than closed ones, and both fill more than a latent cell of 8 px would lose."""
    seen = {}
    for name, part in (("eyes", EYES), ("mouth", MOUTH)):
        for state in ("open", "closed"):
            seen[name, state] = int(
                (draw_figure(standing() * 1.5, replace(GIRL, **{name: state}), 192).parts == part).sum()
            )
        assert seen[name, "open"] > 1.5 * seen[name, "closed"] > 30


def arms(z: float) -> np.ndarray:
    """A figure seen from the front whose right hand lies on its long hair's place, `z` heights behind its trunk."""
    person = standing() * 1.5
    person[[R_ELBOW, R_WRIST], 0] = person[NECK, 0] - 40, person[NECK, 0] - 24
    person[[R_ELBOW, R_WRIST], 1] = person[NECK, 1] + 20, person[NECK, 1] + 34
    person[[R_ELBOW, R_WRIST], 2] = z * 150
    return person


def test_an_arm_lies_before_long_hair_or_behind_it():
    wrist = arms(0)[R_WRIST]
    x, y = int(wrist[0]), int(wrist[1])
    before = draw_figure(arms(-0.2), GIRL, 192).parts[y, x]
    behind = draw_figure(arms(0.4), GIRL, 192).parts[y, x]
    assert before == SKIN
    assert behind == HAIR
    short = replace(GIRL, hair_length="short")
    assert draw_figure(arms(-0.2), short, 192).parts[y, x] == SKIN


def test_a_dress_reaches_further_down_than_a_skirt():
    person = standing() * 1.5
    dress = draw_figure(person, replace(GIRL, bottom="dress", top_color="blue"), 192).parts == BOTTOM
    skirt = draw_figure(person, GIRL, 192).parts == BOTTOM
    assert np.nonzero(dress)[0].max() > np.nonzero(skirt)[0].max() + 15
    assert np.nonzero(dress)[0].max() < person[L_ANKLE, 1]


def test_long_hair_reaches_below_the_shoulders_and_short_hair_does_not():
    person = standing()
    long = draw_figure(person, GIRL).parts == HAIR
    short = draw_figure(person, replace(GIRL, hair_length="short")).parts == HAIR
    shoulder = int(person[NECK, 1])
    assert long[shoulder + 12 :].sum() > 100
    assert short[shoulder + 2 :].sum() == 0
    assert long.sum() > 1.7 * short.sum()


def test_a_skirt_is_wider_and_shorter_than_trousers():
    person = standing()
    skirt = draw_figure(person, GIRL).parts == BOTTOM
    trousers = draw_figure(person, replace(GIRL, bottom="trousers")).parts == BOTTOM
    assert np.ptp(np.nonzero(skirt)[1]) > np.ptp(np.nonzero(trousers)[1])
    assert np.nonzero(skirt)[0].max() < person[L_ANKLE, 1] - 15 < np.nonzero(trousers)[0].max()


def test_the_same_number_gives_the_same_figure_however_many_are_drawn(tmp_path):
    small = draw_data_set(tmp_path / "a", 1040, 2, seed=3, workers=2)
    large = draw_data_set(tmp_path / "b", 1060, 3, seed=3, workers=1)
    np.testing.assert_array_equal(small.read("rgb")[1000:1040], large.read("rgb")[1000:1040])
    np.testing.assert_array_equal(small.read("rgb")[small.clip_rows(1)], large.read("rgb")[large.clip_rows(1)])
    assert not np.array_equal(small.read("rgb")[0], small.read("rgb")[1])


def test_foreshortening_does_not_shrink_the_head():
    rng = np.random.default_rng(0)
    body = random_proportions(rng)
    flat = np.zeros(20)
    kicking = flat.copy()
    kicking[[14, 15]] = 1.5, np.pi / 2  # right leg raised towards the camera
    a, b = (standing_height(place(pose_joints(angles, body), 64, 64, 90)) for angles in (flat, kicking))
    assert a == pytest.approx(b, rel=1e-6)


def test_turning_the_back_hides_the_face_and_shows_the_hair():
    angles = np.zeros(20)
    angles[0] = np.pi
    body = Proportions(0.29, 0.105, 0.058, 0.165, 0.145, 0.235, 0.235, 0.115, 0.046)
    back = draw_figure(place(pose_joints(angles, body), 64, 66, 100), GIRL)
    front = draw_figure(standing(), GIRL)
    assert (back.parts == HAIR).sum() > 1.3 * (front.parts == HAIR).sum()


def test_people_stay_in_the_frame_but_for_close_ups():
    rng = np.random.default_rng(1)
    people = np.stack([random_person(rng) for _ in range(200)])
    inside = ((people[..., :2] >= 0) & (people[..., :2] < FRAME)).all((1, 2))
    assert 0.8 < inside.mean() < 0.99
    hips = people[:, R_HIP, :2]
    assert hips.std(0).min() > 4  # not always in the same place


def test_a_dance_moves_smoothly():
    rng = np.random.default_rng(2)
    steps = [np.linalg.norm(np.diff(random_clip(rng)[..., :2], axis=0), axis=-1) for _ in range(30)]
    assert all(s.shape == (CLIP_FRAMES - 1, 18) for s in steps)
    assert np.median([s.mean() for s in steps]) > 0.3  # px a frame
    assert np.percentile(np.concatenate([s.ravel() for s in steps]), 99) < 14


@pytest.mark.parametrize("kind", ["openpose", "lineart", "depth", "tile"])
def test_maps_are_pictures_of_the_frame(kind):
    drawing = draw_figure(standing(), GIRL)
    found = control_map(kind, standing().astype(np.float32), drawing.rgb, drawing.mask)
    assert found.shape == (FRAME, FRAME, 3)
    assert found.dtype == np.uint8
    assert found.max() > 100


def test_an_unknown_map_is_named():
    with pytest.raises(ValueError, match="no control map of kind 'sketch'"):
        control_map("sketch", standing(), np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))


def test_attributes_go_to_indices_and_back_and_refuse_other_values():
    rng = np.random.default_rng(0)
    drawn = [random_attributes(rng) for _ in range(300)]
    assert all(Attributes.from_indices(a.to_indices()) == a for a in drawn)
    for name, values in CHOICES.items():
        assert {getattr(a, name) for a in drawn} == set(values)
    assert all((a.top_color == a.bottom_color) == (a.bottom == "dress") for a in drawn)
    with pytest.raises(ValueError, match="hair_color: 'green' is not one of black, blonde, pink, blue, red, brown"):
        replace(GIRL, hair_color="green")


def test_the_head_region_holds_head_and_hair_and_tells_nothing_of_the_hair():
    person = standing()
    region = head_region(person, FRAME)
    for length in ("short", "long"):
        drawing = draw_figure(person, replace(GIRL, hair_length=length))
        assert region[drawing.parts == HAIR].all()
    assert not region[int(person[L_ANKLE, 1]) - 8 :].any()  # legs stay
    assert region.mean() < 0.4


def test_blank_regions_are_heads_people_boxes_and_whole_maps():
    rng = np.random.default_rng(0)
    person, parts = standing(), draw_figure(standing(), GIRL).parts
    regions = [blank_region(person, parts, rng) for _ in range(200)]
    shares = np.array([region.mean() for region in regions])
    assert 0.08 < (shares == 1).mean() < 0.25
    assert sum(region[parts > 0].all() for region in regions) > 50  # the person, or the whole map
    assert len({round(float(share), 4) for share in shares}) > 60
