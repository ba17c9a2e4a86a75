"""Motion: how much moves, how much of the source's movement is kept, and how evenly it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config, Field
from reel.errors import UserError
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure import flow

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="motion",
        about="Mean length of the optical flow, against the source's, and how much it changes along a pixel's way.",
        aspect="motion",
        values=(
            Value("kept", "movement kept", "higher", 0, 1),
            Value("amount", "movement", None, 0, None, "% of the short side a second"),
            Value("roughness", "roughness of movement", "lower", 0, 2),
        ),
        reference="own, on DIS optical flow (Kroeger et al., arXiv 1603.03590); not VBench's dynamic degree or motion "
        "smoothness, which are defined by RAFT and by a frame interpolator",
    )
)


class Motion(Config):
    """Settings of the motion metric."""

    still: float = Field(0.05, gt=0, le=5)
    """Flow (px a frame) that counts as standing still: a clip that moves less on average is not called rough."""


@op(
    "measure",
    "motion",
    version=1,
    config=Motion,
    inputs=("frames", "original"),
    distributions=("numpy", "opencv-python-headless"),
    gives="measure",
)
def motion(cfg: Motion, inputs: Mapping[str, str], ctx: Context) -> str:
    """Amount, its ratio to the source's (the smaller of it and its inverse), and roughness.

    Raises:
        UserError: render and source differ in their number of frames.
    """
    clip, original = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["original"])
    if clip.count != original.count:
        raise UserError(f"measure.motion: the render has {clip.count} frames, the source {original.count}")
    if clip.count < 2:
        return save(ctx.store, Result("motion", missing=flow.ONE_FRAME))
    with ctx.progress(total=2 * (clip.count - 1), desc="motion") as bar:
        lengths, changes = [], []
        last: np.ndarray | None = None
        for current in _flows(clip):
            lengths.append(_length(current))
            if last is not None:
                changes.append(_length(flow.warp(current, last) - last))
            last = current
            bar.update()
        wanted = []
        for current in _flows(original):
            wanted.append(_length(current))
            bar.update()
    mean, wanted_mean = sum(lengths) / len(lengths), sum(wanted) / len(wanted)
    per_second = 100 * float(clip.fps)
    values = {
        "amount": mean / min(clip.width, clip.height) * per_second,
        "kept": kept(mean / min(clip.width, clip.height), wanted_mean / min(original.width, original.height)),
    }
    if changes:
        values["roughness"] = min(2.0, sum(changes) / len(changes) / max(mean, cfg.still))
    short = min(clip.width, clip.height)
    series = {"amount": [None, *(length / short * per_second for length in lengths)]}
    return save(ctx.store, Result("motion", values, series))


def _flows(clip: Clip) -> Iterator[np.ndarray]:
    estimate = flow.estimator()
    return (estimate(before, after) for before, after in flow.neighbours(clip))


def _length(vectors: np.ndarray) -> float:
    """Mean length (px) of vectors `(H, W, 2)`."""
    import numpy as np

    return float(np.hypot(vectors[..., 0], vectors[..., 1]).mean())


def kept(render: float, source: float) -> float:
    """1 where both move equally much, 0.5 where one moves twice as much as the other; 1 where neither moves."""
    less, more = sorted((render, source))
    return less / more if more > 0 else 1.0
