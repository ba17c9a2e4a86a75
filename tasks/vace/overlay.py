"""The op `vace.overlay`: the maps of several controls drawn into one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.op import Context, op

DRAWN = 8
"""Brightness of a channel (0 to 255) from which a map covers what lies beneath: skeletons and lines stand on black."""


class Overlay(Config):
    """Which maps, and what covers what."""

    order: list[str] = Field(min_length=2)
    """Names of the controls, the last on top."""


@op(
    "vace",
    "overlay",
    version=1,
    config=Overlay,
    inputs=("map_*",),
    distributions=("numpy", "opencv-python-headless"),
)
def overlay(cfg: Overlay, inputs: Mapping[str, str], ctx: Context) -> str:
    """One map ``(F, H, W, 3)``: each covers the earlier ones where something is drawn in it."""
    below, *above = (Clip.open(ctx.store, inputs[f"map_{name}"]) for name in cfg.order)
    with ClipWriter(ctx.store, "map", like=below) as writer:
        for number in range(len(below)):
            frame = below.frame(number)
            for clip in above:
                frame = covered(frame, clip.frame(number))
            writer.add(frame)
    return writer.digest


def covered(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """A map ``(H, W, 3)`` uint8 with another one over it."""
    return np.where((above >= DRAWN).any(axis=-1, keepdims=True), above, below)
