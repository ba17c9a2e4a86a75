"""Movement: how much happens in a film that was drawn from no other, and how much of it stands still."""

from __future__ import annotations

from collections.abc import Mapping

from reel.clip import Clip
from reel.config import Config, Field
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure import flow

MEASURE = declare(
    Measure(
        name="movement",
        about="Mean length of the optical flow, in hundredths of the frame's short side a second.",
        aspect="motion",
        values=(
            Value("amount", "movement", None, 0, None, "%/s"),
            Value("still", "share of frames that stand still", None, 0, 1),
        ),
        reference="own, with DIS optical flow; not VBench's dynamic degree, which takes RAFT's largest vectors",
    )
)


class Movement(Config):
    """Settings of the movement metric."""

    still: float = Field(default=0.05, ge=0)
    """Mean flow (px a frame) up to which a frame stands still."""


@op(
    "measure",
    "movement",
    version=1,
    config=Movement,
    inputs=("frames",),
    distributions=("numpy", "opencv-python-headless"),
    gives="measure",
)
def movement(cfg: Movement, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over all pairs of neighbouring frames, at the film's own rate."""
    import numpy as np

    clip = Clip.open(ctx.store, inputs["frames"])
    if clip.count < 2:
        return save(ctx.store, Result("movement", missing=flow.ONE_FRAME))
    estimate = flow.estimator()
    lengths = [float(np.hypot(*np.moveaxis(estimate(a, b), -1, 0)).mean()) for a, b in flow.neighbours(clip)]
    scale = 100 * float(clip.fps) / min(clip.width, clip.height)
    values = {"amount": scale * sum(lengths) / len(lengths), "still": float(np.mean(np.array(lengths) <= cfg.still))}
    return save(ctx.store, Result("movement", values, {"amount": [None, *(scale * one for one in lengths)]}))
