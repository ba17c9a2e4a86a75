"""What the diffusion stages read: latents, loss weights, skeletons, captions of the drawn data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.sprite.attributes import Attributes
from tasks.sprite.captions import random_caption, random_empty
from tasks.sprite.data import DataSet
from tasks.sprite.drawing import EYES
from tasks.sprite.maps import as_detected, blank_region, control_map, tile_map
from tasks.sprite.skeleton import CLIP_FRAMES
from tasks.sprite.spec import STRIDE
from tasks.sprite.stage_vae import UNSEEN

FIGURE_WEIGHT = 3.0  # of a latent cell full of figure against one of background: the flat background is learned anyway
FACE_WEIGHT = 5.0  # of a cell that holds eyes or mouth: few cells, on which two attributes hang
NO_CAPTION = 0.1  # share of samples trained without their caption


class Latents:
    """Batches for the UNet stages. Rows are those of the data set; the last `UNSEEN` stills are left out."""

    def __init__(
        self, data: DataSet, latents: Path, stills: int, clips: int, device: torch.device | None = None
    ) -> None:
        self.device = device or torch.device("cpu")
        self.data = data
        self.stills, self.clips = min(stills, data.stills - UNSEEN), min(clips, data.clips)
        self.spec = data.spec
        self.z = np.load(latents)  # (M, 8, h, w) float16
        self.rgb, self.parts = data.read("rgb"), data.read("parts")
        self.people, self.labels = np.array(data.read("people")), np.array(data.read("labels"))
        self.weights = _cell_weights(self.parts, data.spec.cells)

    @property
    def shape(self) -> torch.Size:
        """Of one latent: `(8, h, w)`."""
        return torch.Size(self.z.shape[1:])

    def rows(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Random stills (and one in six a frame of a clip)."""
        clip_frames = self.data.stills + rng.integers(self.clips * CLIP_FRAMES, size=count)
        stills = rng.integers(self.stills, size=count)
        return np.where(rng.random(count) < 1 / 6, clip_frames, stills)

    def latents(self, rows: np.ndarray) -> Tensor:
        """`(B, 8, h, w)` float32."""
        return torch.from_numpy(self.z[rows]).to(self.device).float()

    def cell_weights(self, rows: np.ndarray) -> Tensor:
        """`(B, 1, h, w)`, mean 1."""
        weights = torch.from_numpy(self.weights[rows]).to(self.device).float()[:, None]
        return weights / weights.mean()

    def captions(
        self, rows: np.ndarray, rng: np.random.Generator, leave_out: float = 0.08, empty: float = NO_CAPTION
    ) -> list[str]:
        """One random wording each; the share `empty` is left unconditional.

        leave_out: chance of each clause to be left out, see `random_caption`.
        """
        choices = self.spec.choices
        return [
            (random_empty(rng, choices) if rng.random() < empty
             else random_caption(Attributes.from_indices(self.labels[row], choices), rng, choices, leave_out)).text
            for row in rows
        ]  # fmt: skip

    def maps(self, kind: str, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Control maps `(B, 3, S, S)` in 0..1, skeletons as a detector would see them."""
        return to_map([self._map(kind, int(row), rng) for row in rows]).to(self.device)

    def maps_with_blanks(
        self, kinds: Sequence[str], rows: np.ndarray, rng: np.random.Generator, share: float
    ) -> list[Tensor]:
        """Maps of several kinds of the same figures; `share` of them have one region blanked in every kind.

        A blank region is black. Since the figure is the very one of the caption, all that a net can learn from it is
        that the caption, and not the blank, says what stands there.
        """
        regions = [blank_region(self.people[row], self.parts[row], rng) if rng.random() < share else None
                   for row in rows]  # fmt: skip
        out = []
        for kind in kinds:
            pictures = [self._map(kind, int(row), rng) for row in rows]
            out.append(to_map([p if r is None else np.where(r[..., None], np.uint8(0), p)
                               for p, r in zip(pictures, regions, strict=True)]).to(self.device))  # fmt: skip
        return out

    def _map(self, kind: str, row: int, rng: np.random.Generator) -> np.ndarray:
        if kind == "tile":
            return tile_map(self.rgb[row], int(rng.choice([4, 8, 16])))
        person = as_detected(self.people[row], rng)
        mask = np.where(self.parts[row] > 0, 255, 0).astype(np.uint8)
        return control_map(kind, person, self.rgb[row], mask)


def to_map(pictures: list[np.ndarray]) -> Tensor:
    """Pictures `(H, W, 3)` uint8 -> `(B, 3, H, W)` float 0..1, as the pipelines prepare ControlNet input."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(255).contiguous()


def _cell_weights(parts: np.ndarray, cells: int) -> np.ndarray:
    """`(M, cells, cells)` float16 from the part maps: the figure counts more than the background, a face most."""
    out = np.empty((len(parts), cells, cells), np.float16)
    for i in range(0, len(parts), 512):
        block = parts[i : i + 512].reshape(-1, cells, STRIDE, cells, STRIDE)
        figure, face = (block > 0).mean((2, 4)), (block >= EYES).any((2, 4))
        out[i : i + 512] = np.where(face, FACE_WEIGHT, 1 + (FIGURE_WEIGHT - 1) * figure)
    return out
