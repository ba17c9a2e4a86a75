"""Families that draw key pictures from words: what each takes, as data for checks, help and plans."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import field_validator, model_validator

from reel.config import OPERATIONAL, Config, Field, Finite, suggest
from reel.models.family import Advice, Family
from reel.models.source import ModelSource, only_safetensors, part_of

OWN = "picture"
"""Stands for no model at all: every shot has a picture of its user's own."""


class PainterLimits(Config):
    """What a family takes. It refuses what does not fit, and changes no byte of what does."""

    least_side: int = Field(default=64, ge=8)
    """px."""
    most_pixels: int = Field(default=4_194_304, ge=64)
    references: int = Field(default=0, ge=0)
    """Reference pictures that it takes at most."""
    negative_prompt: bool = True
    """Whether it reads one."""


class PainterAdvice(Advice):
    """What a family's authors recommend."""

    guidance_scale: Finite = Field(default=0.0, ge=0)
    num_inference_steps: int = Field(default=28, ge=1)


class Painter(Family):
    """A family of one of the pipelines that tasks/keyframe/painters/ names, by ``architecture``."""

    kind: ClassVar[str] = "key picture"

    base: ModelSource | None = None
    """A folder as diffusers saves a pipeline; empty where nothing is drawn."""
    parts: dict[str, ModelSource] = Field(default_factory=dict)
    """Parts that lie elsewhere, by name."""
    scheduler_config: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    """Changes to the scheduler settings beside the weights."""
    call: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    """Further arguments of the pipeline's call that belong to the family."""
    max_tokens: int = Field(default=77, ge=1)
    """Of a prompt; what is longer is refused, as the pipeline would cut it off."""
    limits: Annotated[PainterLimits, OPERATIONAL] = PainterLimits()
    gated: bool = Field(default=False, exclude=True)
    """Whether its files are handed out only to those who have agreed to its licence on the hub."""
    advice: PainterAdvice = Field(default_factory=PainterAdvice, exclude=True)

    @classmethod
    def architectures(cls) -> tuple[str, ...]:
        return (*painters(), OWN)

    @property
    def draws(self) -> bool:
        return self.architecture != OWN

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        known = cls.architectures()
        if name not in known:
            raise ValueError(f"{name!r} is not known{suggest(name, known)}; known: {', '.join(known)}")
        return name

    @field_validator("base", "parts")
    @classmethod
    def _safetensors(cls, given: Any) -> Any:
        for name, source in given.items() if isinstance(given, dict) else [("", given)]:
            only_safetensors(source, name)
        return given

    @model_validator(mode="after")
    def _has_files(self) -> Painter:
        if self.draws and self.base is None:
            raise ValueError("base is needed: where the family's files lie")
        return self

    def part(self, name: str) -> ModelSource:
        """Where a part lies."""
        if name in self.parts:
            return self.parts[name]
        assert self.base is not None
        return part_of(self.base, name)

    def facts(self) -> dict[str, str]:
        found = {"reference pictures": str(self.limits.references)} if self.draws else {}
        return {**found, **({"gated": "agree to its licence on the hub, and set HF_TOKEN"} if self.gated else {})}


@functools.cache
def painters() -> tuple[str, ...]:
    """Architectures that can be run: the modules of tasks/keyframe/painters/, found without importing them."""
    spec = importlib.util.find_spec("tasks")
    assert spec is not None
    folder = Path(next(iter(spec.submodule_search_locations or []))) / "keyframe" / "painters"
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))
