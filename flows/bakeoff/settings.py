"""Settings of `bakeoff`: those of `animate`, for several animators."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import model_validator

from flows.animate.settings import Animate
from flows.compare.flow import Page
from reel.config import FILES, OPERATIONAL, Field, Finite

MOST = 40
"""Animators of one bakeoff."""


class Bakeoff(Animate):
    """Settings of `bakeoff`."""

    animators: list[str] = Field(default=[], max_length=MOST)
    """Who takes part, by their files in conf/model (`rotoscope models`)."""
    seeds: int = Field(default=1, ge=1, le=100)
    """Films of each animator: `seed`, the one after it, and so on."""
    seconds: Finite | None = Field(default=None, gt=0, le=120)
    """Length of all films, each by its animator's nearest number of frames; empty: what each one's authors advise."""
    each: dict[str, dict[str, Any]] = {}
    """Further settings of one: {ltx_13b: {animate.num_inference_steps: 20}}; of AnimateDiff: {sprite: {by: tile}}."""
    again: Annotated[bool, OPERATIONAL] = False
    """Try those again that failed before; else their failure is their result."""
    territory: str = Field(default="", max_length=100)
    """Where you are, as licences say it (EU, UK, South Korea): animators that are not licensed there are refused."""
    page: Annotated[Page, FILES] = Page()
    """How large and how good the films on the page are."""

    @model_validator(mode="after")
    def _who(self) -> Bakeoff:
        twice = sorted({name for name in self.animators if self.animators.count(name) > 1})
        if twice:
            raise ValueError(f"animators: {twice[0]} is named twice")
        strange = sorted(self.each.keys() - set(self.animators))
        if strange:
            raise ValueError(f"each: {strange[0]} is not among the animators ({', '.join(self.animators) or 'none'})")
        for name, own in self.each.items():
            shared = [key for key in own if key == "model" or key.partition(".")[0] in _OF_ALL]
            if shared:
                raise ValueError(f"each: {name}: {shared[0]} is of all animators, and set once for all of them")
        return self


OWN = frozenset(Bakeoff.model_fields) - frozenset(Animate.model_fields)
"""Names of the settings that `animate` does not have."""
_OF_ALL = OWN | {"seed", "paths", "tracking", "live", "name"}
