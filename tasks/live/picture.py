"""The live picture of a denoising: now and then the clip as it stands, as a small animated WebP in the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.live import Live
from reel.models.source import ModelSource
from reel.op import Context
from tasks.live.factors import Factors, find
from tasks.media import webp

if TYPE_CHECKING:
    import numpy as np
    import torch

MOST = 64
"""Frames of a picture; of longer clips as many are shown, evenly."""
SIDE = 256
"""px of a picture's longer side at most; published factors give a pixel for 8 of the film, fitted ones for 2."""


@dataclass(frozen=True)
class Watcher:
    """Shows the latents of a denoising that goes on.

    Attributes:
        live: where the picture goes, and when one is due.
        factors: of the family.
        seconds: length of the clip.
        drawn: what was shown in the terminal.
    """

    live: Live
    factors: Factors
    seconds: float
    drawn: list[Path] = field(default_factory=list)

    def __call__(self, clean: Callable[[], torch.Tensor]) -> None:
        """Called between two steps; most calls do nothing.

        Args:
            clean: gives the latents ``(C, F, h, w)`` as they would be if the denoising ended now.
        """
        if not self.live.picture_is_due():
            return
        latents = _at_rest(clean())
        show(self.live, lambda: self.frames(latents), self.seconds, self.drawn)

    def frames(self, latents: torch.Tensor) -> np.ndarray:
        """The pictures ``(F, H, W, 3)`` uint8 that are shown of latents."""
        import torch

        count = latents.shape[1]
        chosen = torch.linspace(0, count - 1, min(count, MOST)).round().long()
        step = -(-max(latents.shape[2:]) * self.factors.cells // SIDE)
        return self.factors.pictures(latents[:, chosen.to(latents.device)])[:, ::step, ::step]


QUALITY = 80


def show(live: Live, frames: Callable[[], Iterable[np.ndarray]], seconds: float, drawn: list[Path]) -> None:
    """Write pictures of a clip as the render's live picture, and draw them in the terminal where that is wished.

    Args:
        frames: gives them, ``(H, W, 3)`` uint8 each; what that takes is the picture's cost.
        seconds: length of the clip.
        drawn: what was drawn in the terminal before; added to.
    """

    def write(path: Path) -> None:
        shown = list(frames())
        ticks = max(1, round(seconds / len(shown) / webp.TICK))
        size = (shown[0].shape[1], shown[0].shape[0])
        webp.write(path, size, shown, [ticks] * len(shown), quality=QUALITY, effort=0)
        if live.terminal != "none":
            from tasks.live import terminal

            terminal.show(shown, live.terminal, again=bool(drawn))
            drawn.append(path)

    live.picture(write)


def watcher(
    ctx: Context, architecture: str, source: ModelSource, channels: int, meta: Mapping[str, Any]
) -> Watcher | None:
    """Shows the latents of a render of these; None where nobody looks on, or a family's latents cannot be read.

    Args:
        architecture, source: of the family, and of its autoencoder or all of it.
        channels: of the latents.
        meta: of the clip, with its ``pts`` and ``time_base``.
    """
    if ctx.live is None or ctx.live.every <= 0:
        return None
    factors = find(architecture, source, channels)
    if factors is None:
        return None
    pts = meta["pts"]
    step = (pts[-1] - pts[0]) / max(1, len(pts) - 1) or 1
    return Watcher(ctx.live, factors, float((pts[-1] - pts[0] + step) * Fraction(meta["time_base"])))


def _at_rest(latents: torch.Tensor) -> torch.Tensor:
    """The same, once it is computed: what a card still has to do for the step is not the picture's cost."""
    import torch

    if latents.is_cuda:
        torch.cuda.synchronize(latents.device)
    return latents
