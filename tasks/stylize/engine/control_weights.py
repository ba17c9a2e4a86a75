"""How much a control counts at a step of the denoising, and in each layer of its ControlNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Keyframe:
    """A factor of a control's weight from a part of the denoising on.

    Attributes:
        at: progress of the denoising, 0 (first step) to 1.
        scale: factor of the weight from there on.
        interpolate: ``hold`` until the next keyframe, or run ``linear`` to it.
    """

    at: float
    scale: float
    interpolate: str = "hold"


def is_active(step: int, steps: int, start: float, end: float) -> bool:
    """Whether a step lies wholly between two parts of the denoising, as diffusers counts it."""
    return step / steps >= start and (step + 1) / steps <= end


def keyframe_scale(keyframes: Sequence[Keyframe], progress: float) -> float:
    """The factor at a part of the denoising; before the first keyframe that keyframe's own.

    >>> keyframe_scale([Keyframe(0.0, 1.0, "linear"), Keyframe(1.0, 0.0)], 0.25)
    0.75
    """
    if not keyframes:
        return 1.0
    now = max([i for i, key in enumerate(keyframes) if key.at <= progress], default=0)
    key = keyframes[now]
    if key.interpolate == "hold" or now + 1 == len(keyframes) or progress < key.at:
        return key.scale
    after = keyframes[now + 1]
    share = (progress - key.at) / (after.at - key.at)
    return key.scale * (1 - share) + after.scale * share


def soft_weights(layers: int, base: float = 0.825) -> list[float]:
    """Weights that fall from the middle block to the input by ``base`` each: "my prompt is more important".

    From sd-webui-controlnet; 0.825 is its value.
    """
    return [base ** (layers - 1 - layer) for layer in range(layers)]
