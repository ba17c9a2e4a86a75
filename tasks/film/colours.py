"""Colour match: a shot's colours brought to another's by mean and covariance (Pitie and Kokaram, 2007).

The linear map that takes one normal distribution to another with the least movement of colours; applied in the frames'
own RGB values. Its figures are the distance of the two distributions before and after.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reel.clip import Clip
from tasks.media.panels import spread

if TYPE_CHECKING:
    import numpy as np

LOOKED_AT = 12
"""Frames of a shot, evenly spread, by which its colours are judged."""
SIDE = 64
"""px to which they are shrunk for that."""
NOISE = 4.0
"""Added to the variances (255ths squared): a flat shot has none to be stretched."""
STRONGEST = 2.5
"""Factor by which a direction of colour is stretched at most: what lies behind is noise."""


@dataclass(frozen=True)
class Colours:
    """Mean ``(3,)`` and covariance ``(3, 3)`` of RGB values, 0 to 255."""

    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Map:
    """``rgb @ matrix.T + offset``."""

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """A frame ``(H, W, 3)`` uint8 as the same."""
        import cv2
        import numpy as np

        whole = np.hstack([self.matrix, self.offset[:, None]]).astype(np.float32)
        return np.clip(np.rint(cv2.transform(frame.astype(np.float32), whole)), 0, 255).astype(np.uint8)


def colours_of(clip: Clip) -> Colours:
    """Of the frames of a clip."""
    return colours_in(clip.frame(index) for index in spread(clip.count, LOOKED_AT))


def colours_in(frames: Iterable[np.ndarray]) -> Colours:
    """Of frames ``(H, W, 3)`` uint8."""
    import cv2
    import numpy as np

    small = [cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA).reshape(-1, 3) for frame in frames]
    values = np.concatenate(small).astype(np.float64)
    return Colours(values.mean(axis=0), np.cov(values.T))


def between(own: Colours, other: Colours, strength: float) -> Map:
    """The map that brings ``own`` to ``other``, or a part of the way there."""
    import numpy as np

    room = NOISE * np.eye(3)
    half, back = _root(own.covariance + room), _root(own.covariance + room, inverse=True)
    matrix = back @ _root(half @ (other.covariance + room) @ half) @ back
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.clip(values, 1 / STRONGEST, STRONGEST)) @ vectors.T
    matrix = strength * matrix + (1 - strength) * np.eye(3)
    wanted = strength * other.mean + (1 - strength) * own.mean
    return Map(matrix, wanted - matrix @ own.mean)


def mapped(own: Colours, by: Map) -> Colours:
    """The colours of a shot that a map was applied to, nothing being cut off at black and white."""
    return Colours(by.matrix @ own.mean + by.offset, by.matrix @ own.covariance @ by.matrix.T)


def distance(a: Colours, b: Colours) -> float:
    """How far two distributions are apart (2-Wasserstein distance of normal ones), in 255ths."""
    import numpy as np

    half = _root(a.covariance)
    spread_apart = np.trace(a.covariance + b.covariance - 2 * _root(half @ b.covariance @ half))
    return float(np.sqrt(max(0.0, spread_apart + np.sum((a.mean - b.mean) ** 2))))


def _root(matrix: np.ndarray, *, inverse: bool = False) -> np.ndarray:
    """The square root of a symmetric matrix without negative eigenvalues."""
    import numpy as np

    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.maximum(values, 0))
    return (vectors / roots if inverse else vectors * roots) @ vectors.T
