"""Families that a pipeline of diffusers runs as it is: what animators and painters have in common."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from pydantic import field_validator, model_validator

from reel.config import Field, suggest
from reel.models.family import Family
from reel.models.source import ModelSource, only_safetensors, part_of
from reel.op import tasks_folder

Scalar = bool | int | float | str | None
Argument = Scalar | list[int] | list[float]
"""What a pipeline's call may be given beside pictures and words."""


class StockFamily(Family):
    """A folder as diffusers saves a pipeline; ``architecture`` names the module of ``recipes`` saying how it runs."""

    recipes: ClassVar[str]
    """The modules' folder below tasks/: ``animate/animators``."""

    base: ModelSource | None
    """The folder: transformer/, vae/, text_encoder/, tokenizer/, scheduler/, ..."""
    parts: dict[str, ModelSource] = Field(default_factory=dict)
    """Parts that lie elsewhere, by name: {latent_upsampler: {kind: hub, id: owner/name, subfolder: upsampler}}."""
    scheduler_config: dict[str, Scalar] = Field(default_factory=dict)
    """Changes to the scheduler settings beside the weights."""
    call: dict[str, Argument] = Field(default_factory=dict)
    """Further arguments of the pipeline's call that belong to the family: {stg_scale: 1.0}."""
    max_tokens: int = Field(default=256, ge=1)
    """Of a prompt; what is longer is cut off by the pipeline, so it is refused."""
    gated: bool = Field(default=False, exclude=True)
    """Whether its files are handed out only to those who have agreed to its licence on the hub."""
    territory: str = Field(default="", exclude=True)
    """Where its licence does not allow it to be used; empty: no such place."""

    @classmethod
    def architectures(cls) -> tuple[str, ...]:
        return _modules(cls.recipes)

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in (known := cls.architectures()):
            raise ValueError(f"{name!r} is not known{suggest(name, known)}; known: {', '.join(known)}")
        return name

    @field_validator("base", "parts")
    @classmethod
    def _safetensors(cls, given: Any) -> Any:
        for name, source in given.items() if isinstance(given, dict) else [("", given)]:
            only_safetensors(source, name)
        return given

    @model_validator(mode="after")
    def _a_folder(self) -> Self:
        if self.base is not None and self.base.single:
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
        assert self.base is not None, f"{self.name} has no files"
        if files:
            return self.base.model_copy(update={"files": [f"{name}/{file}" for file in files]})
        return part_of(self.base, name)

    def sources_of(self, names: Iterable[str]) -> dict[str, ModelSource]:
        """Where parts lie, by name; ``vae:config`` is a part's settings alone."""
        found = {}
        for name in names:
            part, _, what = name.partition(":")
            found[name] = self.part(part, "config.json") if what == "config" else self.part(part)
        return found

    def facts(self) -> dict[str, str]:
        return {
            **({"not licensed in": self.territory} if self.territory else {}),
            **({"gated": "agree to its licence on the hub, and set HF_TOKEN"} if self.gated else {}),
        }


@functools.cache
def _modules(folder: str) -> tuple[str, ...]:
    """Stems of the modules of a folder of tasks/, found without importing them."""
    return tuple(sorted(path.stem for path in tasks_folder().joinpath(folder).glob("[!_]*.py")))
