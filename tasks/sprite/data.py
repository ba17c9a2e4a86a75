"""The drawn data set: numbered stills, then clips of 16 frames; every figure depends on its own number alone.

Files in the folder (`.npy`, memory-mapped): `rgb` `(M, 128, 128, 3)` uint8, `parts` `(M, 128, 128)` uint8,
`people` `(M, 18, 4)` float32 px, `labels` `(M, 7)` int64 in the order of `attributes.CHOICES`.
Rows `0..stills-1` are stills, row `stills + 16 * c + t` is frame t of clip c.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.sprite.attributes import random_attributes
from tasks.sprite.drawing import draw_figure
from tasks.sprite.skeleton import CLIP_FRAMES, FRAME, random_clip, random_person

VERSION = 1  # of the drawing: raise it when a figure of the same number would look different
_FILES = {"rgb": ((FRAME, FRAME, 3), np.uint8), "parts": ((FRAME, FRAME), np.uint8),
          "people": ((18, 4), np.float32), "labels": ((7,), np.int64)}  # fmt: skip
_CHUNK = 512


@dataclass(frozen=True)
class DataSet:
    """Read-only view of the drawn data."""

    folder: Path
    stills: int
    clips: int

    def __len__(self) -> int:
        return self.stills + self.clips * CLIP_FRAMES

    def read(self, name: str, mode: Any = "r") -> np.ndarray:
        """One of the files above as a memory map."""
        return np.load(self.folder / f"{name}.npy", mmap_mode=mode)

    def clip_rows(self, clip: int) -> np.ndarray:
        """Row numbers of one clip's 16 frames."""
        return self.stills + clip * CLIP_FRAMES + np.arange(CLIP_FRAMES)


def draw_data_set(folder: Path, stills: int, clips: int, seed: int, workers: int = 2) -> DataSet:
    """Draw the data set, or return it at once when the folder already holds exactly this one."""
    data = DataSet(folder, stills, clips)
    wanted = {"version": VERSION, "stills": stills, "clips": clips, "seed": seed}
    done = folder / "done.json"
    if done.exists() and json.loads(done.read_text()) == wanted:
        return data
    folder.mkdir(parents=True, exist_ok=True)
    done.unlink(missing_ok=True)
    for name, (shape, dtype) in _FILES.items():
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (len(data), *shape)).flush()
    spans = [(i, min(i + _CHUNK, stills)) for i in range(0, stills, _CHUNK)]
    jobs = [(data, seed, a, b, False) for a, b in spans]
    jobs += [(data, seed, c, min(c + 32, clips), True) for c in range(0, clips, 32)]
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(_draw_span, *zip(*jobs, strict=True)):
            pass
    temporary = done.with_suffix(".tmp")
    temporary.write_text(json.dumps(wanted))
    temporary.replace(done)
    return data


def _draw_span(data: DataSet, seed: int, start: int, stop: int, clips: bool) -> None:
    files = {name: data.read(name, "r+") for name in _FILES}  # shared with the parent through the page cache
    for number in range(start, stop):
        rng = np.random.default_rng([seed, int(clips), number])
        attributes = random_attributes(rng)
        people = random_clip(rng) if clips else random_person(rng)[None]
        rows = data.clip_rows(number) if clips else [number]
        for row, person in zip(rows, people, strict=True):
            drawing = draw_figure(person, attributes)
            files["rgb"][row], files["parts"][row] = drawing.rgb, drawing.parts
            files["people"][row], files["labels"][row] = person, attributes.to_indices()
