"""Settings of the op `denoise`: what is drawn, by which networks, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import model_validator

from reel.compute import Attention
from reel.config import Config, Field, Finite, suggest
from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.source import LoraSource
from tasks.stylize.settings.compute import Dtype, MemoryFormat
from tasks.stylize.settings.controls import Control, PerFrame, live_controls
from tasks.stylize.settings.reference import PicturePrompts
from tasks.stylize.settings.regions import RegionalText
from tasks.stylize.settings.sampling import Denoising
from tasks.stylize.settings.sdxl import check_sdxl
from tasks.stylize.settings.sparse import Sparse, check_sparse


class Prompts(Config):
    """Which text each frame shows: frame f is texts[a[f]] mixed with texts[b[f]], the latter by blend[f]."""

    a: list[int]
    b: list[int]
    blend: list[Finite]
    mixing: Literal["lerp", "slerp"] = "lerp"

    @model_validator(mode="after")
    def _fitting(self) -> Prompts:
        if not len(self.a) == len(self.b) == len(self.blend):
            lengths = f"{len(self.a)}, {len(self.b)}, {len(self.blend)}"
            raise ValueError(f"a, b and blend must be equally long, got {lengths}")
        if any(not 0 <= value <= 1 for value in self.blend):
            raise ValueError("blend must lie in 0..1")
        return self


class Denoise(Denoising):
    """Latents, embeddings and control maps to new latents (arXiv:2307.04725, ControlNets: arXiv:2302.05543)."""

    model: AnimateDiff
    """The family: UNet, motion module, ControlNets, scheduler settings."""
    dtype: Dtype = "float32"
    """Number format of the networks; latents and scheduler are always float32."""
    memory_format: MemoryFormat = "contiguous"
    """Order of activations in memory; changes the last bits. `compute.memory_format=auto` is resolved before."""
    attention: Attention = "auto"
    """Kernel of attention; changes the last bits."""
    compile: bool = False
    """Blocks compiled by torch.compile; changes the last bits."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise."""
    strength_schedule: PerFrame = None
    """Factor of `strength` for each frame, 0..1; 0 keeps the source's frame."""
    guidance_schedule: PerFrame = None
    """Factor of `guidance_scale` for each frame."""
    prompts: Prompts | None = None
    """Which text each frame shows; None: the first text throughout."""
    regions: dict[str, RegionalText] = Field(default_factory=dict)
    """Texts for parts of the picture, by name."""
    controls: dict[str, Control] = Field(default_factory=dict)
    """ControlNets by name."""
    sparse: dict[str, Sparse] = Field(default_factory=dict, exclude_if=lambda found: not found)
    """SparseCtrls by name; renders without any have the keys that they had before there were some."""

    picture_prompts: PicturePrompts | None = Field(default=None, exclude_if=lambda found: found is None)
    """Reference pictures that change over the frames, instead of `ip_adapter`."""

    @model_validator(mode="after")
    def _consistent(self) -> Denoise:
        check_sdxl(
            self.model,
            {
                "control": self.live(),
                "sparse": self.sparse,
                "regions": self.regions,
                "stylize.ip_adapter": self.reads_pictures,
                "stylize.loras": self.loras,
                "stylize.motion_loras": self.motion_loras,
            },
        )
        check_motion_loras(self.motion_loras, self.model)
        if any(value > 1 for value in self.strength_schedule or ()):
            raise ValueError("strength_schedule: factors lie in 0..1")
        check_kinds(self.controls, self.model)
        check_sparse(self.sparse, self.model)
        _check_scheduler(self.scheduler, self.model)
        if self.ip_adapter is not None and self.picture_prompts is not None:
            raise ValueError("ip_adapter and picture_prompts: one picture for all frames, or one for each, not both")
        if self.reads_pictures and (self.model.ip_adapter is None or self.model.ip_image_encoder is None):
            raise ValueError(
                f"model {self.model.name} names no IP-Adapter weights (model.ip_adapter): remove ip_adapter"
            )
        if self.attention == "flash" and self.regions:
            raise ValueError(
                "compute.attention=flash cannot tell regions apart: use auto or math, on a card also efficient"
            )
        return self

    @property
    def reads_pictures(self) -> bool:
        """Whether an IP-Adapter is in use."""
        return self.ip_adapter is not None or self.picture_prompts is not None

    @property
    def guided(self) -> bool:
        """Whether any frame has classifier-free guidance: two branches instead of one."""
        return is_guided(self.guidance_scale, self.guidance_schedule)

    def live(self) -> dict[str, Control]:
        """The controls that do something, in alphabetical order: residuals are summed in it."""
        return live_controls(self.controls)


def is_guided(guidance_scale: float, guidance_schedule: Sequence[float] | None) -> bool:
    """Whether any frame has classifier-free guidance, so that the negative prompt is read."""
    return guidance_scale * max(guidance_schedule or [1.0]) > 1


def check_motion_loras(motion_loras: Sequence[LoraSource], model: AnimateDiff) -> None:
    """Raises: UserError for motion LoRAs with a motion module that nobody said they are made for.

    The layers of v2 and v3 have one shape, so files alone do not tell.
    """
    if motion_loras and not model.camera:
        raise UserError(
            f"stylize.motion_loras: made for AnimateDiff's v2 motion module, model {model.name} has another",
            fix="model=sd15_v2; model.camera=true where yours is made for this family's module",
        )


def _check_scheduler(scheduler: str, model: AnimateDiff) -> None:
    if model.schedulers is not None and scheduler not in model.schedulers:
        raise ValueError(
            f"scheduler {scheduler} does not work with model {model.name}; these do: {', '.join(model.schedulers)}"
        )


def check_kinds(controls: Mapping[str, Control], model: AnimateDiff) -> None:
    """Raises: UserError when the family has no ControlNet of a kind in use."""
    for name, control in controls.items():
        if control.weight > 0 and control.kind not in model.controlnets:
            known = ", ".join(sorted(model.controlnets)) or "none"
            raise UserError(
                f"controls.{name}.kind: model {model.name} has no ControlNet {control.kind!r}"
                f"{suggest(control.kind, model.controlnets)}; it has: {known}"
            )
