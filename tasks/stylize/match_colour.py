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
from tasks.film.colours import Colours, between, colours_in
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


@op("stylize", "match_colour", version=1, config=MatchColour, inputs=("frames", "pictures"),
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


def matched(frame: np.ndarray, target: Colours, strength: float) -> np.ndarray:
    """A frame ``(H, W, 3)`` uint8 with colours on the way to others'."""
    return between(colours_in([frame]), target, strength)(frame)
