"""Settings that every training stage has."""

from __future__ import annotations

from pydantic import Field

from reel.config import Config


class StageSettings(Config):
    """One training stage."""

    steps: int = Field(ge=1)
    """Optimiser steps; raise it to train a finished stage further."""
    batch: int = Field(ge=1)
    """Samples of a step (clips of 16 frames in `motion`)."""
    lr: float = Field(gt=0, le=1)
    """Learning rate; constant, then linear to 0 in the last 35 % of the steps."""
    ema: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the averaged weights, which are what is kept."""
    check_every: int = Field(default=500, ge=1)
    """Steps between two checks."""
    gate: dict[str, float] = Field(default_factory=dict)
    """Figure of the last check -> the least value with which training goes on."""

    @property
    def gates(self) -> dict[str, float]:
        """The gate, as far as it concerns what is trained."""
        return self.gate
