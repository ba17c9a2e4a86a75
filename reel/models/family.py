"""A model family, as conf/model/ names them: what every class of families has (`reel.models.catalogue` lists these)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, get_args

from pydantic import model_validator

from reel.config import Config, Field, suggest
from reel.framing import Framing
from reel.models.source import ModelSource, sources_in

Scheduler = Literal[
    "ddim", "ddpm", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "dpmpp_2m_sde", "heun", "lcm", "pndm", "unipc"
]
"""Registered scheduler names; what each is stands in tasks/stylize/engine/schedulers.py."""
NoiseType = Literal["default", "constant"]
"""Where a clip's noise comes from, by AnimateDiff-Evolved's names: each frame has its own, or all have the same."""


class Size(Config):
    """A frame size the family was trained on or is known to work at (pixels)."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)


class Advice(Config):
    """Settings that a family's authors recommend: the defaults in conf/, by name (`${model.advice.scheduler}`)."""

    strength: float | None = Field(default=None, gt=0, le=1)
    scheduler: Scheduler | None = None
    num_inference_steps: int | None = Field(default=None, ge=1)
    guidance_scale: float | None = Field(default=None, ge=0)
    noise_type: NoiseType = "default"
    sizes: list[Size] = Field(default_factory=list)


class Family(Config):
    """What families of every architecture have. A class of one names its architectures: ``Literal["sd15", "sdxl"]``."""

    kind: ClassVar[str]
    """The class of models, as people know it: ``AnimateDiff``."""

    name: str
    """Stem of its file in conf/model/."""
    architecture: str
    """Shapes and conditioning of the networks; decides which class of `reel.models` a family is of."""
    multiple_of: int = Field(default=8, ge=1)
    """Both sides of a frame must be multiples of this (px)."""
    title: str = Field(default="", exclude=True)
    notes: str = Field(default="", exclude=True)
    framings: list[Framing] = Field(default_factory=list, exclude=True)
    """How much of a person must be in the picture for the family to draw it well; empty: it draws people any way."""
    license: str = Field(default="", exclude=True)
    memory_gb: float | None = Field(default=None, ge=0, exclude=True)
    """Accelerator memory for 16 frames at the first size, no ControlNet (GB)."""
    verified: bool = Field(default=False, exclude=True)
    """True only when the project has rendered with these very weights."""
    advice: Advice = Field(default_factory=Advice, exclude=True)

    @classmethod
    def architectures(cls) -> tuple[str, ...]:
        """The architectures that this class stands for; none for one that no file can be of."""
        return get_args(cls.model_fields["architecture"].annotation)

    @model_validator(mode="before")
    @classmethod
    def _of_this_class(cls, data: Any) -> Any:
        """First of all: a family of another class would differ in every key, and each would be an error of its own."""
        given = data.get("architecture") if isinstance(data, Mapping) else None
        known = cls.architectures()
        if given is not None and known and given not in known:
            name = data.get("name", "?")
            raise ValueError(
                f"{name} is of architecture {given!r}, {cls.kind} families are of {' or '.join(known)}"
                f"{suggest(str(given), known)}; choose one with model=NAME (rotoscope models)"
            )
        return data

    def sources(self) -> dict[str, ModelSource]:
        """Every source of the family by its key: ``base``, ``controlnets.openpose``, ``loras.0.source``."""
        return dict(sources_in(self))

    def facts(self) -> dict[str, str]:
        """What only families of this class have to say, in words for people."""
        return {}
