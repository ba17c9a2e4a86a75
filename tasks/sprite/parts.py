"""What every drawing of a figure is made of: the picture, its part map, and the measure that all sizes come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.sprite.skeleton import L_ANKLE, L_HIP, L_KNEE, NECK, R_ANKLE, R_HIP, R_KNEE

PARTS = ("background", "skin", "hair", "top", "bottom", "shoes", "eyes", "mouth")
BACKGROUND, SKIN, HAIR, TOP, BOTTOM, SHOES, EYES, MOUTH = range(8)


@dataclass(frozen=True)
class Drawing:
    """`rgb` `(S, S, 3)` uint8, `parts` `(S, S)` uint8 with the values of `PARTS`."""

    rgb: np.ndarray
    parts: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Person mask `(S, S)` uint8, 255 inside."""
        return np.where(self.parts > 0, 255, 0).astype(np.uint8)


def standing_height(person: np.ndarray) -> float:
    """Height in px from the bones (in 3-D, so that foreshortening does not shrink the head); always > 0."""
    p = np.asarray(person)[:, :3]

    def bone(a: int, b: int) -> float:
        return float(np.linalg.norm(p[a] - p[b]))

    hips = (p[R_HIP] + p[L_HIP]) / 2
    torso = float(np.linalg.norm(p[NECK] - hips))
    legs = (bone(R_HIP, R_KNEE) + bone(R_KNEE, R_ANKLE) + bone(L_HIP, L_KNEE) + bone(L_KNEE, L_ANKLE)) / 2
    return max(8.0, (torso + legs) / 0.76)


def unit(vector: np.ndarray, fallback: tuple[float, float] = (0.0, -1.0)) -> np.ndarray:
    """The vector at length 1; `fallback` for one that is too short to have a direction."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-6 else np.array(fallback)
