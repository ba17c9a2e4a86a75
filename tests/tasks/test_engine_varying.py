"""What differs between the frames and places of a render: weights, masks, strength, guidance, prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reel import op
from reel.compute import Compute
from reel.errors import UserError
from reel.pose import Poses
from reel.schedule.compile import PromptTrack
from tasks.stylize.denoise import denoise
from tasks.stylize.engine import schedulers
from tasks.stylize.engine.loop import timesteps_of
from tasks.stylize.job.places import source_hold
from tasks.stylize.job.prepare import Job
from tests.tasks.tiny_render import ALONE, COUNT, SIDE, Rendered, make_poses, tensor
from tests.tasks.tiny_settings import engine_settings as settings

pytestmark = pytest.mark.filterwarnings("ignore")


def test_weight_per_frame_moves_only_with_the_weight(world):
    """With windows of one frame, frames of factor 0 are those of a render without the control."""
    scheduled = {"kind": "openpose", "weight": 0.8, "weight_schedule": [0, 1, 0, 1, 0]}
    found = tensor(world, Rendered(world, settings(windows=ALONE, controls={"pose": scheduled})).denoised)
    without = tensor(world, Rendered(world, settings(windows=ALONE, controls={})).denoised)
    constant = tensor(world, Rendered(world, settings(windows=ALONE)).denoised)
    torch.testing.assert_close(found[[0, 2, 4]], without[[0, 2, 4]], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[[1, 3]], constant[[1, 3]], rtol=0, atol=1e-4)
    assert (constant - without).abs().max() > 1e-2


def test_masks_take_a_region_out_of_a_control(world):
    def masked(region: str, **more: Any) -> torch.Tensor:
        control = {"kind": "openpose", "weight": 0.8, "mask": {"region": region, **more}}
        return tensor(world, Rendered(world, settings(controls={"pose": control})).denoised)

    everywhere = masked("none")
    nowhere = tensor(world, Rendered(world, settings(controls={})).denoised)
    person, background = masked("person"), masked("background")
    assert not torch.allclose(person, everywhere, atol=1e-3)
    assert not torch.allclose(person, background, atol=1e-3)
    torch.testing.assert_close(masked("person", dilate=SIDE), nowhere, rtol=0, atol=1e-4)


def test_a_kept_background_is_the_source(world):
    kept = tensor(world, Rendered(world, settings(composite="keep_background", composite_dilate=0)).denoised)
    source = tensor(world, Rendered(world, settings(strength_schedule=[0.0] * COUNT)).denoised)
    assert torch.equal(kept[..., 2:], source[..., 2:]), "the right half is background"
    assert not torch.allclose(kept[..., :2], source[..., :2], atol=1e-2)


@pytest.mark.parametrize("scheduler", sorted(schedulers.REGISTRY))
@pytest.mark.parametrize("composite", ["none", "keep_background"])
def test_a_frame_begins_at_the_step_of_a_render_of_its_strength(world, scheduler, composite):
    factors = [1.0, 0.75, 0.5, 0.1, 0.0]
    more = {"scheduler": scheduler, "num_inference_steps": 12, "strength": 0.9, "composite": composite}
    cfg = settings(strength_schedule=factors, controls={}, **more).denoise
    made = schedulers.make(scheduler, {})
    whole = timesteps_of(made, 12, 0.9)
    latents = torch.zeros(1, 4, COUNT, SIDE // 8, SIDE // 8)
    given = Poses.open(world, make_poses(world, COUNT))
    job = Job(cfg, COUNT, {}, {}, {}, {"width": SIDE, "height": SIDE}, {}, {}, given, None, {})
    until = source_hold(job, latents, latents, len(whole), made.order).until.expand(1, 1, COUNT, SIDE // 8, SIDE // 8)
    for frame, factor in enumerate(factors):
        own = timesteps_of(schedulers.make(scheduler, {}), 12, 0.9 * factor).tolist() if factor else []
        begin = int(until[0, 0, frame, 0, 0])  # of a place in the person
        assert whole[begin:].tolist() == own
    right = until[0, 0, :, 0, -1].tolist()
    assert (right == [len(whole)] * COUNT) == (composite == "keep_background")


@pytest.mark.parametrize(
    "more",
    [
        {"composite": "keep_background"},
        {"controls": {"pose": {"kind": "openpose", "mask": {"region": "hair"}}}},
        {"regions": {"wall": {"prompt": "a wall", "mask": {"region": "background"}}}},
    ],
)
def test_places_of_a_person_want_somebody_in_the_clip(world, more):
    made = Rendered(world, settings(**more))
    given = {**made.inputs, "poses": make_poses(world, COUNT, nobody=True)}
    with pytest.raises(UserError, match="test found nobody in any of the 5 frames"):
        denoise(made.stages.denoise, given, op.Context(world, Compute(device="cpu", threads=1)))


def test_a_frame_whose_guidance_is_below_one_follows_the_prompt_alone(world):
    def frames(scale: float, factors: list[float] | None) -> torch.Tensor:
        more = {"guidance_scale": scale, "guidance_schedule": factors, "windows": ALONE}
        return tensor(world, Rendered(world, settings(**more)).denoised)

    found, guided, alone = frames(4.0, [1, 0.25, 0.1, 0, 0]), frames(4.0, None), frames(1.0, None)
    torch.testing.assert_close(found[0], guided[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[1:], alone[1:], rtol=0, atol=1e-4)
    assert (guided - alone).abs().max() > 1e-2


def test_prompts_per_frame_from_a_compiled_schedule(world):
    track = PromptTrack(
        (("a dancer", "blurred"), ("a robot", "dim")),
        np.zeros(COUNT, int),
        np.array([0, 1, 1, 1, 1]),
        np.array([0, 0.25, 0.5, 0.75, 1.0]),
    )
    found = tensor(world, Rendered(world, settings(track, windows=ALONE)).denoised)
    dancer = tensor(world, Rendered(world, settings(windows=ALONE)).denoised)
    other = settings(prompt="a robot", negative_prompt="dim", windows=ALONE)
    robot = tensor(world, Rendered(world, other).denoised)
    torch.testing.assert_close(found[0], dancer[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[4], robot[4], rtol=0, atol=1e-4)
    assert (dancer - robot).abs().max() > 1e-2
