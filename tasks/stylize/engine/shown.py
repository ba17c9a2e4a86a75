"""Reference pictures over the frames: IP-Adapter with a picture and a weight for each frame (arXiv:2308.06721).

The adapter's attention has one weight for all frames of a pass. Its result is linear in the values, so a frame's own
weight can multiply these: it travels as one more number behind each picture token, and the layers that make keys and
values of tokens take it off again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.stylize.engine.prompts import Text

if TYPE_CHECKING:
    import torch


@dataclass
class Shown:
    """Picture tokens of frame f: ``tokens[a[f]]`` mixed with ``tokens[b[f]]``, the latter by ``blend[f]``.

    Attributes:
        tokens: ``(P, S, T, D)``, what the adapter makes of each picture, negative branch first where there are two.
        a, b: (F,) int.
        blend: (F,) float, 0..1.
        weight: (F,) float: how much the picture decides.
    """

    tokens: torch.Tensor
    a: np.ndarray
    b: np.ndarray
    blend: np.ndarray
    weight: np.ndarray

    def at(self, frames: np.ndarray, branches: int) -> torch.Tensor:
        """``(S * N, 1, T, D + 1)`` of frames by number: tokens, and the frame's weight behind each.

        Args:
            branches: those of the pass; one alone is the prompted one.
        """
        import torch

        tokens = self.tokens[:, -branches:]
        blend, weight = (
            torch.as_tensor(one[frames], dtype=tokens.dtype, device=tokens.device) for one in (self.blend, self.weight)
        )
        mixed = torch.lerp(tokens[self.a[frames]], tokens[self.b[frames]], blend[:, None, None, None])  # (N, S, T, D)
        last = weight[:, None, None, None].expand(*mixed.shape[:-1], 1)
        return torch.cat([mixed, last], dim=-1).transpose(0, 1).flatten(0, 1)[:, None]

    def join(self, text: Text, frames: np.ndarray, branches: int) -> Text:
        """Text embeddings with the picture tokens of the same frames, as the adapter's attention takes both."""
        return lambda block: (text(block), [self.at(frames[block], branches)])


@contextmanager
def weighed(unet: Any) -> Iterator[None]:
    """The adapter's layers read tokens with a weight behind them; afterwards they are as they were."""
    found = [one for one in unet.attn_processors.values() if hasattr(one, "to_k_ip")]
    kept = [(one, [*one.to_k_ip], [*one.to_v_ip]) for one in found]
    try:
        for one, keys, values in kept:
            for index, (key, value) in enumerate(zip(keys, values, strict=True)):
                one.to_k_ip[index], one.to_v_ip[index] = _without_weight(key), _with_weight(value)
        yield
    finally:
        for one, keys, values in kept:
            for index, (key, value) in enumerate(zip(keys, values, strict=True)):
                one.to_k_ip[index], one.to_v_ip[index] = key, value


def _without_weight(layer: Any) -> Any:
    from torch import nn

    class Keys(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, tokens: torch.Tensor) -> Any:
            return self.layer(tokens[..., :-1])

    return Keys()


def _with_weight(layer: Any) -> Any:
    from torch import nn

    class Values(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, tokens: torch.Tensor) -> Any:
            return self.layer(tokens[..., :-1]) * tokens[..., -1:]

    return Values()
