"""The op `wan_animate.face`: the face of a clip's person, close and steady, for what it expresses.

Wan-Animate (arXiv:2509.14055, section 3) reads expressions out of the pixels of a cropped face, and not out of key
points. Its authors crop by the landmarks of each frame's face; here the square follows the head that the body's key
points show, averaged over frames.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.errors import UserError
from reel.op import Context, op
from reel.pose import Poses
from reel.units import Factor
from reel.work import Extent, Work, of_clip
from tasks.stylize.engine.masks import head

log = logging.getLogger(__name__)
FEW = 0.5
"""Share of the frames with a face below which it is said."""


class Face(Config):
    """Which square."""

    size: int = Field(default=512, ge=8)
    """px a side of what is cut out: what the model's face encoder takes."""
    scale: Factor = Field(default=1.2, ge=0.5, le=4)
    """Side of the square, in diameters of the head."""
    steady: int = Field(default=9, ge=1)
    """Frames over which it is averaged."""


def _work(cfg: Face, given: Mapping[str, Extent], ctx: Context) -> Work:
    return of_clip(Extent(given["frames"].frames, cfg.size, cfg.size)) if "frames" in given else Work()


@op(
    "wan_animate",
    "face",
    version=1,
    config=Face,
    inputs=("frames", "poses"),
    distributions=("numpy", "opencv-python-headless"),
    work=_work,
)
def face(cfg: Face, inputs: Mapping[str, str], ctx: Context) -> str:
    """A clip ``(F, size, size, 3)`` of the face of the largest person, followed from frame to frame.

    Where none is seen, the square goes from where it was to where it will be; past the frame's border its edge goes on.

    Raises:
        UserError: no face in any frame.
    """
    clip, poses = Clip.open(ctx.store, inputs["frames"]), Poses.open(ctx.store, inputs["poses"])
    heads = followed(poses.frames)
    seen = sum(one is not None for one in heads)
    ctx.note(faces=f"{seen} of {len(heads)}")
    if not seen:
        raise UserError(
            f"stylize.detector: {poses.detector} finds no face in any frame, and Wan-Animate is driven by one",
            fix="another part of the clip (extract.start, extract.end), or larger frames (extract.short_side)",
        )
    if seen < FEW * len(heads):
        log.warning("a face is found in %d of %d frames; in the others its square is guessed", seen, len(heads))
    squares = steadied(heads, cfg.steady)
    ctx.note(face_px=round(float(np.median(squares[:, 2])) * 2 * cfg.scale))
    with ClipWriter(ctx.store, "map", width=cfg.size, height=cfg.size, time_base=clip.time_base) as writer:
        for number, (x, y, radius) in enumerate(squares):
            writer.add(cut(clip.frame(number), x, y, radius * 2 * cfg.scale, cfg.size), clip.pts[number])
    return writer.digest


Head = tuple[float, float, float]
"""Middle x, y and radius, px."""


def followed(frames: Sequence[Sequence[np.ndarray]]) -> list[Head | None]:
    """The head of one person in each frame: the largest person's first, then always the nearest; None: none is seen."""
    found: list[Head | None] = []
    last: Head | None = None
    for people in frames:
        heads = [one for one in map(head, people) if one is not None]
        if heads and last is not None:
            x, y, _ = last
            heads = [min(heads, key=lambda one: (one[0] - x) ** 2 + (one[1] - y) ** 2)]
        last = heads[0] if heads else last
        found.append(heads[0] if heads else None)
    return found


def steadied(heads: Sequence[Head | None], over: int) -> np.ndarray:
    """Heads ``(F, 3)`` of all frames: those between taken straight from one to the next, then averaged.

    Args:
        over: frames around each that are averaged; at the ends those that there are.
    """
    known = [number for number, one in enumerate(heads) if one is not None]
    values = np.array([one for one in heads if one is not None])
    numbers = np.arange(len(heads))
    whole = np.stack([np.interp(numbers, known, column) for column in values.T], axis=1)
    half = over // 2
    return np.stack([whole[max(at - half, 0) : at + half + 1].mean(axis=0) for at in numbers])


def cut(frame: np.ndarray, x: float, y: float, side: float, size: int) -> np.ndarray:
    """The square of ``side`` px around a point of a frame ``(H, W, 3)`` uint8, as ``(size, size, 3)``.

    What lies past the frame's border is its outermost pixel.
    """
    import cv2

    whole = max(2, round(side))
    left, top = round(x - whole / 2), round(y - whole / 2)
    high, wide, _ = frame.shape
    columns = np.clip(np.arange(left, left + whole), 0, wide - 1)
    rows = np.clip(np.arange(top, top + whole), 0, high - 1)
    square = frame[np.ix_(rows, columns)]
    how = cv2.INTER_AREA if whole > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (size, size), interpolation=how))
