"""The op `stylize.blank`: what stands for encoded frames where a clip is drawn from noise alone."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from reel.config import Config, Field, Finite
from reel.op import Context, op
from reel.units import MOST_FRAMES
from tasks.networks import stored


class Blank(Config):
    """Size and times of a clip that has no source."""

    width: int = Field(ge=8, le=8192)
    """px."""
    height: int = Field(ge=8, le=8192)
    """px."""
    frames: int = Field(ge=1, le=MOST_FRAMES)
    """How many."""
    fps: Finite = Field(gt=0, le=240)
    """Frames a second."""


@op("stylize", "blank", version=1, config=Blank, inputs=(), gives="latents")
def blank(cfg: Blank, inputs: Mapping[str, str], ctx: Context) -> str:
    """Nothing but size and times: `stylize.denoise` begins with noise where it is given this.

    Returns:
        digest of an object of kind ``latents`` without any tensor.
    """
    return stored.put(
        ctx.store,
        "latents",
        {},
        stage="blank",
        width=cfg.width,
        height=cfg.height,
        count=cfg.frames,
        time_base=str(1 / Fraction(str(cfg.fps))),
        pts=list(range(cfg.frames)),
        color="bt709",
    )
