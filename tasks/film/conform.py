"""Shots of any size become frames of the film's, by one stated rule: crop, pad or blur."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from reel.errors import UserError
from tasks.film.settings import Frame
from tasks.media import geometry

if TYPE_CHECKING:
    import numpy as np

WILD = 4
"""How much longer, against the film's, a shot's shape may be: cropped, less than a quarter of it would be seen."""
LARGEST = 8192
"""px, of a side."""
_ASPECTS = {"16:9": Fraction(16, 9), "9:16": Fraction(9, 16), "1:1": Fraction(1)}
_DIM = 0.55
"""Brightness of what stands blurred behind a shot."""

Size = tuple[int, int]


def film_size(shots: Sequence[Size], cfg: Frame) -> Size:
    """Width and height of the film, px, both even: the first shot's shape and shorter side where nothing else is set.

    Args:
        shots: sizes of the shots.

    Raises:
        UserError: it is larger than players show.
    """
    width, height = shots[0]
    aspect = Fraction(width, height) if cfg.aspect == "shots" else _ASPECTS[cfg.aspect]
    if cfg.aspect == "shots" and cfg.short_side is None:
        return _even(Fraction(width)), _even(Fraction(height))
    short = Fraction(cfg.short_side or min(width, height))
    size = (_even(short * aspect), _even(short)) if aspect >= 1 else (_even(short), _even(short / aspect))
    if max(size) > LARGEST:
        raise UserError(f"film.frame.short_side: {size[0]}x{size[1]} px, {LARGEST} is the most", fix="a smaller one")
    return size


def check_shape(shot: Size, film: Size, cfg: Frame, name: str) -> None:
    """Raises: UserError for a shot of which cropping would leave less than a quarter."""
    shape = Fraction(*shot) / Fraction(*film)
    if cfg.fit == "crop" and max(shape, 1 / shape) > WILD:
        raise UserError(
            f"{name}: {shot[0]}x{shot[1]} px in a film of {film[0]}x{film[1]}: less than a quarter of it would be seen",
            fix="film.frame.fit=blur or pad, or a shot of another shape",
        )


def conformed(frame: np.ndarray, size: Size, fit: Literal["crop", "pad", "blur"], background: str) -> np.ndarray:
    """A frame ``(h, w, 3)`` uint8 as ``(height, width, 3)``; one that has the size comes back as it is.

    Args:
        size: width and height, px.
        background: of the borders, ``#rrggbb``.
    """
    import numpy as np

    high, wide = frame.shape[:2]
    if (wide, high) == size:
        return frame
    if fit == "crop" or wide * size[1] == high * size[0]:
        return _placed(frame, size, "crop")
    if fit == "pad":
        red, green, blue = (int(background[at : at + 2], 16) for at in (1, 3, 5))
        under = np.full((size[1], size[0], 3), (red, green, blue), np.uint8)
    else:
        under = _blurred(_placed(frame, size, "crop"))
    return _placed(frame, size, "pad", under)


def _placed(frame: np.ndarray, size: Size, fit: geometry.Fit, under: np.ndarray | None = None) -> np.ndarray:
    """Scaled and cut, or scaled and laid onto ``under``, by the rule of `geometry.plan`."""
    shown = (Fraction(frame.shape[1]), Fraction(frame.shape[0]))
    plan = geometry.plan(shown, short_side=None, width=size[0], height=size[1], fit=fit, multiple_of=1)
    scaled = _scaled(frame, plan.scaled)
    left, top = plan.offset
    if under is None:
        return scaled[top : top + size[1], left : left + size[0]]
    under[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return under


def _scaled(frame: np.ndarray, size: Size) -> np.ndarray:
    import cv2

    smaller = size[0] < frame.shape[1] or size[1] < frame.shape[0]
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _blurred(frame: np.ndarray) -> np.ndarray:
    """Blurred by a tenth of the shorter side, and darker: worked out on a small copy, where a blur costs nothing."""
    import cv2
    import numpy as np

    high, wide = frame.shape[:2]
    small = cv2.resize(frame, (max(8, wide // 8), max(8, high // 8)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(1.0, min(small.shape[:2]) / 10))
    large = cv2.resize(small, (wide, high), interpolation=cv2.INTER_LINEAR)
    return (large * np.float32(_DIM)).astype(np.uint8)


def _even(side: Fraction) -> int:
    return max(2, round(side / 2) * 2)
