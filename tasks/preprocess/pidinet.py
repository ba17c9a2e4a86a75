"""Soft edges by PiDiNet: finer than HED, and faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reel.op import Context, op
from tasks.preprocess.annotators import Annotator, annotator, device, quiet, state_dict, to_frame_size
from tasks.preprocess.frames import frame_cache, map_frames_cached

if TYPE_CHECKING:
    import numpy as np

SOURCE = annotator("table5_pidinet.pth", instead="preprocess canny (no weights)")


class PidiNet(Annotator):
    """Settings of PiDiNet."""

    safe: bool = False
    """Quantise the edges to three levels, so that no faint picture of the source hides in them."""


@op(
    "preprocess",
    "pidinet",
    version=1,
    config=PidiNet,
    inputs=("frames",),
    distributions=("controlnet-aux", "torch", "opencv-python-headless", "numpy"),
    models=lambda cfg: [SOURCE],
)
def pidinet(cfg: PidiNet, inputs: Mapping[str, str], ctx: Context) -> str:
    """Pixel difference networks (Su et al., arXiv 2108.07009), white on black.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    cache = frame_cache("pidinet", cfg, ctx)
    return map_frames_cached(inputs["frames"], ctx, cache, lambda: load(cfg, ctx), "pidinet")


def load(cfg: PidiNet, ctx: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Loads the network; returns the function that draws one frame."""
    weights = state_dict(SOURCE)
    with quiet():
        from controlnet_aux.pidi import PidiNetDetector
        from controlnet_aux.pidi.model import pidinet as build

    network = build()
    network.load_state_dict(weights)
    detector = PidiNetDetector(network.eval()).to(device(ctx))
    return to_frame_size(lambda frame, **size: detector(frame, safe=cfg.safe, **size), cfg)
