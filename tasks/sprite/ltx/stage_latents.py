"""Stage `ltx_latents`: clips and single frames of them, encoded once for all later stages.

Files (`.npy`, memory-mapped): `clips` `(N, C, f, 8, 8)` float16, `stills` `(N, S, C, 8, 8)` float16, `at` `(N, S)`
int64: which frame of the clip each still is, the last one first; `encoded` `(N,)` bool.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from reel.files import write_atomic
from tasks.sprite.ltx.data import ClipSet
from tasks.sprite.ltx.networks import SPACE, latent_frames
from tasks.sprite.ltx.video import encode
from tasks.sprite.skeleton import FRAME

if TYPE_CHECKING:
    from diffusers import AutoencoderKLLTXVideo

BLOCK = 16  # clips between two notes of what is done
CELLS = FRAME // SPACE


@dataclass(frozen=True)
class LatentSet:
    """What the transformer learns from: normalised latents, kept in memory (5,000 clips are 600 MB)."""

    clips: np.ndarray
    stills: np.ndarray
    at: np.ndarray

    def clip(self, rows: np.ndarray) -> Tensor:
        """`(B, C, f, 8, 8)` float32."""
        return torch.from_numpy(self.clips[rows]).float()

    def still(self, rows: np.ndarray, which: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Single frames `(B, C, 1, 8, 8)` float32, and which frames of their clips they are `(B,)`."""
        return torch.from_numpy(self.stills[rows, which]).float()[:, :, None], self.at[rows, which]


def read_latents(folder: Path) -> LatentSet:
    """The set that `encode_clips` has left in the folder."""
    return LatentSet(*(np.load(folder / f"{name}.npy") for name in ("clips", "stills", "at")))


def encode_clips(
    folder: Path, data: ClipSet, vae: AutoencoderKLLTXVideo, stills: int, identity: str, workers: int,
    report: Callable[[int, dict[str, float]], None] | None = None,
    mixed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:  # fmt: skip
    """Encode what is not encoded yet, in blocks that stay when the run is stopped; returns the number of clips.

    identity: names the VAE's weights; another one's latents are thrown away.
    workers: threads, each with clips of its own.
    mixed: the precision that the encoder works in, as in training.
    """
    wanted = {"clips": data.clips, "frames": data.frames, "stills": stills, "vae": identity}
    note = folder / "latents.json"
    if not note.exists() or json.loads(note.read_text()) != wanted:
        _make_room(folder, data, vae.config.latent_channels, stills)
        write_atomic(note, json.dumps(wanted).encode())
    files = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in ("clips", "stills", "at", "encoded")}
    todo = [i for i in range(0, data.clips, BLOCK) if not files["encoded"][i : i + BLOCK].all()]
    rgb, begun = data.read("rgb"), time.time()

    def block(start: int) -> None:
        torch.set_num_threads(1)
        rows = slice(start, min(start + BLOCK, data.clips))
        frames, at = np.array(rgb[rows]), files["at"][rows]
        singles = frames[np.arange(len(frames))[:, None], at].reshape(-1, 1, *frames.shape[2:])
        with mixed():
            whole, stills = encode(vae, frames), encode(vae, singles, 32)[:, :, 0]
        files["clips"][rows] = whole.half().numpy()
        files["stills"][rows] = stills.half().numpy().reshape(files["stills"][rows].shape)

    with ThreadPoolExecutor(workers) as pool:
        for done in range(0, len(todo), workers):
            starts = todo[done : done + workers]
            list(pool.map(block, starts))
            for start in starts:
                files["encoded"][start : start + BLOCK] = True
            for file in files.values():
                file.flush()
            if report and done // workers % 10 == 0:
                each = (time.time() - begun) / (done + len(starts))
                report(int(files["encoded"].sum()), {"minutes_left": each * (len(todo) - done - len(starts)) / 60})
    return data.clips


def _make_room(folder: Path, data: ClipSet, channels: int, stills: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latents.json").unlink(missing_ok=True)
    cell = (CELLS, CELLS)
    files: dict[str, tuple[tuple[int, ...], Any]] = {
        "clips": ((data.clips, channels, latent_frames(data.frames), *cell), np.float16),
        "stills": ((data.clips, stills, channels, *cell), np.float16),
        "at": ((data.clips, stills), np.int64), "encoded": ((data.clips,), np.bool_),
    }  # fmt: skip
    for name, (shape, dtype) in files.items():
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    at = np.load(folder / "at.npy", mmap_mode="r+")
    for row in range(data.clips):
        others = np.random.default_rng([row, data.frames]).permutation(np.arange(1, data.frames - 1))
        at[row] = [data.frames - 1, *others[: stills - 1]]
    at.flush()
