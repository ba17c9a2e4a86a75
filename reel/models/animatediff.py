"""Families of AnimateDiff (arXiv:2307.04725)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import field_validator, model_validator

from reel.config import Field
from reel.models.family import Family, Scheduler
from reel.models.source import LoraSource, ModelSource, only_safetensors


class AnimateDiff(Family):
    """A base picture model, a motion module for it, and its ControlNets by kind."""

    kind: ClassVar[str] = "AnimateDiff"

    architecture: Literal["sd15", "sdxl"]
    """Shapes and conditioning of the base: SD 1.5 (also the embedded family's) or SDXL."""
    base: ModelSource
    """Text encoder, tokenizer, UNet, VAE and scheduler settings; or one checkpoint file with all of them."""
    base_config: ModelSource | None = None
    """For a base that is one checkpoint file: where its tokenizer and settings come from."""
    motion: ModelSource
    """AnimateDiff motion module."""
    motion_config: ModelSource | None = None
    """For a motion module that is a bare file: where its config.json comes from."""
    vae: ModelSource | None = None
    """A VAE instead of the base's own."""
    controlnets: dict[str, ModelSource] = Field(default_factory=dict)
    """ControlNet by kind (openpose, depth, lineart, ...)."""
    sparsectrls: dict[str, ModelSource] = Field(default_factory=dict, exclude_if=lambda found: not found)
    """SparseCtrl by kind (rgb, scribble); none of them is in the key of a render that uses none."""
    loras: list[LoraSource] = Field(default_factory=list)
    """LoRAs that belong to the family (AnimateLCM's, say), always applied."""
    ip_adapter: ModelSource | None = None
    """IP-Adapter weights that fit the base."""
    ip_image_encoder: ModelSource | None = None
    """CLIP picture encoder of the IP-Adapter."""
    scheduler_config: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Changes to the base's scheduler settings that the motion module was trained with (beta_schedule, ...)."""
    schedulers: list[Scheduler] | None = None
    """Schedulers the family works with; None: all."""
    camera: bool = Field(default=False, exclude_if=lambda fits: not fits)
    """Whether AnimateDiff's camera LoRAs (conf/camera/) fit: they are made for its v2 motion module."""
    motion_window: int = Field(ge=1)
    """Most frames the motion module was made for (its position table); longer clips are seen in context windows."""

    @field_validator("base", "motion", "vae", "ip_adapter")
    @classmethod
    def _safetensors(cls, source: ModelSource | None) -> ModelSource | None:
        return only_safetensors(source)

    @model_validator(mode="after")
    def _complete(self) -> AnimateDiff:
        if self.base.single and self.base_config is None:
            raise ValueError("a base that is one checkpoint file needs base_config (tokenizer and settings)")
        if self.motion.single and self.motion_config is None:
            raise ValueError("a motion module that is one file needs motion_config (its config.json)")
        return self

    def only(self, kinds: Iterable[str], sparse: Iterable[str] = ()) -> AnimateDiff:
        """The family without the ControlNets and SparseCtrls that a render does not use: they are not in its key."""
        wanted = {"controlnets": set(kinds), "sparsectrls": set(sparse)}
        return self.model_copy(
            update={
                field: {kind: source for kind, source in getattr(self, field).items() if kind in chosen}
                for field, chosen in wanted.items()
            }
        )

    def facts(self) -> dict[str, str]:
        """Frames of the motion window."""
        return {"motion window": f"{self.motion_window} frames"}
