"""Out of memory: what it was, what was tried, and which settings would fit."""

from __future__ import annotations

from typing import Any

from reel.clip import Clip
from reel.compute import Compute
from reel.errors import UserError
from tasks.stylize.settings import Animatediff

_PER_FRAME = 0.08 * 2**30 / (256 * 256 * 4)
"""Bytes of working memory per pixel of a frame and byte of a number, measured with SD 1.5 and one ControlNet."""


class OutOfMemory(UserError):
    """A render needs more memory than there is."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: CUDA's own class, or the CPU allocator's RuntimeError."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("not enough memory" in text or "can't allocate memory" in text)


def explain(cfg: Animatediff, clip: Clip, compute: Compute, device: str, tried: list[str]) -> OutOfMemory:
    """The error for the user: size of the job, what was tried, and settings that need less, the mildest first."""
    free = free_memory(device)
    fitting = int(free / frame_bytes(cfg, clip.width, clip.height))
    lines = [
        f"out of memory on {device}: {len(clip)} frames of {clip.width}x{clip.height} in {cfg.dtype}, "
        f"{free / 2**30:.1f} GiB free before the render",
        f"tried: {'; '.join(tried) or 'nothing, no loaded model could be freed'}",
        "would need less:",
        *(f"  {line}" for line in _options(cfg, compute, device)),
    ]
    if 0 < fitting < len(clip):
        lines.append(f"  a cut of about {fitting} frames at this size (an estimate)")
    width, height = (max(8, side * 3 // 4 // cfg.model.multiple_of * cfg.model.multiple_of) for side in _size(clip))
    lines.append(f"  smaller frames, {width}x{height} for instance (about half the memory)")
    return OutOfMemory("\n".join(lines), fix="change one of these; the picture changes with all but offload")


def free_memory(device: str) -> int:
    """Bytes still free on the device."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    from tasks.weights_memory import available_memory

    return available_memory()


def frame_bytes(cfg: Animatediff, width: int, height: int) -> float:
    """Rough working memory of one frame, bytes; attention and ControlNets of an SD 1.5 family."""
    guidance = 1.0 if cfg.guidance_scale > 1 else 0.5
    return _PER_FRAME * width * height * (4 if cfg.dtype == "float32" else 2) * guidance


def _options(cfg: Animatediff, compute: Compute, device: str) -> list[str]:
    options: list[tuple[bool, str]] = [
        (device != "cpu" and compute.offload == "none", "compute.offload=model (slower, same picture)"),
        (device != "cpu" and compute.offload == "model", "compute.offload=sequential (much slower, same picture)"),
        (cfg.decode_chunk_size > 1 and not cfg.vae_slicing, "stylize.decode_chunk_size=1"),
        (not cfg.vae_tiling, "stylize.vae_tiling=true"),
        (cfg.dtype == "float32" and device == "cuda", "compute.dtype=float16 (half)"),
        (cfg.dtype == "float32" and device == "cpu", "compute.dtype=bfloat16 (half)"),
        (cfg.guidance_scale > 1, "stylize.guidance_scale=1 with a few-step family (half the working memory)"),
    ]
    return [text for possible, text in options if possible]


def _size(clip: Any) -> tuple[int, int]:
    return clip.width, clip.height
