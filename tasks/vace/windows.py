"""Which frames of a clip each window makes."""

from __future__ import annotations

from dataclasses import dataclass

STEP = 4
"""Frames of a latent; the first has one of its own."""


@dataclass(frozen=True)
class Window:
    """Frames ``first`` to ``first + count - 1`` of the clip; the first ``carried`` of them come from the one before."""

    first: int
    count: int
    carried: int


def windows(length: int, most: int, overlap: int) -> list[Window]:
    """The windows of a clip, as few as can be and about equally long: the longest decides how much memory is needed.

    Args:
        length: frames of the clip, 4k+1.
        most: frames of a window at most, 4k+1.
        overlap: frames that a window takes over, 4k+1 and less than ``most``.

    Returns:
        windows of 4k+1 frames, each of which begins where the one before has ``overlap`` frames left.
    """
    if length <= most:
        return [Window(0, length, 0)]
    new, room = length - overlap, most - overlap  # frames that are not taken over; both are multiples of 4
    several = -(-new // room)
    stride = -(-new // (several * STEP)) * STEP
    return [
        Window(first, min(stride + overlap, length - first), overlap if first else 0) for first in range(0, new, stride)
    ]
