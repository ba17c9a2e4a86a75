"""v-prediction targets and a small batched sampler for checks during training (renders use diffusers' pipelines)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.sprite.networks import LATENT_CHANNELS, MAX_TOKENS, build_scheduler

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDIMScheduler
    from transformers import CLIPTextModel, CLIPTokenizer


class Noising:
    """Noise levels of the family's scheduler."""

    def __init__(self) -> None:
        self.alphas = build_scheduler().alphas_cumprod  # (1000,)

    def mix(self, z: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Noisy latents and the v target for timesteps `t` `(B,)`: both of z's shape `(B, 8, h, w)`."""
        a = self.alphas.to(t.device)[t].view(-1, 1, 1, 1)
        return a.sqrt() * z + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z


def token_ids(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """`(B, 77)` int64, padded as the pipelines do."""
    batch = tokenizer(list(texts), padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
    return batch.input_ids


@dataclass
class Family:
    """The networks a check renders with."""

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    unet: nn.Module
    vae: AutoencoderKL
    scheduler: DDIMScheduler


@dataclass
class Control:
    """One ControlNet, its map `(B, 3, S, S)` in 0..1 and its weight.

    mask: `(B, S, S)` in 0..1, where it counts, as the render engine's masks do; None: everywhere.
    """

    net: nn.Module
    map: Tensor
    weight: float = 1.0
    mask: Tensor | None = None


@torch.no_grad()
def sample(family: Family, prompts: Sequence[str], controls: Sequence[Control] = (), *, steps: int = 16,
           guidance_scale: float = 4.0, seed: int = 0, negative_prompt: str = "") -> Tensor:  # fmt: skip
    """Single pictures, all prompts as one batch -> `(B, 3, S, S)` in -1..1, of the size that the UNet is made for.

    guidance_scale: 1 runs the UNet once a step, without the negative prompt.
    """
    scheduler, count = family.scheduler, len(prompts)
    scheduler.set_timesteps(steps)
    guided = guidance_scale != 1
    texts = [negative_prompt] * count * guided + list(prompts)
    device = next(family.unet.parameters()).device
    hidden = family.text_encoder(token_ids(family.tokenizer, texts).to(device)).last_hidden_state
    generator = torch.Generator().manual_seed(seed)
    cells = family.unet.config["sample_size"]
    z = torch.randn(count, LATENT_CHANNELS, cells, cells, generator=generator).to(device)
    for t in scheduler.timesteps:
        both = torch.cat([z, z]) if guided else z
        down, mid = residuals(both, t, hidden, controls)
        v = _v(family.unet, both, t, hidden, down, mid)
        if guided:
            plain, prompted = v.chunk(2)
            v = plain + guidance_scale * (prompted - plain)
        z = scheduler.step(v, t, z).prev_sample
    return torch.cat([family.vae.decode(part).sample for part in z.split(32)])


def _v(unet: nn.Module, z: Tensor, t: Tensor, hidden: Tensor, down: Any, mid: Any) -> Tensor:
    """One pass; for a network with motion modules each picture is a clip of one frame."""
    clip = "motion_max_seq_length" in unet.config
    given = z[:, :, None] if clip else z
    v: Tensor = unet(given, t, hidden, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
    return v[:, :, 0] if clip else v


def residuals(z: Tensor, t: Tensor, hidden: Tensor, controls: Sequence[Control]) -> tuple[Any, Any]:
    """Summed residuals of all controls of weight != 0 (None, None without any); maps are repeated for guidance."""
    down: Any = None
    mid: Any = None
    for control in controls:
        if control.weight == 0:
            continue
        maps = control.map.to(z.device).repeat(len(z) // len(control.map), 1, 1, 1)
        d, m = control.net(z, t, hidden, maps, conditioning_scale=control.weight, return_dict=False)
        if control.mask is not None:
            mask = control.mask.to(z.device).repeat(len(z) // len(control.map), 1, 1)[:, None]
            *d, m = (r * functional.interpolate(mask, size=tuple(r.shape[-2:]), mode="area") for r in (*d, m))
        down = d if down is None else [a + b for a, b in zip(down, d, strict=True)]
        mid = m if mid is None else mid + m
    return down, mid
