"""Key pictures: how much changes from one to the next, and so how alike pictures of one noise and changed words are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op

if TYPE_CHECKING:
    import numpy as np

SEEN = 8
"""255ths by which a channel of a pixel must differ to count as changed: less is a VAE's noise."""
MEASURE = declare(
    Measure(
        name="key_pictures",
        about="How much differs between the pictures that a clip was given, from each to the next.",
        aspect="character",
        values=(
            Value("changed", "share of pixels that change to the next picture", None, 0, 1),
            Value("most", "the same of the two that differ most", None, 0, 1),
            Value("difference", "mean difference to the next picture", None, 0, 255, "/255"),
        ),
        reference=f"own: a pixel counts as changed where a channel differs by more than {SEEN} of 255",
    )
)


class KeyPictures(Config):
    """Settings of the metric: it has none."""


@op("measure", "key_pictures", version=1, config=KeyPictures, inputs=("map_pictures",),
    distributions=("numpy", "opencv-python-headless"), gives="measure")  # fmt: skip
def key_pictures(cfg: KeyPictures, inputs: Mapping[str, str], ctx: Context) -> str:
    """Of a clip that shows the pictures, `tasks.animate.shown`, or of one that holds nothing else."""
    clip = Clip.open(ctx.store, inputs["map_pictures"])
    at = sorted(clip.meta.get("keys", range(clip.count)))
    if len(at) < 2:
        return save(ctx.store, Result("key_pictures", missing="there is one picture"))
    return save(ctx.store, Result("key_pictures", changes([clip.frame(number) for number in at])))


def changes(pictures: Sequence[np.ndarray]) -> dict[str, float]:
    """The metric's values for pictures ``(H, W, 3)`` uint8, two or more."""
    import numpy as np

    pairs = itertools.pairwise(one.astype(np.int16) for one in pictures)
    steps = [np.abs(b - a) for a, b in pairs]  # (H, W, 3) each
    shares = [float((step.max(axis=2) > SEEN).mean()) for step in steps]
    return {
        "changed": float(np.mean(shares)),
        "most": max(shares),
        "difference": float(np.mean([step.mean() for step in steps])),
    }
