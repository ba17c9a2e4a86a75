"""Settings of the family's training; values with comments stand in conf/train_sprite.yaml."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from reel.config import Config

STAGES = ("data", "text", "vae", "probe", "joint", "controls", "motion")
"""Stages in the order in which they build on one another."""


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


class TrainSettings(Config):
    """Settings of the whole training."""

    folder: Path
    """Working folder: drawn data, checkpoints, logs."""
    output: Path
    """Where the family is written (fp16 safetensors in diffusers' layout)."""
    seed: int = Field(default=1, ge=0)
    """Seed of the drawn data, the first weights and every batch."""
    threads: int = Field(default=2, ge=1)
    """CPU threads."""
    stills: int = Field(default=20000, ge=1024)
    """Drawn single pictures; the last 512 are never trained on."""
    clips: int = Field(default=400, ge=1)
    """Drawn dances of 16 frames."""
    learn_stills: int = Field(default=12000, ge=1)
    """Stills that the UNet stages learn from: each costs 20 ms of encoding before the first step."""
    learn_clips: int = Field(default=400, ge=1)
    """Dances that the UNet stages learn from."""
    stages: list[str]
    """Stages to run, in this order."""
    text: StageSettings
    vae: StageSettings
    probe: StageSettings
    joint: StageSettings
    controls: StageSettings
    motion: StageSettings
