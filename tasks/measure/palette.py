"""Palette: do the colours stay those of the first frame? Consistency without any weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config, Field
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.flow import ONE_FRAME

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="palette",
        about="Likeness of each frame's colours to those of the first frame and of the frame before.",
        aspect="steadiness",
        values=(Value("consistency", "colours kept over time", "higher", 0, 1),),
        reference="own: Bhattacharyya coefficient of colour histograms (Comaniciu et al., IEEE TPAMI 25(5), 2003); "
        "blind to shapes, so no substitute for subject_consistency",
    )
)


class Palette(Config):
    """Settings of the palette metric."""

    bins: int = Field(16, ge=2, le=32)
    """Bins of each of the three axes of CIELAB."""


@op(
    "measure",
    "palette",
    version=1,
    config=Palette,
    inputs=("frames",),
    distributions=("numpy", "opencv-python-headless", "scipy"),
    gives="measure",
)
def palette(cfg: Palette, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over all frames but the first of the half sum of both likenesses."""
    import numpy as np

    clip = Clip.open(ctx.store, inputs["frames"])
    if clip.count < 2:
        return save(ctx.store, Result("palette", missing=ONE_FRAME))
    series: list[float | None] = []
    first = last = None
    with ctx.progress(total=clip.count, desc="palette") as bar:
        for frame in clip.frames():
            now = np.sqrt(colours(frame, cfg.bins))
            if first is None or last is None:
                first = now
                series.append(None)
            else:
                series.append(min(1.0, float((first * now).sum() + (last * now).sum()) / 2))
            last = now
            bar.update()
    seen = [value for value in series if value is not None]
    return save(ctx.store, Result("palette", {"consistency": sum(seen) / len(seen)}, {"consistency": series}))


def colours(frame: np.ndarray, bins: int = 16) -> np.ndarray:
    """Share of each colour `(bins, bins, bins)` in a frame `(H, W, 3)` uint8; sums to 1.

    Neighbouring bins are blurred into one another, so that a colour on the border of two of them does not jump.
    """
    import cv2
    from scipy.ndimage import gaussian_filter

    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
    counts = cv2.calcHist([lab], [0, 1, 2], None, [bins] * 3, [0, 256] * 3)
    blurred = gaussian_filter(counts.astype("float64"), 0.7, mode="nearest")
    return blurred / blurred.sum()
