"""Settings of the ops `encode` and `decode`: a family's VAE, and how many frames it takes at a time."""

from __future__ import annotations

from reel.config import Config, Field
from reel.models.source import ModelSource
from tasks.stylize.settings.compute import Dtype, MemoryFormat


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

    memory_format: MemoryFormat = "contiguous"
    """Order of activations in memory; changes the last bits. `compute.memory_format=auto` is resolved before."""
