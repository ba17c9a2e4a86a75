"""Dense optical flow between frames, and what the metrics that need it share. No weights: OpenCV's DIS."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from reel.clip import Clip

if TYPE_CHECKING:
    import numpy as np

Flow = Callable[["np.ndarray", "np.ndarray"], "np.ndarray"]
ONE_FRAME = "the clip has one frame: there is nothing to compare it with"


def estimator(fine: bool = False) -> Flow:
    """DIS optical flow at its medium preset (Kroeger et al., ECCV 2016, arXiv 1603.03590), as OpenCV has it.

    Args:
        fine: down to single pixels, three times as costly. The preset stops at half the size, which in small pictures
            is coarser than an arm.

    Returns:
        the function from two frames `(H, W, 3)` uint8 to the flow `(H, W, 2)` float32 px: the first frame's pixel at
        x lies at x + flow in the second.
    """
    import cv2
    import numpy as np

    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    if fine:
        dis.setFinestScale(0)

    def grey(frame: np.ndarray) -> np.ndarray:
        levels = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) + standing_texture(*frame.shape[:2])
        return np.clip(np.rint(levels), 0, 255).astype(np.uint8)

    return lambda first, second: dis.calc(grey(first), grey(second), None)


@functools.lru_cache(maxsize=2)
def standing_texture(height: int, width: int) -> np.ndarray:
    """A faint pattern `(H, W)` float32 that lies on every frame at the same place: deviation 2 of 255, 2 px coarse.

    A flat wall has nothing to tell movement by, so that an estimator follows its noise: on the embedded family's flat
    backdrops, whose pixels waver by half a level, DIS reports 3 px a frame. With the pattern such parts stand still.
    What has a texture of its own moves as before (3 % less where that is faint).
    """
    import cv2
    import numpy as np

    noise = np.random.default_rng(0).standard_normal((height, width)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2)
    return 2 * noise / max(float(noise.std()), 1e-6)


def warp(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The picture `(H, W, ...)` looked up at x + flow, bilinear; beyond the border its nearest pixel."""
    import cv2
    import numpy as np

    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def matched(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Pixels `(H, W)` bool that have a counterpart: the way there and back ends where it began, inside the frame.

    The bound is that of Sundaram et al. (ECCV 2010): |w + w'|^2 < 0.01 (|w|^2 + |w'|^2) + 0.5, w' looked up at x + w.
    """
    import numpy as np

    height, width = there.shape[:2]
    returned = warp(back, there)
    apart = ((there + returned) ** 2).sum(-1)
    allowed = 0.01 * ((there**2).sum(-1) + (returned**2).sum(-1)) + 0.5
    x = np.arange(width, dtype=np.float32) + there[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + there[..., 1]
    return (apart < allowed) & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def neighbours(clip: Clip) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each frame with the one after it, two in memory at a time."""
    return pairwise(clip.frames())
