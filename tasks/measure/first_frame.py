"""First frame: how near the film comes to the pictures that it is held to, at the very frames where they were given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.pairs import check_pair

if TYPE_CHECKING:
    import numpy as np

SAME = 100.0
"""dB that are said of two equal pictures."""
MEASURE = declare(
    Measure(
        name="first_frame",
        about="Peak signal-to-noise ratio of a film's frames to the pictures that were given for them.",
        aspect="character",
        values=(
            Value("psnr", "first frame to its picture", "higher", 0, SAME, "dB"),
            Value("worst", "the picture that is met worst", "higher", 0, SAME, "dB"),
        ),
        reference="own: PSNR over all pixels and channels, 255 being the peak",
    )
)


class FirstFrame(Config):
    """Settings of the metric: it has none."""


@op(
    "measure",
    "first_frame",
    version=1,
    config=FirstFrame,
    inputs=("frames", "map_pictures"),
    distributions=("numpy", "opencv-python-headless"),
    gives="measure",
)
def first_frame(cfg: FirstFrame, inputs: Mapping[str, str], ctx: Context) -> str:
    """A number at each frame that has a picture, None elsewhere.

    Raises:
        UserError: film and pictures differ in size or length.
    """
    clip, given = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["map_pictures"])
    check_pair("first_frame", clip, given)
    at = sorted(given.meta["keys"])
    series: list[float | None] = [None] * clip.count
    for number in at:
        series[number] = psnr(clip.frame(number), given.frame(number))
    found = [value for value in series if value is not None]
    values = {"worst": min(found), **({"psnr": found[0]} if at[0] == 0 else {})}
    return save(ctx.store, Result("first_frame", values, {"psnr": series}))


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """dB of two frames ``(H, W, 3)`` uint8."""
    import numpy as np

    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return SAME if error == 0 else min(SAME, 10 * math.log10(255**2 / error))
