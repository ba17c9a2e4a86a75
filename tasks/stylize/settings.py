"""Settings of a whole render: everything that changes its bytes, and the checks that need no model.

`tasks.stylize.engine.split` hands them to the ops encode, embed, denoise and decode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from pydantic import field_validator, model_validator

from reel.compute import Attention
from reel.config import Config, Field, Finite, Text, suggest
from reel.emphasis import parse_emphasis
from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.family import Scheduler
from reel.models.source import LoraSource, ModelSource, only_safetensors
from reel.prompt import check_prompt
from tasks.stylize import schedulers
from tasks.stylize.control import Control, ControlSettings, Mask, PerFrame, live_controls
from tasks.stylize.reference import IpAdapter, read_picture
from tasks.stylize.region import Region, live_regions
from tasks.stylize.windows import FreeInit, Windows


class Placed(Protocol):
    """What counts in a part of the picture, or does not count there."""

    @property
    def mask(self) -> Mask: ...
    @property
    def weight(self) -> float: ...


class Sampling(Config):
    """How a render is sampled: the part of a renderer's settings that stands under `stylize`."""

    strength: Finite = Field(default=0.8, gt=0.0, le=1.0)
    """How far from the source: 1 keeps only the controls' maps, 0.3 mostly recolours."""
    num_inference_steps: int = Field(default=20, ge=1, le=1000)
    """Steps of the full noise schedule; int(num_inference_steps * strength) of them are run."""
    scheduler: Scheduler = "ddim"
    """Sampler."""
    guidance_scale: Finite = Field(default=7.5, ge=0.0, le=50.0)
    """Classifier-free guidance; up to 1 none (half the work)."""
    guidance_end: Finite = Field(default=1.0, gt=0, le=1)
    """Part of the denoising after which there is no guidance: saves half the work of the rest, changes the picture."""
    control_every: int = Field(default=1, ge=1, le=8)
    """k: ControlNets run every k-th step, their residuals are used again in between: faster, another picture."""
    first_block_cache: Finite = Field(default=0.0, ge=0, le=1)
    """Steps whose first layer changes by less than this (0.1: a tenth) skip the other layers. 0: none. Saves time,
    changes the picture."""
    composite: Literal["none", "keep_background"] = "none"
    """keep_background: what is not the person (grown by composite_dilate) stays the source's."""
    composite_dilate: Finite = Field(default=8, ge=0, le=512)
    """px around the person that are rendered too."""
    detector: str = "blazepose"
    """The pose detector whose outlines and key points masks and compositing are made from."""
    clip_skip: int | None = Field(default=None, ge=1, le=11)
    """Layers left out at the text encoder's end (1: the last but one is used). Other programs count from 1 = none."""
    vae: ModelSource | None = None
    """A VAE instead of the family's."""
    embeddings: dict[str, ModelSource] = Field(default_factory=dict)
    """Textual inversions (arXiv:2208.01618): `embedding:NAME` in a prompt stands for the vectors in that file."""
    loras: list[LoraSource] = Field(default_factory=list)
    """Style LoRAs."""
    motion_loras: list[LoraSource] = Field(default_factory=list)
    """Camera LoRAs for AnimateDiff v2 motion modules."""
    ip_adapter: IpAdapter | None = None
    """A reference picture."""
    windows: Windows = Field(default_factory=Windows)
    """Context windows, for clips longer than the family's motion window."""
    free_init: FreeInit = Field(default_factory=FreeInit)
    """Several denoisings for steadier motion."""
    frame_block: int = Field(default=16, ge=1)
    """Frames that the spatial layers take at a time: less needs less memory; changes the last bits."""
    encode_chunk_size: int = Field(default=16, ge=1)
    """Frames that the VAE encodes at a time; changes the noise and the last bits, so everything is denoised anew."""
    encode_tiling: bool = False
    """Encode in overlapping tiles: less memory, faint differences at tile borders; everything is denoised anew."""
    decode_chunk_size: int = Field(default=16, ge=1)
    """Frames that the VAE decodes at a time; changes the last bits of a picture. Nothing is denoised anew."""
    decode_tiling: bool = False
    """Decode in overlapping tiles: less memory, faint differences at tile borders. Nothing is denoised anew."""

    @field_validator("vae", "embeddings")
    @classmethod
    def _safetensors(cls, given: Any) -> Any:
        for name, source in given.items() if isinstance(given, dict) else [("", given)]:
            only_safetensors(source, name)
        return given


class Animatediff(Sampling):
    """Settings of one render with an AnimateDiff family (arXiv:2307.04725) and ControlNets (arXiv:2302.05543)."""

    prompt: Text
    """What the clip shows, as text for the family's encoder."""
    negative_prompt: Text = ""
    """What it should not show. Has no effect at guidance_scale <= 1."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise."""
    strength_schedule: PerFrame = None
    """Factor of `strength` for each frame, 0..1; 0 keeps the source's frame."""
    guidance_schedule: PerFrame = None
    """Factor of `guidance_scale` for each frame."""
    regions: dict[str, Region] = Field(default_factory=dict)
    """Regional prompts by name."""
    controls: dict[str, Control] = Field(default_factory=dict)
    """ControlNets by name."""
    model: AnimateDiff
    """The family."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of the models; `compute.dtype=auto` is resolved before it comes here."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """Order of activations in memory; `compute.memory_format=auto` is resolved before it comes here."""
    attention: Attention = "auto"
    """Kernel of the denoiser's attention."""
    compile: bool = False
    """The denoiser's blocks compiled."""

    @property
    def guided(self) -> bool:
        """Whether any frame has classifier-free guidance, so that the negative prompt is read."""
        return is_guided(self)

    @field_validator("prompt")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is empty: say what the clip should show, for instance 'a dancer with long red hair'")
        return text

    @model_validator(mode="after")
    def _known_syntax(self) -> Animatediff:
        texts = {"prompt": self.prompt, "negative_prompt": self.negative_prompt}
        texts |= {f"regions.{name}.prompt": region.prompt for name, region in self.regions.items()}
        for key, text in texts.items():
            check_prompt(text, key, self.embeddings)
            parse_emphasis(text, key)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Animatediff:
        if self.model.architecture != "sd15":
            raise ValueError(
                f"model {self.model.name} is an {self.model.architecture.upper()} family; stylize renders SD 1.5 "
                "families: model=sd15, or another marked sd15 in `rotoscope models`"
            )
        check_sampling(self)
        if self.model.schedulers is not None and self.scheduler not in self.model.schedulers:
            raise ValueError(
                f"scheduler {self.scheduler} does not work with model {self.model.name}; "
                f"these do: {', '.join(self.model.schedulers)}"
            )
        if self.ip_adapter is not None and (self.model.ip_adapter is None or self.model.ip_image_encoder is None):
            raise ValueError(
                f"model {self.model.name} names no IP-Adapter weights (model.ip_adapter): remove ip_adapter"
            )
        if self.free_init.iterations > 1 and self.scheduler in schedulers.SCALED:
            able = ", ".join(sorted(schedulers.REGISTRY.keys() - schedulers.SCALED))
            raise ValueError(
                f"free_init cannot begin a round again with scheduler {self.scheduler}, whose latents grow with their "
                f"noise: use {able}, or free_init.iterations=1"
            )
        if self.attention == "flash" and live_regions(self.regions):
            raise ValueError(
                "compute.attention=flash cannot tell regions apart: use auto or math, on a card also efficient"
            )
        return self


def needs_poses(composite: str, controls: Mapping[str, ControlSettings], regions: Mapping[str, Placed]) -> str:
    """Which setting needs the poses of the clip; empty: none does."""
    if composite != "none":
        return f"composite={composite}"
    placed: dict[str, Placed] = {f"controls.{name}": control for name, control in live_controls(controls).items()}
    placed |= {f"regions.{name}": region for name, region in regions.items() if region.weight > 0}
    found = ((key, each.mask.region) for key, each in placed.items())
    return next((f"{key}.mask.region={region}" for key, region in found if region not in ("none", "file")), "")


def check_clip(cfg: Animatediff, width: int, height: int, count: int) -> None:
    """Whether the family can render frames of this size and a clip of this length. Needs none of the models' files.

    Args:
        width, height: px of a frame.
        count: frames.

    Raises:
        UserError: naming the nearest size, or what to set for this length; a reference picture that is none.
    """
    unit = cfg.model.multiple_of
    if width % unit or height % unit:
        near = f"{max(unit, width // unit * unit)}x{max(unit, height // unit * unit)}"
        raise UserError(
            f"model {cfg.model.name}: sides must be multiples of {unit} px: {width}x{height} -> {near}",
            fix=f"extract.multiple_of={unit}",
        )
    check_window(cfg.windows.context_length, count, cfg.model.motion_window, f"model {cfg.model.name}, its catalogue")
    check_loop(cfg.windows, count)
    per_frame = {"strength_schedule": cfg.strength_schedule, "guidance_schedule": cfg.guidance_schedule}
    per_frame |= {f"controls.{n}.weight_schedule": c.weight_schedule for n, c in cfg.controls.items()}
    check_lengths(per_frame, count)
    if cfg.ip_adapter is not None:
        read_picture(cfg.ip_adapter)


def check_lengths(per_frame: Mapping[str, Sequence[object] | None], count: int) -> None:
    """Whether everything that has a value per frame has one for each.

    Raises:
        UserError: the first list of another length.
    """
    for key, values in per_frame.items():
        if values is not None and len(values) != count:
            raise UserError(f"{key}: {len(values)} values for {count} frames", fix="one value for each frame")


def check_window(context_length: int, count: int, window: int, says: str) -> None:
    """Whether the motion module can see windows of this length; clips within its window are one window anyway.

    Raises:
        UserError: a window that is too long for it.
    """
    if count > window and context_length > window:
        raise UserError(
            f"stylize.windows.context_length: {context_length} frames are over the motion module's window ({says} says "
            f"{window}), and the clip has {count}",
            fix=f"stylize.windows.context_length={window}",
        )


def check_loop(windows: Windows, count: int) -> None:
    """Whether a clip that shall be a closed loop is long enough for one: its windows run over the joint.

    Raises:
        UserError: it is shorter than a window.
    """
    if windows.closed_loop and count < windows.context_length:
        overlap = f" stylize.windows.context_overlap={count // 4}" if windows.context_overlap >= count else ""
        raise UserError(
            f"stylize.windows.closed_loop: a loop of {count} frames is shorter than a window of "
            f"stylize.windows.context_length={windows.context_length}",
            fix=f"stylize.windows.context_length={count}{overlap}, or a longer clip",
        )


class Sampled(Protocol):
    """What a render and its denoising both say of how it is sampled."""

    scheduler: Scheduler
    num_inference_steps: int
    strength: float
    strength_schedule: PerFrame
    guidance_scale: float
    guidance_schedule: PerFrame
    controls: dict[str, Control]
    model: AnimateDiff


def is_guided(cfg: Sampled) -> bool:
    """Whether any frame has classifier-free guidance."""
    return cfg.guidance_scale * max(cfg.guidance_schedule or [1.0]) > 1


def check_sampling(cfg: Sampled) -> None:
    """Raises: ValueError, UserError for steps, factors of the strength or kinds of controls that cannot be."""
    _check_steps(cfg)
    if any(value > 1 for value in cfg.strength_schedule or ()):
        raise ValueError("strength_schedule: factors lie in 0..1")
    for name, control in cfg.controls.items():
        _check_kind(name, control, cfg.model)


def _check_steps(cfg: Sampled) -> None:
    most = schedulers.MOST_STEPS.get(cfg.scheduler)
    if most is not None and cfg.num_inference_steps > most:
        raise UserError(
            f"stylize.num_inference_steps: {cfg.num_inference_steps} are over the {most} that scheduler "
            f"{cfg.scheduler} takes",
            fix="stylize.num_inference_steps=8 (4 to 8 are usual with it), or another stylize.scheduler",
        )
    if int(cfg.num_inference_steps * cfg.strength) == 0:
        least = 1
        while int(least * cfg.strength) == 0:
            least += 1
        raise ValueError(
            f"num_inference_steps {cfg.num_inference_steps} x strength {cfg.strength:g} is less than one step: nothing "
            f"would be denoised; use num_inference_steps >= {least}, or strength >= {1 / cfg.num_inference_steps:.3g}"
        )


def _check_kind(name: str, control: Control, model: AnimateDiff) -> None:
    if control.weight > 0 and control.kind not in model.controlnets:
        known = ", ".join(sorted(model.controlnets)) or "none"
        raise ValueError(
            f"controls.{name}.kind: model {model.name} has no ControlNet {control.kind!r}"
            f"{suggest(control.kind, model.controlnets)}; it has: {known}"
        )
