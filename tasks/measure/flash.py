"""Flash: frames that are lighter, darker or of other colours than every picture that the clip was given.

SparseCtrl is known for it: frames beside a given picture flash, frames far from one turn dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.pairs import check_pair

if TYPE_CHECKING:
    import numpy as np

LUMA = (0.2126, 0.7152, 0.0722)
"""Shares of red, green and blue in luminance, BT.709."""
MEASURE = declare(
    Measure(
        name="flash",
        about="How far the mean of any frame lies outside what the given pictures span, after colours were matched and "
        "before.",
        aspect="steadiness",
        values=(
            Value("luminance", "luminance outside the pictures'", "lower", 0, 255, "/255"),
            Value("colour", "a channel outside the pictures'", "lower", 0, 255, "/255"),
            Value("luminance_before", "luminance before matching", "lower", 0, 255, "/255"),
            Value("colour_before", "a channel before matching", "lower", 0, 255, "/255"),
        ),
        reference="own: means of whole frames against the least and the greatest mean of the given pictures",
    )
)


class Flash(Config):
    """Settings of the metric: it has none."""


@op("measure", "flash", version=1, config=Flash, inputs=("frames", "map_pictures", "map_unmatched"),
    distributions=("numpy", "opencv-python-headless"), gives="measure")  # fmt: skip
def flash(cfg: Flash, inputs: Mapping[str, str], ctx: Context) -> str:
    """The worst frame's, and a number for each frame.

    Inputs: ``map_pictures`` shows the pictures (`tasks.animate.shown`); ``map_unmatched``, where colours were matched:
    the frames before that.

    Raises:
        UserError: film and pictures differ in size or length.
    """
    clip, given = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["map_pictures"])
    check_pair("flash", clip, given)
    known = means(given, sorted(given.meta["keys"]))
    luminance, colour = outside(means(clip), known)
    before = (luminance, colour)
    if "map_unmatched" in inputs:
        before = outside(means(Clip.open(ctx.store, inputs["map_unmatched"])), known)
    values = {
        "luminance": max(luminance),
        "colour": max(colour),
        "luminance_before": max(before[0]),
        "colour_before": max(before[1]),
    }
    series = {"luminance": luminance, "colour": colour, "luminance_before": before[0], "colour_before": before[1]}
    return save(ctx.store, Result("flash", values, {name: list(one) for name, one in series.items()}))


def means(clip: Clip, frames: list[int] | None = None) -> np.ndarray:
    """(N, 3) mean of each channel of some frames, or of all."""
    import numpy as np

    numbers = range(clip.count) if frames is None else frames
    return np.array([clip.frame(number).reshape(-1, 3).mean(axis=0) for number in numbers])


def outside(frames: np.ndarray, known: np.ndarray) -> tuple[list[float], list[float]]:
    """How far each frame's mean luminance, and its farthest channel, lies outside what the pictures' means span.

    Args:
        frames: (F, 3) means; ``known``: (P, 3), the pictures'.
    """
    import numpy as np

    def beyond(values: np.ndarray, span: np.ndarray) -> np.ndarray:
        return np.maximum(0, np.maximum(span.min(axis=0) - values, values - span.max(axis=0)))

    weights = np.array(LUMA)
    return beyond(frames @ weights, known @ weights).tolist(), beyond(frames, known).max(axis=1).tolist()
