"""Line art without weights: what is darker than its blurred surroundings becomes a white line on black."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reel.config import Config, Field
from reel.op import Context, op
from tasks.preprocess.frames import map_frames


def lineart_map(frame: np.ndarray, sigma: float = 6.0, threshold: float = 8.0) -> np.ndarray:
    """The standard line-art map of ControlNet's annotators, at the frame's own size.

    At a short side of 512 px it equals controlnet_aux's `LineartStandardDetector` (Apache-2.0, after
    comfyui_controlnet_aux). Other sizes are not resampled to 512: the blur is scaled with the short side instead,
    which keeps lines as thick relative to the picture and takes a millisecond at 128 px.

    Args:
        frame: RGB `(H, W, 3)` uint8.
        sigma: of the Gaussian blur, in px at a short side of 512.
        threshold: intensity (0..255) above which a pixel counts when the contrast is normalised.

    Returns:
        `(H, W, 3)` uint8, lines bright (0..255) on black.
    """
    import cv2

    height, width = frame.shape[:2]
    picture = frame.astype(np.float32)
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma * min(height, width) / 512)
    darker = np.minimum.reduce([blurred[..., c] - picture[..., c] for c in range(3)]).clip(0, 255)
    strong = darker[darker > threshold]
    # Never below 16: in a frame without any line the noise must not be stretched into lines.
    level = max(16.0, float(np.median(strong))) if strong.size else 16.0
    lines = (darker * (127 / level)).clip(0, 255).astype(np.uint8)
    return cv2.merge([lines, lines, lines])


class LineartStandard(Config):
    """Settings of the weight-free line art."""

    sigma: float = Field(default=6.0, gt=0, le=50)
    """Blur (px at a short side of 512) that a pixel is compared with: larger finds broader lines and shadows."""
    threshold: float = Field(default=8.0, ge=0, le=255)
    """Intensity above which a pixel counts when the contrast is normalised (0..255)."""


@op(
    "preprocess",
    "lineart_standard",
    version=1,
    config=LineartStandard,
    inputs=("frames",),
    distributions=("opencv-python-headless", "numpy"),
)
def lineart_standard(cfg: LineartStandard, inputs: Mapping[str, str], ctx: Context) -> str:
    """Bright lines on black; see `lineart_map`."""
    return map_frames(
        inputs["frames"], ctx, lambda frame: lineart_map(frame, cfg.sigma, cfg.threshold), "lineart_standard"
    )
