"""The drawn clips: every clip depends on its own number alone; finished spans stay when drawing is stopped.

Files in the folder (`.npy`, memory-mapped), N clips of F frames: `rgb` `(N, F, 128, 128, 3)` uint8, `people`
`(N, F, 18, 4)` float32 px, `labels` `(N, A)` int64 in the order of the `Spec`'s choices, `motions` `(N, 2)` int64 in
the order of `motions.ACTIONS` and `motions.CAMERAS`, `drawn` `(N,)` bool.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reel.files import write_atomic
from tasks.sprite.attributes import Attributes, random_attributes
from tasks.sprite.drawing import draw_figure
from tasks.sprite.ltx.motions import CLIP_FRAMES, Motion, moving_person, random_motion
from tasks.sprite.skeleton import FRAME
from tasks.sprite.spec import Spec

VERSION = 3  # of the drawing: raise it when a clip of the same number would look different
UNSEEN = 64  # the last clips are never trained on, in any stage
_SPAN = 16


@dataclass(frozen=True)
class ClipSet:
    """Read-only view of drawn clips."""

    folder: Path
    clips: int
    spec: Spec
    frames: int = CLIP_FRAMES

    @property
    def seen(self) -> int:
        """Clips that are trained on; the others follow them."""
        return self.clips - UNSEEN

    def read(self, name: str, mode: Any = "r") -> np.memmap:
        """One of the files above as a memory map."""
        found: np.memmap = np.load(self.folder / f"{name}.npy", mmap_mode=mode)
        return found


@dataclass(frozen=True)
class DrawnClip:
    """One clip with what it shows: `rgb` `(F, 128, 128, 3)` uint8, `people` `(F, 18, 4)` px."""

    rgb: np.ndarray
    people: np.ndarray
    attributes: Attributes
    motion: Motion


def draw_clip(rng: np.random.Generator, spec: Spec, motion: Motion | None = None, frames: int = CLIP_FRAMES,
              posed: float | None = None) -> DrawnClip:  # fmt: skip
    """A clip of a random figure as a family draws it, of 128 px whatever the family's frame is.

    motion: random where it is not given; posed: see `moving_person`.
    """
    attributes = random_attributes(rng, spec.choices)
    motion = motion or random_motion(rng)
    chance = {} if posed is None else {"posed": posed}
    people = moving_person(rng, motion, frames, **chance)
    return DrawnClip(np.stack([draw_figure(p, attributes, FRAME).rgb for p in people]), people, attributes, motion)


def draw_clips(folder: Path, clips: int, seed: int, workers: int, spec: Spec, frames: int = CLIP_FRAMES) -> ClipSet:
    """Draw the clips, or what a stopped run left undrawn; nothing when all are there.

    A folder of other settings is drawn anew.
    """
    found = ClipSet(folder, clips, spec, frames)
    wanted = {"version": VERSION, "clips": clips, "frames": frames, "seed": seed, "drawing": spec.content()}
    note = folder / "clips.json"
    if not note.exists() or json.loads(note.read_text()) != wanted:
        _make_room(found)
        write_atomic(note, json.dumps(wanted).encode())
    drawn = found.read("drawn", "r+")
    todo = [start for start in range(0, clips, _SPAN) if not drawn[start : start + _SPAN].all()]
    with ProcessPoolExecutor(workers) as pool:
        jobs = {pool.submit(_draw_span, found, seed, start): start for start in todo}
        for job in as_completed(jobs):
            job.result()
            drawn[jobs[job] : jobs[job] + _SPAN] = True
            drawn.flush()
    return found


def _make_room(found: ClipSet) -> None:
    found.folder.mkdir(parents=True, exist_ok=True)
    (found.folder / "clips.json").unlink(missing_ok=True)
    n, f = found.clips, found.frames
    files = {"rgb": ((n, f, FRAME, FRAME, 3), np.uint8), "people": ((n, f, 18, 4), np.float32),
             "labels": ((n, len(found.spec.choices)), np.int64), "motions": ((n, 2), np.int64),
             "drawn": ((n,), np.bool_)}  # fmt: skip
    for name, (shape, dtype) in files.items():
        np.lib.format.open_memmap(found.folder / f"{name}.npy", "w+", dtype, shape).flush()


def _draw_span(found: ClipSet, seed: int, start: int) -> None:
    files = {name: found.read(name, "r+") for name in ("rgb", "people", "labels", "motions")}
    for number in range(start, min(start + _SPAN, found.clips)):
        clip = draw_clip(np.random.default_rng([seed, 2, number]), found.spec, frames=found.frames)
        files["rgb"][number], files["people"][number] = clip.rgb, clip.people
        files["labels"][number] = clip.attributes.to_indices(found.spec.choices)
        files["motions"][number] = clip.motion.to_indices()
