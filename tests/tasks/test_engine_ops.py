"""The engine's ops end to end with a toy family on disk: the stock pipeline's pictures, long clips, little memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reel import op
from reel.clip import Clip
from reel.compute import Compute
from reel.errors import UserError
from tasks.stylize.denoise import denoise
from tasks.stylize.job import render
from tests.tasks import stock
from tests.tasks.tiny_render import COUNT, Rendered, make_clip
from tests.tasks.tiny_settings import engine_settings as settings

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    "changes", [{}, {"guidance_scale": 1.0, "controls": {}}, {"scheduler": "dpmpp_2m", "strength": 1}]
)
def test_the_same_pictures_as_the_stock_op(world, changes):
    cfg = settings(**changes)
    frames, pose = (Clip.open(world, make_clip(world, kind, COUNT, seed)) for seed, kind in enumerate(("rgb", "map")))
    torch.set_num_threads(1)
    expected = stock.render(cfg, frames, {"pose": pose})
    found = Clip.open(world, Rendered(world, cfg).clip)
    difference = np.abs(found.array().astype(int) - expected)
    assert difference.max() <= 1, "rounding may differ by one step of 255, nothing else"
    assert (difference > 0).mean() < 0.01
    assert found.pts == frames.pts
    assert (found.width, found.height, found.color) == (frames.width, frames.height, frames.color)


def test_a_clip_longer_than_the_window(world):
    cfg = settings(windows={"context_length": 4, "context_overlap": 2})
    assert len(Clip.open(world, Rendered(world, cfg, 11).clip)) == 11
    with pytest.raises(UserError, match=r"16 frames are over the motion module's window \(model tiny, .* says 8\)"):
        Rendered(world, settings(), 11)


def test_out_of_memory_climbs_down_without_changing_the_result(world, monkeypatch):
    whole = Rendered(world, settings(windows={"context_length": 4, "context_overlap": 2}))
    real, asked = render.run, []

    def short(job, ctx, journal, clock, **more):
        asked.append(more)
        if len(asked) < 3:
            raise MemoryError
        return real(job, ctx, journal, clock, **more)

    monkeypatch.setattr(render, "run", short)
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    assert denoise(whole.stages.denoise, whole.inputs, ctx) == whole.denoised
    assert asked == [{}, {}, {"keep": 0}]
    assert ctx.facts["out_of_memory"] == ["freed other loaded models", "spilled activations"]
