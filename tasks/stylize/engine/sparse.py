"""SparseCtrl: a condition on some frames only, its net with motion modules of its own (arXiv:2311.16933)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasks.stylize.engine.controls import add_scaled
from tasks.stylize.engine.walk import Pass, Walk, per_picture

if TYPE_CHECKING:
    import torch


def sparse_residuals(
    net: Any, sample: torch.Tensor, made: Pass, picture: torch.Tensor, known: torch.Tensor, scale: float
) -> Callable[[list[torch.Tensor], torch.Tensor], torch.Tensor]:
    """Residuals of a SparseControlNetModel (SparseCtrl: arXiv:2311.16933), its motion modules in the same windows.

    Args:
        picture: the condition ``(F, C, H, W)``, zero where there is none.
        known: ``(F, 1, H, W)``, 1 on the frames that have one.
    """
    import torch

    def add(skips: list[torch.Tensor], middle: torch.Tensor) -> torch.Tensor:
        walk = Walk(net, sample, made)
        condition = torch.cat([picture, known], dim=1) if net.concat_conditioning_mask else picture
        if net.config.controlnet_conditioning_channel_order == "bgr":
            condition = torch.cat([picture.flip(1), *condition.split(picture.shape[1], 1)[1:]], dim=1)

        def enter(part: torch.Tensor, block: slice) -> torch.Tensor:
            # the net sees no latents: zeros of their shape, as it was trained
            hint = net.controlnet_cond_embedding(condition[block])
            return net.conv_in(torch.zeros_like(part)) + hint.repeat(walk.branches, 1, 1, 1)

        states, inner = walk.down(walk.spatial("controlnet:sparse", enter, sample))
        inner.append(walk.middle(states))
        heads = [*net.controlnet_down_blocks, net.controlnet_mid_block]
        index = torch.arange(walk.frames, device=sample.device)
        factor = torch.full((walk.frames,), scale, dtype=sample.dtype, device=sample.device)
        for head, state, target in zip(heads, inner, [*skips, middle], strict=True):
            residual = walk.spatial("controlnet:sparse", per_picture(head), state)
            add_scaled(residual, target, index, factor, None, 1.0)
        return middle

    return add
