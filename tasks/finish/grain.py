"""Grain: what film stock adds to a picture, and what hides the banding of smooth, drawn areas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reel.config import Config, Field, Finite
from reel.op import Context, op
from tasks.finish.frames import drawn_anew

if TYPE_CHECKING:
    import numpy as np


class Grain(Config):
    """How much grain, and of what kind."""

    amount: Finite = Field(default=6.0, gt=0, le=60)
    """Standard deviation in the midtones, in 255ths; 3 is fine stock, 12 is coarse. Black and white get half of it."""
    size: Finite = Field(default=1.0, ge=0.5, le=4)
    """Width of the grains, px."""
    colour: Finite = Field(default=0.2, ge=0, le=1)
    """How far the three colours differ; 0: grey grain, as of black-and-white stock."""
    seed: int = Field(default=0, ge=0, lt=2**32)


@op("finish", "grain", version=1, config=Grain, inputs=("frames",), gives="frames",
    distributions=("numpy", "opencv-python-headless"))  # fmt: skip
def grain(cfg: Grain, inputs: Mapping[str, str], ctx: Context) -> str:
    """Every frame with grain of its own; the same settings and frames give the same grain."""
    return drawn_anew(inputs["frames"], ctx, lambda number, frame: grained(frame, cfg, number), "grain")


def grained(frame: np.ndarray, cfg: Grain, number: int) -> np.ndarray:
    """A frame ``(H, W, 3)`` uint8 with the grain of the frame of that number."""
    import cv2
    import numpy as np

    random = np.random.default_rng([cfg.seed, number])
    noise = random.standard_normal((*frame.shape[:2], 4), np.float32)
    if cfg.size > 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), cfg.size / 2)
        noise /= noise.std() or 1.0
    share = np.float32(cfg.colour)
    mixed = noise[..., 3:] * np.sqrt(1 - share**2) + noise[..., :3] * share
    levels = frame.astype(np.float32) / 255
    strength = 0.5 + 2 * levels * (1 - levels)  # a half at the ends, one in the middle
    return np.clip(np.rint(frame + cfg.amount * strength * mixed), 0, 255).astype(np.uint8)
