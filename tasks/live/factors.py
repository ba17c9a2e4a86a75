"""From latents to small pictures without a decoder: a linear map of the channels of each latent cell.

What a cell holds says nearly all of its mean colour, which 3 x C numbers read off. Published factors give one pixel a
cell; those that `tasks.live.fit` fits to a family's own autoencoder give several, so that a family whose pictures are
only 24 cells wide is still recognised. They lie in the family's folder as ``preview.json``, which is in no cache key.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.files import canonical_json, read_file, write_atomic
from reel.models.source import ModelSource
from tasks.weights.fetch import embedded_root

if TYPE_CHECKING:
    import numpy as np
    import torch

log = logging.getLogger(__name__)
FILE = "preview.json"
_DIGITS = 5


@dataclass(frozen=True)
class Factors:
    """A projection of latents as the denoising has them (scaled, or normalised), to pixels from -1 to 1.

    Attributes:
        weights: ``(C, 3 * cells * cells)``: of every channel for red, green and blue of each pixel, the pixels of a
            cell row by row, the three colours of a pixel side by side.
        bias: ``(3 * cells * cells,)``.
        cells: pixels along a latent cell's side.
        source: where they come from.
    """

    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    cells: int = 1
    source: str = ""

    def __post_init__(self) -> None:
        wide = 3 * self.cells**2
        if self.cells < 1 or len(self.bias) != wide or {len(row) for row in self.weights} != {wide}:
            raise ValueError(
                f"factors of {self.cells} pixels a cell have {wide} numbers a channel, and as many in bias"
            )

    @property
    def channels(self) -> int:
        return len(self.weights)

    def pictures(self, latents: torch.Tensor) -> np.ndarray:
        """Pictures ``(F, h * cells, w * cells, 3)`` uint8 RGB of latents ``(C, F, h, w)``, on whatever device."""
        import numpy as np
        import torch

        weights = torch.tensor(self.weights, dtype=torch.float32, device=latents.device)
        bias = torch.tensor(self.bias, dtype=torch.float32, device=latents.device)
        pixels = latents.float().permute(1, 2, 3, 0) @ weights + bias
        frames, high, wide, _ = pixels.shape
        side = self.cells
        pixels = pixels.reshape(frames, high, wide, side, side, 3).permute(0, 1, 3, 2, 4, 5)
        pixels = pixels.reshape(frames, high * side, wide * side, 3).nan_to_num(0.0).clamp(-1, 1)
        return np.ascontiguousarray(((pixels + 1) * 127.5).round().to(torch.uint8).cpu().numpy())

    def save(self, folder: Path) -> Path:
        """Write them beside a family's weights, whole or not at all."""
        content = {
            "cells": self.cells,
            "source": self.source,
            "bias": [round(value, _DIGITS) for value in self.bias],
            "weights": [[round(value, _DIGITS) for value in row] for row in self.weights],
        }
        write_atomic(folder / FILE, canonical_json(content) + b"\n")
        return folder / FILE


def load(folder: Path) -> Factors | None:
    """The factors in a family's folder; None where there are none, or none that can be read (which is told)."""
    path = folder / FILE
    data = read_file(path)
    if data is None:
        return None
    try:
        content: dict[str, Any] = json.loads(data)
        weights = tuple(tuple(map(float, row)) for row in content["weights"])
        return Factors(weights, tuple(map(float, content["bias"])), int(content["cells"]), str(content["source"]))
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s: %s; there is no live picture", path, error)
        return None


_INVOKE = "InvokeAI, invokeai/app/util/step_callback.py (Apache-2.0)"
PUBLISHED = {
    "sd15": Factors(
        (
            (0.3444, 0.1385, 0.0670),
            (0.1247, 0.4027, 0.1494),
            (-0.3192, 0.2513, 0.2103),
            (-0.1307, -0.1874, -0.7445),
        ),
        (0.0, 0.0, 0.0),
        source=f"by @torridgristle after @keturn's (discuss.huggingface.co/t/23204); {_INVOKE}",
    ),
    "sdxl": Factors(
        (
            (0.3816, 0.4930, 0.5320),
            (-0.3753, 0.1631, 0.1739),
            (0.1770, 0.3588, -0.2048),
            (-0.4350, -0.2644, -0.4289),
        ),
        (0.0, 0.0, 0.0),
        source=f"by @StAlKeR7779; {_INVOKE}",
    ),
}
"""Fitted by others to the autoencoders of SD 1.x and SDXL, by architecture."""
PUBLISHED["svd"] = PUBLISHED["sd15"]  # it took over that encoder, and trained a decoder of its own


def find(architecture: str, source: ModelSource, channels: int) -> Factors | None:
    """The factors for latents of so many channels; None, which is said once a render, where nobody has fitted any.

    Args:
        architecture: of the family.
        source: of the family's autoencoder or of the whole family; an embedded one may have its own beside it.
    """
    own = load(embedded_root() / source.id) if source.kind == "embedded" else None
    found = own or PUBLISHED.get(architecture)
    if found is not None and found.channels == channels:
        return found
    log.info("no live picture: no factors are known for %s (%d latent channels); docs/live.md", architecture, channels)
    return None
