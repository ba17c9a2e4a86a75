"""Depth by MiDaS (DPT-Hybrid), as ControlNet's depth model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reel.config import Field
from reel.op import Context, op
from tasks.preprocess.annotators import annotator, device, quiet, state_dict
from tasks.preprocess.depth import Depth, depth_maps
from tasks.preprocess.frames import frame_cache

if TYPE_CHECKING:
    import numpy as np

SOURCE = annotator("dpt_hybrid-midas-501f0c75.pt", instead="preprocess figure_depth (embedded, for people)")


class Midas(Depth):
    """Settings of MiDaS."""

    detect_resolution: int = Field(default=512, ge=64, le=2048)
    """Short side (px) at which the network sees the frame; each side is rounded to a multiple of 64."""


@op(
    "preprocess",
    "midas",
    version=1,
    config=Midas,
    inputs=("frames",),
    distributions=("controlnet-aux", "torch", "timm", "opencv-python-headless", "numpy"),
    models=lambda cfg: [SOURCE],
)
def midas(cfg: Midas, inputs: Mapping[str, str], ctx: Context) -> str:
    """Dense prediction transformer (Ranftl et al., arXiv 2103.13413), near = bright.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    return depth_maps(cfg, inputs["frames"], ctx, frame_cache("midas", cfg, ctx), lambda: load(cfg, ctx), "midas")


def load(cfg: Midas, ctx: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Loads the network; returns the function from a frame to raw inverse depth."""
    import torch

    weights = state_dict(SOURCE)
    with quiet():
        from controlnet_aux.midas.midas.dpt_depth import DPTDepthModel
        from controlnet_aux.util import resize_image

    network = DPTDepthModel(path=None, backbone="vitb_rn50_384", non_negative=True)
    network.load_state_dict(weights)
    place = device(ctx)
    network = network.eval().to(place)

    def look(frame: np.ndarray) -> np.ndarray:
        picture = torch.from_numpy(resize_image(frame, cfg.detect_resolution)).to(place)  # (h, w, 3)
        with torch.inference_mode():
            depth = network(picture.permute(2, 0, 1)[None].float() / 127.5 - 1)  # (1, h, w)
        return depth[0].float().cpu().numpy()

    return look
