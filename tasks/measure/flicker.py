"""Flicker: what changes between frames that movement does not explain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure import flow

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="flicker",
        about="Mean colour difference of each frame and the one before, moved along the optical flow between them.",
        aspect="steadiness",
        values=(
            Value("mean", "flicker", "lower", 0, 255, "/255"),
            Value("matched", "pixels with a counterpart", None, 0, 1),
        ),
        reference="warping error of Lai et al., ECCV 2018 (arXiv 1808.00449), with the render's own DIS flow",
    )
)

SMALL = 256  # px, short side up to which the flow is followed down to single pixels


class Flicker(Config):
    """Settings of the flicker metric."""

    occlusion_check: bool = True
    """Leave out pixels whose flow forth and back does not end where it began: they were hidden a frame ago."""


@op(
    "measure",
    "flicker",
    version=1,
    config=Flicker,
    inputs=("frames",),
    distributions=("numpy", "opencv-python-headless"),
    gives="measure",
)
def flicker(cfg: Flicker, inputs: Mapping[str, str], ctx: Context) -> str:
    """See `warped_difference`; a frame in which no pixel has a counterpart (a cut) counts for nothing."""
    clip = Clip.open(ctx.store, inputs["frames"])
    if clip.count < 2:
        return save(ctx.store, Result("flicker", missing=flow.ONE_FRAME))
    estimate = flow.estimator(fine=min(clip.width, clip.height) <= SMALL)
    differences: list[float | None] = [None]
    shares: list[float | None] = [None]
    with ctx.progress(total=clip.count - 1, desc="flicker") as bar:
        for before, after in flow.neighbours(clip):
            difference, share = warped_difference(before, after, estimate, cfg.occlusion_check)
            differences.append(difference)
            shares.append(share)
            bar.update()
    seen = [value for value in differences if value is not None]
    if not seen:
        return save(ctx.store, Result("flicker", missing="no pixel of any frame is to be found in the frame before"))
    values = {"mean": sum(seen) / len(seen), "matched": sum(shares[1:]) / (clip.count - 1)}  # type: ignore[arg-type]
    return save(ctx.store, Result("flicker", values, {"mean": differences, "matched": shares}))


def warped_difference(
    before: np.ndarray, after: np.ndarray, estimate: flow.Flow, occlusion_check: bool = True
) -> tuple[float | None, float]:
    """How much of the change from one frame to the next is not movement.

    Args:
        before, after: frames `(H, W, 3)` uint8.

    Returns:
        mean absolute difference over pixels and channels (0..255) of `after` and of `before` warped to it, None when
        no pixel counts; and the share of pixels that count.
    """
    import cv2
    import numpy as np

    there = estimate(after, before)
    difference = cv2.absdiff(flow.warp(before, there), after)
    if not occlusion_check:
        return float(difference.mean()), 1.0
    counts = flow.matched(there, estimate(before, after))
    return (float(difference[counts].mean()) if counts.any() else None), float(np.mean(counts))
