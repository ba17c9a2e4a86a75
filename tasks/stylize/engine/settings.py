"""Settings of the engine's four ops. Each holds what can change its own bytes and nothing else.

The split is the point: another prompt re-encodes no picture, another weight decodes nothing twice, and another movie
format touches none of them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from reel.compute import Attention
from reel.config import Config, Field, Finite, Text
from reel.models.animatediff import AnimateDiff
from reel.models.family import Scheduler
from reel.models.source import LoraSource, ModelSource
from tasks.stylize.control import Control, Mask, PerFrame, live_controls
from tasks.stylize.engine.embed import parse_emphasis
from tasks.stylize.reference import IpAdapter
from tasks.stylize.settings import check_sampling, is_guided
from tasks.stylize.windows import FreeInit, Windows

Dtype = Literal["float32", "bfloat16", "float16"]


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


class RegionalText(Config):
    """A text that counts in a part of the picture; a file of masks is the op's input `region_<name>`."""

    text: int = Field(ge=0)
    """Number of the text."""
    mask: Mask
    """Where it counts."""
    weight: Finite = Field(gt=0, le=1)
    """How much it decides there beside the prompt."""


class _Codec(Config):
    base: ModelSource
    """The family's base model, for its VAE."""
    base_config: ModelSource | None = None
    """For a base that is one checkpoint file: where its settings come from."""
    vae: ModelSource | None = None
    """A VAE instead of the base's."""
    dtype: Dtype = "float32"
    """Number format; resolved from `compute.dtype=auto` before it comes here."""
    chunk_size: int = Field(default=16, ge=1)
    """Frames at a time; changes the last bits."""
    tiling: bool = False
    """Overlapping tiles: less memory, faint differences at their borders."""


class Encode(_Codec):
    """Pictures to latents."""


class Decode(_Codec):
    """Latents to pictures."""

    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """Order of activations in memory; changes the last bits. `compute.memory_format=auto` is resolved before."""


class Embed(Config):
    """Texts to embeddings."""

    base: ModelSource
    """The family's base model, for its text encoder and tokenizer."""
    base_config: ModelSource | None = None
    """For a base that is one checkpoint file: where its tokenizer and settings come from."""
    loras: list[LoraSource] = Field(default_factory=list)
    """The family's and the style LoRAs: they may change the text encoder."""
    embeddings: dict[str, ModelSource] = Field(default_factory=dict)
    """The textual inversions that the texts name."""
    texts: list[tuple[Text, Text]] = Field(min_length=1)
    """The render's distinct (positive, negative) texts; emphasis as (text:1.2), (text), [text]."""
    clip_skip: int | None = Field(default=None, ge=1, le=11)
    """Layers left out at the text encoder's end."""
    dtype: Dtype = "float32"
    """Number format."""

    @model_validator(mode="after")
    def _readable(self) -> Embed:
        for pair in self.texts:
            for text in pair:
                try:
                    parse_emphasis(text)
                except Exception as error:
                    raise ValueError(str(error)) from None
        return self


class Denoise(Config):
    """Latents, embeddings and control maps to new latents."""

    model: AnimateDiff
    """The family: UNet, motion module, ControlNets, scheduler settings."""
    loras: list[LoraSource] = Field(default_factory=list)
    """Style LoRAs."""
    motion_loras: list[LoraSource] = Field(default_factory=list)
    """Camera LoRAs for AnimateDiff v2 motion modules."""
    dtype: Dtype = "float32"
    """Number format of the networks; latents and scheduler are always float32."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """Order of activations in memory; changes the last bits. `compute.memory_format=auto` is resolved before."""
    attention: Attention = "auto"
    """Kernel of attention; changes the last bits."""
    compile: bool = False
    """Blocks compiled by torch.compile; changes the last bits."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise."""
    scheduler: Scheduler = "ddim"
    """Sampler."""
    num_inference_steps: int = Field(default=20, ge=1, le=1000)
    """Steps of the full noise schedule; int(num_inference_steps * strength) of them are run."""
    strength: Finite = Field(default=0.8, gt=0, le=1)
    """How far from the source: 1 keeps only what the controls say."""
    strength_schedule: PerFrame = None
    """Factor of `strength` for each frame, 0..1; 0 keeps the source's frame."""
    composite: Literal["none", "keep_background"] = "none"
    """keep_background: what is not the person (grown by composite_dilate) stays the source's."""
    composite_dilate: Finite = Field(default=8, ge=0, le=512)
    """px around the person that are rendered too."""
    guidance_scale: Finite = Field(default=7.5, ge=0, le=50)
    """Classifier-free guidance; up to 1 none (half the work)."""
    guidance_schedule: PerFrame = None
    """Factor of `guidance_scale` for each frame."""
    guidance_end: Finite = Field(default=1.0, gt=0, le=1)
    """Part of the denoising after which there is no guidance: saves half the work of the rest, changes the picture."""
    control_every: int = Field(default=1, ge=1, le=8)
    """k: ControlNets run every k-th step, their residuals are used again in between: faster, another picture."""
    first_block_cache: Finite = Field(default=0.0, ge=0, le=1)
    """Steps whose first layer changes by less than this (0.1: a tenth) skip the other layers. 0: none. Saves time,
    changes the picture."""
    prompts: Prompts | None = None
    """Which text each frame shows; None: the first text throughout."""
    regions: dict[str, RegionalText] = Field(default_factory=dict)
    """Texts for parts of the picture, by name."""
    controls: dict[str, Control] = Field(default_factory=dict)
    """ControlNets by name."""
    windows: Windows = Field(default_factory=Windows)
    """For clips longer than the motion window."""
    free_init: FreeInit = Field(default_factory=FreeInit)
    """Several denoisings for steadier motion."""
    ip_adapter: IpAdapter | None = None
    """A reference picture."""
    frame_block: int = Field(default=16, ge=1)
    """Frames that the spatial layers take at a time; changes the last bits."""

    @model_validator(mode="after")
    def _consistent(self) -> Denoise:
        check_sampling(self)
        return self

    @property
    def guided(self) -> bool:
        """Whether any frame has classifier-free guidance: two branches instead of one."""
        return is_guided(self)

    def live(self) -> dict[str, Control]:
        """The controls that do something, in alphabetical order: residuals are summed in it."""
        return live_controls(self.controls)
