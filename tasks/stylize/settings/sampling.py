"""How a render is sampled: what stands under `stylize`, and the part of it that the op `denoise` takes as it is."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import field_validator, model_validator

from reel.config import Config, Field, Finite
from reel.errors import UserError
from reel.models.family import NoiseType, Scheduler
from reel.models.source import LoraSource, ModelSource, only_safetensors
from reel.units import Factor, PixelLength
from tasks.stylize.engine import schedulers
from tasks.stylize.settings.reference import IpAdapter
from tasks.stylize.settings.windows import FreeInit, Windows


class Denoising(Config):
    """The settings of a denoising that the user gives as the op takes them."""

    strength: Factor = Field(default=0.8, gt=0, le=1)
    """How far from the source: 1 keeps only the controls' maps, 0.3 mostly recolours."""
    num_inference_steps: int = Field(default=20, ge=1, le=1000)
    """Steps of the full noise schedule; int(num_inference_steps * strength) of them are run."""
    scheduler: Scheduler = "ddim"
    """Sampler."""
    guidance_scale: Finite = Field(default=7.5, ge=0, le=50)
    """Classifier-free guidance; up to 1 none (half the work)."""
    guidance_end: Factor = Field(default=1.0, gt=0, le=1)
    """Part of the denoising after which there is no guidance: saves half the work of the rest, changes the picture."""
    noise_type: NoiseType = "default"
    """Noise that a clip begins from. default: each frame's own; constant: the same for all frames, which keeps what the
    prompt leaves open and flickers less, but holds still what no control moves. Samplers' own noise is each frame's."""
    control_every: int = Field(default=1, ge=1, le=8)
    """k: ControlNets run every k-th step, their residuals are used again in between: faster, another picture."""
    first_block_cache: Finite = Field(default=0.0, ge=0, le=1)
    """Steps whose first layer changes by less than this (0.1: a tenth) skip the other layers. 0: none. Saves time,
    changes the picture."""
    composite: Literal["none", "keep_background"] = "none"
    """keep_background: what is not the person (grown by composite_dilate) stays the source's."""
    composite_dilate: PixelLength = Field(default=8, ge=0, le=512)
    """px around the person that are rendered too."""
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

    @model_validator(mode="after")
    def _possible_steps(self) -> Denoising:
        check_steps(self.scheduler, self.num_inference_steps, self.strength)
        if self.free_init.iterations > 1 and self.scheduler in schedulers.SCALED:
            able = ", ".join(sorted(schedulers.REGISTRY.keys() - schedulers.SCALED))
            raise ValueError(
                f"free_init cannot begin a round again with scheduler {self.scheduler}, whose latents grow with their "
                f"noise: use {able}, or free_init.iterations=1"
            )
        return self


class Sampling(Denoising):
    """What stands under `stylize`: how the denoising samples, and how pictures and texts come to it."""

    detector: str = "blazepose"
    """The pose detector whose outlines and key points masks and compositing are made from."""
    clip_skip: int | None = Field(default=None, ge=1, le=11)
    """Layers left out at the text encoder's end (1: the last but one is used). Other programs count from 1 = none."""
    vae: ModelSource | None = None
    """A VAE instead of the family's."""
    embeddings: dict[str, ModelSource] = Field(default_factory=dict)
    """Textual inversions (arXiv:2208.01618): `embedding:NAME` in a prompt stands for the vectors in that file."""
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


def check_steps(scheduler: Scheduler, num_inference_steps: int, strength: float) -> None:
    """Raises: ValueError, UserError for steps that the scheduler does not take, or of which none would be run."""
    most = schedulers.MOST_STEPS.get(scheduler)
    if most is not None and num_inference_steps > most:
        raise UserError(
            f"stylize.num_inference_steps: {num_inference_steps} are over the {most} that scheduler {scheduler} takes",
            fix="stylize.num_inference_steps=8 (4 to 8 are usual with it), or another stylize.scheduler",
        )
    if int(num_inference_steps * strength) == 0:
        least = math.ceil(1 / strength)
        least += int(least * strength) == 0  # rounded down to just below a step
        raise ValueError(
            f"num_inference_steps {num_inference_steps} x strength {strength:g} is less than one step: nothing would "
            f"be denoised; use num_inference_steps >= {least}, or strength >= {1 / num_inference_steps:.3g}"
        )
