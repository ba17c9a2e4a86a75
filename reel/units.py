"""Numbers with the unit that people write behind them: ``512px``, ``50%``, ``24fps``, ``3s``.

A setting's type says which unit it is in, and that one may stand behind its number; any other is an error. What the
settings hold is the plain number, so that ``weight=50%`` and ``weight=0.5`` are one setting with one key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, FiniteFloat

MOST_FRAMES = 10_000
"""Of a film from words or pictures, whose length is asked for: more is a slip."""
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?"


def bare(text: str, *units: str) -> str | None:
    """The number in front of one of the units, which may be left out; None where it is followed by anything else."""
    match = re.fullmatch(rf"\s*({_NUMBER})\s*(?:{'|'.join(map(re.escape, units))})?\s*", text, re.IGNORECASE)
    return match[1] if match else None


def in_unit(what: str, *units: str) -> Callable[[Any], Any]:
    """A validator that takes the unit off a text. Values that are no texts are left to the setting's type.

    Args:
        what: what the number is of, with examples, for the message.
    """

    def number(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = bare(value, *units)
        if found is None:
            raise ValueError(f"must be {what}")
        return found

    return number


def _factor(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if (plain := bare(value)) is not None:
        return plain
    if (percent := bare(value, "%")) is not None:
        return float(percent) / 100
    raise ValueError("must be a number such as 0.5, or a percentage such as 50%")


_pixels = BeforeValidator(in_unit("a number of pixels, such as 512 or 512px", "px"))

Pixels = Annotated[int, _pixels]
"""A whole number of pixels; ``512px`` is 512."""
PixelLength = Annotated[FiniteFloat, _pixels]
"""A number of pixels, also a fraction; ``2.5px`` is 2.5."""
Factor = Annotated[FiniteFloat, BeforeValidator(_factor)]
"""A weight, a strength or a part of a whole; ``50%`` is 0.5."""
FramesPerSecond = Annotated[
    FiniteFloat, BeforeValidator(in_unit("a number of frames per second, such as 24 or 24fps", "fps"))
]
"""A frame rate; ``24fps`` is 24."""
