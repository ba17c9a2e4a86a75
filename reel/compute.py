"""How to compute, as opposed to what.

What is marked as operational may not change the bytes of a result, so it is in no key. The rest changes them, if only
the last bits: ``dtype`` and ``memory_format`` (resolved from ``auto``), ``attention``, ``compile``, and what is made
smaller to fit ``max_memory``. It is decided first and then travels in the settings of the op that uses it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from reel.config import OPERATIONAL, Config

Attention = Literal["auto", "flash", "efficient", "cudnn", "math"]
"""Kernels of PyTorch's scaled dot-product attention."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_size(value: Any) -> Any:
    """Bytes of a size such as ``6GiB``, ``500 MB`` or a plain number; anything else comes back as it is.

    >>> parse_size("1.5GiB")
    1610612736

    Raises:
        ValueError: text that is no size.
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", value.lower())
    if found is None or found[2] not in _UNITS:
        raise ValueError("must be a size such as 6GiB, 800MiB or a number of bytes")
    return int(float(found[1]) * _UNITS[found[2]])


Size = Annotated[int, BeforeValidator(parse_size)]
"""Bytes, written with or without a unit."""


BY_LAYER = ("sequential", "group")
"""Values of `compute.offload` with which a model's layers are on the device one after the other."""


class Compute(Config):
    """Where and how the heavy work runs."""

    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], OPERATIONAL] = "auto"
    """`auto` takes CUDA, then Apple's MPS, then the CPU."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the models; `auto`: float16 on a GPU, bfloat16 on a CPU that computes it, else float32. In the
    key, once resolved."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """Order of activations in memory; `auto`: `channels_last` on a CPU, where it is faster, else `contiguous`. In the
    key, once resolved."""
    attention: Attention = "auto"
    """Kernel of the denoiser's attention; `auto`: PyTorch chooses. A CPU has `flash` and `math`, MPS `math` alone. In
    the key."""
    compile: bool = False
    """Compile the denoiser's blocks with torch.compile: minutes in the first render of a size and a process, faster
    steps from then on. In the key."""
    offload: Annotated[Literal["none", "model", "sequential", "group"], OPERATIONAL] = "none"
    """Move models to the GPU only while they work: `model` saves about half the memory, `sequential` nearly all, and
    so does `group`, which fetches the next layers while the ones before work."""
    threads: Annotated[int | None, OPERATIONAL] = Field(default=None, ge=1)
    """CPU threads; empty: as many as there are cores."""
    batch: Annotated[int, OPERATIONAL] = Field(default=8, ge=1)
    """Frames at a time in preprocessors; never changes a result."""
    max_memory: Size | None = Field(default=None, ge=1)
    """Memory that a render may take, models included (6GiB): blocks, chunks and tiling are chosen to fit and are then
    in the key; what does not fit is spilled. Empty: nothing is made smaller, activations of all frames stay under half
    of what is free."""
    profile: Annotated[bool, OPERATIONAL] = False
    """Note in the record where the time of the denoising went, by kind of work; costs some speed on a GPU."""
