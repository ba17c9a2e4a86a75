"""Thumbnails of the gallery: a few seconds of a render or its source as a small animated WebP, made once.

They lie in the store under what they show: ``thumbs/<digest>.webp``. A film of hours is not read beyond what is shown.
"""

from __future__ import annotations

import threading
import uuid
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reel.clip import Clip
from reel.errors import UserError
from reel.files import explained
from reel.history.record import RenderRecord
from reel.store import Store
from tasks.compare.footage import find
from tasks.media import webp

if TYPE_CHECKING:
    import numpy as np

Role = Literal["frames", "original"]
SIDE = 256
"""px of the longer side at most."""
SECONDS, RATE = 4, 8
"""Of a longer clip so many seconds are shown, from its middle, at so many frames a second at most."""
_QUALITY = 72
_one = threading.Lock()
"""One at a time: a page asks for all that it shows at once."""


def thumb(store: Store, record: RenderRecord, role: Role) -> Path | None:
    """A render's thumbnail; made if it is not there. None: no picture is left.

    Args:
        role: ``frames``, or ``original`` for its source.
    """
    digest = record.pictures.get(role)
    if digest and (known := _path(store, digest)).is_file():
        return known
    with _one:
        footage = find(store, record)
        reel = footage.result if role == "frames" else footage.source
        if reel is None:
            return None
        path = _path(store, reel.digest)
        if path.is_file():
            return path
        return _of_film(path, reel.path) if reel.path else _of_clip(path, Clip.open(store, reel.digest))


def _path(store: Store, digest: str) -> Path:
    return store.root / "thumbs" / f"{digest}.webp"


def _of_clip(path: Path, clip: Clip) -> Path | None:
    try:
        chosen, step = shown(clip.count, float(clip.fps))
        frames = [_small(clip.frame(number)) for number in chosen]
    except UserError:  # damaged
        return None
    return _write(path, frames, step)


def _of_film(path: Path, film: Path) -> Path | None:
    import av

    try:
        with av.open(str(film)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            rate = float(stream.average_rate or RATE)
            chosen, step = shown(int(stream.frames or SECONDS * rate), rate)
            wanted, last = set(chosen), chosen[-1]
            frames = []
            for number, frame in enumerate(container.decode(stream)):
                if number in wanted:
                    frames.append(_small(frame.to_ndarray(format="rgb24")))
                if number >= last:
                    break
    except (OSError, IndexError, av.FFmpegError):
        return None
    return _write(path, frames, step) if frames else None


def shown(count: int, fps: float) -> tuple[list[int], float]:
    """Numbers of the frames that a thumbnail of a clip shows, and seconds from one to the next."""
    fps = fps or RATE
    length = min(count, max(1, round(SECONDS * fps)))
    first = (count - length) // 2
    steps = max(1, round(length / fps * min(fps, RATE)))
    return [first + number * length // steps for number in range(steps)], length / fps / steps


def _small(frame: np.ndarray) -> np.ndarray:
    import cv2

    high, wide = frame.shape[:2]
    scale = min(Fraction(1), Fraction(SIDE, max(high, wide)))
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    return frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _write(path: Path, frames: list[np.ndarray], step: float) -> Path:
    """Whole or not at all; where several write it, they write the same."""
    size = (frames[0].shape[1], frames[0].shape[0])
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        ticks = max(1, round(step / webp.TICK))
        try:
            webp.write(draft, size, frames, [ticks] * len(frames), quality=_QUALITY, effort=2)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return path
