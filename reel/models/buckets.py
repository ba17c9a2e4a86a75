"""Sizes of HunyuanVideo 1.5, whose pipeline is told none: it takes one of its own, by the shape of the picture."""

from __future__ import annotations

import functools

UNIT = 16
"""px that both sides are multiples of."""
RATIO = 4.0
"""Longest side over shortest, at most."""


@functools.cache
def buckets(target: int) -> tuple[tuple[int, int], ...]:
    """All sizes (height, width) that it chooses from, px, the tallest first.

    They are the edge of all sizes of no more pixels than a square of ``target`` px has: at every height the widths from
    that of the next height on.
    """
    most = round((target / UNIT) ** 2)
    edge = ((high, wide) for high in range(most, 0, -1) for wide in range(max(1, most // (high + 1)), most // high + 1))
    return tuple((high * UNIT, wide * UNIT) for high, wide in edge if max(high, wide) <= RATIO * min(high, wide))


def chosen(width: int, height: int, target: int) -> tuple[int, int]:
    """Width and height that it makes of a picture of that size, px: never a shape further from the square.

    It rounds the shapes of its sizes and not that of the picture, so a picture of one of its own sizes can come out at
    another one, cut.
    """
    shape = height / width
    shapes = [(round(high / wide, 5), (wide, high)) for high, wide in buckets(target)]
    nearer = [one for one in shapes if (one[0] <= shape if shape >= 1 else one[0] >= shape)]
    return min(nearer, key=lambda one: abs(one[0] - shape))[1]


@functools.cache
def sizes(target: int) -> tuple[tuple[int, int], ...]:
    """The sizes (width, height) that pictures of this very size keep, px."""
    return tuple((wide, high) for high, wide in buckets(target) if chosen(wide, high, target) == (wide, high))
