"""Pictures to latents and back, chunk by chunk: memory does not grow with the clip."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reel.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch


STRIDE = 8
"""px of a picture's side to one of its latents, in every VAE of these families."""


def encode_chunk(vae: Any, pictures: np.ndarray, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the latents, not yet scaled.

    They are kept instead of a sample, so that another seed needs no new encoding.

    Args:
        pictures: ``(N, H, W, 3)`` uint8 RGB.
        device: where the VAE computes; its weights may lie elsewhere until then.

    Returns:
        two tensors ``(N, C, h, w)`` float32 on the CPU.
    """
    import torch

    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    values = (2 * values - 1).to(device, vae.dtype)
    known = vae.encode(values).latent_dist
    return known.mean.float().cpu(), known.std.float().cpu()


def sample(mean: torch.Tensor, std: torch.Tensor, chunk: int, generator: torch.Generator) -> torch.Tensor:
    """Latents ``(F, C, h, w)`` drawn from the encoder's distribution, in the chunks in which it was computed.

    Chunk by chunk, because diffusers draws so, and the same seed shall give the same latents here.
    """
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    parts = []
    for start in range(0, len(mean), chunk):
        m, s = mean[start : start + chunk], std[start : start + chunk]
        parts.append(m + s * randn_tensor(m.shape, generator=generator, device=m.device, dtype=m.dtype))
    return torch.cat(parts)


def decode_chunk(vae: Any, latents: torch.Tensor, device: str = "cpu", channels_last: bool = False) -> np.ndarray:
    """Pictures ``(N, H, W, 3)`` uint8 RGB of scaled latents ``(N, C, h, w)``.

    Args:
        device: where the VAE computes; its weights may lie elsewhere until then.
        channels_last: the decoder works on pictures with their channels side by side in memory.

    Raises:
        UserError: values that are not numbers came out.
    """
    import numpy as np
    import torch

    unscaled = (latents / vae.config.scaling_factor).to(device, vae.dtype)
    if channels_last:
        unscaled = unscaled.contiguous(memory_format=torch.channels_last)
    values = (vae.decode(unscaled).sample.float() / 2 + 0.5).clamp(0, 1)
    if not bool(torch.isfinite(values).all()):
        raise UserError(
            f"decoding gave values that are not numbers ({str(vae.dtype).removeprefix('torch.')} overflowed)",
            fix="compute.dtype=float32 or bfloat16, or a VAE made for float16",
        )
    return (values.permute(0, 2, 3, 1).cpu().numpy() * 255).round().astype(np.uint8)


@contextlib.contextmanager
def upcast(vae: Any) -> Iterator[Any]:
    """A VAE that overflows in half precision, in float32 for the time being; others as they are."""
    import torch

    dtype = vae.dtype
    if not vae.config.force_upcast or dtype == torch.float32:
        yield vae
        return
    vae.to(torch.float32)
    try:
        yield vae
    finally:
        vae.to(dtype)


@contextlib.contextmanager
def tiled(vae: Any, on: bool) -> Iterator[None]:
    """Tiling for this call only: the VAE is shared with later ones."""
    if on:
        vae.enable_tiling()
    try:
        yield
    finally:
        if on:
            vae.disable_tiling()
