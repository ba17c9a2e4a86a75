"""The op `vace.join`: the windows of a film as one clip, with the times of its source, and its seams in figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.op import Context, op
from reel.units import PixelLength
from reel.work import Extent, Work, of_clip

log = logging.getLogger(__name__)
OUT_OF_LINE = 1.0
"""Jump at a seam, in jumps inside the windows, above which it is said."""


class Join(Config):
    """How windows become a film."""

    overlap: int = Field(default=1, ge=0)
    """Frames that two windows share; they are the later one's, which has both in them. 0: each has its own alone."""
    feather: PixelLength = Field(default=0, ge=0, le=512)
    """px over which the drawn part fades into the source, where its place stays."""


def _work(cfg: Join, given: Mapping[str, Extent], ctx: Context) -> Work:
    return of_clip(given["frames"]) if "frames" in given else Work()


@op(
    "vace",
    "join",
    version=1,
    config=Join,
    inputs=("window_*", "frames", "mask"),
    distributions=("numpy", "opencv-python-headless"),
    gives="frames",
    work=_work,
)
def join(cfg: Join, inputs: Mapping[str, str], ctx: Context) -> str:
    """The film.

    Inputs: ``window_<n>``; ``frames`` of the source, for times and for what stays; ``mask``, white where it was drawn.

    Returns:
        digest of a clip of kind ``rgb``.
    """
    source = Clip.open(ctx.store, inputs["frames"])
    names = sorted((name for name in inputs if name.startswith("window_")), key=lambda name: int(name[7:]))
    windows = [Clip.open(ctx.store, inputs[name]) for name in names]
    mask = Clip.open(ctx.store, inputs["mask"]) if "mask" in inputs else None
    jumps: list[float] = []
    before: np.ndarray | None = None
    with ClipWriter(ctx.store, "rgb", like=source) as writer:
        for number, frame in enumerate(_film(windows, cfg.overlap)):
            if mask is not None:
                frame = pasted(frame, source.frame(number), mask.frame(number), cfg.feather)
            if before is not None:
                jumps.append(jump(before, frame))
            writer.add(frame)
            before = frame
    if len(windows) > 1:
        _tell(figures(jumps, starts(windows, cfg.overlap), cfg.overlap), cfg, ctx)
    return writer.digest


def _film(windows: Sequence[Clip], overlap: int) -> Iterator[np.ndarray]:
    for clip in windows[:-1]:
        yield from clip.frames(0, len(clip) - overlap)
    yield from windows[-1].frames()


def pasted(frame: np.ndarray, source: np.ndarray, mask: np.ndarray, feather: float) -> np.ndarray:
    """A frame ``(H, W, 3)`` uint8 where a mask is 255, the source where it is 0; its border fades over ``feather``."""
    import cv2

    share = mask.astype(np.float32) / 255
    if feather:
        share = cv2.GaussianBlur(share, (0, 0), feather / 2)
    return np.asarray((frame * share + source * (1 - share)).round().astype(np.uint8))


def jump(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two frames, 0 to 255."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def starts(windows: Sequence[Clip], overlap: int) -> list[int]:
    """Numbers of the film's frames with which its windows begin, but the first's."""
    found = [0]
    for clip in windows[:-1]:
        found.append(found[-1] + len(clip) - overlap)
    return found[1:]


def figures(jumps: Sequence[float], starts: Sequence[int], overlap: int) -> dict[str, float]:
    """Jumps between frames where windows meet, and inside the windows.

    Args:
        jumps: from each frame to the next.
        starts: first frames of the later windows.

    Returns:
        ``seam``: the largest from the frame before a window to the first that is its own; ``inner``: the largest of the
        others, and their median.
    """
    meeting = {at for start in starts for at in range(start - 1, start + overlap)}
    seams = [jumps[at] for at in sorted(meeting)]
    inner = [value for at, value in enumerate(jumps) if at not in meeting]
    found = {"seam": max(seams), "seam_median": float(np.median(seams))}
    if inner:
        found |= {"inner": max(inner), "inner_median": float(np.median(inner))}
    return {name: round(value, 3) for name, value in found.items()}


def _tell(found: Mapping[str, float], cfg: Join, ctx: Context) -> None:
    ctx.note(seams=dict(found))
    if found["seam"] > OUT_OF_LINE * found.get("inner", float("inf")):
        shared = "stylize.windows.overlap=9, or stylize.windows.blend=match"
        better = shared if cfg.overlap else "of stylize.segments.carried, 5 joins better than 1"
        log.warning(
            "the film jumps where two windows meet (by %.1f of 255, inside the windows by %.1f at most); %s",
            found["seam"], found["inner"], better,
        )  # fmt: skip
