"""Clips of the family through diffusers' own LTXConditionPipeline, several at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.sprite.ltx.motions import CLIP_FRAMES

if TYPE_CHECKING:
    from torch import Tensor

FPS = 12
TOKENS = 64  # of a prompt: padding costs time and changes nothing


@dataclass(frozen=True)
class Pictures:
    """One picture for each clip of a batch `(B, H, W, 3)` uint8, the frame it stands at, its strength."""

    frames: np.ndarray
    index: int = 0
    strength: float = 1.0


@dataclass(frozen=True)
class Sampling:
    """How clips are made."""

    steps: int = 8
    guidance: float = 1.0
    frames: int = CLIP_FRAMES
    fps: int = FPS


def render(
    pipe: Any, prompts: Sequence[str], pictures: Sequence[Pictures], sampling: Sampling, seed: int
) -> np.ndarray:
    """Clips `(B, F, H, W, 3)` uint8; the first of `pictures` gives the size."""
    frames = _call(pipe, prompts, pictures, sampling, seed, "np")
    return np.asarray(frames * 255).round().astype(np.uint8)


def render_latents(
    pipe: Any, prompts: Sequence[str], pictures: Sequence[Pictures], sampling: Sampling, seed: int
) -> Tensor:
    """As `render`, the normalised latents `(B, C, f, h, w)` alone."""
    latents: Tensor = _call(pipe, prompts, pictures, sampling, seed, "latent")
    return latents


def first_noise(pipe: Any, shape: Sequence[int], seed: int) -> Tensor:
    """The noise `(B, C, f, h, w)` that `render_latents` starts from: the pipeline's first draw."""
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    noise: Tensor = randn_tensor(tuple(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    return noise


def _call(pipe: Any, prompts: Sequence[str], pictures: Sequence[Pictures], sampling: Sampling, seed: int,
          kind: str) -> Any:  # fmt: skip
    import torch
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
    from PIL import Image

    height, width = pictures[0].frames.shape[1:3]
    conditions = [LTXVideoCondition(image=[Image.fromarray(frame) for frame in given.frames], frame_index=given.index,
                                    strength=given.strength) for given in pictures]  # fmt: skip
    return pipe(
        conditions=conditions, prompt=list(prompts), negative_prompt="", height=height, width=width,
        num_frames=sampling.frames, frame_rate=sampling.fps, num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance, generator=torch.Generator().manual_seed(seed), output_type=kind,
        max_sequence_length=TOKENS,
    ).frames  # fmt: skip
