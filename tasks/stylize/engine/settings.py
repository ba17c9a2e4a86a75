"""Settings of the engine's four ops. Each holds what can change its own bytes and nothing else.

The split is the point: another prompt re-encodes no picture, another weight decodes nothing twice, and another movie
format touches none of them.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from reel.config import Config, Field, Finite, Text
from reel.models import LoraSource, ModelConfig, ModelSource, Scheduler
from tasks.stylize.engine.embed import parse_emphasis
from tasks.stylize.engine.windows import WindowPlan
from tasks.stylize.settings import Control, IpAdapter

Dtype = Literal["float32", "bfloat16", "float16"]


def _not_negative(values: list[float] | None) -> list[float] | None:
    wrong = [i for i, value in enumerate(values or ()) if value < 0]
    if wrong:
        raise ValueError(f"value {wrong[0]} (of {len(values or ())}) is negative")
    return values


PerFrame = Annotated[list[Finite] | None, AfterValidator(_not_negative)]
"""One value for each frame, 0 or more; None: the same for all."""


class TimestepKeyframe(Config):
    """A factor of a control's weight from a part of the denoising on."""

    at: Finite = Field(ge=0, le=1)
    """Part of the denoising: 0 first step, 1 end."""
    scale: Finite = Field(ge=0, le=10)
    """Factor of the weight."""
    interpolate: Literal["hold", "linear"] = "hold"
    """How it goes on to the next keyframe."""


class Mask(Config):
    """A region of the picture."""

    region: Literal["none", "person", "background", "face", "hair", "file"] = "none"
    """From the pose detector's outline and key points, or `file`: a clip of masks, white inside."""
    dilate: Finite = Field(default=0, ge=-512, le=512)
    """px by which the region grows; negative: shrinks."""
    feather: Finite = Field(default=0, ge=0, le=512)
    """px over which its border fades."""


class EngineControl(Control):
    """One ControlNet in use, with a weight for every frame, step, layer and place."""

    weight_schedule: PerFrame = None
    """Factor of `weight` for each frame."""
    timestep_keyframes: list[TimestepKeyframe] = Field(default_factory=list)
    """Factors of the weight over the denoising."""
    layer_weights: list[Finite] | None = None
    """Factor for each of the ControlNet's residuals, the input's first, the middle's last (13 for SD 1.5)."""
    soft: Finite | None = Field(default=None, gt=0, le=1)
    """Instead of layer_weights: each layer away from the middle counts this much less (0.825: prompt matters more)."""
    mask: Mask = Field(default_factory=Mask)
    """Where the control does NOT count."""

    @model_validator(mode="after")
    def _clear(self) -> EngineControl:
        if self.soft is not None and self.layer_weights is not None:
            raise ValueError("soft and layer_weights both set the layers' weights: give one")
        places = [key.at for key in self.timestep_keyframes]
        if any(b <= a for a, b in itertools.pairwise(places)):
            raise ValueError(f"timestep_keyframes: `at` must ascend, got {places}")
        return self


class Windows(Config):
    """How motion modules see clips longer than their window; names and meaning of AnimateDiff-Evolved."""

    context_length: int = Field(default=16, ge=1)
    """Frames in a window; at most what the motion module was made for."""
    context_overlap: int = Field(default=4, ge=0)
    """Frames that neighbouring windows share."""
    context_stride: int = Field(default=1, ge=1, le=8)
    """1: neighbouring frames; k: also windows over every 2nd, 4th, ... 2**(k-1)th frame."""
    context_schedule: Literal["standard-static", "standard-uniform", "looped-uniform"] = "standard-static"
    """Whether windows move from step to step, and run over the clip's end."""
    fuse_method: Literal["flat", "pyramid", "overlap-linear"] = "pyramid"
    """How overlapping windows are weighed."""
    closed_loop: bool = False
    """The clip's end leads into its beginning; needs looped-uniform."""
    window_scope: Literal["motion", "full"] = "motion"
    """What runs in windows: the motion modules alone, or (more work, for comparison) the whole network."""

    def plan(self) -> WindowPlan:
        return WindowPlan(
            self.context_length,
            self.context_overlap,
            self.context_stride,
            self.context_schedule,
            self.fuse_method,
            self.closed_loop,
        )

    @model_validator(mode="after")
    def _possible(self) -> Windows:
        try:
            self.plan()
        except Exception as error:
            raise ValueError(getattr(error, "message", str(error))) from None
        return self


class FreeInit(Config):
    """Several denoisings, each from the low frequencies of the last (arXiv:2312.07537): steadier, and dearer."""

    iterations: int = Field(default=1, ge=1, le=10)
    """1: plain denoising; each more costs a whole denoising."""
    method: Literal["butterworth", "gaussian", "ideal"] = "butterworth"
    """The filter's shape."""
    order: int = Field(default=4, ge=1, le=16)
    """Steepness of butterworth."""
    spatial_stop_frequency: Finite = Field(default=0.25, gt=0, le=1)
    """Highest frequency over the picture that is kept."""
    temporal_stop_frequency: Finite = Field(default=0.25, gt=0, le=1)
    """Highest frequency over time that is kept."""


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


class Embed(Config):
    """Texts to embeddings."""

    base: ModelSource
    """The family's base model, for its text encoder and tokenizer."""
    base_config: ModelSource | None = None
    """For a base that is one checkpoint file: where its tokenizer and settings come from."""
    loras: list[LoraSource] = Field(default_factory=list)
    """The family's and the style LoRAs: they may change the text encoder."""
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

    model: ModelConfig
    """The family: UNet, motion module, ControlNets, scheduler settings."""
    loras: list[LoraSource] = Field(default_factory=list)
    """Style LoRAs."""
    motion_loras: list[LoraSource] = Field(default_factory=list)
    """Camera LoRAs for AnimateDiff v2 motion modules."""
    dtype: Dtype = "float32"
    """Number format of the networks; latents and scheduler are always float32."""
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
    prompts: Prompts | None = None
    """Which text each frame shows; None: the first text throughout."""
    controls: dict[str, EngineControl] = Field(default_factory=dict)
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
        if int(self.num_inference_steps * self.strength) == 0:
            raise ValueError(
                f"num_inference_steps {self.num_inference_steps} x strength {self.strength:g} is less than one step"
            )
        if any(value > 1 for value in self.strength_schedule or ()):
            raise ValueError("strength_schedule: factors lie in 0..1")
        for name, control in self.controls.items():
            if control.weight > 0 and control.kind not in self.model.controlnets:
                known = ", ".join(sorted(self.model.controlnets)) or "none"
                raise ValueError(
                    f"controls.{name}.kind: model {self.model.name} has no {control.kind!r}; it has: {known}"
                )
        return self

    def live(self) -> dict[str, EngineControl]:
        """The controls that do something, in alphabetical order: residuals are summed in it."""
        return {name: self.controls[name] for name in sorted(self.controls) if _does_something(self.controls[name])}


def _does_something(control: EngineControl) -> bool:
    return control.weight > 0 and (control.weight_schedule is None or any(control.weight_schedule))
