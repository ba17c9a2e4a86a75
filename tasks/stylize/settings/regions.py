"""Settings of a regional prompt: words that count in a part of the picture alone, and what needs the clip's poses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from pydantic import field_validator

from reel.config import Config, Field, Finite, Text
from reel.units import Factor
from tasks.stylize.settings.controls import ControlSettings, Mask, live_controls


class Region(Config):
    """Words for a part of the picture."""

    prompt: Text
    """What that part shows, said in full: inside the region these words take the prompt's place."""
    mask: Mask = Field(default_factory=Mask, validate_default=True)
    """Where the words count; `feather` lets them fade into the prompt's."""
    weight: Factor = Field(default=1.0, ge=0.0, le=1.0)
    """How much they decide there: 1 they alone, 0.5 as much as the prompt, 0 drops the region."""

    @field_validator("prompt")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is empty: say what the region should show, for instance 'a green background'")
        return text

    @field_validator("mask")
    @classmethod
    def _somewhere(cls, mask: Mask) -> Mask:
        if mask.region == "none":
            raise ValueError("region none is nowhere: use person, background, face or hair, or file with mask_file")
        return mask


class RegionalText(Config):
    """A region as the op `denoise` takes it; a file of masks is the op's input `region_<name>`."""

    text: int = Field(ge=0)
    """Number of the text."""
    mask: Mask
    """Where it counts."""
    weight: Finite = Field(gt=0, le=1)
    """How much it decides there beside the prompt."""


R = TypeVar("R", bound=Region)


def live_regions(regions: Mapping[str, R]) -> dict[str, R]:
    """The regions that do something, by name in alphabetical order, for the same reason as controls."""
    return {name: regions[name] for name in sorted(regions) if regions[name].weight > 0}


class Placed(Protocol):
    """What counts in a part of the picture, or does not count there."""

    @property
    def mask(self) -> Mask: ...
    @property
    def weight(self) -> float: ...


def needs_poses(composite: str, controls: Mapping[str, ControlSettings], regions: Mapping[str, Placed]) -> str:
    """Which setting needs the poses of the clip; empty: none does."""
    if composite != "none":
        return f"composite={composite}"
    placed: dict[str, Placed] = {f"controls.{name}": control for name, control in live_controls(controls).items()}
    placed |= {f"regions.{name}": region for name, region in regions.items() if region.weight > 0}
    found = ((key, each.mask.region) for key, each in placed.items())
    return next((f"{key}.mask.region={region}" for key, region in found if region not in ("none", "file")), "")
