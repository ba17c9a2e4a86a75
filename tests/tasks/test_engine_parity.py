"""The engine against diffusers' own pipelines: the same seed gives the same latents, to 1e-5 of their size.

With tiny random networks, with the embedded family, and with ROTOSCOPE_TEST_FULL_WIDTH=1 (11 GiB, a quarter of an hour)
with random networks of SD 1.5's widths.
"""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest
import torch
from diffusers import (
    AnimateDiffPipeline,
    AnimateDiffSDXLPipeline,
    AnimateDiffSparseControlNetPipeline,
    AnimateDiffVideoToVideoControlNetPipeline,
    AnimateDiffVideoToVideoPipeline,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
)
from diffusers.pipelines.animatediff import pipeline_animatediff_sparsectrl
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from tasks.stylize.engine.codec import encode_chunk, sample
from tasks.stylize.engine.controls import Controls, ControlTrack
from tasks.stylize.engine.freeinit import FreeInitPlan, denoise_in_rounds
from tasks.stylize.engine.loop import denoise, noised, pure_noise, timesteps_of
from tasks.stylize.engine.network import Network
from tasks.stylize.engine.prompts import Conditioning, TextTrack
from tasks.stylize.engine.sparse import SparseTrack, all_residuals
from tests.tasks import engine_models as tiny
from tests.tasks import parity_models
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)
from tests.tasks.parity_models import Family

STEPS = 4
SCHEDULERS = {
    "ddim": lambda: DDIMScheduler(**tiny.SCHEDULE, clip_sample=False, steps_offset=1),
    "euler": lambda: EulerDiscreteScheduler(**tiny.SCHEDULE),
    "dpmpp_2m": lambda: DPMSolverMultistepScheduler(**tiny.SCHEDULE, algorithm_type="dpmsolver++", solver_order=2),
    "lcm": lambda: LCMScheduler(**tiny.SCHEDULE),
}
CASES = [(name, scale) for name in SCHEDULERS for scale in (1.0, 5.0)]
cases = pytest.mark.parametrize(("scheduler", "scale"), CASES)


FULL = pytest.mark.skipif(
    not os.environ.get("ROTOSCOPE_TEST_FULL_WIDTH"), reason="11 GiB and ten minutes: ROTOSCOPE_TEST_FULL_WIDTH=1"
)


@pytest.fixture(
    scope="module",
    params=[
        "tiny",
        pytest.param("sprite", marks=pytest.mark.slow),
        pytest.param("full", marks=[pytest.mark.slow, FULL]),
    ],
)
def family(request):
    return parity_models.family(request.param)


TINY = parity_models.family("tiny")
FRAMES = TINY.frames


def rng():
    return torch.Generator().manual_seed(7)


def told(scale, models=TINY, added=None):
    count = models.frames
    negative = TextTrack.constant(models.text(12), count) if scale > 1 else None
    return Conditioning(TextTrack.constant(models.text(11), count), negative, np.full(count, scale), added or {})


def asked(scale, models=TINY, **more):
    return {
        "prompt_embeds": models.text(11),
        "negative_prompt_embeds": models.text(12),
        "guidance_scale": scale,
        "num_inference_steps": STEPS,
        "height": models.side,
        "width": models.side,
        "output_type": "latent",
        "generator": rng(),
        **more,
    }


def stock(cls, scheduler, models=TINY, **parts):
    pipe = cls(
        vae=models.vae,
        text_encoder=None,
        tokenizer=None,
        unet=models.unet,
        motion_adapter=None,
        scheduler=SCHEDULERS[scheduler](),
        **parts,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def from_noise(scheduler, models, network):
    """Denoised latents of a clip that has no source."""
    generator, made = rng(), SCHEDULERS[scheduler]()
    timesteps = timesteps_of(made, STEPS)
    latents = pure_noise(models.shape, made, generator)
    return denoise(network, made, timesteps, latents, generator)


def encoded(video, vae, chunk=16):
    """Scaled latents (1, C, F, h, w), and the generator that drew them."""
    generator = rng()
    mean, std = encode_chunk(vae, video)
    latents = sample(mean, std, chunk, generator) * vae.config.scaling_factor
    return latents.transpose(0, 1)[None], generator


def video_to_video(scheduler, scale, models, video, strength, **network):
    source, generator = encoded(video, models.vae)
    made = SCHEDULERS[scheduler]()
    timesteps = timesteps_of(made, STEPS, strength)
    latents, _ = noised(source, made, timesteps, generator)
    return denoise(Network(models.unet, told(scale, models), **network), made, timesteps, latents, generator)


@functools.cache
def without_control(family: Family, scheduler, scale):
    """What the engine makes of the family's clip, and of none: for two tests each."""
    network = Network(family.unet, told(scale, family))
    video = video_to_video(scheduler, scale, family, family.pictures(family.frames), 0.8)
    return video, from_noise(scheduler, family, network)


@torch.no_grad()
@cases
def test_video_to_video(family: Family, scheduler, scale):
    video = family.pictures(family.frames)
    pipe = stock(AnimateDiffVideoToVideoPipeline, scheduler, family)
    expected = pipe(video=[Image.fromarray(frame) for frame in video], strength=0.8, **asked(scale, family)).frames
    found, _ = without_control(family, scheduler, scale)
    assert tiny.relative(found, expected) <= 1e-5


@functools.cache
def stock_with_two_controlnets(family: Family, scheduler, scale):
    """What the stock pipeline makes of the clip and two maps, whatever the engine's order of work."""
    count = family.frames
    pipe = stock(AnimateDiffVideoToVideoControlNetPipeline, scheduler, family, controlnet=list(family.nets))
    return pipe(
        video=[Image.fromarray(frame) for frame in family.pictures(count)],
        conditioning_frames=[[Image.fromarray(frame) for frame in family.pictures(count, seed)] for seed in (1, 2)],
        controlnet_conditioning_scale=[0.7, 0.4],
        control_guidance_start=[0.0, 0.3],
        control_guidance_end=[0.6, 1.0],
        strength=0.8,
        **asked(scale, family),
    ).frames


@torch.no_grad()
@pytest.mark.parametrize(
    ("scheduler", "scale", "block", "channels_last"),
    [(*case, 16, False) for case in CASES]
    + [("ddim", 5.0, block, last) for block in (2, 16) for last in (False, True)],
)
def test_video_to_video_with_two_controlnets(family: Family, scheduler, scale, block, channels_last):
    count = family.frames
    video, maps = family.pictures(count), [family.pictures(count, seed) for seed in (1, 2)]
    expected = stock_with_two_controlnets(family, scheduler, scale)
    tracks = [
        ControlTrack("pose", family.nets[0], maps[0].__getitem__, np.full(count, 0.7), end=0.6),
        ControlTrack("lineart", family.nets[1], maps[1].__getitem__, np.full(count, 0.4), start=0.3),
    ]
    order = {"block": block, "channels_last": channels_last}
    found = video_to_video(scheduler, scale, family, video, 0.8, controls=Controls(tracks), **order)
    assert tiny.relative(found, expected) <= 1e-5
    plain, _ = without_control(family, scheduler, scale)
    assert tiny.relative(plain, expected) > 1e-2, "the ControlNets must matter for this comparison to mean anything"


@torch.no_grad()
@cases
def test_text_to_video(family: Family, scheduler, scale):
    pipe = stock(AnimateDiffPipeline, scheduler, family)
    expected = pipe(num_frames=family.frames, **asked(scale, family)).frames
    _, found = without_control(family, scheduler, scale)
    assert tiny.relative(found, expected) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("method", ["butterworth", "gaussian", "ideal"])
def test_free_init(method):
    pipe = stock(AnimateDiffPipeline, "ddim")
    pipe.enable_free_init(num_iters=2, method=method)
    expected = pipe(num_frames=FRAMES, **asked(5.0)).frames
    generator, made = rng(), SCHEDULERS["ddim"]()
    latents = pure_noise(TINY.shape, made, generator)
    network = Network(tiny.unet(), told(5.0))
    plan = FreeInitPlan(iterations=2, method=method)
    found = denoise_in_rounds(plan, network, made, lambda: timesteps_of(made, STEPS), latents, generator)
    assert tiny.relative(found, expected) <= 1e-5


@torch.no_grad()
@cases
def test_sparse_control(family: Family, scheduler, scale):
    given, ends = family.pictures(2, 5), [0, family.frames - 1]
    pipe = stock(AnimateDiffSparseControlNetPipeline, scheduler, family, controlnet=family.sparse)
    expected = pipe(
        conditioning_frames=[Image.fromarray(frame) for frame in given],
        controlnet_frame_indices=ends,
        controlnet_conditioning_scale=0.9,
        num_frames=family.frames,
        **asked(scale, family),
    ).frames
    pictures = torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255
    track = SparseTrack("ends", family.sparse, pictures, ends, np.full(family.frames, 0.9))
    network = Network(family.unet, told(scale, family), extra=all_residuals([track]))
    found = from_noise(scheduler, family, network)
    assert tiny.relative(found, expected) <= 1e-5
    _, plain = without_control(family, scheduler, scale)
    assert tiny.relative(plain, expected) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_sparse_control_that_reads_latents(scale, monkeypatch):
    """As the RGB one does. The pipeline draws the latents from torch's common generator: here both take their mean."""
    monkeypatch.setattr(pipeline_animatediff_sparsectrl, "retrieve_latents", lambda found: found.latent_dist.mean)
    net, given = tiny.sparse(latents=True), TINY.pictures(2, 5)
    pipe = stock(AnimateDiffSparseControlNetPipeline, "ddim", TINY, controlnet=net)
    expected = pipe(
        conditioning_frames=[Image.fromarray(frame) for frame in given],
        controlnet_frame_indices=[0, 2],
        controlnet_conditioning_scale=0.9,
        num_frames=FRAMES,
        **asked(scale),
    ).frames
    latents = encode_chunk(TINY.vae, given)[0] * TINY.vae.config.scaling_factor
    track = SparseTrack("ends", net, latents, [0, 2], np.full(FRAMES, 0.9))
    for block in (16, 3):
        network = Network(TINY.unet, told(scale), extra=all_residuals([track]), block=block)
        assert tiny.relative(from_noise("ddim", TINY, network), expected) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("middle", [True, False])
@pytest.mark.parametrize("size", [8, 7])
def test_one_prediction_of_the_network(middle, size):
    """With and without motion modules in the middle, and at sizes that the down-sampling does not divide."""
    unet = tiny.unet(middle)
    latents = torch.randn(1, 4, FRAMES, size, size, generator=rng())
    conditioning = told(1.0)
    expected = unet(latents, 500, conditioning.text(np.arange(FRAMES))).sample
    for block in (1, 2, 16):
        found = Network(unet, conditioning, block=block)(latents, torch.tensor(500), 0, STEPS)
        assert tiny.relative(found, expected) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_sdxl_conditioning(scale):
    """The size and pooled-text conditioning of SDXL, against the SDXL pipeline."""
    unet = tiny.unet(sdxl=True)
    pooled = [torch.randn(1, 12, generator=torch.Generator().manual_seed(s)) for s in (1, 2)]
    pipe = AnimateDiffSDXLPipeline(
        vae=tiny.vae(),
        text_encoder=None,
        text_encoder_2=CLIPTextModelWithProjection(
            CLIPTextConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, projection_dim=12)
        ),
        tokenizer=None,
        tokenizer_2=None,
        unet=unet,
        motion_adapter=None,
        scheduler=SCHEDULERS["ddim"](),
    )
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(
        num_frames=FRAMES,
        pooled_prompt_embeds=pooled[0],
        negative_pooled_prompt_embeds=pooled[1],
        **asked(scale),
    ).frames
    sizes = torch.tensor([[16.0, 16, 0, 0, 16, 16]]).repeat(2 if scale > 1 else 1, 1)
    conditioning = told(scale, added={"time_ids": sizes})
    conditioning.positive.pooled = pooled[0]
    if conditioning.negative:
        conditioning.negative.pooled = pooled[1]
    found = from_noise("ddim", TINY, Network(unet, conditioning))
    assert tiny.relative(found, expected) <= 1e-5
