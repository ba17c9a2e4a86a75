"""Regions of a figure, memory plans, and the VAE's chunks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reel.errors import UserError
from tasks.stylize.engine.codec import decode_chunk, encode_chunk, sample
from tasks.stylize.engine.masks import MaskPlan, head, region_mask
from tasks.stylize.engine.memory_plan import kept_per_frame, plan
from tests.tasks import engine_models as tiny
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)

GIB = 2**30


def person(x=64.0, y=30.0, scale=10.0):
    """A frontal figure: head at (x, y), shoulders two head radii below."""
    points = np.zeros((18, 4), np.float32)
    places = {0: (0, 0), 14: (-0.4, -0.3), 15: (0.4, -0.3), 16: (-0.8, -0.1), 17: (0.8, -0.1), 1: (0, 1.8)}
    places |= {2: (-1.6, 2), 5: (1.6, 2)}
    for index, (dx, dy) in places.items():
        points[index] = (x + dx * scale, y + dy * scale, 0, 1)
    return points


def test_the_face_lies_on_the_head_and_the_hair_around_it():
    face = region_mask(MaskPlan("face"), 128, 128, [person()])
    hair = region_mask(MaskPlan("hair"), 128, 128, [person()])
    assert face[30, 64] == 1
    assert hair[30, 64] == 0
    assert not (face * hair).any()
    assert hair[12, 64] == 1, "above the crown"
    assert hair[45, 46] == 1, "beside the neck, where long hair falls"
    assert hair[110, 64] == 0, "the legs are not hair"
    assert region_mask(MaskPlan("face"), 128, 128, []).sum() == 0


def test_hair_is_neither_on_arms_nor_on_the_trunk_however_far_it_grows():
    dancer = person()
    for index, place in {3: (34, 70), 4: (64, 14), 6: (94, 70), 7: (98, 90), 8: (54, 95), 11: (74, 95)}.items():
        dancer[index] = (*place, 0, 1)  # the right hand on the crown
    near = dancer.copy()
    near[[8, 11], 3] = 0  # a close-up: the hips are not in the picture
    for each in (dancer, near):
        for dilate in (0, 12):
            hair = region_mask(MaskPlan("hair", dilate), 128, 128, [each])
            assert [hair[y, x] for x, y in ((64, 60), (64, 14), (49, 42), (85, 55))] == [0] * 4, "trunk, hand, two arms"
            assert hair[14, 76] == 1, "the crown beside the hand"
    grown, plain = (region_mask(MaskPlan("hair", dilate), 128, 128, [dancer]).sum() for dilate in (12, 0))
    assert grown > 1.2 * plain


def test_in_profile_the_skull_is_behind_the_face():
    side = person()
    side[[0, 14, 15], 0] = (52, 55, 55)  # looks to the left
    side[16, 3], side[17, :2] = 0, (68, 30)  # one ear is seen, in the middle of the skull
    hair = region_mask(MaskPlan("hair"), 128, 128, [side])
    rows = np.flatnonzero(hair[24])
    assert rows.max() > 85, "the back of the head"


def test_the_head_keeps_its_size_when_it_turns():
    turned = person()
    turned[[14, 15, 16, 17], 0] = 64  # a profile: eyes and ears above one another
    radii = [head(p)[2] for p in (person(), turned)]
    assert radii[1] == pytest.approx(radii[0], rel=0.4)
    absent = person()
    absent[:, 3] = 0
    assert head(absent) is None


def test_person_and_background_are_each_others_complement():
    outline = np.zeros((20, 30), np.uint8)
    outline[5:10, 5:10] = 255
    inside = region_mask(MaskPlan("person"), 30, 20, outline=outline)
    np.testing.assert_array_equal(inside + region_mask(MaskPlan("background"), 30, 20, outline=outline), 1)
    with pytest.raises(UserError, match="no outline"):
        region_mask(MaskPlan("person"), 30, 20)


@settings(max_examples=40, deadline=None)
@given(dilate=st.integers(-4, 12), feather=st.floats(0, 12))
def test_masks_grow_and_fade_and_stay_in_range(dilate, feather):
    outline = np.zeros((48, 48), np.uint8)
    outline[16:32, 16:32] = 255
    mask = region_mask(MaskPlan("person", dilate, feather), 48, 48, outline=outline)
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1
    plain = region_mask(MaskPlan("person", dilate), 48, 48, outline=outline)
    assert np.sign(plain.sum() - 256) == np.sign(dilate)
    if feather > 2:
        assert ((mask > 0.05) & (mask < 0.95)).sum() > 0


def test_a_file_is_white_where_it_is_inside():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4] = 255
    assert region_mask(MaskPlan("file"), 8, 8, picture=picture)[:, 0].tolist() == [1] * 4 + [0] * 4
    with pytest.raises(UserError, match="no clip of masks"):
        region_mask(MaskPlan("file"), 8, 8)


SD15 = {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2}


def planned(budget, count=32, **more):
    asked = {"weights": 5 * GIB, "width": 256, "height": 256, "bytes_per_number": 4, **more}
    per_frame = kept_per_frame(SD15, asked["width"] // 8, asked["height"] // 8, 2, asked["bytes_per_number"])
    return plan(budget=budget, count=count, per_frame=per_frame, **asked)


def test_without_a_budget_nothing_is_made_smaller():
    made = planned(None)
    assert (made.frame_block, made.chunk_size, made.tiling, made.keep) == (16, 16, False, None)


def test_smaller_budgets_give_smaller_blocks_and_then_spill():
    blocks_ = [planned(budget * GIB, 16).frame_block for budget in (10, 7.2, 6.5, 6.1)]
    assert blocks_ == sorted(blocks_, reverse=True)
    assert blocks_[0] == 16
    assert blocks_[-1] < 4
    assert planned(10 * GIB, 16).keep is None
    long = planned(10 * GIB, 256)
    assert long.keep is not None
    assert long.frame_block == 16
    assert "spilled" in long.lines(256)[1]


@settings(max_examples=60)
@given(budget=st.floats(6.2, 40), count=st.integers(1, 2000), side=st.sampled_from([128, 256, 384]))
def test_what_is_planned_fits_the_budget(budget, count, side):
    try:
        made = planned(int(budget * GIB), count, width=side, height=side)
    except UserError:
        assume(False)
    work = 0.08 * GIB * (side / 256) ** 2 * made.frame_block
    kept = made.per_frame * count if made.keep is None else made.keep
    assert made.weights + work + kept <= budget * GIB


def test_a_budget_below_the_models_says_what_is_needed():
    with pytest.raises(UserError, match=r"5\.00 GiB") as caught:
        planned(4 * GIB)
    assert caught.value.fix is not None
    least = float(caught.value.fix.split("=")[1].split("GiB")[0])
    planned(int(least * 1.02 * GIB))


@torch.no_grad()
def test_latents_of_chunks_and_of_the_whole_are_drawn_alike_and_decode_to_the_pictures_shape():
    pictures = tiny.pictures(5)
    mean, std = encode_chunk(tiny.vae(), pictures)
    assert mean.shape == std.shape == (5, 4, 8, 8)
    parts = [encode_chunk(tiny.vae(), pictures[i : i + 2])[0] for i in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts), mean)
    drawn = sample(mean, std, 16, torch.Generator().manual_seed(1))
    assert not torch.equal(drawn, mean)
    assert torch.equal(drawn, sample(mean, std, 16, torch.Generator().manual_seed(1)))
    frames = decode_chunk(tiny.vae(), drawn)
    assert frames.shape == pictures.shape
    assert frames.dtype == np.uint8
    with pytest.raises(UserError, match="not numbers"):
        decode_chunk(tiny.vae(), drawn * float("nan"))
