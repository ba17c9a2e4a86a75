"""Settings of the `stylize` op: everything that changes the bytes of a render, and checks that need no model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import field_validator, model_validator

from reel.config import Config, Field, Finite, Text, suggest
from reel.models import LoraSource, ModelConfig, ModelSource, Scheduler
from reel.prompt import check_prompt


class Control(Config):
    """One ControlNet in use; its map is the op's input `map_<name>`."""

    kind: str
    """Which of the family's ControlNets reads the map: openpose, depth, lineart, tile, ..."""
    weight: Finite = Field(default=1.0, ge=0.0, le=10.0)
    """How much the map decides; 0 drops the control, 1 is as trained."""
    control_guidance_start: Finite = Field(default=0.0, ge=0.0, lt=1.0)
    """Part of the denoising after which the control begins (0: from the first step)."""
    control_guidance_end: Finite = Field(default=1.0, gt=0.0, le=1.0)
    """Part of the denoising after which it ends (1: with the last step)."""

    @model_validator(mode="after")
    def _ordered(self) -> Control:
        if self.control_guidance_start >= self.control_guidance_end:
            raise ValueError(
                f"control_guidance_start ({self.control_guidance_start:g}) must be below "
                f"control_guidance_end ({self.control_guidance_end:g})"
            )
        return self


class FreeNoise(Config):
    """Motion modules in overlapping windows, for clips longer than the motion window (arXiv:2310.15169)."""

    context_length: int = Field(default=16, ge=1)
    """Frames in a window; at most the family's motion_window."""
    context_stride: int = Field(default=4, ge=1)
    """Frames from the start of one window to that of the next; at most context_length."""
    weighting_scheme: Literal["flat", "pyramid", "delayed_reverse_sawtooth"] = "pyramid"
    """How overlapping windows are weighed against each other."""

    @model_validator(mode="after")
    def _overlapping(self) -> FreeNoise:
        if self.context_stride > self.context_length:
            raise ValueError(
                f"context_stride ({self.context_stride}) must not exceed context_length ({self.context_length}): "
                "frames between the windows would have no motion module"
            )
        return self


class IpAdapter(Config):
    """A picture as part of the prompt (arXiv:2308.06721)."""

    picture: Path
    """Path of the picture."""
    weight: Finite = Field(default=0.6, ge=0.0, le=2.0)
    """How much the picture decides beside the text."""


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
    clip_skip: int | None = Field(default=None, ge=1, le=11)
    """Layers left out at the text encoder's end (1: the last but one is used). Other programs count from 1 = none."""
    vae: ModelSource | None = None
    """A VAE instead of the family's."""
    loras: list[LoraSource] = Field(default_factory=list)
    """Style LoRAs."""
    motion_loras: list[LoraSource] = Field(default_factory=list)
    """Camera LoRAs for AnimateDiff v2 motion modules."""
    ip_adapter: IpAdapter | None = None
    """A reference picture."""
    free_noise: FreeNoise | None = None
    """Windows for clips longer than the motion window."""
    decode_chunk_size: int = Field(default=16, ge=1)
    """Frames that the VAE encodes or decodes at a time; changes the last bits of a picture."""
    vae_slicing: bool = False
    """VAE one frame at a time, whatever decode_chunk_size says."""
    vae_tiling: bool = False
    """VAE in overlapping tiles: less memory, faint differences at tile borders."""


class Animatediff(Sampling):
    """Settings of one render with an AnimateDiff family."""

    prompt: Text
    """What the clip shows, as text for the family's encoder."""
    negative_prompt: Text = ""
    """What it should not show. Has no effect at guidance_scale <= 1."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise."""
    controls: dict[str, Control] = Field(default_factory=dict)
    """ControlNets by name."""
    model: ModelConfig
    """The family."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of the models; `compute.dtype=auto` is resolved before it comes here."""

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _known_syntax(cls, text: str, info: object) -> str:
        check_prompt(text, str(getattr(info, "field_name", "prompt")))
        return text

    @field_validator("prompt")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is empty: say what the clip should show, for instance 'a dancer with long red hair'")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> Animatediff:
        _check_steps(self)
        for name, control in self.controls.items():
            _check_kind(name, control, self.model)
        if self.model.schedulers is not None and self.scheduler not in self.model.schedulers:
            raise ValueError(
                f"scheduler {self.scheduler} does not work with model {self.model.name}; "
                f"these do: {', '.join(self.model.schedulers)}"
            )
        if self.ip_adapter is not None and (self.model.ip_adapter is None or self.model.ip_image_encoder is None):
            raise ValueError(
                f"model {self.model.name} names no IP-Adapter weights (model.ip_adapter): remove ip_adapter"
            )
        if self.free_noise is not None and self.free_noise.context_length > self.model.motion_window:
            raise ValueError(
                f"free_noise.context_length ({self.free_noise.context_length}) is over the motion window of "
                f"model {self.model.name} ({self.model.motion_window} frames)"
            )
        return self


def live_controls(controls: Mapping[str, Control]) -> dict[str, Control]:
    """The controls that do something, by name in alphabetical order.

    The order is fixed because residuals are summed in it, and sums of floats depend on it. Edge points of a sweep
    (weight 0) thereby become the same render.
    """
    return {name: controls[name] for name in sorted(controls) if controls[name].weight > 0}


def canonical(cfg: Animatediff) -> Animatediff:
    """The settings without what has no effect: dropped controls, ControlNets nobody uses, an unread negative prompt."""
    live = live_controls(cfg.controls)
    update = {
        "controls": live,
        "model": cfg.model.only({control.kind for control in live.values()}),
        "negative_prompt": cfg.negative_prompt if cfg.guidance_scale > 1 else "",
    }
    return cfg.model_copy(update=update)


def sources(cfg: Animatediff) -> list[ModelSource]:
    """Every file outside the settings that decides the render: family, ControlNets in use, LoRAs, reference picture."""
    model = cfg.model.only({control.kind for control in live_controls(cfg.controls).values()})
    if cfg.ip_adapter is None:
        model = model.model_copy(update={"ip_adapter": None, "ip_image_encoder": None})
    if cfg.vae is not None:
        model = model.model_copy(update={"vae": cfg.vae})
    found = [*model.sources(), *(lora.source for lora in [*cfg.loras, *cfg.motion_loras])]
    if cfg.ip_adapter is not None:
        found.append(picture_source(cfg.ip_adapter))
    return found


def picture_source(ip_adapter: IpAdapter) -> ModelSource:
    """The reference picture as a source, so that its bytes are in the key."""
    return ModelSource(kind="file", id=str(ip_adapter.picture))


def _check_steps(cfg: Animatediff) -> None:
    if int(cfg.num_inference_steps * cfg.strength) == 0:
        least = 1
        while int(least * cfg.strength) == 0:
            least += 1
        raise ValueError(
            f"num_inference_steps {cfg.num_inference_steps} x strength {cfg.strength:g} is less than one step: nothing "
            f"would be denoised; use num_inference_steps >= {least}, or strength >= {1 / cfg.num_inference_steps:.3g}"
        )


def _check_kind(name: str, control: Control, model: ModelConfig) -> None:
    if control.weight > 0 and control.kind not in model.controlnets:
        known = ", ".join(sorted(model.controlnets)) or "none"
        raise ValueError(
            f"controls.{name}.kind: model {model.name} has no ControlNet {control.kind!r}"
            f"{suggest(control.kind, model.controlnets)}; it has: {known}"
        )
