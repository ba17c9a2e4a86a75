"""The values of ``range(start,stop,step)`` on the command line, in decimal arithmetic as the numbers are written."""

from __future__ import annotations

import math
from fractions import Fraction

MOST = 100_000
"""Values of one axis."""


def values(start: float, stop: float | None = None, step: float = 1) -> list[int] | list[float]:
    """From ``start`` up to ``stop``, which is left out, as Python's own ``range`` does, for fractions as well.

    ``range(0.1,0.4,0.1)`` is 0.1, 0.2, 0.3: in binary arithmetic its third sum lies below 0.4, and 0.4 came out too.

    Args:
        start: the first value; with nothing else given, where it ends, and 0 is the first.
        step: distance of two values; below 0 they descend.

    Raises:
        ValueError: a step of 0, a number that is not finite, true or false, or too many values.
    """
    first, end = (0, start) if stop is None else (start, stop)
    if any(isinstance(number, bool) for number in (first, end, step)):
        raise ValueError("a range is of numbers, not of true and false")
    if not all(math.isfinite(number) for number in (first, end, step)):
        raise ValueError("the numbers of a range must be finite")
    if step == 0:
        raise ValueError("the step of a range must not be 0")
    low, high, by = (Fraction(repr(number)) for number in (first, end, step))
    count = max(0, math.ceil((high - low) / by))
    if count > MOST:
        raise ValueError(f"{count} values; an axis has at most {MOST}")
    if all(isinstance(number, int) for number in (first, end, step)):
        return [int(low + by * place) for place in range(count)]
    return [float(low + by * place) for place in range(count)]
