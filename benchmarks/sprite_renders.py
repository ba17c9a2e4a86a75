"""Renders of the bars of the embedded family; with a cache folder, a killed benchmark goes on where it was.

The key of a render holds the weights of every part that it uses, so a part that has changed is rendered anew and the
others are not.
"""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from tasks.sprite import networks
from tasks.sprite.clips import Sampling, motion_unet
from tasks.sprite.diffusion import Control, Family, sample
from tasks.sprite.stage_vae import to_pictures

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 25  # stills rendered at once; a batch is what the cache keeps
FAMILY = ("tokenizer", "text_encoder", "unet", "vae", "scheduler")
ControlOf = tuple[str, "Tensor", float]  # kind, maps (n, 3, S, S) in 0..1, weight


class Renders:
    """Renders of one exported family; `cache` None keeps nothing.

    With the few-step LoRA a still is a clip of one frame: UNet and motion adapter learned it together.
    """

    def __init__(self, folder: Path, cache: Path | None, sampling: Sampling) -> None:
        self.folder, self.sampling, self.loaded = folder, sampling, dict[str, Any]()
        self.loaded["unet"] = networks.load(folder, "unet", True) if sampling.teacher else motion_unet(folder)
        self.family = Family(*(self.part(name) for name in FAMILY))
        memory = joblib.Memory(cache, verbose=0)
        self._still = memory.cache(_stills, ignore=["renders"])
        self._video = memory.cache(_video, ignore=["render"])

    def part(self, name: str) -> Any:
        """A part of the family, networks in the memory layout that a CPU's convolutions are twice as fast in."""
        import torch

        if name not in self.loaded:
            part = networks.load(self.folder, name)
            self.loaded[name] = (
                part.to(memory_format=torch.channels_last) if isinstance(part, torch.nn.Module) else part
            )
        return self.loaded[name]

    def weights(self, names: Sequence[str]) -> list[str]:
        """One digest for each of the parts."""
        names = [*names, *(() if self.sampling.teacher else ("motion_adapter",))]
        files = [sorted((self.folder / name).iterdir()) for name in names]
        return [hashlib.sha256(b"".join(path.read_bytes() for path in part)).hexdigest() for part in files]

    def stills(
        self, prompts: list[str], controls: Sequence[ControlOf], seed: int, keep: Tensor | None = None
    ) -> np.ndarray:
        """Pictures `(n, S, S, 3)` uint8 under (kind, maps, weight).

        keep: `(n, S, S)`, where the controls count.
        """
        controls = [control for control in controls if control[2] != 0]
        weights = self.weights([*FAMILY, *(f"controlnet_{kind}" for kind, _, _ in controls)])
        out = []
        for i in range(0, len(prompts), BATCH):
            part = slice(i, i + BATCH)
            used = [
                (kind, maps[part].numpy(), weight) for kind, maps, weight in controls
            ]  # joblib knows arrays, no tensors
            mask = None if keep is None else keep[part].numpy()
            out.append(self._still(self, weights, prompts[part], used, mask, seed + i, self.sampling))
        return np.concatenate(out)

    def video(
        self, render: Callable[[], np.ndarray], parts: Sequence[str], *key: Any
    ) -> tuple[np.ndarray, float, float]:
        """A clip that `render` makes of these parts and what `key` says, its seconds and its processor seconds."""
        found: tuple[np.ndarray, float, float] = self._video(
            render, self.weights([*FAMILY, *parts]), (*key, self.sampling)
        )
        return found


def _stills(
    renders: Renders, weights: list[str], prompts: list[str], controls: list[tuple[str, np.ndarray, float]],
    keep: np.ndarray | None, seed: int, how: Sampling,
) -> np.ndarray:  # fmt: skip
    import torch

    mask = None if keep is None else torch.from_numpy(keep)
    used = [Control(renders.part(f"controlnet_{kind}"), torch.from_numpy(maps), weight, mask)
            for kind, maps, weight in controls]  # fmt: skip
    return to_pictures(
        sample(renders.family, prompts, used, steps=how.steps, guidance_scale=how.guidance_scale, seed=seed)
    )


def _video(render: Callable[[], np.ndarray], weights: list[str], key: Any) -> tuple[np.ndarray, float, float]:
    begun, used = time.perf_counter(), _processor_seconds()
    video = render()
    return video, time.perf_counter() - begun, _processor_seconds() - used


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
