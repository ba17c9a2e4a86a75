"""Families that bring still pictures to life: what each takes and gives, as data for checks, help and plans."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from reel.config import OPERATIONAL, Config, Field, Finite, suggest
from reel.models.family import Advice, Family
from reel.models.source import ModelSource, only_safetensors, part_of


class FrameRule(Config):
    """Lengths that a family can make: ``step * k + rest`` frames."""

    step: int = Field(default=1, ge=1)
    rest: int = Field(default=0, ge=0)
    least: int = Field(default=1, ge=1)
    most: int = Field(ge=1)
    """Longer ones were not trained."""

    def fits(self, frames: int) -> bool:
        return self.least <= frames <= self.most and (frames - self.rest) % self.step == 0

    def nearest(self, frames: int) -> int:
        """The length that is nearest to the one asked for, the longer of two."""
        low, high = (self.rest + self.step * k for k in self._range())
        return min(max((frames - self.rest + self.step // 2) // self.step * self.step + self.rest, low), high)

    def _range(self) -> tuple[int, int]:
        return -((self.rest - self.least) // self.step), (self.most - self.rest) // self.step

    def __str__(self) -> str:
        shape = f"{self.step}k+{self.rest}" if self.step > 1 else "any number"
        return f"{shape}, {self.least} to {self.most}"


class Limits(Config):
    """What a family takes and gives. It refuses what does not fit, and changes no byte of what does."""

    frames: FrameRule
    least_side: int = Field(default=64, ge=1)
    """px."""
    most_pixels: int = Field(ge=1)
    """Pixels of a frame."""
    least_fps: Finite = Field(default=1, gt=0)
    most_fps: Finite = Field(default=60, gt=0)
    pictures: Literal["first", "first_last", "any"] = "any"
    """Frames that can be given: the first, the first and the last, or any."""
    most_pictures: int = Field(default=1, ge=1)
    grid: int = Field(default=1, ge=1)
    """Pictures at multiples of this number of frames are met exactly; what that means elsewhere says ``off_grid``."""
    off_grid: Literal["allowed", "refused"] = "allowed"
    """allowed: tokens of their own at their exact time; refused: the family knows no such time."""
    clips: bool = False
    """Whether a clip can be given to go on from."""
    sound: bool = False
    prompt: Literal["needed", "optional", "none"] = "needed"
    shift: Literal["any", "none"] = "any"
    """none: its lists of time steps are meant as they are, so its scheduler must not shift them."""
    two_pass: bool = False
    """Whether it has a second, larger pass."""


class AnimatorAdvice(Advice):
    """What a family's authors recommend."""

    frames: int = Field(default=97, ge=1)
    fps: Finite = Field(default=24, gt=0)
    guidance_rescale: Finite = Field(default=0.0, ge=0, le=1)
    timesteps: list[Finite] | None = None
    """Of a distilled model, 1000 to 0; in the place of a number of steps."""
    picture_noise: Finite = Field(default=0.0, ge=0, le=1)
    decode_timestep: Finite = Field(default=0.0, ge=0, le=1)
    decode_noise_scale: Finite | None = Field(default=None, ge=0, le=1)
    refine_timesteps: list[Finite] | None = None
    refine_steps: int = Field(default=10, ge=1)
    refine_strength: Finite = Field(default=0.4, gt=0, le=1)
    adain: Finite = Field(default=0.0, ge=0, le=1)
    tone_map: Finite = Field(default=0.0, ge=0, le=1)
    words: int = Field(default=0, ge=0)
    """A prompt of fewer words than this is shorter than those that the family was trained with."""


class Animator(Family):
    """A family of one of the pipelines that tasks/animate/animators/ names, by ``architecture``."""

    kind: ClassVar[str] = "animator"

    base: ModelSource
    """A folder as diffusers saves a pipeline: transformer/, vae/, text_encoder/, tokenizer/, scheduler/, ..."""
    parts: dict[str, ModelSource] = Field(default_factory=dict)
    """Parts that lie elsewhere, by name: {latent_upsampler: {kind: hub, id: owner/name, subfolder: upsampler}}."""
    generation: Annotated[str, OPERATIONAL] = ""
    """What LoRAs for it say they are made for (`ltxv 0.9.7 13b`); those of other generations do not fit."""
    scheduler_config: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    """Changes to the scheduler settings beside the weights."""
    call: dict[str, bool | int | float | str | list[int] | list[float] | None] = Field(default_factory=dict)
    """Further arguments of the pipeline's call that belong to the family: {stg_scale: 1.0}."""
    max_tokens: int = Field(default=256, ge=1)
    """Of a prompt; what is longer is cut off by the pipeline, so it is refused."""
    limits: Annotated[Limits, OPERATIONAL]
    territory: str = Field(default="", exclude=True)
    """Where its licence does not allow it to be used; empty: no such place."""
    advice: AnimatorAdvice = Field(default_factory=AnimatorAdvice, exclude=True)

    @classmethod
    def architectures(cls) -> tuple[str, ...]:
        return animators()

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in animators():
            raise ValueError(f"{name!r} is not known{suggest(name, animators())}; known: {', '.join(animators())}")
        return name

    @field_validator("base", "parts")
    @classmethod
    def _safetensors(cls, given: Any) -> Any:
        for name, source in given.items() if isinstance(given, dict) else [("", given)]:
            only_safetensors(source, name)
        return given

    @model_validator(mode="after")
    def _a_folder(self) -> Animator:
        if self.base.single:
            raise ValueError("base must be a folder as diffusers saves a pipeline, not one checkpoint file")
        return self

    def part(self, name: str, *files: str) -> ModelSource:
        """Where a part lies. A source of its own names the part's folder or the folder around it.

        Args:
            files: patterns inside the part's folder; none: all that a part needs.
        """
        own = self.parts.get(name)
        if own is not None:
            return own.model_copy(update={"files": list(files)}) if files else own
        if files:
            return self.base.model_copy(update={"files": [f"{name}/{file}" for file in files]})
        return part_of(self.base, name)

    def facts(self) -> dict[str, str]:
        limits = self.limits
        where = {"first": "the first frame", "first_last": "the first and the last frame", "any": "any frame"}
        given = where[limits.pictures] + (f", {limits.most_pictures} at most" if limits.most_pictures > 1 else "")
        exact = f"; exact at multiples of {limits.grid}" if limits.grid > 1 else ""
        return {
            "frames": str(limits.frames),
            "frames a second": f"{limits.least_fps:g} to {limits.most_fps:g}",
            "pictures": given + exact,
            "sound": "yes" if limits.sound else "no",
            "prompt": limits.prompt,
            **({"not licensed in": self.territory} if self.territory else {}),
        }


@functools.cache
def animators() -> tuple[str, ...]:
    """Architectures that can be run: the modules of tasks/animate/animators/, found without importing them."""
    spec = importlib.util.find_spec("tasks")
    assert spec is not None
    folder = Path(next(iter(spec.submodule_search_locations or []))) / "animate" / "animators"
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))


def sources_of(model: Animator, names: Iterable[str]) -> dict[str, ModelSource]:
    """Where parts lie, by name; ``vae:config`` is a part's settings alone."""
    found = {}
    for name in names:
        part, _, what = name.partition(":")
        found[name] = model.part(part, "config.json") if what == "config" else model.part(part)
    return found
