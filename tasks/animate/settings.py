"""Settings of the ops, and those that a flow offers: what is given, how it is sampled, how it is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from reel.compute import Attention
from reel.config import Config, Field, Finite, Text
from reel.models.source import LoraSource, ModelSource
from reel.models.stock import Argument, Scalar
from reel.units import Factor
from tasks.stylize.settings.compute import Dtype


def _descending(values: list[float] | None) -> list[float] | None:
    if values is not None and (not values or any(a <= b for a, b in pairwise(values))):
        raise ValueError("must descend, such as [1000, 909, 725, 421]")
    if values is not None and not 0 <= values[-1] <= values[0] <= 1000:
        raise ValueError("must lie in 0 to 1000")
    return values


Timesteps = Annotated[list[Finite] | None, AfterValidator(_descending)]
"""Time steps of a distilled model, descending from 1000 at most; None: as many as there are steps, by the scheduler."""


class Stage(Config):
    """What every op of an animator has."""

    architecture: str
    """Whose pipeline is called; a module of tasks/animate/animators/."""
    sources: dict[str, ModelSource]
    """Where the parts of the pipeline lie that the op needs, by name."""
    dtype: Dtype = "float32"
    """Number format of the networks."""


class Embed(Stage):
    """Texts to embeddings."""

    texts: list[tuple[Text, Text]] = Field(min_length=1)
    """Positive and negative ones."""
    guided: bool = True
    """Whether the negative ones are read."""
    max_tokens: int = Field(default=256, ge=1)
    """Of a text, which is filled up to them."""
    seen: dict[str, Argument] | None = None
    """How pictures are looked at where they are embedded with the text; None: they are not."""


class Codec(Stage):
    """A VAE's work."""

    tiling: bool = False
    """In overlapping tiles: less memory, faint differences at their borders."""
    framewise: bool = False
    """A few frames at a time: less memory, other values."""


class Key(Config):
    """A picture or clip that the film shows."""

    at: int = Field(ge=0)
    """The frame that it is, or begins at."""
    strength: Finite = Field(default=1.0, gt=0, le=1)
    """How firmly the frame is held to it; 1: as it is."""


class Encode(Codec):
    """Pictures to the distributions of their latents.

    What else they depend on is None where a pipeline encodes each by itself, for every film and every seed.
    """

    keys: list[Key] | None = None
    """Where the pictures stand."""
    frames: int | None = Field(default=None, ge=1)
    """Length of the film."""
    call: dict[str, Argument] | None = None
    """Arguments of the call, of which a film in segments says how many frames these share."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Of noise over the picture."""
    picture_noise: Finite | None = Field(default=None, ge=0, le=1)
    """How much of it."""


class Denoise(Stage):
    """Noise to the latents of a film, held to pictures."""

    frames: int = Field(ge=1)
    fps: Finite = Field(gt=0)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    keys: list[Key] = Field(default_factory=list)
    """In the order of the inputs ``frames_0``, ``frames_1``, ..."""
    num_inference_steps: int = Field(ge=1, le=1000)
    timesteps: Timesteps = None
    guidance_scale: Finite = Field(ge=0, le=50)
    guidance_rescale: Finite = Field(default=0.0, ge=0, le=1)
    picture_noise: Finite = Field(default=0.0, ge=0, le=1)
    denoise_strength: Finite = Field(default=1.0, gt=0, le=1)
    """Of a second pass over latents that are given; 1: from noise."""
    scheduler_config: dict[str, Scalar] = Field(default_factory=dict)
    call: dict[str, Argument] = Field(default_factory=dict)
    max_tokens: int = Field(default=256, ge=1)
    loras: list[LoraSource] = Field(default_factory=list)
    seed: int = Field(default=0, ge=0, lt=2**63)
    storage: Literal["same", "float8"] = "same"
    """Number format in which the denoiser's weights wait: float8 halves them against bfloat16, and rounds them."""
    attention: Attention = "auto"
    compile: bool = False

    @property
    def guided(self) -> bool:
        return is_guided(self.guidance_scale, self.call)

    @property
    def steps(self) -> int:
        """How many are run."""
        return steps_run(self.num_inference_steps, self.timesteps, self.denoise_strength)

    @model_validator(mode="after")
    def _within(self) -> Denoise:
        if self.steps == 0:
            raise ValueError(
                f"{self.num_inference_steps} steps x strength {self.denoise_strength:g} are less than one: nothing "
                "would be denoised; more steps, or more strength"
            )
        for key in self.keys:
            if key.at >= self.frames:
                raise ValueError(f"keys: frame {key.at} is past the end: {self.frames} frames, counted from 0")
        return self


def steps_run(count: int, timesteps: list[float] | None, strength: float = 1.0) -> int:
    """Steps of a denoising: of a list of time steps as many as it has, and of both the share that `strength` is."""
    return int((count if timesteps is None else len(timesteps)) * strength)


def is_guided(scale: float, call: Mapping[str, Argument]) -> bool:
    """Whether the pipeline runs with and without the prompt: for the picture, or for the sound alone."""
    sound = call.get("audio_guidance_scale")
    return scale > 1 or (isinstance(sound, int | float) and sound > 1)


class Upsample(Stage):
    """Latents to latents of twice the size."""

    adain: Finite = Field(default=0.0, ge=0, le=1)
    """How far their statistics are brought to those of the smaller ones."""
    tone_map: Finite = Field(default=0.0, ge=0, le=1)
    """How far bright and dark extremes are pulled in."""


class Decode(Codec):
    """Latents to frames."""

    denoise: Denoise
    """The settings that the latents were made with: what the pipeline does before decoding is done again by them."""
    keep: int = Field(ge=1)
    """Frames of the film; those behind them were made to be cut off."""
    decode_timestep: Finite = Field(default=0.0, ge=0, le=1)
    decode_noise_scale: Finite | None = Field(default=None, ge=0, le=1)


class Sound(Stage):
    """Latents to sound."""

    denoise: Denoise
    keep: Finite = Field(gt=0)
    """Seconds of the film."""


class Sampling(Config):
    """How an animator is run: what stands under `animate`."""

    num_inference_steps: int = Field(default=30, ge=1, le=1000)
    """Steps of the denoising; a list of timesteps takes their place."""
    timesteps: Timesteps = None
    """Time steps of a distilled model, descending from 1000 at most; empty: the scheduler's own."""
    guidance_scale: Finite = Field(default=3.0, ge=0, le=50)
    """How strictly the prompt is followed; up to 1: no guidance, half the work, as distilled models need it."""
    guidance_rescale: Finite = Field(default=0.0, ge=0, le=1)
    """Takes back the contrast that guidance adds: 0 none of it, 1 all."""
    picture_noise: Finite = Field(default=0.0, ge=0, le=1)
    """Noise on pictures of strength 1, more at early steps: 0.15 lets stiff clips move, 0 keeps the picture."""
    decode_timestep: Finite = Field(default=0.0, ge=0, le=1)
    """For VAEs that take the last denoising step themselves: how noisy they take the latents to be."""
    decode_noise_scale: Finite | None = Field(default=None, ge=0, le=1)
    """Noise that is mixed in before decoding; empty: as decode_timestep."""
    extra_frames: int = Field(default=8, ge=0, le=64)
    """Frames that are made behind the last one and cut off: LTX tends to flash or blur in the last ones."""
    two_pass: bool = False
    """First at half the size, then enlarged and refined."""
    refine_steps: int = Field(default=10, ge=1, le=1000)
    """Steps of the second pass before refine_strength."""
    refine_timesteps: Timesteps = None
    """Time steps of the second pass of a distilled model."""
    refine_strength: Factor = Field(default=0.4, gt=0, le=1)
    """How far the second pass goes from the enlarged first one; int(refine_steps * refine_strength) steps are run."""
    refine_guidance_scale: Finite | None = Field(default=None, ge=0, le=50)
    """How strictly the second pass follows the prompt; empty: as the first."""
    refine_loras: list[LoraSource] = Field(default_factory=list)
    """LoRAs of the second pass alone, beside those of both: one that makes it a distilled model's few steps."""
    adain: Finite = Field(default=0.0, ge=0, le=1)
    """Two passes: how far the enlarged latents are brought to the statistics of the small ones."""
    tone_map: Finite = Field(default=0.0, ge=0, le=1)
    """Two passes: how far extremes are pulled in before refining; 0.6 is advised for LTX 0.9.8."""
    loras: list[LoraSource] = Field(default_factory=list)
    """Style and camera LoRAs of the model's own generation."""
    storage: Literal["same", "float8"] = "same"
    """Number format in which the denoiser's weights wait: float8 halves them against bfloat16, and rounds them."""
    encode_tiling: bool = False
    """Encode in overlapping tiles: less memory; everything is denoised anew."""
    decode_tiling: bool = False
    """Decode in overlapping tiles: less memory, faint differences at their borders. Nothing is denoised anew."""
    decode_framewise: bool = False
    """Decode a few frames at a time: less memory, other values. Nothing is denoised anew."""
