"""Control maps for training and measuring: the product's own pure functions, on drawn figures."""

from __future__ import annotations

import numpy as np

from tasks.preprocess.figure_depth import figure_depth_map
from tasks.preprocess.lineart_standard import lineart_map
from tasks.preprocess.pose_map import draw_poses
from tasks.sprite.attributes import Attributes
from tasks.sprite.drawing import HAIR, draw_figure, standing_height
from tasks.sprite.skeleton import L_EYE, NECK, NOSE, R_EAR, R_EYE


def control_map(kind: str, person: np.ndarray, rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The map of one ControlNet, of the drawing's shape `(S, S, 3)` uint8.

    kind: "openpose", "lineart", "depth" or "tile"; person: `(18, 4)` px; rgb: the drawing; mask: 255 inside.
    """
    height, width = rgb.shape[:2]
    if kind == "openpose":
        return draw_poses([person], width, height)
    if kind == "lineart":
        return lineart_map(rgb)
    if kind == "depth":
        return figure_depth_map([person], mask, width, height)
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


def blank_region(person: np.ndarray, parts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A region to blank in a map, bool `(S, S)`: as a user would cut it out, to leave that place to the prompt.

    Two of five are the head with the place of long hair, one of five the person, one of four boxes anywhere, the rest
    the whole map.

    parts: the drawing's part map.
    """
    kind, size = rng.random(), len(parts)
    most = size * 12 // 128  # px
    if kind < 0.4:
        return head_region(person, size, margin=rng.uniform(0, most))
    if kind < 0.6:
        return grown(parts > 0, int(rng.integers(1, most)))
    if kind > 0.85:
        return np.ones(parts.shape, bool)
    region = np.zeros(parts.shape, bool)
    for _ in range(rng.integers(1, 4)):
        (x, y), (w, h) = rng.integers(0, size, 2), rng.integers(most, size * 80 // 128, 2)
        region[max(0, y - h // 2) : y + h // 2, max(0, x - w // 2) : x + w // 2] = True
    return region


def head_region(person: np.ndarray, size: int, margin: float = 4.0) -> np.ndarray:
    """The box around a figure's head and its hair, were it long: bool `(size, size)`, `margin` px wider.

    It is the same whatever hair the figure has, so its shape tells nothing of that.
    """
    longest = Attributes("long", "black", "red", "trousers", "blue", "white", "light")
    ys, xs = np.nonzero(draw_figure(person, longest, size).parts == HAIR)
    region = np.zeros((size, size), bool)
    if len(xs):
        around = round(margin + 0.02 * standing_height(person))
        chin = int(person[NECK, 1])
        top, bottom = min(ys.min(), chin), max(ys.max(), chin)
        region[max(0, top - around) : bottom + around + 1, max(0, xs.min() - around) : xs.max() + around + 1] = True
    return region


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask that reaches `pixels` further."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0
