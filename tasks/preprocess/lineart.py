"""Line drawings by a network that learned from artists' lines: what ControlNet's lineart model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reel.op import Context, op
from tasks.preprocess.annotators import Annotator, annotator, device, quiet, state_dict, to_frame_size
from tasks.preprocess.frames import frame_cache, map_frames_cached

if TYPE_CHECKING:
    import numpy as np

FINE = annotator("sk_model.pth", instead="preprocess lineart_standard (no weights)")
COARSE = annotator("sk_model2.pth", instead="preprocess lineart_standard (no weights)")


class Lineart(Annotator):
    """Settings of the line drawing network."""

    coarse: bool = False
    """Fewer and thicker lines (the second of the two published networks)."""


@op(
    "preprocess",
    "lineart",
    version=1,
    config=Lineart,
    inputs=("frames",),
    distributions=("controlnet-aux", "torch", "opencv-python-headless", "numpy"),
    models=lambda cfg: [COARSE if cfg.coarse else FINE],
)
def lineart(cfg: Lineart, inputs: Mapping[str, str], ctx: Context) -> str:
    """Informative drawings (Chan et al., arXiv 2203.12691), white lines on black.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    cache = frame_cache("lineart", cfg, ctx)
    return map_frames_cached(inputs["frames"], ctx, cache, lambda: load(cfg, ctx), "lineart")


def load(cfg: Lineart, ctx: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Loads the network that the settings name; returns the function that draws one frame."""
    weights = state_dict(COARSE if cfg.coarse else FINE)
    with quiet():
        from controlnet_aux.lineart import Generator, LineartDetector

    network = Generator(3, 1, 3)
    network.load_state_dict(weights)
    network.eval()
    # The detector wants both networks and uses one of them, by its flag: only that one is loaded.
    detector = LineartDetector(network, network).to(device(ctx))
    return to_frame_size(lambda frame, **size: detector(frame, coarse=cfg.coarse, **size), cfg)
