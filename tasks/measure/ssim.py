"""SSIM to the source: how much of the filmed picture's structure is still there."""

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

MEASURE = declare(
    Measure(
        name="ssim",
        about="Structural similarity of each frame and the source's, in grey.",
        aspect="structure",
        values=(Value("mean", "SSIM to the source", "higher", -1, 1),),
        reference="Wang et al., IEEE TIP 13(4), 2004: Gaussian window of sigma 1.5, by scikit-image",
    )
)


class Ssim(Config):
    """Settings of SSIM: none, its authors' are used."""


@op(
    "measure",
    "ssim",
    version=1,
    config=Ssim,
    inputs=("frames", "original"),
    distributions=("numpy", "opencv-python-headless", "scikit-image", "scipy"),
    gives="measure",
)
def ssim(cfg: Ssim, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over the frames.

    Raises:
        UserError: render and source differ in size or number of frames.
    """
    clip, original = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["original"])
    check_pair("ssim", clip, original)
    if min(clip.width, clip.height) < WINDOW:
        return save(ctx.store, Result("ssim", missing=f"frames are smaller than its window of {WINDOW} px"))
    series = []
    with ctx.progress(total=clip.count, desc="ssim") as bar:
        for ours, theirs in zip(clip.frames(), original.frames(), strict=True):
            series.append(similarity(ours, theirs))
            bar.update()
    return save(ctx.store, Result("ssim", {"mean": sum(series) / len(series)}, {"mean": series}))


WINDOW = 11  # px


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM (-1..1) of two frames `(H, W, 3)` uint8, as its authors compute it."""
    import cv2
    from skimage.metrics import structural_similarity

    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second)]
    return float(
        structural_similarity(*gray, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    )
