"""Line art as in anime: for ControlNet's own lineart_anime model, not for the plain lineart one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reel.op import Context, op
from tasks.preprocess.annotators import Annotator, annotator, device, quiet, state_dict, to_frame_size
from tasks.preprocess.frames import frame_cache, map_frames_cached

if TYPE_CHECKING:
    import numpy as np

SOURCE = annotator("netG.pth", instead="preprocess lineart_standard (no weights)")


class LineartAnime(Annotator):
    """Settings of the anime line art network."""


@op(
    "preprocess",
    "lineart_anime",
    version=1,
    config=LineartAnime,
    inputs=("frames",),
    distributions=("controlnet-aux", "torch", "opencv-python-headless", "numpy"),
    models=lambda cfg: [SOURCE],
)
def lineart_anime(cfg: LineartAnime, inputs: Mapping[str, str], ctx: Context) -> str:
    """Anime2Sketch (Xiang et al., github.com/Mukosame/Anime2Sketch), white lines on black.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    cache = frame_cache("lineart_anime", cfg, ctx)
    return map_frames_cached(inputs["frames"], ctx, cache, lambda: load(cfg, ctx), "lineart_anime")


def load(cfg: LineartAnime, ctx: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Loads the network; returns the function that draws one frame."""
    import torch

    weights = state_dict(SOURCE)
    with quiet():
        from controlnet_aux.lineart_anime import LineartAnimeDetector, UnetGenerator

    norm = functools.partial(torch.nn.InstanceNorm2d, affine=False, track_running_stats=False)
    network = UnetGenerator(3, 1, 8, 64, norm_layer=norm, use_dropout=False)
    network.load_state_dict(weights)
    detector = LineartAnimeDetector(network.eval()).to(device(ctx))
    return to_frame_size(detector, cfg)
