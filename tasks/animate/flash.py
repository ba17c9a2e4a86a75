"""A flash at the end: LTX tends to jump in brightness or colour, or to blur, in the last frames of a film.

Each step between two frames is held against the film's own motion: the median of all steps before those. What
moves evenly never looks like a flash, however fast it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TAIL = 16
"""Frames at the end that are looked at; of shorter films the last third."""
TIMES = 4.0
"""A step this often as large as the film's own is a flash."""
LEAST = 4.0
"""Of 255; smaller steps are not seen, however still the film is."""
BLURRED = 0.5
"""Sharpness of the last frames, against that of the others, below which they count as blurred."""


@dataclass(frozen=True)
class Flash:
    """What was found.

    Attributes:
        brightness, colour: largest step of the mean brightness, and of the mean of any channel beside it, in the tail,
            in 255ths.
        usual_brightness, usual_colour: the median of the same steps before.
        sharpness: of the last two frames, the median of those before being 1.
    """

    brightness: float
    colour: float
    usual_brightness: float
    usual_colour: float
    sharpness: float

    @property
    def seen(self) -> bool:
        jumps = ((self.brightness, self.usual_brightness), (self.colour, self.usual_colour))
        return self.sharpness < BLURRED or any(step > max(LEAST, TIMES * usual) for step, usual in jumps)

    @property
    def figures(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in vars(self).items()}

    def __str__(self) -> str:
        return (
            f"brightness jumps by {self.brightness:.1f} of 255 where {self.usual_brightness:.1f} is usual, colour by "
            f"{self.colour:.1f} where {self.usual_colour:.1f} is, the last frames are {self.sharpness:.2f} as sharp"
        )


def end_flash(frames: np.ndarray) -> Flash:
    """Look at the end of a film.

    Args:
        frames: ``(F, H, W, 3)`` uint8.
    """
    import numpy as np

    tail = min(TAIL, max(1, len(frames) // 3))
    means = np.array([frame.reshape(-1, 3).mean(axis=0) for frame in frames])  # (F, 3)
    light = means.mean(axis=1)
    jumps = np.abs(np.diff(light))
    hues = np.abs(np.diff(means - light[:, None], axis=0)).max(axis=1) if len(frames) > 1 else np.zeros(0)
    sharp = np.array([_sharpness(frame) for frame in frames])
    usual = float(np.median(sharp[:-2])) if len(frames) > 2 else 0.0
    return Flash(
        brightness=float(jumps[-tail:].max(initial=0)),
        colour=float(hues[-tail:].max(initial=0)),
        usual_brightness=_median(jumps[:-tail]),
        usual_colour=_median(hues[:-tail]),
        sharpness=float(sharp[-2:].min() / usual) if usual > 0 else 1.0,
    )


def _sharpness(frame: np.ndarray) -> float:
    """Mean step between neighbouring pixels."""
    import numpy as np

    grey = frame.mean(axis=2)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def _median(values: np.ndarray) -> float:
    import numpy as np

    return float(np.median(values)) if len(values) else 0.0
