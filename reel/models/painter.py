"""Families that draw key pictures from words: what each takes, as data for checks, help and plans."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import model_validator

from reel.config import OPERATIONAL, Config, Field, Finite
from reel.models.family import Advice
from reel.models.source import ModelSource
from reel.models.stock import StockFamily

OWN = "picture"
"""Stands for no model at all: every shot has a picture of its user's own."""


class PainterLimits(Config):
    """What a family takes. It refuses what does not fit, and changes no byte of what does."""

    least_side: int = Field(default=64, ge=8)
    """px."""
    most_pixels: int = Field(default=4_194_304, ge=64)
    references: int = Field(default=0, ge=0)
    """Reference pictures that it takes at most."""
    least_references: int = Field(default=0, ge=0)
    """Reference pictures that it needs."""
    negative_prompt: bool = True
    """Whether it reads one."""


class PainterAdvice(Advice):
    """What a family's authors recommend."""

    guidance_scale: Finite = Field(default=0.0, ge=0)
    num_inference_steps: int = Field(default=28, ge=1)


class Painter(StockFamily):
    """A family of one of the pipelines that tasks/keyframe/painters/ names, by ``architecture``."""

    kind: ClassVar[str] = "key picture"
    recipes: ClassVar[str] = "keyframe/painters"

    base: ModelSource | None = None
    """A folder as diffusers saves a pipeline; empty where nothing is drawn."""
    max_tokens: int = Field(default=77, ge=1)
    """Of a prompt; what is longer is refused, as the pipeline would cut it off."""
    limits: Annotated[PainterLimits, OPERATIONAL] = PainterLimits()
    advice: PainterAdvice = Field(default_factory=PainterAdvice, exclude=True)

    @classmethod
    def architectures(cls) -> tuple[str, ...]:
        return (*super().architectures(), OWN)

    @property
    def draws(self) -> bool:
        return self.architecture != OWN

    @model_validator(mode="after")
    def _has_files(self) -> Painter:
        if self.draws and self.base is None:
            raise ValueError("base is needed: where the family's files lie")
        return self

    def facts(self) -> dict[str, str]:
        found = {"reference pictures": str(self.limits.references)} if self.draws else {}
        return {**found, **super().facts()}
