"""The op `wan_animate.place`: a clip without the person who is replaced in it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.config import Config
from reel.op import Context, op
from reel.work import Extent, Work, of_clip


class Place(Config):
    """It has no settings."""


def _work(cfg: Place, given: Mapping[str, Extent], ctx: Context) -> Work:
    return of_clip(given["frames"]) if "frames" in given else Work()


@op(
    "wan_animate",
    "place",
    version=1,
    config=Place,
    inputs=("frames", "mask"),
    distributions=("numpy", "opencv-python-headless"),
    work=_work,
)
def place(cfg: Place, inputs: Mapping[str, str], ctx: Context) -> str:
    """Frames ``(F, H, W, 3)``, black where the mask is white, as Wan-Animate was shown them."""
    clip, mask = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["mask"])
    with ClipWriter(ctx.store, "map", like=clip) as writer:
        for number in range(len(clip)):
            writer.add(np.where(mask.frame(number) >= 128, np.uint8(0), clip.frame(number)))
    return writer.digest
