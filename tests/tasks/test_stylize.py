"""A render with a toy family of the real classes: what changes a picture, and what must not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.store import Store
from tests.tasks.tiny_render import SIDE, WINDOW, inputs, render, stylized
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")


def test_output_has_the_size_length_and_times_of_the_frames(world: Store) -> None:
    clip = Clip.open(world, render(world, count=3))
    assert clip.kind == "rgb"
    assert (clip.width, clip.height, len(clip)) == (SIDE, SIDE, 3)
    assert clip.pts == [0, 2, 4]
    assert clip.array().std() > 1  # not a flat picture


def test_each_setting_changes_the_picture_and_none_of_them_sticks(world: Store) -> None:
    pose, lines = {"kind": "openpose"}, {"kind": "lineart"}
    cases: dict[str, dict[str, Any]] = {
        "plain": {},
        "prompt": {"prompt": "a robot"},
        "negative_prompt": {"negative_prompt": "blue"},
        "seed": {"seed": 1},
        "strength": {"strength": 0.5},
        "steps": {"num_inference_steps": 6},
        "guidance": {"guidance_scale": 2.0},
        "no guidance": {"guidance_scale": 1.0},
        "clip_skip": {"clip_skip": 1},
        "weight": {"controls": {"pose": {**pose, "weight": 0.3}}},
        "kind": {"controls": {"pose": lines}},
        "early end": {"controls": {"pose": {**pose, "control_guidance_end": 0.4}}},
        "late start": {"controls": {"pose": {**pose, "control_guidance_start": 0.5}}},
        "two controls": {"controls": {"pose": pose, "lines": lines}},
        "two weights": {"controls": {"pose": pose, "lines": {**lines, "weight": 0.2}}},
        "no control": {"controls": {}},
        "dtype": {"dtype": "bfloat16"},
    }
    digests = {name: render(world, **changes) for name, changes in cases.items()}
    same = [f"{a} = {b}" for a in digests for b in digests if a < b and digests[a] == digests[b]]
    assert not same
    assert render(world) == digests["plain"]  # after all the others, in one process, with shared modules
    assert render(world, clip_skip=1) == digests["clip_skip"]


def test_integer_weights_and_many_controls_in_any_order_are_one_render(world: Store) -> None:
    pose, lines = {"kind": "openpose", "weight": 1}, {"kind": "lineart", "weight": 0.5}
    assert render(world, controls={"pose": pose, "lines": lines}) == render(
        world, controls={"lines": lines, "pose": {"kind": "openpose", "weight": 1.0}}
    )


def test_weight_zero_is_no_control_at_all(world: Store) -> None:
    off = {"kind": "lineart", "weight": 0.0}
    assert render(world, controls={"pose": {"kind": "openpose"}, "lines": off}) == render(world)
    assert render(world, controls={"lines": off}) == render(world, controls={})


def test_motion_module_looks_across_frames(world: Store) -> None:
    """Changing the last frame of the source changes the first of the render: frames are not drawn one by one."""
    noise = np.random.default_rng(3).integers(0, 255, (4, SIDE, SIDE, 3)).astype(np.uint8)
    firsts = []
    for last in (noise[2], noise[3]):
        with ClipWriter(world, "rgb", width=SIDE, height=SIDE, time_base=Fraction(1, 12)) as writer:
            for index, frame in enumerate([noise[0], noise[1], last]):
                writer.add(frame, index)
        digest = stylized(world, settings(controls={}, strength=0.5), {"frames": writer.digest})
        firsts.append(Clip.open(world, digest).frame(0))
    assert not np.array_equal(firsts[0], firsts[1])


def test_frames_beyond_the_window(world: Store) -> None:
    windows = {"context_length": 4, "context_overlap": 2}
    digest = render(world, count=WINDOW + 2, windows=windows)
    assert len(Clip.open(world, digest)) == WINDOW + 2
    assert digest != render(world, count=WINDOW + 2, windows={**windows, "context_overlap": 1})


def test_sides_need_not_halve_evenly_in_the_unet(world: Store) -> None:
    assert Clip.open(world, render(world, count=2, side=40)).width == 40


def test_facts_of_the_render_stay_outside_the_digest(world: Store) -> None:
    context = op.Context(world, Compute(device="cpu", threads=1))
    stylized(world, settings(controls={}, num_inference_steps=5, strength=0.9), inputs(world, 2), context)
    assert context.facts["device"] == "cpu"
    assert context.facts["steps"] == 4  # int(5 * 0.9)
