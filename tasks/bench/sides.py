"""The same work by the engine and by diffusers' own pipeline, on the very same modules; each step's time is noted."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.bench.random_models import Models

GUIDANCE = 7.5
CONTROL = 0.8
"""Weight of every control."""


@dataclass(frozen=True)
class Work:
    """What is computed.

    Attributes:
        px: width and height of a frame.
        block: frames that the engine's spatial layers take at a time.
        window: frames that motion modules see together.
        overlap: frames that neighbouring windows share.
    """

    frames: int
    px: int
    steps: int
    dtype: str
    device: str
    block: int = 16
    window: int = 16
    overlap: int = 4


@dataclass
class Marks:
    """Wall and CPU seconds at the beginning and after every step, and the latents that came out ``(1, C, F, h, w)``."""

    device: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    latents: Any = None

    def __call__(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def since(self, step: int = 0) -> tuple[float, float]:
        """Wall and CPU seconds of the steps from ``step`` on."""
        return self.wall[-1] - self.wall[step], self.cpu[-1] - self.cpu[step]


def network(work: Work, models: Models, clock: Any = None, channels_last: bool = True) -> tuple[Any, Any]:
    """The engine's function of latents and time, and the latents that it begins from."""
    import numpy as np

    from tasks.stylize.engine.clock import Clock
    from tasks.stylize.engine.controls import Controls, ControlTrack
    from tasks.stylize.engine.network import Network
    from tasks.stylize.engine.prompts import Conditioning, TextTrack
    from tasks.stylize.engine.windows import WindowPlan

    latents, words, maps = inputs(work, models)
    told = Conditioning(
        TextTrack.constant(words[1:], work.frames),
        TextTrack.constant(words[:1], work.frames),
        np.full(work.frames, GUIDANCE),
        {},
    )
    tracks = [
        ControlTrack(f"control {number}", net, maps.__getitem__, np.full(work.frames, CONTROL))
        for number, net in enumerate(models.nets)
    ]
    made = Network(
        models.unet,
        told,
        Controls(tracks),
        WindowPlan(work.window, work.overlap),
        block=work.block,
        clock=clock or Clock(),
        channels_last=channels_last,
    )
    return made, latents


def engine(
    work: Work,
    models: Models,
    attention: str = "auto",
    compiled: bool = False,
    channels_last: bool = True,
    clock: Any = None,
) -> Marks:
    """All steps of the render engine."""
    made, latents = network(work, models, clock, channels_last)
    return engine_steps(work, made, latents, (models.unet, *models.nets), Marks(work.device), attention, compiled)


def engine_steps(
    work: Work,
    made: Any,
    latents: Any,
    modules: Sequence[Any],
    marks: Marks,
    attention: str = "auto",
    compiled: bool = False,
) -> Marks:
    """All steps of a `Network` of the engine, from latents ``(1, C, F, h, w)``.

    Args:
        modules: the models that it calls.
    """
    import torch
    from diffusers import DDIMScheduler

    from tasks.networks import kernels
    from tasks.stylize.engine.loop import denoise, timesteps_of

    scheduler = DDIMScheduler(clip_sample=False)
    timesteps = timesteps_of(scheduler, work.steps, device=work.device)
    with kernels.use_kernels(modules, attention, compiled):
        marks()
        marks.latents = denoise(made, scheduler, timesteps, latents.float(), torch.Generator(), tick=marks)
    return marks


def pipeline(work: Work, models: Models) -> Any:
    """The stock pipeline: with ControlNets where there are any."""
    from diffusers import (
        AnimateDiffVideoToVideoControlNetPipeline,
        AnimateDiffVideoToVideoPipeline,
        DDIMScheduler,
    )

    parts = {
        "vae": small_vae(work, models),
        "text_encoder": None,
        "tokenizer": None,
        "unet": models.unet,
        "motion_adapter": models.adapter,
        "scheduler": DDIMScheduler(clip_sample=False),
    }
    if models.nets:
        nets = models.nets if len(models.nets) > 1 else models.nets[0]
        pipe = AnimateDiffVideoToVideoControlNetPipeline(controlnet=nets, **parts)
    else:
        pipe = AnimateDiffVideoToVideoPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def small_vae(work: Work, models: Models) -> Any:
    """A VAE that a pipeline asks for sizes: it computes nothing here."""
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        latent_channels=models.channels,
    )
    return vae.to(work.device, getattr(torch, work.dtype))


def stock(work: Work, models: Models, pipe: Any, free_noise: bool = False) -> Marks:
    """All steps of the pipeline, as `stock_steps` marks them."""
    latents, words, maps = inputs(work, models)
    with _free_noise(pipe, work, words) if free_noise else contextlib.nullcontext():
        told = {"latents": latents, "strength": 1.0, **_controlled(maps, len(models.nets))}
        return stock_steps(work, pipe, words, Marks(work.device), **told)


def stock_steps(work: Work, pipe: Any, words: Any, marks: Marks, **told: Any) -> Marks:
    """All steps of a pipeline's call, from the first scaling of its latents to the end of the last step.

    Args:
        words: embeddings ``(2, 77, D)``, the negative one first.
        told: further arguments of the call.
    """
    scale = pipe.scheduler.scale_model_input

    def begin(*given: Any, **named: Any) -> Any:
        if not marks.wall:
            marks()
        return scale(*given, **named)

    def tick(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        marks()
        return values

    pipe.scheduler.scale_model_input = begin
    try:
        marks.latents = pipe(
            num_inference_steps=work.steps,
            guidance_scale=GUIDANCE,
            height=work.px,
            width=work.px,
            output_type="latent",
            callback_on_step_end=tick,
            prompt=None,
            prompt_embeds=words[1:],
            negative_prompt_embeds=words[:1],
            **told,
        ).frames
    finally:
        pipe.scheduler.scale_model_input = scale
    return marks


def _controlled(maps: Any, count: int) -> dict[str, Any]:
    from PIL import Image

    if not count:
        return {}
    pictures = [Image.fromarray(frame) for frame in maps]
    if count == 1:
        return {"conditioning_frames": pictures, "controlnet_conditioning_scale": CONTROL}
    return {"conditioning_frames": [pictures] * count, "controlnet_conditioning_scale": [CONTROL] * count}


@contextlib.contextmanager
def _free_noise(pipe: Any, work: Work, words: Any) -> Iterator[None]:
    """Long clips as diffusers does them (FreeNoise, arXiv:2310.15169), with its own stride of 4 frames."""
    pipe.enable_free_noise(context_length=work.window)
    every = words.repeat_interleave(work.frames, dim=0)  # one prompt a frame, negative ones first
    pipe._encode_prompt_free_noise = lambda **given: (every, None)  # it takes texts alone
    try:
        yield
    finally:  # its `disable_free_noise` stumbles over a middle without motion modules
        for block in (*pipe.unet.down_blocks, *pipe.unet.up_blocks):
            pipe._disable_free_noise_in_block(block)


def inputs(work: Work, models: Models) -> tuple[Any, Any, Any]:
    """Latents ``(1, C, F, h, w)``, embeddings ``(2, 77, D)`` and maps ``(F, H, W, 3)``, in a file like those of a
    render."""
    import numpy as np
    import torch

    generator, dtype = torch.Generator().manual_seed(0), getattr(torch, work.dtype)
    side = work.px // 8
    latents = torch.randn(1, models.channels, work.frames, side, side, generator=generator).to(work.device, dtype)
    text = torch.randn(2, 77, models.words, generator=generator).to(work.device, dtype)
    rng, shape = np.random.default_rng(0), (work.px, work.px, 3)
    with tempfile.TemporaryFile() as file:
        maps = np.memmap(file, np.uint8, "w+", shape=(work.frames, *shape))
    for frame in range(work.frames):
        maps[frame] = rng.integers(0, 256, shape, dtype=np.uint8)
    return latents, text, maps
