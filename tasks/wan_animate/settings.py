"""Settings of a clip that Wan-Animate draws: what stands under `stylize` with `renderer=wan_animate`."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator, model_validator

from reel.config import Config, Field, Finite, LocalPath
from reel.units import Factor, PixelLength
from tasks.wan_animate.segments import STEP, least


class Segments(Config):
    """How a clip that is longer than the family makes at once is made in several."""

    frames: int = Field(default=77, ge=5)
    """Most frames of a segment, 4k+1; all of a clip's are equally long, the shortest that make it in so many."""
    carried: Literal[1, 5] = 1
    """Frames that a segment takes over from the one before: they stay, and the rest goes on from them."""

    @model_validator(mode="after")
    def _of_use(self) -> Segments:
        if self.frames % STEP != 1:
            near = max(5, round((self.frames - 1) / STEP) * STEP + 1)
            raise ValueError(f"frames must be 4k+1 (5, 9, 13, ...), got {self.frames}: frames={near}")
        if self.frames < least(self.carried):
            raise ValueError(
                f"frames ({self.frames}) must be more than twice the carried ({self.carried}): "
                f"frames={least(self.carried)}, or carried=1"
            )
        return self


class WanAnimate(Config):
    """How Wan-Animate is run."""

    renderer: Literal["wan_animate"]
    """Says which renderer these settings are for."""
    mode: Literal["animate", "replace"] = "animate"
    """animate: the picture's character moves as the person of the clip, in the picture's place; replace: it takes that
    person's place in the clip."""
    references: list[LocalPath] = []
    """The picture of the character: one. It is fitted into the frame on black."""
    num_inference_steps: int = Field(default=20, ge=1, le=1000)
    """Steps of the denoising of each segment."""
    guidance_scale: Finite = Field(default=1.0, ge=0, le=50)
    """How strictly prompt and face are followed; up to 1, as advised: no guidance, half the work."""
    flow_shift: Finite = Field(default=5.0, gt=0, le=100)
    """How long the denoising stays at high noise: more makes larger moves; 5, as its authors run it."""
    face_scale: Factor = Field(default=1.2, ge=0.5, le=4)
    """Side of the square around the face, in diameters of the head: more shows more beside it."""
    face_steady: int = Field(default=9, ge=1, le=301)
    """Frames over which the square's place and size are averaged, so that it does not tremble, odd; 1: none."""
    detector: str = "blazepose"
    """The pose detector that says where the face is, and with `mode=replace` where the person is."""
    composite_dilate: PixelLength = Field(default=8, ge=0, le=512)
    """`mode=replace`: px around the person that are drawn anew, too."""
    segments: Segments = Field(default_factory=Segments)
    """Segments of a clip that is longer than the family makes at once."""
    storage: Literal["same", "float8"] = "same"
    """Number format in which the denoiser's weights wait: float8 halves them against bfloat16, and rounds them."""
    encode_tiling: bool = False
    """Encode in overlapping tiles: less memory; everything is denoised anew."""
    decode_tiling: bool = False
    """Decode in overlapping tiles: less memory, faint differences. Later segments go on from it, and are made anew."""

    @field_validator("face_steady")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"as many frames before as behind, so an odd number: {value - 1}, or {value + 1}")
        return value
