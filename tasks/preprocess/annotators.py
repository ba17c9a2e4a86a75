"""What the preprocessors built on controlnet_aux's networks share: sources, loading, device, size."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from reel.config import Config, Field
from reel.models.source import ModelSource
from reel.op import Context

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)


class Annotator(Config):
    """Settings of a network that reads a resized copy of the frame."""

    detect_resolution: int = Field(default=512, ge=64, le=2048)
    """Short side (px) at which the network sees the frame; each side is rounded to a multiple of 64. The map is
    brought back to the frame's size."""


def annotator(file: str, instead: str) -> ModelSource:
    """A file of the repository in which ControlNet's author keeps the annotators' weights.

    Args:
        instead: what to use where the hub cannot be reached.
    """
    return ModelSource(kind="hub", id="lllyasviel/Annotators", file=file, instead=instead)


def state_dict(source: ModelSource) -> dict[str, Any]:
    """The tensors of a checkpoint; never code (`weights_only`).

    Raises:
        ModelAbsent: not on this machine and not to be fetched.
    """
    import torch

    from tasks.weights import fetch as weights

    loaded = torch.load(weights.path(source), map_location="cpu", weights_only=True)
    inner = loaded.get("state_dict", loaded)
    return {name.removeprefix("module."): tensor for name, tensor in inner.items()}


def device(ctx: Context) -> str:
    """The torch device that `compute.device` means on this machine.

    A device that was asked for and is not there is replaced by the CPU, which is noted and logged.
    """
    import torch

    wanted = ctx.compute.device
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        found = next(name for name, there in available.items() if there)
    else:
        found = wanted if available[wanted] else "cpu"
    report_provider(ctx, f"torch ({found})", None if wanted in ("auto", found) else wanted)
    return found


def report_provider(ctx: Context, used: str, wanted: str | None) -> None:
    """Notes what computes; when that is slower than what was `wanted`, says so aloud."""
    ctx.note(provider=used)
    if wanted is not None:
        ctx.note(provider_wanted=wanted)
        log.warning("%s was asked for but is not available here: computing with %s, which is slower", wanted, used)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Importing controlnet_aux prints two dozen warnings about what it could not find; none concerns what is used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def to_frame_size(detector: Callable[..., np.ndarray], cfg: Annotator) -> Callable[[np.ndarray], np.ndarray]:
    """A detector of controlnet_aux as a function from a frame to a map of exactly its size."""
    import cv2
    import numpy as np

    def draw(frame: np.ndarray) -> np.ndarray:
        size = cfg.detect_resolution
        drawn = detector(frame, detect_resolution=size, image_resolution=size, output_type="np")
        height, width = frame.shape[:2]
        shrinks = drawn.shape[0] > height
        drawn = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return np.ascontiguousarray(drawn, np.uint8)

    return draw
