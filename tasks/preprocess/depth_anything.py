"""Depth by Depth Anything V2: sharper and steadier than MiDaS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from reel.config import Field
from reel.models.source import ModelSource
from reel.op import Context, op
from tasks.preprocess.annotators import device
from tasks.preprocess.depth import Depth, depth_maps
from tasks.preprocess.frames import frame_cache

if TYPE_CHECKING:
    import numpy as np

LICENSES = {"Small": "Apache-2.0", "Base": "CC-BY-NC-4.0", "Large": "CC-BY-NC-4.0"}
PATCH = 14


class DepthAnything(Depth):
    """Settings of Depth Anything V2."""

    size: Literal["Small", "Base", "Large"] = "Small"
    """Network: Small (25 M parameters, free), Base (97 M) or Large (335 M), which may not be used commercially."""
    detect_resolution: int = Field(default=518, ge=14, le=2072)
    """Short side (px) at which the network sees the frame; each side is rounded to a multiple of 14."""


def source(cfg: DepthAnything) -> ModelSource:
    return ModelSource(
        kind="hub",
        id=f"depth-anything/Depth-Anything-V2-{cfg.size}-hf",
        license=LICENSES[cfg.size],
        instead="preprocess figure_depth (embedded, for people)",
    )


@op(
    "preprocess",
    "depth_anything",
    version=1,
    config=DepthAnything,
    inputs=("frames",),
    distributions=("transformers", "torch", "opencv-python-headless", "numpy"),
    models=lambda cfg: [source(cfg)],
)
def depth_anything(cfg: DepthAnything, inputs: Mapping[str, str], ctx: Context) -> str:
    """Depth Anything V2 (Yang et al., arXiv 2406.09414) through transformers, near = bright.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    cache = frame_cache("depth_anything", cfg, ctx)
    return depth_maps(cfg, inputs["frames"], ctx, cache, lambda: load(cfg, ctx), "depth_anything")


def load(cfg: DepthAnything, ctx: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Loads the network; returns the function from a frame to raw inverse depth."""
    import cv2
    import torch
    from transformers import DepthAnythingForDepthEstimation

    from tasks.weights import fetch as weights

    network = DepthAnythingForDepthEstimation.from_pretrained(
        weights.path(source(cfg)), local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    place = device(ctx)
    network = network.eval().to(place)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # ImageNet's, as trained

    def look(frame: np.ndarray) -> np.ndarray:
        scale = cfg.detect_resolution / min(frame.shape[:2])
        height, width = (max(1, round(side * scale / PATCH)) * PATCH for side in frame.shape[:2])
        picture = cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
        pixels = (torch.from_numpy(picture).float() / 255 - mean) / std  # (h, w, 3)
        with torch.inference_mode():
            depth = network(pixels.permute(2, 0, 1)[None].to(place)).predicted_depth  # (1, h, w)
        return depth[0].float().cpu().numpy()

    return look
