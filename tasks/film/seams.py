"""Flashes at seams: frames at the ends of a shot that jump in brightness or colour, as image-to-video models make them.

Each step between two frames near an end is held against the shot's own motion there, the median of the steps, so that
what moves evenly is no flash. A flash is what lies between the shot's end and a step that stands out; a shot that
changes for good (a lamp goes on) has it far from its ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reel.clip import Clip

if TYPE_CHECKING:
    import numpy as np

REACH = 6
"""Frames at each end in which a flash may lie; of short shots a quarter."""
TIMES = 4.0
"""A step this often as large as the shot's own is a flash."""
LEAST = 6.0
"""Of 255; smaller steps are not seen, however still the shot is."""
LOOKED_AT = 16
"""Frames at each end that are read: they tell the shot's own motion, and reading all would cost as much as the film."""
SIDE = 32
"""px to which frames are shrunk for that."""


@dataclass(frozen=True)
class Ends:
    """Frames of a shot that flash.

    Attributes:
        head, tail: how many at its beginning and at its end.
        step: the largest step near the ends, in 255ths; usual: the shot's own; after: the largest that is left where
            the flashing frames are replaced.
    """

    head: int
    tail: int
    step: float
    usual: float
    after: float

    @property
    def figures(self) -> dict[str, Any]:
        return {name: round(value, 2) if isinstance(value, float) else value for name, value in vars(self).items()}


def ends_of(clip: Clip) -> Ends:
    """Look at the ends of a clip; of one with fewer than 8 frames nothing can be said."""
    import numpy as np

    if clip.count < 8:
        return Ends(0, 0, 0.0, 0.0, 0.0)
    steps = _steps(clip)
    reach = min(REACH, clip.count // 4)
    usual = float(np.median(steps))
    flashes = steps > max(LEAST, TIMES * usual)
    head = max((index + 1 for index in range(reach) if flashes[index]), default=0)
    tail = max((index + 1 for index in range(reach) if flashes[-1 - index]), default=0)
    near = np.concatenate([steps[:reach], steps[-reach:]])
    left = np.concatenate([steps[head:reach], steps[len(steps) - reach : len(steps) - tail], [0.0]])
    return Ends(head, tail, float(near.max()), usual, float(left.max()))


def held(count: int, ends: Ends) -> list[int]:
    """Which frame is shown in the place of each: those that flash are replaced by the nearest that does not."""
    return [min(max(index, ends.head), count - 1 - ends.tail) for index in range(count)]


def _steps(clip: Clip) -> np.ndarray:
    """From each frame to the next, of all or of those near the ends: the largest change of a mean colour, in 255ths."""
    import numpy as np

    if clip.count <= 2 * LOOKED_AT:
        return _changes(clip.frames())
    ends = (clip.frames(0, LOOKED_AT), clip.frames(clip.count - LOOKED_AT))
    return np.concatenate([_changes(frames) for frames in ends])


def _changes(frames: Iterator[np.ndarray]) -> np.ndarray:
    import cv2
    import numpy as np

    small = (cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in frames)
    means = np.array([frame.reshape(-1, 3).mean(axis=0) for frame in small])
    return np.abs(np.diff(means, axis=0)).max(axis=1)
