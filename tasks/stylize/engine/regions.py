"""Regional prompts: in the cross-attention, every place of the picture reads the words that count there.

The texts are laid end to end, and a place attends to a text's tokens with the logarithm of its share as a bias. Where
one text has the whole share this is attention to that text alone; where regions fade into one another, their tokens
share one softmax. Nothing is computed twice but keys and values: a region costs no further pass of the network. The
idea is that of the web UIs' "attention couple" and of regional attention masks (arXiv:2411.02395). The ControlNets read
the prompt alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Bias = Callable[[slice, tuple[int, int]], Any]
"""(a block of frames, the picture's height and width there) -> what `Regions.bias` gives."""


@dataclass
class Regions:
    """Texts that count in parts of the picture.

    Attributes:
        texts: ``(R, T, D)``, padded like the prompt's.
        shares: ``(F, R + 1, h, w)`` float32 at the latents' size: the prompt's share first; they sum to one.
    """

    texts: torch.Tensor
    shares: torch.Tensor

    def join(self, text: torch.Tensor, branches: int) -> torch.Tensor:
        """The regions' tokens behind those of every frame.

        Args:
            text: ``(S * N, T, D)``, the prompted branch last. The negative branch gets its own text again: to it, all
                places are alike.

        Returns:
            ``(S * N, (R + 1) * T, D)``.
        """
        import torch

        count = text.shape[0] // branches
        prompted = [row[None].expand(count, -1, -1) for row in self.texts]
        return torch.cat([text, *(torch.cat([text[:-count], part]) for part in prompted)], dim=1)

    def bias(self, frames: np.ndarray, size: tuple[int, int], branches: int, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the attention's scores.

        Args:
            frames: (N,) int, numbers in the clip.
            size: height and width of the picture at this layer.

        Returns:
            ``(S * N, h * w, (R + 1) * T)``.
        """
        import torch.nn.functional as functional

        small = functional.interpolate(self.shares[frames], size=size, mode="area")
        shares = small.flatten(2).transpose(1, 2).log()  # (N, h * w, R + 1); no share at all is -inf
        whole = shares.repeat_interleave(self.texts.shape[1], dim=-1)
        return whole.to(dtype).repeat(branches, 1, 1)


def shares(masks: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """How much of a place each text has.

    Args:
        masks: of each region, ``(H, W)`` in 0..1.
        weights: of each region, 0..1.

    Returns:
        ``(R + 1, H, W)`` float32 that sum to one: first what the regions leave to the prompt. Regions that together
        claim more than a whole place share it in proportion.
    """
    claims = np.stack([mask * np.float32(weight) for mask, weight in zip(masks, weights, strict=True)])
    total = claims.sum(axis=0)
    rest = np.maximum(1 - total, 0)
    return np.concatenate([rest[None], claims / np.maximum(total, 1)]).astype(np.float32)
