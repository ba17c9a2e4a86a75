"""Prompt embeddings over the frames: pairs of embeddings with a blend weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.stylize.engine.regions import Bias, Regions

if TYPE_CHECKING:
    import torch

Mixing = Literal["lerp", "slerp"]
Text = Callable[[slice], Any]
"""Embeddings of a block of frames, ``(S * Fb, T, D)``."""


@dataclass
class TextTrack:
    """Embeddings of frame f: ``texts[a[f]]`` mixed with ``texts[b[f]]``, the latter by ``blend[f]``.

    Attributes:
        texts: ``(K, T, D)``, the distinct embeddings, all padded alike.
        a, b: (F,) int.
        blend: (F,) float, 0..1.
        mixing: ``lerp``: along a straight line; ``slerp``: each token along an arc, its length in between too.
        pooled: ``(K, P)``, SDXL's pooled embeddings, mixed along a straight line.
    """

    texts: torch.Tensor
    a: np.ndarray
    b: np.ndarray
    blend: np.ndarray
    mixing: Mixing = "lerp"
    pooled: torch.Tensor | None = None

    @classmethod
    def constant(cls, text: torch.Tensor, count: int, pooled: torch.Tensor | None = None) -> TextTrack:
        """One embedding ``(1, T, D)`` for every frame."""
        zeros = np.zeros(count, np.int64)
        return cls(text, zeros, zeros, np.zeros(count), "lerp", pooled)

    def at(self, frames: np.ndarray) -> torch.Tensor:
        """Embeddings ``(N, T, D)`` of frames by number."""
        import torch

        a, b = self.texts[self.a[frames]], self.texts[self.b[frames]]
        if not self.blend[frames].any():
            return a
        blend = torch.as_tensor(self.blend[frames], dtype=torch.float32, device=a.device)[:, None, None]
        mix = slerp if self.mixing == "slerp" else torch.lerp
        mixed = mix(a.float(), b.float(), blend).to(a.dtype)
        return torch.where(blend == 0, a, mixed)  # unmixed frames keep the encoder's very bits

    def pooled_at(self, frames: np.ndarray) -> torch.Tensor:
        """Pooled embeddings of frames by number: ``(1, P)`` where all have the same, else ``(N, P)``."""
        import torch

        assert self.pooled is not None
        a, b, blend = self.a[frames], self.b[frames], self.blend[frames]
        if not blend.any():
            return self.pooled[a[:1] if (a == a[0]).all() else a]
        share = torch.as_tensor(blend, dtype=torch.float32, device=self.pooled.device)[:, None]
        return torch.lerp(self.pooled[a].float(), self.pooled[b].float(), share).to(self.pooled.dtype)


def slerp(a: torch.Tensor, b: torch.Tensor, share: torch.Tensor, parallel: float = 0.9995) -> torch.Tensor:
    """Spherical interpolation along the last axis; nearly parallel vectors go straight (Shoemake 1985).

    Args:
        share: weight of ``b``, broadcastable to ``(..., 1)``.
    """
    import torch

    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).unsqueeze(-1)
    angle = torch.arccos(cosine.clamp(-parallel, parallel))
    from_a, from_b = torch.sin((1 - share) * angle) / torch.sin(angle), torch.sin(share * angle) / torch.sin(angle)
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    direction = from_a * a / length_a.clamp_min(1e-12) + from_b * b / length_b.clamp_min(1e-12)
    arc = direction * torch.lerp(length_a, length_b, share.expand_as(length_a))
    return torch.where(cosine.abs() > parallel, torch.lerp(a, b, share.expand_as(a)), arc)


@dataclass
class Conditioning:
    """Everything that the model is told beside the latents and the controls.

    Attributes:
        positive, negative: embeddings over the frames; without a negative there is no guidance.
        guidance: (F,) float, classifier-free guidance scale per frame (arXiv:2207.12598).
        added: SDXL's time_ids, IP-Adapter's image_embeds: S rows each.
        regions: texts that count in parts of the picture.
        shown: reference pictures that change over the frames.
    """

    positive: TextTrack
    negative: TextTrack | None
    guidance: np.ndarray
    added: Mapping[str, torch.Tensor]
    regions: Regions | None = None
    shown: Any = None

    @property
    def branches(self) -> int:
        """2 with guidance (negative first), else 1."""
        return 1 if self.negative is None else 2

    def text(self, frames: np.ndarray) -> torch.Tensor:
        """Embeddings ``(S * N, T, D)`` of frames by number, negative first."""
        import torch

        positive = self.positive.at(frames)
        return positive if self.negative is None else torch.cat([self.negative.at(frames), positive])

    def regional(self, text: Text, frames: np.ndarray, dtype: torch.dtype) -> tuple[Text, Bias | None]:
        """The text of a pass with the regions' texts behind it, and which places read which; without regions as it is.

        Args:
            frames: (F,) int, the clip's numbers of the frames of the pass.
        """
        if (regions := self.regions) is None:
            return text, None
        branches = self.branches
        return (
            lambda block: regions.join(text(block), branches),
            lambda block, size: regions.bias(frames[block], size, branches, dtype),
        )

    def guide(self, prediction: torch.Tensor) -> torch.Tensor:
        """``(S, F, C, H, W)`` -> ``(F, C, H, W)`` by classifier-free guidance."""
        import torch

        if self.negative is None:
            return prediction[0]
        negative, positive = prediction
        scale = torch.as_tensor(self.guidance, dtype=prediction.dtype, device=prediction.device)[:, None, None, None]
        return negative + scale * (positive - negative)

    def additions(self, frames: np.ndarray) -> dict[str, Any]:
        """`added` with SDXL's pooled text: ``(S, P)`` where all frames share it, else ``(S, N, P)``."""
        import torch

        tracks = [track for track in (self.negative, self.positive) if track is not None and track.pooled is not None]
        if not tracks:
            return dict(self.added)
        rows = [track.pooled_at(frames) for track in tracks]
        if all(len(row) == 1 for row in rows):
            return {**self.added, "text_embeds": torch.cat(rows)}
        return {**self.added, "text_embeds": torch.stack([row.expand(len(frames), -1) for row in rows])}

    def unguided(self) -> Conditioning:
        """The positive branch alone."""
        added = {name: _last(value) for name, value in self.added.items()}
        return replace(self, negative=None, added=added)


def _last(value: Any) -> Any:
    """The positive branch's row of a tensor or of each tensor in a list."""
    return [item[-1:] for item in value] if isinstance(value, list) else value[-1:]
