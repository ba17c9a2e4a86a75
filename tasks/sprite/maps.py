"""Control maps for training and measuring: the product's own pure functions, on drawn figures."""

from __future__ import annotations

import numpy as np

from tasks.preprocess.figure_depth import figure_depth_map
from tasks.preprocess.lineart_standard import lineart_map
from tasks.preprocess.pose_map import draw_poses
from tasks.sprite.skeleton import FRAME, L_EYE, NOSE, R_EAR, R_EYE


def control_map(kind: str, person: np.ndarray, rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The map of one ControlNet `(128, 128, 3)` uint8.

    kind: "openpose", "lineart", "depth" or "tile"; person: `(18, 4)` px; rgb: the drawing; mask: 255 inside.
    """
    if kind == "openpose":
        return draw_poses([person], FRAME, FRAME)
    if kind == "lineart":
        return lineart_map(rgb)
    if kind == "depth":
        return figure_depth_map([person], mask, FRAME, FRAME)
    if kind == "tile":
        return tile_map(rgb, 8)
    raise ValueError(f"no control map of kind {kind!r}; there are openpose, lineart, depth and tile")


def tile_map(rgb: np.ndarray, factor: int) -> np.ndarray:
    """The frame without its details: reduced by `factor` and enlarged again."""
    import cv2

    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def as_detected(person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a pose detector would give for a drawn skeleton: small errors, sometimes points missing."""
    seen = np.array(person, dtype=np.float32)
    spread = float(np.ptp(seen[:, 1]))
    if rng.random() < 0.5:
        seen[:, :2] += rng.normal(0, 0.008 * spread, (18, 2))
    if seen[NOSE, 2] > seen[R_EAR:, 2].mean() and rng.random() < 0.5:  # seen from the back
        seen[[NOSE, R_EYE, L_EYE], 3] = 0
    chance = rng.random()
    if chance < 0.1:
        seen[rng.integers(18, size=rng.integers(1, 4)), 3] = 0
    elif chance < 0.13:
        seen[[NOSE, R_EYE, L_EYE, R_EAR, R_EAR + 1], 3] = 0
    return seen
