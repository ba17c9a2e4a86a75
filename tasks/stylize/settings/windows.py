"""Settings of what reaches across frames: context windows for long clips, FreeInit."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from reel.config import Config, Field, Finite
from reel.errors import UserError
from tasks.stylize.engine.freeinit import FreeInitPlan
from tasks.stylize.engine.windows import WindowPlan


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
        """As the engine cuts the clip."""
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
        except UserError as error:
            raise ValueError(f"{error.message}; try {error.fix}" if error.fix else error.message) from None
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

    def plan(self) -> FreeInitPlan:
        """As the engine repeats the denoising."""
        return FreeInitPlan(
            self.iterations, self.method, self.order, self.spatial_stop_frequency, self.temporal_stop_frequency
        )
