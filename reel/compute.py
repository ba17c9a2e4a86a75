"""How to compute, as opposed to what: nothing here may change the bytes of a result, so none of it is in a key.

``dtype`` is the exception: it changes the bytes, so it is resolved from ``auto`` first and then travels in the
settings of the op that uses it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reel.config import Config


class Compute(Config):
    """Where and how the heavy work runs."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto` takes CUDA, then Apple's MPS, then the CPU."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the models; `auto`: float16 on a GPU, float32 on a CPU. In the key, once resolved."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Move models to the GPU only while they work: `model` saves about half the memory, `sequential` nearly all."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; empty: as many as there are cores."""
    batch: int = Field(default=8, ge=1)
    """Frames at a time in preprocessors; never changes a result."""
