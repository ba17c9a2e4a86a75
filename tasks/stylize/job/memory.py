"""Out of memory: what it was, what was tried, and which settings would fit."""

from __future__ import annotations

from collections.abc import Sequence

from reel.compute import Compute
from tasks.networks.memory import OutOfMemory, free_memory
from tasks.stylize.settings.denoise import Denoise


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
