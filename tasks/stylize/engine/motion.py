"""A motion module over a clip that is longer than its window.

Only its attentions look across frames, so they alone run once per window; their results are fused, and the layers that
follow, more than half of the module's work, run once per frame. FreeNoise in diffusers fuses at the same place.
The steps are those of ``AnimateDiffTransformer3D.forward`` and of its ``BasicTransformerBlock``, whose norms are plain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tasks.stylize.engine.buffers import blocks as pieces
from tasks.stylize.engine.buffers import to_device
from tasks.stylize.engine.windows import Window

if TYPE_CHECKING:
    import torch

Empty = Callable[[tuple[int, ...], "torch.dtype"], "torch.Tensor"]
"""Room for activations of all frames."""


def windowed(
    module: Any,
    states: torch.Tensor,
    windows: Sequence[Window],
    blocks: Sequence[slice],
    empty: Empty,
    device: torch.device,
) -> torch.Tensor:
    """Apply a motion module in windows, overlapping ones fused by their weights.

    Args:
        module: an AnimateDiffTransformer3D.
        states: ``(S, F, C, H, W)``, changed in place.
        windows: of all frames; the weights of every frame sum to one.
        blocks: frames that the layers behind the attentions take at a time.

    Returns:
        ``states``.
    """
    size = max(block.stop - block.start for block in blocks)
    tokens = _attended(module, states, windows, size, empty, device)
    for block in blocks:
        part = to_device(states[:, block], device)
        out = _finished(module, to_device(tokens[:, block], device).to(part.dtype), part)
        states[:, block] = to_device(out, states.device)
    return states


def _attended(
    module: Any, states: torch.Tensor, windows: Sequence[Window], size: int, empty: Empty, device: torch.device
) -> torch.Tensor:
    """Fused tokens ``(S * H * W, F, D)`` behind the last attention; float32, since shares of half-precision numbers
    would be rounded once more per window.

    A window of more than ``size`` frames takes so many places of the picture at a time as fill ``size`` frames: places
    know nothing of one another.
    """
    import torch

    branches, frames, _, height, width = states.shape
    tokens = None
    for window in windows:
        index = torch.as_tensor(window.frames, device=states.device)
        part = states[:, index].contiguous()  # index_select would first copy all frames, laid out anew
        normed = _normed(module, to_device(part, device))
        share = torch.as_tensor(window.weights, dtype=torch.float32, device=device)[:, None]
        for places in pieces(len(normed), max(1, len(normed) * size // len(window.frames))):
            seen = module.proj_in(normed[places])
            for block in module.transformer_blocks[:-1]:
                seen = block(hidden_states=seen)
            seen = attend(module.transformer_blocks[-1], seen)
            if tokens is None:
                tokens = empty((branches * height * width, frames, seen.shape[-1]), torch.float32).zero_()
            tokens[places].index_add_(1, index.to(tokens.device), to_device(seen.float() * share, tokens.device))
    assert tokens is not None
    return tokens


def _normed(module: Any, part: torch.Tensor) -> torch.Tensor:
    """A window ``(S, n, C, H, W)`` as the blocks take it: ``(S * H * W, n, C)``."""
    normed = module.norm(part.transpose(1, 2))  # statistics of the window's frames together
    return normed.permute(0, 3, 4, 2, 1).flatten(0, 2)


def attend(block: Any, tokens: torch.Tensor) -> torch.Tensor:
    """The attentions of a BasicTransformerBlock, without the feed-forward that follows them."""
    for norm, attention in ((block.norm1, block.attn1), (block.norm2, block.attn2)):
        if attention is not None:
            normed = norm(tokens)
            tokens = attention(normed if block.pos_embed is None else block.pos_embed(normed)) + tokens
    return tokens


def _finished(module: Any, tokens: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """What follows the last attention, added to the module's input ``(S, n, C, H, W)``."""
    last = module.transformer_blocks[-1]
    out = module.proj_out(last.ff(last.norm3(tokens)) + tokens)
    return out.unflatten(0, (len(part), *part.shape[-2:])).permute(0, 3, 4, 1, 2) + part
