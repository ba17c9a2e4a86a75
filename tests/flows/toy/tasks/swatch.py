"""Draw a square that wanders over a plain ground: an op that needs no model and no source."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from reel.clip import ClipWriter
from reel.config import Config, Field
from reel.op import Context, op
from reel.work import Extent, of_clip


class Swatch(Config):
    """What is drawn."""

    colour: str = Field("#3355ff", pattern=r"^#[0-9a-f]{6}$")
    """Of the square, as #rrggbb."""
    frames: int = Field(6, ge=1, le=100)
    """How many frames."""
    seed: int = 0
    """Where the square begins."""


@op(
    "swatch",
    "swatch",
    version=1,
    config=Swatch,
    inputs=(),
    distributions=("numpy",),
    gives="frames",
    work=lambda cfg, given, ctx: of_clip(Extent(cfg.frames, 64, 64)),
)
def swatch(cfg: Swatch, inputs: Mapping[str, str], ctx: Context) -> str:
    """Frames of 64x64 px at 8 fps."""
    import numpy as np

    colour = [int(cfg.colour[place : place + 2], 16) for place in (1, 3, 5)]
    with ClipWriter(ctx.store, "rgb", width=64, height=64, time_base=Fraction(1, 8)) as writer:
        for number in range(cfg.frames):
            frame = np.full((64, 64, 3), 230, np.uint8)
            left = (8 * cfg.seed + 4 * number) % 48
            frame[24:40, left : left + 16] = colour
            writer.add(frame, number)
    return writer.digest
