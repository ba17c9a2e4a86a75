"""Which frames of a clip each segment makes, and which of its driving clips it is handed.

The pipeline cuts a clip into segments of one length, each of which takes frames of the one before over, and fills the
last one up by playing the clip backwards. It does what is meant for some lengths alone; these are made here.
"""

from __future__ import annotations

from dataclasses import dataclass

STEP = 4
"""Frames of a latent; the first has one of its own."""


@dataclass(frozen=True)
class Span:
    """A segment of ``frames`` frames, of which ``new`` are the film's; it is handed frames ``first`` to ``last`` - 1.

    These are its own and those of the segment before, for which the call is made as well.
    """

    first: int
    last: int
    frames: int
    new: int


def least(carried: int) -> int:
    """The shortest segment, 4k+1: with fewer frames than twice what is carried the pipeline counts one too many."""
    return -(-2 * carried // STEP) * STEP + 1


def segments(length: int, most: int, carried: int) -> list[Span]:
    """The segments of a clip, as few as can be; all are of one length, the shortest that makes the clip in so many.

    Args:
        length: frames of the clip, more than ``carried``.
        most: frames of a segment at most, 4k+1 and `least` at least.
        carried: frames that a segment takes over, 1 or 5.
    """
    new = length - carried
    several = -(-new // (most - carried))
    stride = -(-new // (several * STEP)) * STEP
    frames = max(stride + carried, least(carried))
    found = [Span(0, min(frames, length), frames, min(frames, length))]
    stride = frames - carried
    for start in range(stride, new, stride):
        last = min(start + frames, length)
        found.append(Span(start - stride, last, frames, last - start - carried))
    return found
