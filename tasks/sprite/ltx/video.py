"""Frames as the video autoencoder takes them, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import AutoencoderKLLTXVideo


def to_video(frames: np.ndarray) -> Tensor:
    """`(B, F, H, W, 3)` uint8 -> `(B, 3, F, H, W)` float in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1)


def to_frames(video: Tensor) -> np.ndarray:
    """The reverse of `to_video`, clipped."""
    whole = video.detach().clamp(-1, 1).add(1).mul(127.5).round().byte()
    return whole.permute(0, 2, 3, 4, 1).contiguous().numpy()


@torch.no_grad()
def encode(vae: AutoencoderKLLTXVideo, frames: np.ndarray, batch: int = 4) -> Tensor:
    """Normalised latent means `(B, C, f, H/16, W/16)` of clips `(B, F, H, W, 3)` uint8, as the pipelines scale them."""
    parts = [vae.encode(to_video(frames[i : i + batch])).latent_dist.mean for i in range(0, len(frames), batch)]
    return (torch.cat(parts) - _column(vae.latents_mean)) / _column(vae.latents_std)


@torch.no_grad()
def decode(vae: AutoencoderKLLTXVideo, latents: Tensor, batch: int = 4) -> np.ndarray:
    """Clips `(B, F, H, W, 3)` uint8 of normalised latents."""
    z = latents * _column(vae.latents_std) + _column(vae.latents_mean)
    return np.concatenate([to_frames(vae.decode(part).sample) for part in z.split(batch)])


@torch.no_grad()
def normalise(vae: AutoencoderKLLTXVideo, frames: np.ndarray) -> None:
    """Set `latents_mean` and `latents_std` so that latents of such clips `(B, F, H, W, 3)` have mean 0 in every channel
    and variance 1 over all of them.

    A channel keeps the root of its deviation. The encoder's deviations differ sixtyfold, as much as what they do for
    the picture: with 1 each, what hardly shows would be most of what the transformer learns.
    """
    vae.latents_mean.zero_()
    vae.latents_std.fill_(1)
    z = encode(vae, frames)
    vae.latents_mean.copy_(z.mean((0, 2, 3, 4)))
    deviation = z.std((0, 2, 3, 4)).clamp(min=1e-3)
    vae.latents_std.copy_((deviation * deviation.mean()).sqrt())


def _column(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1, 1)


def frames_psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """dB of each picture of `(..., H, W, 3)` uint8 against its counterpart; 60 for equal ones."""
    square = (a.astype(np.float32) - b.astype(np.float32)) ** 2
    return np.asarray(10 * np.log10(255**2 / np.maximum(square.mean((-3, -2, -1)), 255**2 * 1e-6)))
