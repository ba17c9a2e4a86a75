"""The op `vace.noise`: what a window begins with, so that a frame has the same noise in every window that shows it.

The shared noise of FreeNoise (arXiv:2310.15169), without its shuffling: each frame of the film has noise of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from reel.config import Config, Field
from reel.op import Context, op
from tasks.networks import stored
from tasks.networks.work import LIBRARIES

CHANNELS, SIDE, STEP = 16, 8, 4
"""Of Wan2.1's latents: channels; px and frames of a cell, the first frame having cells of its own."""


class WindowNoise(Config):
    """Which part of a film's noise."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    width: int = Field(ge=SIDE)
    """px."""
    height: int = Field(ge=SIDE)
    """px."""
    frames: int = Field(ge=1)
    """Of the film."""
    first: int = Field(ge=0, multiple_of=STEP)
    """Of the window."""
    count: int = Field(ge=1)
    """Of the window."""
    pictures: int = Field(default=0, ge=0)
    """That stand before the frames of every window."""


@op("vace", "noise", version=1, config=WindowNoise, inputs=(), distributions=LIBRARIES, gives="latents")
def noise(cfg: WindowNoise, inputs: Mapping[str, str], ctx: Context) -> str:
    """Noise ``(1, 16, pictures + frames, h, w)`` of a window.

    Returns:
        digest of an object of kind ``latents``.
    """
    import torch

    whole = cfg.pictures + (cfg.frames - 1) // STEP + 1
    shape = (1, CHANNELS, whole, cfg.height // SIDE, cfg.width // SIDE)
    film = torch.randn(shape, generator=torch.Generator().manual_seed(cfg.seed))
    first = cfg.pictures + cfg.first // STEP
    own = film[:, :, first : first + (cfg.count - 1) // STEP + 1]
    latents = torch.cat([film[:, :, : cfg.pictures], own], dim=2)
    return stored.put(ctx.store, "latents", {"latents": latents}, stage="noise")
