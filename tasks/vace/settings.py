"""Settings of a clip that Wan VACE repaints: what stands under `stylize` with `renderer=vace`."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from reel.config import Config, Field, Finite, LocalPath
from reel.units import PixelLength

Blend = Literal["cut", "fade", "match"]
Noise = Literal["shared", "own"]


class Windows(Config):
    """How a clip that is longer than the family makes at once is made in several."""

    frames: int = Field(default=81, ge=5)
    """Most frames of a window, 4k+1; of a longer clip all windows are made about equally long."""
    overlap: int = Field(default=5, ge=1)
    """Frames, 4k+1, that a window takes over from the one before: they stay, and the rest goes on from them."""
    noise: Noise = "shared"
    """`shared`: frames of two windows begin with the same noise in both; `own`: each window has a seed of its own."""
    blend: Blend = "fade"
    """How two windows meet: `cut` after the overlap, `fade` over it, `match`: the later one's colours brought to the
    earlier one's first."""

    @model_validator(mode="after")
    def _on_grid(self) -> Windows:
        for name in ("frames", "overlap"):
            asked = getattr(self, name)
            if asked % 4 != 1:
                near = max(1, round((asked - 1) / 4) * 4 + 1)
                raise ValueError(f"{name} must be 4k+1 (1, 5, 9, ...), got {asked}: {name}={near}")
        if self.overlap >= self.frames:
            raise ValueError(f"overlap ({self.overlap}) must be less than frames ({self.frames})")
        return self


class Vace(Config):
    """How Wan VACE is run."""

    renderer: Literal["vace"]
    """Says which renderer these settings are for."""
    num_inference_steps: int = Field(default=50, ge=1, le=1000)
    """Steps of the denoising."""
    guidance_scale: Finite = Field(default=5.0, ge=0, le=50)
    """How strictly the prompt is followed; up to 1: no guidance, half the work."""
    flow_shift: Finite | None = Field(default=None, gt=0, le=100)
    """How long the denoising stays at high noise: more makes larger moves; empty: 3 up to 832x480, 5 above."""
    references: list[LocalPath] = []
    """Pictures of the character, or of what else shall be in the film; fitted into the frame on white."""
    overlay: list[str] = []
    """Controls whose maps are drawn into one, the last on top: [depth, pose]. VACE reads one map alone."""
    composite: Literal["none", "keep_background"] = "none"
    """keep_background: what is not the person (grown by composite_dilate) stays the source's."""
    composite_dilate: PixelLength = Field(default=8, ge=0, le=512)
    """px around the person that are drawn anew, too."""
    detector: str = "blazepose"
    """The pose detector whose outlines say where the person is."""
    windows: Windows = Field(default_factory=Windows)
    """Windows of a clip that is longer than the family makes at once."""
    storage: Literal["same", "float8"] = "same"
    """Number format in which the denoiser's weights wait: float8 halves them against bfloat16, and rounds them."""
    encode_tiling: bool = False
    """Encode in overlapping tiles: less memory; everything is denoised anew."""
    decode_tiling: bool = False
    """Decode in overlapping tiles: less memory, faint differences at their borders. Nothing is denoised anew."""
