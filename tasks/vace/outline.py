"""The op `vace.outline`: where a clip is drawn anew, if its place stays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.op import Context, op
from reel.pose import Poses
from reel.units import PixelLength
from tasks.stylize.engine.masks import MaskPlan, region_mask


class Outline(Config):
    """The people of a clip."""

    dilate: PixelLength = Field(default=8, ge=0, le=512)
    """px by which their outlines grow."""


@op(
    "vace",
    "outline",
    version=1,
    config=Outline,
    inputs=("frames", "poses"),
    distributions=("numpy", "opencv-python-headless"),
)
def outline(cfg: Outline, inputs: Mapping[str, str], ctx: Context) -> str:
    """A mask ``(F, H, W, 3)``: white where people are, black where the frames stay."""
    clip, poses = Clip.open(ctx.store, inputs["frames"]), Poses.open(ctx.store, inputs["poses"])
    plan = MaskPlan("person", cfg.dilate)
    with ClipWriter(ctx.store, "map", like=clip) as writer:
        for number in range(len(clip)):
            inside = region_mask(plan, clip.width, clip.height, outline=poses.mask(number)) >= 0.5
            writer.add(np.repeat(inside[..., None].astype(np.uint8) * 255, 3, axis=-1))
    return writer.digest
