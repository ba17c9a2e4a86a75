"""Subject consistency as VBench defines it: does the figure stay the same one?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.flow import ONE_FRAME
from tasks.measure.vision import DINO, dino_reader

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="subject_consistency",
        about="Cosine of each frame's DINO features with those of the first frame and of the frame before.",
        aspect="steadiness",
        values=(Value("mean", "subject consistency (VBench)", "higher", 0, 1),),
        reference="Huang et al., VBench, CVPR 2024, arXiv 2311.17982; github.com/Vchitect/VBench; features of DINO "
        "ViT-B/16 (Caron et al., arXiv 2104.14294)",
        validated=False,
        torch=True,
    )
)


class SubjectConsistency(Config):
    """Settings of subject consistency: none, VBench's are used."""


@op(
    "measure",
    "subject_consistency",
    version=1,
    config=SubjectConsistency,
    inputs=("frames",),
    distributions=("timm", "torch", "numpy"),
    models=lambda cfg: [DINO],
    gives="measure",
)
def subject_consistency(cfg: SubjectConsistency, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over all frames but the first of half the sum of both cosines, negative ones counting 0.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    if clip.count < 2:
        return save(ctx.store, Result("subject_consistency", missing=ONE_FRAME))
    first = last = None
    series: list[float | None] = []
    with ctx.progress(total=clip.count, desc="subject_consistency") as bar:
        for now in dino_reader(ctx)(clip.frames()):
            series.append(None if first is None or last is None else likeness(first, last, now))
            first, last = now if first is None else first, now
            bar.update()
    seen = [value for value in series if value is not None]
    return save(ctx.store, Result("subject_consistency", {"mean": sum(seen) / len(seen)}, {"mean": series}))


def likeness(first: np.ndarray, last: np.ndarray, now: np.ndarray) -> float:
    """VBench's figure for one frame (0..1) from unit vectors `(D,)` of the first, the last and this frame."""
    return (min(1.0, max(0.0, float(first @ now))) + min(1.0, max(0.0, float(last @ now)))) / 2
