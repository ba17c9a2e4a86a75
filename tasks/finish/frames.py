"""What finishing ops share: a clip drawn anew frame by frame, and where torch computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reel.clip import Clip, ClipWriter
from reel.op import Context

if TYPE_CHECKING:
    import numpy as np

KEPT = ("source",)
"""What of a clip's meta a finished one keeps: where its sound comes from."""


def drawn_anew(
    frames: str, ctx: Context, draw: Callable[[int, np.ndarray], np.ndarray], desc: str, factor: int = 1
) -> str:
    """A clip whose every frame is drawn from the same frame of another; its times stay.

    Args:
        frames: digest of the other one.
        draw: takes the frame's number and the frame ``(H, W, 3)`` uint8, gives one ``factor`` times as large.

    Returns:
        digest of the new clip.
    """
    clip = Clip.open(ctx.store, frames)
    writer = ClipWriter(
        ctx.store, "rgb", width=clip.width * factor, height=clip.height * factor, time_base=clip.time_base,
        color=clip.color, meta={name: clip.meta[name] for name in KEPT if name in clip.meta},
    )  # fmt: skip
    with writer, ctx.progress(total=clip.count, desc=desc) as bar:
        for number, frame in enumerate(clip.frames()):
            writer.add(draw(number, frame), clip.pts[number])
            bar.update()
    return writer.digest
