"""Paints shapes in two tones with one clean outline each, into a picture and a part map.

Shapes are laid down as labels in a box of their own at twice the size: the outline is that box dilated, the shade is
what would fall outside the shape if it were moved towards the light. The whole is area-resized at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tasks.sprite.attributes import RGB
from tasks.sprite.parts import Drawing

OVERSAMPLE = 2
OUTLINE: RGB = (34, 24, 32)
_SHIFT = 4  # fractional bits of cv2's coordinates
_ROOM = 24  # px around the picture in which shapes are still painted, so that none is shaded along the frame's edge


@dataclass(frozen=True)
class Piece:
    """A part of a shape: a closed outline `(N, 2)` px, its colour and its part."""

    points: np.ndarray
    color: RGB
    part: int


class Canvas:
    """A picture in the making; coordinates are px of the finished one."""

    def __init__(self, background: RGB, size: int) -> None:
        self.size = size
        side = size * OVERSAMPLE
        self.rgb = np.empty((side, side, 3), np.uint8)
        self.rgb[:] = background
        self.parts = np.zeros((side, side), np.uint8)
        reach = max(1, round(size * OVERSAMPLE / 150))  # outline, 1.3 px of 192
        self.brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)

    def shape(self, pieces: Sequence[Piece], shade: float = 0.0, outline: bool = True) -> None:
        """Paint pieces as one shape: later ones over earlier ones, with one outline around all of them.

        Args:
            shade: width of the darker edge away from the light, px; 0: one tone.
        """
        corner, box = self._box(pieces, shade)
        if box is None:
            return
        for number, piece in enumerate(pieces, 1):
            points = np.round((piece.points * OVERSAMPLE - corner) * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(box, [points], number, cv2.LINE_8, _SHIFT)
        inside = box > 0
        tones = np.array([[(0, 0, 0)] * 2, *([piece.color, shaded(piece.color)] for piece in pieces)], np.uint8)
        dark = _away_from_light(inside, round(shade * OVERSAMPLE))
        parts = np.array([0, *(piece.part for piece in pieces)], np.uint8)
        ours, theirs = self._overlap(corner, box.shape)
        if outline:
            edge = cv2.dilate(inside.view(np.uint8), self.brush)[ours] > 0
            self.rgb[theirs][edge] = OUTLINE
            self.parts[theirs][edge] = parts[1]
        seen = inside[ours]
        self.rgb[theirs][seen] = tones[box[ours][seen], dark[ours][seen].view(np.uint8)]
        self.parts[theirs][seen] = parts[box[ours][seen]]

    def line(self, points: np.ndarray, width: float, color: RGB, part: int | None = None) -> None:
        """An open stroke, `width` px; `part` None leaves the part map."""
        fixed = [np.round(points * OVERSAMPLE * (1 << _SHIFT)).astype(np.int32)]
        thick = max(1, round(width * OVERSAMPLE))
        cv2.polylines(self.rgb, fixed, False, color, thick, cv2.LINE_8, _SHIFT)
        if part is not None:
            cv2.polylines(self.parts, fixed, False, part, thick, cv2.LINE_8, _SHIFT)

    def finish(self) -> Drawing:
        rgb = cv2.resize(self.rgb, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return Drawing(rgb, np.ascontiguousarray(self.parts[::OVERSAMPLE, ::OVERSAMPLE]))

    def _box(self, pieces: Sequence[Piece], shade: float) -> tuple[np.ndarray, np.ndarray | None]:
        """The pieces' bounding box: its corner (supersampled px) and room for labels; None outside the picture."""
        points = np.concatenate([piece.points for piece in pieces])
        margin = len(self.brush) / OVERSAMPLE + shade + 1
        low = np.floor((points.min(0) - margin).clip(-_ROOM, self.size + _ROOM)).astype(int) * OVERSAMPLE
        high = np.ceil((points.max(0) + margin).clip(-_ROOM, self.size + _ROOM)).astype(int) * OVERSAMPLE
        side = self.size * OVERSAMPLE
        if (high <= 0).any() or (low >= side).any() or (high <= low).any():
            return low, None
        return low, np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)

    def _overlap(self, corner: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The box's and the picture's rows and columns that lie over each other."""
        side = self.size * OVERSAMPLE
        ours, theirs = [], []
        for start, length in ((int(corner[1]), shape[0]), (int(corner[0]), shape[1])):
            low, high = max(start, 0), min(start + length, side)
            ours.append(slice(low - start, high - start))
            theirs.append(slice(low, high))
        return (ours[0], ours[1]), (theirs[0], theirs[1])


def shaded(color: RGB) -> RGB:
    """The darker tone of a colour, a little towards blue, as cel shading has it."""
    r, g, b = color
    return round(r * 0.76), round(g * 0.72), round(b * 0.82 + 6)


def _away_from_light(inside: np.ndarray, reach: int) -> np.ndarray:
    """Where a shape is darker, bool: within `reach` of its edge to the lower right."""
    dark = np.zeros_like(inside)
    if reach > 0:
        down = max(1, round(0.6 * reach))
        dark[:, :] = inside
        dark[:-down, :-reach] &= ~inside[down:, reach:]
    return dark


def ellipse(centre: np.ndarray, axes: tuple[float, float], angle: float = 0.0) -> np.ndarray:
    """Outline `(28, 2)`; `axes` are half lengths in px, `angle` turns the first from x towards y (radians)."""
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    x, y = axes[0] * np.cos(t), axes[1] * np.sin(t)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(np.stack([c * x - s * y, s * x + c * y], 1) + centre)


def rounded(points: Sequence[np.ndarray] | np.ndarray, times: int = 2) -> np.ndarray:
    """A closed outline with its corners cut `times` times (Chaikin's curve)."""
    p = np.asarray(points, dtype=np.float64)
    for _ in range(times):
        after = np.roll(p, -1, axis=0)
        p = np.stack([0.75 * p + 0.25 * after, 0.25 * p + 0.75 * after], 1).reshape(-1, 2)
    return p


def tapered(a: np.ndarray, b: np.ndarray, start: float, end: float) -> np.ndarray:
    """Outline of a limb from a to b, `start` and `end` px wide, both ends round."""
    points = np.concatenate([ellipse(a, (start / 2, start / 2)), ellipse(b, (end / 2, end / 2))])
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], dtype=np.float64)
