"""Settings of the op that draws key pictures, and those that a flow offers."""

from __future__ import annotations

from reel.compute import Attention
from reel.config import Config, Field, Finite, Text
from reel.models.family import Size
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
    painted: Size | None = None
    """Size that it is painted at, larger and of the same shape, before it is made smaller; empty: its own."""
    num_inference_steps: int = Field(ge=1, le=1000)
    guidance_scale: Finite = Field(ge=0, le=50)
    reference_scale: Finite | None = Field(default=None, ge=0, le=1)
    """How strongly an IP-Adapter's pictures count; None: there is none in it."""
    scheduler_config: dict[str, Scalar] = Field(default_factory=dict)
    call: dict[str, Argument] = Field(default_factory=dict)
    max_tokens: int = Field(default=77, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    attention: Attention = "auto"

    @property
    def at(self) -> tuple[int, int]:
        """Width and height that it is painted at, px."""
        return (self.width, self.height) if self.painted is None else (self.painted.width, self.painted.height)

    def consistency(self, references: int) -> str:
        """What keeps a character the same from picture to picture, in words.

        Args:
            references: how many reference pictures are given.
        """
        if not references:
            return "words and seed"
        pictures = f"{references} reference picture{'s' if references > 1 else ''}"
        return pictures if self.reference_scale is None else f"{pictures} by IP-Adapter, {self.reference_scale:g}"


class Drawing(Config):
    """How key pictures are drawn: what stands under `draw`."""

    num_inference_steps: int = Field(default=28, ge=1, le=1000)
    """Steps of the denoising."""
    guidance_scale: Finite = Field(default=3.5, ge=0, le=50)
    """How strictly the prompt is followed; distilled models want 0 or 1."""
    negative_prompt: Text = ""
    """What a picture should not show; read by families that know guidance against one."""


class DrawingOfCharacters(Drawing):
    """The same, of characters who may have reference pictures."""

    reference_scale: Finite = Field(default=0.6, ge=0, le=1)
    """How strongly reference pictures of characters count with sd15 and sdxl; 1: hardly the words any more."""
