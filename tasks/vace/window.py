"""The op `vace.window`: what a window is driven by, and which part of that stays as it is.

Of Wan VACE (arXiv:2503.07598, section 3.1) a film's input is one clip and one mask: where the mask is white the clip is
a map that says what to draw, where it is black the clip is the picture, which stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.op import Context, op
from reel.work import Extent, Work, of_clip


class MakeWindow(Config):
    """A window of a clip."""

    what: Literal["control", "mask"]
    first: int = Field(ge=0)
    """Number of its first frame."""
    count: int = Field(ge=1)
    """How many it has."""
    carried: int = Field(default=0, ge=0)
    """How many of these come from the window before, whose last frames they are."""


def _work(cfg: MakeWindow, given: Mapping[str, Extent], ctx: Context) -> Work:
    clip = next(iter(given.values()), None)
    return of_clip(Extent(cfg.count, clip.width, clip.height)) if clip else Work()


@op(
    "vace",
    "window",
    version=1,
    config=MakeWindow,
    inputs=("map", "mask", "frames", "previous"),
    distributions=("numpy", "opencv-python-headless"),
    work=_work,
)
def window(cfg: MakeWindow, inputs: Mapping[str, str], ctx: Context) -> str:
    """Frames ``(count, H, W, 3)`` of the control, or of its mask: white where the window is drawn anew.

    Inputs: ``map``; ``mask`` and ``frames`` of the clip, where a part of each frame stays; ``previous``: that before.
    """
    clips = {name: Clip.open(ctx.store, digest) for name, digest in inputs.items()}
    made = _control(cfg, clips) if cfg.what == "control" else _mask(cfg, clips)
    maps = clips["map"]
    with ClipWriter(ctx.store, "map", width=maps.width, height=maps.height, time_base=maps.time_base) as writer:
        for number, frame in enumerate(made, cfg.first):
            writer.add(frame, maps.pts[number])
    return writer.digest


def _control(cfg: MakeWindow, clips: Mapping[str, Clip]) -> Iterator[np.ndarray]:
    if cfg.carried:
        before = clips["previous"]
        yield from before.frames(len(before) - cfg.carried)
    for number in range(cfg.first + cfg.carried, cfg.first + cfg.count):
        frame = clips["map"].frame(number)
        if "mask" in clips:
            frame = np.where(clips["mask"].frame(number) >= 128, frame, clips["frames"].frame(number))
        yield frame


def _mask(cfg: MakeWindow, clips: Mapping[str, Clip]) -> Iterator[np.ndarray]:
    shape = (clips["map"].height, clips["map"].width, 3)
    for _ in range(cfg.carried):
        yield np.zeros(shape, np.uint8)
    for number in range(cfg.first + cfg.carried, cfg.first + cfg.count):
        yield clips["mask"].frame(number) if "mask" in clips else np.full(shape, 255, np.uint8)
