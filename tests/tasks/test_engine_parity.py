"""The engine against diffusers' own pipelines: the same seed gives the same latents, to 1e-5 of their size."""

from __future__ import annotations

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
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from tasks.stylize.engine.codec import encode_chunk, sample
from tasks.stylize.engine.controls import Controls, ControlTrack
from tasks.stylize.engine.freeinit import FreeInitPlan, denoise_in_rounds
from tasks.stylize.engine.loop import Network, denoise, noised, pure_noise, timesteps_of
from tasks.stylize.engine.prompts import Conditioning, TextTrack
from tasks.stylize.engine.sparse import sparse_residuals
from tests.tasks import engine_models as tiny
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)

FRAMES, STEPS = 4, 4
SCHEDULERS = {
    "ddim": lambda: DDIMScheduler(**tiny.SCHEDULE, clip_sample=False, steps_offset=1),
    "euler": lambda: EulerDiscreteScheduler(**tiny.SCHEDULE),
    "dpmpp_2m": lambda: DPMSolverMultistepScheduler(**tiny.SCHEDULE, algorithm_type="dpmsolver++", solver_order=2),
    "lcm": lambda: LCMScheduler(**tiny.SCHEDULE),
}
CASES = [(name, scale) for name in SCHEDULERS for scale in (1.0, 5.0)]
cases = pytest.mark.parametrize(("scheduler", "scale"), CASES)


def rng():
    return torch.Generator().manual_seed(7)


def told(scale, count=FRAMES, added=None):
    negative = TextTrack.constant(tiny.text(12), count) if scale > 1 else None
    return Conditioning(TextTrack.constant(tiny.text(11), count), negative, np.full(count, scale), added or {})


def asked(scale, **more):
    return {
        "prompt_embeds": tiny.text(11),
        "negative_prompt_embeds": tiny.text(12),
        "guidance_scale": scale,
        "num_inference_steps": STEPS,
        "output_type": "latent",
        "generator": rng(),
        **more,
    }


def stock(cls, scheduler, **parts):
    pipe = cls(
        vae=tiny.vae(),
        text_encoder=None,
        tokenizer=None,
        unet=tiny.unet(),
        motion_adapter=None,
        scheduler=SCHEDULERS[scheduler](),
        **parts,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def encoded(video, chunk=16):
    """Scaled latents (1, C, F, h, w), and the generator that drew them."""
    generator = rng()
    mean, std = encode_chunk(tiny.vae(), video)
    latents = sample(mean, std, chunk, generator) * tiny.vae().config.scaling_factor
    return latents.transpose(0, 1)[None], generator


def video_to_video(scheduler, scale, video, strength, **network):
    source, generator = encoded(video)
    made = SCHEDULERS[scheduler]()
    timesteps = timesteps_of(made, STEPS, strength)
    latents, _ = noised(source, made, timesteps, generator)
    return denoise(Network(tiny.unet(), told(scale, len(video)), **network), made, timesteps, latents, generator)


@torch.no_grad()
@cases
def test_video_to_video(scheduler, scale):
    video = tiny.pictures(FRAMES)
    pipe = stock(AnimateDiffVideoToVideoPipeline, scheduler)
    expected = pipe(
        video=[Image.fromarray(frame) for frame in video], strength=0.8, height=16, width=16, **asked(scale)
    ).frames
    found = video_to_video(scheduler, scale, video, 0.8)
    assert tiny.relative(found, expected) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize(
    ("scheduler", "scale", "block", "channels_last"),
    [(*case, 16, False) for case in CASES]
    + [("ddim", 5.0, block, last) for block in (2, 16) for last in (False, True)],
)
def test_video_to_video_with_two_controlnets(scheduler, scale, block, channels_last):
    video, maps = tiny.pictures(FRAMES), [tiny.pictures(FRAMES, seed) for seed in (1, 2)]
    nets = [tiny.controlnet(2), tiny.controlnet(3)]
    pipe = stock(AnimateDiffVideoToVideoControlNetPipeline, scheduler, controlnet=nets)
    expected = pipe(
        video=[Image.fromarray(frame) for frame in video],
        conditioning_frames=[[Image.fromarray(frame) for frame in one] for one in maps],
        controlnet_conditioning_scale=[0.7, 0.4],
        control_guidance_start=[0.0, 0.3],
        control_guidance_end=[0.6, 1.0],
        strength=0.8,
        height=16,
        width=16,
        **asked(scale),
    ).frames
    tracks = [
        ControlTrack("pose", nets[0], maps[0].__getitem__, np.full(FRAMES, 0.7), end=0.6),
        ControlTrack("lineart", nets[1], maps[1].__getitem__, np.full(FRAMES, 0.4), start=0.3),
    ]
    order = {"block": block, "channels_last": channels_last}
    found = video_to_video(scheduler, scale, video, 0.8, controls=Controls(tracks), **order)
    assert tiny.relative(found, expected) <= 1e-5
    plain = video_to_video(scheduler, scale, video, 0.8)
    assert tiny.relative(plain, expected) > 1e-2, "the ControlNets must matter for this comparison to mean anything"


@torch.no_grad()
@cases
def test_text_to_video(scheduler, scale):
    pipe = stock(AnimateDiffPipeline, scheduler)
    expected = pipe(num_frames=FRAMES, height=16, width=16, **asked(scale)).frames
    generator, made = rng(), SCHEDULERS[scheduler]()
    timesteps = timesteps_of(made, STEPS)
    latents = pure_noise((1, 4, FRAMES, 8, 8), made, generator)
    found = denoise(Network(tiny.unet(), told(scale)), made, timesteps, latents, generator)
    assert tiny.relative(found, expected) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("method", ["butterworth", "gaussian", "ideal"])
def test_free_init(method):
    pipe = stock(AnimateDiffPipeline, "ddim")
    pipe.enable_free_init(num_iters=2, method=method)
    expected = pipe(num_frames=FRAMES, height=16, width=16, **asked(5.0)).frames
    generator, made = rng(), SCHEDULERS["ddim"]()
    latents = pure_noise((1, 4, FRAMES, 8, 8), made, generator)
    network = Network(tiny.unet(), told(5.0))
    plan = FreeInitPlan(iterations=2, method=method)
    found = denoise_in_rounds(plan, network, made, lambda: timesteps_of(made, STEPS), latents, generator)
    assert tiny.relative(found, expected) <= 1e-5


@torch.no_grad()
@cases
def test_sparse_control(scheduler, scale):
    given = tiny.pictures(2, 5)
    pipe = stock(AnimateDiffSparseControlNetPipeline, scheduler, controlnet=tiny.sparse())
    expected = pipe(
        conditioning_frames=[Image.fromarray(frame) for frame in given],
        controlnet_frame_indices=[0, 3],
        controlnet_conditioning_scale=0.9,
        num_frames=FRAMES,
        height=16,
        width=16,
        **asked(scale),
    ).frames
    condition, known = torch.zeros(FRAMES, 3, 16, 16), torch.zeros(FRAMES, 1, 16, 16)
    condition[[0, 3]] = torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255
    known[[0, 3]] = 1

    def extra(sample_, made, frames, step, steps):
        return sparse_residuals(tiny.sparse(), sample_, made, condition[frames], known[frames], 0.9)

    generator, made = rng(), SCHEDULERS[scheduler]()
    timesteps = timesteps_of(made, STEPS)
    latents = pure_noise((1, 4, FRAMES, 8, 8), made, generator)
    found = denoise(Network(tiny.unet(), told(scale), extra=extra), made, timesteps, latents, generator)
    assert tiny.relative(found, expected) <= 1e-5


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
        height=16,
        width=16,
        pooled_prompt_embeds=pooled[0],
        negative_pooled_prompt_embeds=pooled[1],
        **asked(scale),
    ).frames
    sizes = torch.tensor([[16.0, 16, 0, 0, 16, 16]]).repeat(2 if scale > 1 else 1, 1)
    conditioning = told(scale, added={"time_ids": sizes})
    conditioning.positive.pooled = pooled[0]
    if conditioning.negative:
        conditioning.negative.pooled = pooled[1]
    generator, made = rng(), SCHEDULERS["ddim"]()
    timesteps = timesteps_of(made, STEPS)
    latents = pure_noise((1, 4, FRAMES, 8, 8), made, generator)
    found = denoise(Network(unet, conditioning), made, timesteps, latents, generator)
    assert tiny.relative(found, expected) <= 1e-5
