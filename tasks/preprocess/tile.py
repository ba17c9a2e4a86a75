"""The frame itself as a control, blurred or not: it keeps colours and large shapes. No weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reel.config import Config, Field
from reel.op import Context, op
from tasks.preprocess.frames import map_frames


class Tile(Config):
    """Settings of the tile map."""

    downscale: int = Field(default=8, ge=1, le=32)
    """The frame is shrunk by this factor and enlarged again: 1 keeps it as it is, 8 leaves blurred patches of colour
    and gives the model more freedom."""


@op(
    "preprocess",
    "tile",
    version=1,
    config=Tile,
    inputs=("frames",),
    distributions=("opencv-python-headless", "numpy"),
)
def tile(cfg: Tile, inputs: Mapping[str, str], ctx: Context) -> str:
    """A map for ControlNet's tile model, which was trained to repaint what a low resolution has lost."""
    return map_frames(inputs["frames"], ctx, lambda frame: tile_map(frame, cfg.downscale), "tile")


def tile_map(frame: np.ndarray, downscale: int) -> np.ndarray:
    """One frame `(H, W, 3)` uint8 without what is finer than `downscale` px."""
    import cv2

    if downscale == 1:
        return frame
    height, width = frame.shape[:2]
    small = cv2.resize(frame, (max(1, width // downscale), max(1, height // downscale)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
