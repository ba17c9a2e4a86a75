"""What a render needs in memory, and the settings that fit a budget.

Two parts grow differently: the working memory of one block of frames (attention and convolutions in flight), and what
must be kept for every frame between two motion modules (skip connections, hints). The first is bounded by
``frame_block``; the second goes to disk or to main memory when it passes the budget, with the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from reel.errors import UserError

BLOCKS = (16, 8, 4, 2, 1)
WORK = 0.08 * 2**30 / (256 * 256)
"""Bytes in flight per pixel of a frame in float32 with guidance, measured with SD 1.5 and one ControlNet."""
VAE_WORK = 0.25 * 2**30 / (256 * 256)
"""Bytes in flight per pixel of a frame that a VAE of SD 1.5's size decodes in float32."""
LAYER = 256 * 2**20
"""What stays on a GPU of models that are moved there layer by layer."""
TOKENS = 77
"""Places of a text; a long prompt has several times as many."""
HEADROOM = 0.15
"""Part of the budget that is left alone: allocators and libraries need some."""


@dataclass(frozen=True)
class MemoryPlan:
    """Settings that fit, and what they were chosen from (bytes).

    Attributes:
        frame_block: frames at a time in the spatial layers.
        chunk_size: frames at a time in the VAE.
        tiling: the VAE in tiles.
        keep: activations of all frames that may stay on the device; None: all.
        weights: the models themselves.
        per_frame: activations kept for each frame.
        offload: ``sequential`` when the models do not fit on the device; the same numbers.
    """

    frame_block: int
    chunk_size: int
    tiling: bool
    keep: int | None
    weights: int
    per_frame: int
    offload: str = ""

    def lines(self, count: int) -> list[str]:
        """For the user."""
        gib = 2**30
        kept = "all activations in memory"
        if self.keep is not None:
            kept = f"activations over {self.keep / gib:.2f} GiB spilled"
        return [
            f"memory: models {self.weights / gib:.2f} GiB, {count} frames x {self.per_frame / 2**20:.1f} MiB",
            f"memory: frame_block={self.frame_block}, VAE: {self.chunk_size} frames at a time"
            f"{' in tiles' if self.tiling else ''}, {kept}{f', offload={self.offload}' if self.offload else ''}",
        ]


def kept_per_frame(config: Any, width: int, height: int, branches: int, bytes_per_number: int) -> int:
    """Bytes of skip connections, of the layer at work and of one hint, for a frame.

    Args:
        config: a UNetMotionModel's config.
        width, height: of the latents.
    """
    widths, layers = list(config["block_out_channels"]), config["layers_per_block"]
    layers = [layers] * len(widths) if isinstance(layers, int) else list(layers)
    total, area = widths[0] * width * height, width * height
    for level, (channels, number) in enumerate(zip(widths, layers, strict=True)):
        total += channels * area * number
        if level + 1 < len(widths):
            area = max(1, area // 4)
            total += channels * area
    total += 4 * widths[0] * width * height  # input and output of the widest layer, in float32 where windows are fused
    return total * branches * bytes_per_number + widths[0] * width * height * bytes_per_number


def per_window(config: Any, width: int, height: int, branches: int, bytes_per_number: int, frames: int) -> int:
    """Bytes of the widest layer's states of a motion module's window: gathered, normed, and laid out by place."""
    return 3 * config["block_out_channels"][0] * width * height * branches * bytes_per_number * frames


def bias_per_frame(config: Any, width: int, height: int, branches: int, bytes_per_number: int, regions: int) -> int:
    """Bytes in flight of what tells a frame's places which text they read: diffusers repeats it for every head.

    Args:
        config: a UNet's config.
        width, height: of the latents.
        regions: texts beside the prompt.
    """
    if not regions:
        return 0
    stages = config.get("down_block_types") or ["CrossAttn"] * len(config["block_out_channels"])
    heads = config.get("num_attention_heads") or config.get("attention_head_dim") or 8
    heads = [heads] * len(stages) if isinstance(heads, int) else list(heads)
    numbers = [
        (1 + head) * (width >> level) * (height >> level)
        for level, (head, stage) in enumerate(zip(heads, stages, strict=True))
        if "CrossAttn" in stage
    ]
    return max(numbers, default=0) * TOKENS * (regions + 1) * branches * bytes_per_number


def plan(
    *,
    budget: int | None,
    weights: int,
    count: int,
    width: int,
    height: int,
    per_frame: int,
    bytes_per_number: int,
    branches: int = 2,
    vae: int = 0,
    most: int = BLOCKS[0],
    movable: bool = False,
    more: int = 0,
    window: int = 0,
) -> MemoryPlan:
    """The fastest settings within a budget.

    Args:
        budget: bytes for the whole render (`compute.max_memory`); None: no limit, nothing is made smaller.
        weights: bytes of the networks of the denoising; ``vae``: of the VAE.
        width, height: px of a frame.
        most: frames that the spatial layers take at a time at most.
        movable: models can be moved to the device layer by layer (there is one beside the CPU).
        more: bytes in flight for a frame beside those of a plain render.
        window: bytes for the motion modules' windows, whatever the block.

    Raises:
        UserError: not even the smallest settings fit; says what the least is.
    """
    if budget is None:
        return MemoryPlan(most, BLOCKS[0], False, None, weights, per_frame)
    frame = int(WORK * width * height * bytes_per_number / 4 * branches / 2) + more
    sizes = [most, *(size for size in BLOCKS if size < most)]
    usable, offload, resident = int(budget * (1 - HEADROOM)), "", weights
    if movable and frame + window > usable - weights:
        offload, resident = "sequential", min(weights, LAYER)
    block = next((size for size in sizes if frame * size + window <= usable - resident), None)
    if block is None:
        least = math.ceil((resident + frame + window) / (1 - HEADROOM) / 2**30 * 10) / 10  # GiB
        size = f"{budget / 2**30:.2f} GiB" if budget >= 2**20 else f"{budget} bytes (write a size as 6GiB)"
        raise UserError(
            f"compute.max_memory: {size} are too little: the models take {resident / 2**30:.2f} GiB "
            f"and one frame of {width}x{height} with its window {(frame + window) / 2**30:.2f} GiB",
            fix=f"compute.max_memory={least:.1f}GiB or more, compute.dtype=bfloat16, or smaller frames",
        )
    left = usable - resident - window - frame * block
    keep = None if per_frame * count <= left else max(0, left)
    picture = int(VAE_WORK * width * height * bytes_per_number / 4)
    chunk = next((size for size in BLOCKS if picture * size <= usable - vae), 0)
    return MemoryPlan(block, max(1, chunk), chunk == 0, keep, weights, per_frame, offload)
