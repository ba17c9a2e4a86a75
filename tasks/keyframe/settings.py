"""Settings of the op that draws key pictures, and those that a flow offers."""

from __future__ import annotations

from reel.compute import Attention
from reel.config import Config, Field, Finite, Text
from reel.models.source import ModelSource
from reel.models.stock import Argument, Scalar
from tasks.stylize.settings.compute import Dtype


class Draw(Config):
    """Words to a picture."""

    architecture: str
    """Whose pipeline is called; a module of tasks/keyframe/painters/."""
    sources: dict[str, ModelSource]
    """Where the pipeline's parts lie, by name."""
    dtype: Dtype = "float32"
    prompt: Text
    negative_prompt: Text = ""
    width: int = Field(ge=8)
    height: int = Field(ge=8)
    num_inference_steps: int = Field(ge=1, le=1000)
    guidance_scale: Finite = Field(ge=0, le=50)
    scheduler_config: dict[str, Scalar] = Field(default_factory=dict)
    call: dict[str, Argument] = Field(default_factory=dict)
    max_tokens: int = Field(default=77, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    attention: Attention = "auto"


class Drawing(Config):
    """How key pictures are drawn: what stands under `draw`."""

    num_inference_steps: int = Field(default=28, ge=1, le=1000)
    """Steps of the denoising."""
    guidance_scale: Finite = Field(default=3.5, ge=0, le=50)
    """How strictly the prompt is followed; distilled models want 0 or 1."""
    negative_prompt: Text = ""
    """What a picture should not show; read by families that know guidance against one."""
