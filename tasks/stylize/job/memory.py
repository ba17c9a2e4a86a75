"""Out of memory: what it was, what was tried, and which settings would fit."""

from __future__ import annotations

from collections.abc import Sequence

from reel.compute import Compute
from reel.errors import UserError
from tasks.stylize.settings.denoise import Denoise
from tasks.weights.memory import available_memory


class OutOfMemory(UserError):
    """A render needs more memory than there is."""


_SIGNS = ("not enough memory", "can't allocate memory", "could not create a primitive")
"""What the CPU's allocator says, and oneDNN when it gets no room to work in."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: CUDA's own class, or the CPU allocator's RuntimeError."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


def out_of_memory(
    cfg: Denoise, width: int, height: int, count: int, compute: Compute, tried: Sequence[str]
) -> OutOfMemory:
    """The error for the user: size of the job, what was tried, and settings that need less, the mildest first.

    Args:
        width, height: px of a frame.
        count: frames.
        compute: with the device resolved.
    """
    device = compute.device
    free = free_memory(device)
    unit = cfg.model.multiple_of
    lines = [
        f"out of memory on {device}: {count} frames of {width}x{height} in {cfg.dtype}, {free / 2**30:.1f} GiB free",
        f"tried: {'; '.join(tried) or 'nothing'}",
        "would need less:",
        *(f"  {line}" for line in _options(cfg, compute, device)),
    ]
    smaller = "x".join(str(max(unit, side * 3 // 4 // unit * unit)) for side in (width, height))
    lines.append(f"  smaller frames, {smaller} for instance (about half the memory)")
    return OutOfMemory("\n".join(lines), fix="change one of these; the picture changes with all but offload")


def free_memory(device: str) -> int:
    """Bytes still free on the device."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return available_memory()


def _options(cfg: Denoise, compute: Compute, device: str) -> list[str]:
    options: list[tuple[bool, str]] = [
        (device != "cpu" and compute.offload == "none", "compute.offload=model (slower, same picture)"),
        (device != "cpu" and compute.offload == "model", "compute.offload=sequential (much slower, same picture)"),
        (cfg.frame_block > 1, f"stylize.frame_block={max(1, cfg.frame_block // 4)} (fewer frames at a time)"),
        (cfg.dtype == "float32" and device == "cuda", "compute.dtype=float16 (half)"),
        (cfg.dtype == "float32" and device == "cpu", "compute.dtype=bfloat16 (half)"),
        (cfg.guidance_scale > 1, "stylize.guidance_scale=1 with a few-step family (half the working memory)"),
    ]
    return [text for possible, text in options if possible]
