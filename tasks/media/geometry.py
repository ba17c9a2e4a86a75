"""Sizes: from what is stored in a file to what is seen, and from there to the frames that are wanted.

Rotation and sample aspect come first: a portrait phone clip is stored lying down and an anamorphic one squeezed, so a
size computed from the stored width and height would be wrong in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from reel.errors import UserError

Fit = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True)
class Plan:
    """How a picture of any size becomes one of exactly ``width`` x ``height``.

    It is scaled to ``scaled`` first. Then, where that is larger than the target, the middle is cut out from ``offset``;
    where it is smaller, it is laid onto the background at ``offset``. All in px.
    """

    width: int
    height: int
    scaled: tuple[int, int]
    offset: tuple[int, int]

    @property
    def crops(self) -> bool:
        return self.scaled[0] > self.width or self.scaled[1] > self.height

    @property
    def pads(self) -> bool:
        return self.scaled[0] < self.width or self.scaled[1] < self.height


def display_size(width: int, height: int, sample_aspect: Fraction, rotation: int) -> tuple[Fraction, Fraction]:
    """The size a player shows, as exact fractions of a px.

    Args:
        width, height: stored size, px.
        sample_aspect: width of one stored sample divided by its height.
        rotation: degrees, a multiple of 90.
    """
    wide = Fraction(width) * sample_aspect if sample_aspect > 1 else Fraction(width)
    high = Fraction(height) / sample_aspect if sample_aspect < 1 else Fraction(height)
    return (high, wide) if rotation % 180 else (wide, high)


def plan(
    display: tuple[Fraction, Fraction],
    *,
    short_side: int | None,
    width: int | None,
    height: int | None,
    fit: Fit,
    multiple_of: int,
) -> Plan:
    """Settle the size of the frames.

    A side that is given is meant exactly; a side that follows from the other is brought to the multiple by ``fit``:
    down for ``crop``, up for ``pad``, to the nearest for ``stretch``.

    Raises:
        UserError: a given side is not a multiple, or the clip is too small for the multiple.
    """
    _check_multiples(short_side, width, height, multiple_of)
    ideal = _ideal(display, short_side, width, height)
    size = tuple(
        given if given is not None else _to_multiple(side, multiple_of, fit)
        for given, side in zip(_given(display, short_side, width, height), ideal, strict=True)
    )
    if min(size) < 1:
        raise UserError(
            f"extract: frames of {_px(ideal[0])}x{_px(ideal[1])} px are smaller than one multiple of {multiple_of}",
            fix=f"set extract.short_side to {multiple_of} or more",
        )
    return _place(display, (size[0], size[1]), fit)


def _check_multiples(short_side: int | None, width: int | None, height: int | None, multiple: int) -> None:
    given = {"short_side": short_side, "width": width, "height": height}
    wrong = {key: value for key, value in given.items() if value is not None and value % multiple}
    if not wrong:
        return
    fixed = {key: max(multiple, value // multiple * multiple) for key, value in wrong.items()}
    if width is not None and height is not None:
        change = f"{width}x{height} -> {fixed.get('width', width)}x{fixed.get('height', height)}"
    else:
        change = ", ".join(f"{wrong[key]} -> {fixed[key]}" for key in wrong)
    keys = " and ".join(f"extract.{key}" for key in wrong)
    raise UserError(
        f"{keys}: sides must be multiples of {multiple}: {change}",
        fix=" ".join(f"extract.{key}={value}" for key, value in fixed.items()),
    )


def _ideal(
    display: tuple[Fraction, Fraction], short_side: int | None, width: int | None, height: int | None
) -> tuple[Fraction, Fraction]:
    """The wanted size with the clip's own aspect, before multiples."""
    if short_side is not None:
        scale = short_side / min(display)
    elif width is not None and height is None:
        scale = width / display[0]
    elif height is not None and width is None:
        scale = height / display[1]
    else:
        scale = Fraction(1)
    return display[0] * scale, display[1] * scale


def _given(
    display: tuple[Fraction, Fraction], short_side: int | None, width: int | None, height: int | None
) -> tuple[int | None, int | None]:
    if short_side is None:
        return width, height
    return (short_side, None) if display[0] <= display[1] else (None, short_side)


def _to_multiple(side: Fraction, multiple: int, fit: Fit) -> int:
    steps = side / multiple
    if fit == "stretch":
        return max(1, round(steps)) * multiple
    # An anamorphic width such as 1023.98 px is 1024 to everybody: a fortieth of a px is not worth a whole multiple.
    slack = Fraction(1, 40) / multiple
    return (-((-steps + slack) // 1) if fit == "pad" else (steps + slack) // 1) * multiple


def _place(display: tuple[Fraction, Fraction], size: tuple[int, int], fit: Fit) -> Plan:
    if fit == "stretch":
        return Plan(*size, scaled=size, offset=(0, 0))
    ratios = (size[0] / display[0], size[1] / display[1])
    if fit == "crop":
        scale = max(ratios)
        scaled = tuple(max(want, round(side * scale)) for want, side in zip(size, display, strict=True))
        offset = ((scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2)
    else:
        scale = min(ratios)
        scaled = tuple(min(want, max(1, round(side * scale))) for want, side in zip(size, display, strict=True))
        offset = ((size[0] - scaled[0]) // 2, (size[1] - scaled[1]) // 2)
    return Plan(*size, scaled=(scaled[0], scaled[1]), offset=offset)


def _px(side: Fraction) -> str:
    return f"{float(side):.5g}"
