"""Settings of one ControlNet in use: how much its map decides, for which frames and steps, layers and places."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, model_validator

from reel.config import Config, Field, Finite
from reel.units import Factor, PixelLength
from tasks.stylize.engine.control_weights import Keyframe
from tasks.stylize.engine.masks import MaskPlan


def _not_negative(values: list[float] | None) -> list[float] | None:
    wrong = [i for i, value in enumerate(values or ()) if value < 0]
    if wrong:
        raise ValueError(f"value {wrong[0]} (of {len(values or ())}) is negative")
    return values


PerFrame = Annotated[list[Finite] | None, AfterValidator(_not_negative)]
"""One value for each frame, 0 or more; None: the same for all."""


class TimestepKeyframe(Config):
    """A factor of a control's weight from a part of the denoising on."""

    at: Factor = Field(ge=0, le=1)
    """Part of the denoising: 0 first step, 1 end."""
    scale: Factor = Field(ge=0, le=10)
    """Factor of the weight."""
    interpolate: Literal["hold", "linear"] = "hold"
    """How it goes on to the next keyframe."""


class Mask(Config):
    """A region of the picture."""

    region: Literal["none", "person", "background", "face", "hair", "file"] = "none"
    """From the pose detector's outline and key points, or `file`: a clip or picture of masks, white inside."""
    dilate: PixelLength = Field(default=0, ge=-512, le=512)
    """px by which the region grows; negative: shrinks."""
    feather: PixelLength = Field(default=0, ge=0, le=512)
    """px over which its border fades."""

    def plan(self) -> MaskPlan:
        """As the engine draws it."""
        return MaskPlan(self.region, self.dilate, self.feather)


class ControlSettings(Config):
    """What one ControlNet in use is set to, but for its weight over the frames."""

    kind: str
    """Which of the family's ControlNets reads the map: openpose, depth, lineart, tile, ..."""
    weight: Factor = Field(default=1.0, ge=0.0, le=10.0)
    """How much the map decides; 0 drops the control, 1 is as trained."""
    control_guidance_start: Factor = Field(default=0.0, ge=0.0, lt=1.0)
    """Part of the denoising after which the control begins (0: from the first step)."""
    control_guidance_end: Factor = Field(default=1.0, gt=0.0, le=1.0)
    """Part of the denoising after which it ends (1: with the last step)."""
    timestep_keyframes: list[TimestepKeyframe] = Field(default_factory=list)
    """Factors of the weight over the denoising: [{at: 0, scale: 1}, {at: 0.5, scale: 0.3, interpolate: linear}]."""
    layer_weights: list[Finite] | None = None
    """Factor for each of the ControlNet's residuals, the input's first, the middle's last (13 for SD 1.5)."""
    soft: Finite | None = Field(default=None, gt=0, le=1)
    """Instead of layer_weights: each layer away from the middle counts this much less (0.825: prompt matters more)."""
    mask: Mask = Field(default_factory=Mask)
    """Where the control does NOT count."""
    control_on: Literal["both", "cond"] = "both"
    """`cond`: the ControlNet runs for the prompted guidance branch alone: half its work, another picture."""

    @model_validator(mode="after")
    def _consistent(self) -> ControlSettings:
        if self.control_guidance_start >= self.control_guidance_end:
            raise ValueError(
                f"control_guidance_start ({self.control_guidance_start:g}) must be below "
                f"control_guidance_end ({self.control_guidance_end:g})"
            )
        if self.soft is not None and self.layer_weights is not None:
            raise ValueError("soft and layer_weights both set the layers' weights: give one")
        places = [key.at for key in self.timestep_keyframes]
        if any(b <= a for a, b in itertools.pairwise(places)):
            raise ValueError(f"timestep_keyframes: `at` must ascend, got {places}")
        return self

    @property
    def live(self) -> bool:
        """Whether it does anything."""
        return self.weight > 0

    def keyframes(self) -> list[Keyframe]:
        """`timestep_keyframes` as the engine reads them."""
        return [Keyframe(key.at, key.scale, key.interpolate) for key in self.timestep_keyframes]


class Control(ControlSettings):
    """One ControlNet in use, as the op `denoise` takes it; its map is the op's input `map_<name>`."""

    weight_schedule: PerFrame = None
    """Factor of `weight` for each frame."""

    @property
    def live(self) -> bool:
        """Whether it does anything: a weight above 0 for some frame."""
        return super().live and (self.weight_schedule is None or any(self.weight_schedule))


C = TypeVar("C", bound=ControlSettings)


def live_controls(controls: Mapping[str, C]) -> dict[str, C]:
    """The controls that do something, by name in alphabetical order.

    The order is fixed because residuals are summed in it, and sums of floats depend on it. Edge points of a sweep
    (weight 0) thereby become the same render.
    """
    return {name: controls[name] for name in sorted(controls) if controls[name].live}
