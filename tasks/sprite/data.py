"""The drawn data set: numbered stills, then clips of 16 frames; every figure depends on its own number alone.

Files in the folder (`.npy`, memory-mapped), with S the frame's side and A the number of attributes of the `Spec`:
`rgb` `(M, S, S, 3)` uint8, `parts` `(M, S, S)` uint8, `people` `(M, 18, 4)` float32 px, `labels` `(M, A)` int64.
Rows `0..stills-1` are stills, row `stills + 16 * c + t` is frame t of clip c.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.sprite.attributes import random_attributes
from tasks.sprite.drawing import draw_figure
from tasks.sprite.poses import clip_of, person_of
from tasks.sprite.skeleton import CLIP_FRAMES
from tasks.sprite.spec import Spec

VERSION = 3  # of the drawing: raise it when a figure of the same number would look different
_CHUNK = 512


@dataclass(frozen=True)
class DataSet:
    """Read-only view of the drawn data."""

    folder: Path
    stills: int
    clips: int
    spec: Spec = field(default_factory=Spec)

    @property
    def files(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Name -> shape of a row, type."""
        side = self.spec.frame
        return {"rgb": ((side, side, 3), np.uint8), "parts": ((side, side), np.uint8),
                "people": ((18, 4), np.float32), "labels": ((len(self.spec.choices),), np.int64)}  # fmt: skip

    def __len__(self) -> int:
        return self.stills + self.clips * CLIP_FRAMES

    def read(self, name: str, mode: Any = "r") -> np.ndarray:
        """One of the files above as a memory map."""
        return np.load(self.folder / f"{name}.npy", mmap_mode=mode)

    def clip_rows(self, clip: int) -> np.ndarray:
        """Row numbers of one clip's 16 frames."""
        return self.stills + clip * CLIP_FRAMES + np.arange(CLIP_FRAMES)


def draw_data_set(
    folder: Path, stills: int, clips: int, seed: int, workers: int = 2, spec: Spec | None = None
) -> DataSet:
    """Draw the data set, or return it at once when the folder already holds exactly this one."""
    data = DataSet(folder, stills, clips, spec or Spec())
    wanted = {"version": VERSION, "stills": stills, "clips": clips, "seed": seed} | data.spec.content()
    done = folder / "done.json"
    if done.exists() and json.loads(done.read_text()) == wanted:
        return data
    folder.mkdir(parents=True, exist_ok=True)
    done.unlink(missing_ok=True)
    for name, (shape, dtype) in data.files.items():
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
    files = {name: data.read(name, "r+") for name in data.files}  # shared with the parent through the page cache
    spec = data.spec
    for number in range(start, stop):
        rng = np.random.default_rng([seed, int(clips), number])
        attributes = random_attributes(rng, spec.choices)
        people = clip_of(rng, spec) if clips else person_of(rng, spec)[None]
        rows = data.clip_rows(number) if clips else [number]
        for row, person in zip(rows, people, strict=True):
            drawing = draw_figure(person, attributes, spec.frame)
            files["rgb"][row], files["parts"][row] = drawing.rgb, drawing.parts
            files["people"][row], files["labels"][row] = person, attributes.to_indices(spec.choices)
