"""Canny edges: no weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import model_validator

from reel.config import Config, Field
from reel.op import Context, op
from tasks.preprocess.frames import map_frames


class Canny(Config):
    """Settings of the Canny edge detector, which works at the frame's own size."""

    low_threshold: int = Field(default=100, ge=0, le=2000)
    """Gradient above which a pixel may continue an edge (sum of |dx| and |dy| of 8-bit values)."""
    high_threshold: int = Field(default=200, ge=0, le=2000)
    """Gradient above which a pixel starts an edge. Lower thresholds give more edges."""

    @model_validator(mode="after")
    def _ordered(self) -> Canny:
        if self.low_threshold > self.high_threshold:
            raise ValueError(f"low_threshold {self.low_threshold} must be <= high_threshold {self.high_threshold}")
        return self


@op(
    "preprocess",
    "canny",
    version=1,
    config=Canny,
    inputs=("frames",),
    distributions=("opencv-python-headless", "numpy"),
)
def canny(cfg: Canny, inputs: Mapping[str, str], ctx: Context) -> str:
    """Edges one pixel wide, white on black (Canny, 1986; OpenCV's)."""
    return map_frames(inputs["frames"], ctx, lambda frame: canny_map(frame, cfg), "canny")


def canny_map(frame: np.ndarray, cfg: Canny) -> np.ndarray:
    """Edges of one frame `(H, W, 3)` uint8 RGB, as the same shape."""
    import cv2

    edges = cv2.Canny(frame, cfg.low_threshold, cfg.high_threshold)
    return cv2.merge([edges, edges, edges])
