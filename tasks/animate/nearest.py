"""Of what an animator makes the nearest to what is asked of several: how `bakeoff` brings each within its own limits.

Each rule is one sentence, and what it moved is told; nothing here is applied where a single animator is asked.
"""

from __future__ import annotations

import math

from reel.models.animator import Animator
from reel.models.family import Family
from reel.models.stock import StockFamily


def rate(asked: float, model: Animator) -> float:
    """Frames a second: as asked, a whole number where the family reads one, brought into its range."""
    whole = float(round(asked)) if model.limits.whole_fps else asked
    return min(max(whole, model.limits.least_fps), model.limits.most_fps)


def length(asked: int, extra: int, model: Animator) -> tuple[int, int]:
    """Frames of the film, and those that are made behind its end and cut off.

    Of the latter the nearest number that the family makes, or none where no film would be left beside them; of the film
    the nearest length that both together allow, the longer of two.
    """
    rule = model.limits.frames
    extra = round(extra / rule.step) * rule.step
    if rule.nearest(rule.least) + extra > rule.most:
        extra = 0
    near = rule.nearest(asked)
    over = near + extra - rule.most
    return (near - math.ceil(over / rule.step) * rule.step if over > 0 else near), extra


def size(width: int, height: int, model: Animator, unit: int) -> tuple[int, int]:
    """Width and height, px: of a family with sizes of its own the one of the nearest shape, and of those the nearest in
    pixels; else made smaller in proportion where it makes fewer pixels, then each side to the nearest multiple that
    keeps within them.

    Args:
        unit: what sides must be multiples of.
    """
    limits = model.limits
    if sizes := limits.only():
        best = min(sizes, key=lambda one: _distance((one.width, one.height), (width, height)))
        return best.width, best.height
    factor = min(1.0, math.sqrt(limits.most_pixels / (width * height)))
    least = math.ceil(limits.least_side / unit) * unit
    sides = [max(least, round(side * factor / unit) * unit) for side in (width, height)]
    while sides[0] * sides[1] > limits.most_pixels and max(sides) > least:
        sides[sides.index(max(sides))] -= unit
    return sides[0], sides[1]


def multiple(side: int, unit: int) -> int:
    """A side, px, to the nearest multiple, one at least."""
    return max(unit, round(side / unit) * unit)


def _distance(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """How far two sizes are apart in shape, and in pixels."""
    wide, high = (math.log(a / b) for a, b in zip(one, other, strict=True))
    return round(abs(wide - high), 9), abs(wide + high)


def licensed(territory: str, model: Family) -> bool:
    """Whether the family's licence allows it in a territory, which is compared word by word with what it excludes."""
    excluded = not_licensed(model).lower().replace(",", " ").split()
    words = territory.lower().split()
    places = range(len(excluded) - len(words) + 1)
    return not words or all(excluded[at : at + len(words)] != words for at in places)


def not_licensed(model: Family) -> str:
    """Where the family's licence does not allow it; empty: no such place is known."""
    return model.territory if isinstance(model, StockFamily) else ""
