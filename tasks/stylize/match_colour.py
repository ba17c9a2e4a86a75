"""The op `stylize.match_colour`: every frame's colours brought to those of the pictures that the clip was given.

A guard against frames that flash or turn dark: the mean and covariance of each frame's colours are taken to those that
lie between the pictures before and after it (`tasks.film.colours`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.op import Context, op
from reel.units import Factor
from tasks.film.colours import Colours, Map, between, colours_in
from tasks.stylize.engine.sparse import shares

if TYPE_CHECKING:
    import numpy as np


class MatchColour(Config):
    """How colours are matched."""

    at: list[int] = Field(min_length=1)
    """The frame of each picture, ascending."""
    closed: bool = False
    """The clip is a loop: after the last picture comes the first again."""
    strength: Factor = Field(default=1.0, gt=0, le=1)
    """1: all the way, 0.5: half of it."""


@op("stylize", "match_colour", version=2, config=MatchColour, inputs=("frames", "pictures"),
    distributions=("numpy", "opencv-python-headless"), gives="frames")  # fmt: skip
def match_colour(cfg: MatchColour, inputs: Mapping[str, str], ctx: Context) -> str:
    """The frames with their colours matched.

    Inputs: ``frames``; ``pictures``, a clip with as many frames as ``at`` has numbers.

    Returns:
        digest of a clip of kind ``rgb``.
    """
    frames, given = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["pictures"])
    known = [colours_in([picture]) for picture in given.frames()]
    wanted = targets(known, cfg.at, frames.count, closed=cfg.closed)
    with ClipWriter(ctx.store, "rgb", like=frames) as writer, ctx.progress(frames.count, "match colours") as bar:
        for number, (frame, target) in enumerate(zip(frames.frames(), wanted, strict=True)):
            writer.add(matched(frame, target, cfg.strength), frames.pts[number])
            bar.update(1)
    return writer.digest


def targets(known: Sequence[Colours], at: Sequence[int], count: int, *, closed: bool) -> list[Colours]:
    """Colours for each frame: a picture's own on its frame, and on a line from one to the next between."""
    import numpy as np

    weights = shares(at, count, closed=closed)  # (F, P)
    mean, covariance = np.stack([one.mean for one in known]), np.stack([one.covariance for one in known])
    return [Colours(row @ mean, np.tensordot(row, covariance, axes=1)) for row in weights]


REACH = 1000.0
"""Of 255: farther no channel has to be moved, stretched as it may be."""
ROUNDS = 20
"""Halvings of that reach: 0.002 of 255 are left."""
SAMPLE = 1 << 16
"""Pixels by which a frame's means are judged while they are looked for."""


def matched(frame: np.ndarray, target: Colours, strength: float) -> np.ndarray:
    """A frame ``(H, W, 3)`` uint8 with colours on the way to others'.

    What the map sends below black or above white is cut off, which moves the mean. So the offset of each channel is the
    one with which its mean comes to where it should, whatever is cut off: the mean grows with the offset.
    """
    import numpy as np

    own = colours_in([frame])
    to = between(own, target, strength)
    wanted = to.matrix @ own.mean + to.offset
    pixels = frame.reshape(-1, 3)
    raw = pixels[:: max(1, len(pixels) // SAMPLE)] @ to.matrix.T
    low, high = to.offset - REACH, to.offset + REACH
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        short = np.clip(raw + middle, 0, 255).mean(axis=0) < wanted
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return Map(to.matrix, (low + high) / 2)(frame)
