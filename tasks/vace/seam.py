"""The op `vace.seam`: a window's frames after it has met the one before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.op import Context, op
from tasks.vace.settings import Blend


class Seam(Config):
    """How two windows meet."""

    overlap: int = Field(ge=1)
    """Frames that both have: the last of the earlier, the first of the later."""
    blend: Blend = "fade"


@op(
    "vace",
    "seam",
    version=1,
    config=Seam,
    inputs=("frames", "previous"),
    distributions=("numpy", "opencv-python-headless"),
    gives="frames",
)
def seam(cfg: Seam, inputs: Mapping[str, str], ctx: Context) -> str:
    """The later window's frames; those of the overlap are of both, or of the earlier one.

    Returns:
        digest of a clip of kind ``rgb``.
    """
    clip, before = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["previous"])
    earlier = np.stack(list(before.frames(len(before) - cfg.overlap)))
    later = np.stack(list(clip.frames(0, cfg.overlap)))
    change = matching(later, earlier) if cfg.blend == "match" else (np.float32(1), np.float32(0))
    with ClipWriter(ctx.store, "rgb", like=clip) as writer:
        for number in range(len(clip)):
            frame = clip.frame(number) * change[0] + change[1]
            if number < cfg.overlap:
                share = 0.0 if cfg.blend == "cut" else (number + 1) / (cfg.overlap + 1)
                frame = earlier[number] * (1 - share) + frame * share
            writer.add(np.clip(frame, 0, 255).round().astype(np.uint8))
    return writer.digest


def matching(later: np.ndarray, earlier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset of each colour channel by which frames ``(F, H, W, 3)`` get another clip's mean and deviation.

    A channel that is of one value everywhere is moved alone.
    """
    axes = (0, 1, 2)
    mean, deviation = later.mean(axes), later.std(axes)
    factor = np.where(deviation > 1e-3, earlier.std(axes) / np.maximum(deviation, 1e-3), 1.0)
    return factor.astype(np.float32), (earlier.mean(axes) - mean * factor).astype(np.float32)
