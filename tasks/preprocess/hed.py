"""Soft edges by HED, as ControlNet's softedge model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reel.op import Context, op
from tasks.preprocess.annotators import Annotator, annotator, device, quiet, state_dict, to_frame_size
from tasks.preprocess.frames import frame_cache, map_frames_cached

if TYPE_CHECKING:
    import numpy as np

SOURCE = annotator("ControlNetHED.pth", instead="preprocess canny (no weights)")


class Hed(Annotator):
    """Settings of HED."""

    safe: bool = False
    """Quantise the edges to three levels, so that no faint picture of the source hides in them."""


@op(
    "preprocess",
    "hed",
    version=1,
    config=Hed,
    inputs=("frames",),
    distributions=("controlnet-aux", "torch", "opencv-python-headless", "numpy"),
    models=lambda cfg: [SOURCE],
)
def hed(cfg: Hed, inputs: Mapping[str, str], ctx: Context) -> str:
    """Holistically-nested edge detection (Xie & Tu, arXiv 1504.06375), white on black.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    return map_frames_cached(inputs["frames"], ctx, frame_cache("hed", cfg, ctx), lambda: load(cfg, ctx), "hed")


def load(cfg: Hed, ctx: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Loads the network; returns the function that draws one frame."""
    weights = state_dict(SOURCE)
    with quiet():
        from controlnet_aux.hed import ControlNetHED_Apache2, HEDdetector

    network = ControlNetHED_Apache2()
    network.load_state_dict(weights)
    detector = HEDdetector(network.float().eval()).to(device(ctx))
    return to_frame_size(lambda frame, **size: detector(frame, safe=cfg.safe, **size), cfg)
