"""Clips from noise alone: as the stock text-to-video pipeline draws them, and what has no meaning without a source."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from reel import op
from reel.clip import Clip
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.networks import stored
from tasks.stylize.blank import Blank
from tasks.stylize.settings.split import Stages
from tests.tasks import stock
from tests.tasks.tiny_render import COUNT, SIDE
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")


def from_noise(**changes: Any) -> Stages:
    return settings(**{"strength": 1.0, "controls": {}, "negative_prompt": "blurred", "seed": 3, **changes})


def drawn(world: Store, stages: Stages, count: int = COUNT) -> Clip:
    """A clip drawn by the four ops as a flow wires them."""
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    size = parse(Blank, {"width": SIDE, "height": SIDE, "frames": count, "fps": 12})
    given = {"latents": op.get("stylize", "blank").fn(size, {}, ctx)}
    given["embeddings"] = op.get("stylize", "embed").fn(stages.embed, {}, ctx)
    denoised = op.get("stylize", "denoise").fn(stages.denoise, given, ctx)
    return Clip.open(world, op.get("stylize", "decode").fn(stages.decode, {"latents": denoised}, ctx))


@pytest.mark.parametrize("changes", [{}, {"guidance_scale": 1.0}, {"scheduler": "euler", "num_inference_steps": 3}])
def test_the_same_pictures_as_the_stock_text_to_video_pipeline(world, changes):
    from diffusers import AnimateDiffPipeline

    stages = from_noise(**changes)
    pipe = AnimateDiffPipeline(**stock.pipeline(stages).components)
    pipe.set_progress_bar_config(disable=True)
    ((prompt, negative),) = stages.embed.texts
    torch.set_num_threads(1)
    expected = pipe(
        prompt=prompt,
        negative_prompt=negative,
        num_frames=COUNT,
        height=SIDE,
        width=SIDE,
        num_inference_steps=stages.denoise.num_inference_steps,
        guidance_scale=float(stages.denoise.guidance_scale),
        generator=torch.Generator("cpu").manual_seed(3),
        output_type="np",
    ).frames[0]
    found = drawn(world, stages)
    difference = np.abs(found.array().astype(int) - (expected * 255).round().astype(int))
    assert difference.max() <= 1, "rounding may differ by one step of 255, nothing else"
    assert (found.width, found.height, found.time_base, found.pts) == (SIDE, SIDE, Fraction(1, 12), [0, 1, 2, 3, 4])


def test_a_clip_longer_than_the_window(world):
    stages = from_noise(windows={"context_length": 4, "context_overlap": 2})
    assert len(drawn(world, stages, 11)) == 11


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"strength": 0.5}, "stylize.strength"),
        ({"composite": "keep_background"}, "stylize.composite"),
        ({"strength_schedule": [1.0] * COUNT}, "strength_schedule"),
    ],
)
def test_what_keeps_something_of_a_source_is_refused(world, changes, key):
    with pytest.raises(UserError, match=f"^{key}: there is no source"):
        drawn(world, from_noise(**changes))


def test_nothing_is_kept_but_size_and_times(world):
    ctx = op.Context(world, Compute(device="cpu"))
    size = parse(Blank, {"width": 64, "height": 32, "frames": 3, "fps": 23.976})
    tensors, meta = stored.take(world, op.get("stylize", "blank").fn(size, {}, ctx), "latents")
    assert not tensors
    assert (meta["width"], meta["height"], meta["pts"], meta["time_base"]) == (64, 32, [0, 1, 2], "125/2997")
