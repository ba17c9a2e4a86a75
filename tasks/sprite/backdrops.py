"""Procedural photo-like pictures (gradients, noise, shapes), so that the VAE also encodes real video frames sanely."""

from __future__ import annotations

import numpy as np


def random_backdrop(rng: np.random.Generator, size: int) -> np.ndarray:
    """A textured picture `(size, size, 3)` uint8: a gradient, noise of several grains, soft shapes, grain."""
    import cv2

    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    picture = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    for cells in (3, 7, 16, 40):
        if rng.random() < 0.5:
            strength = rng.uniform(0, 60)
            noise = rng.normal(0, strength, (cells, cells, 3 if rng.random() < 0.5 else 1)).astype(np.float32)
            grown = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
            picture += grown if grown.ndim == 3 else grown[..., None]
    for _ in range(rng.integers(0, 7)):
        _shape(picture, rng, size)
    if rng.random() < 0.6:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 2.5))
    if rng.random() < 0.4:
        picture += rng.normal(0, rng.uniform(1, 8), picture.shape).astype(np.float32)
    if rng.random() < 0.2:  # grey and dark scenes are common in video
        picture = np.repeat(picture.mean(-1, keepdims=True), 3, axis=2) * rng.uniform(0.1, 1)
    return picture.clip(0, 255).astype(np.uint8)


def _shape(picture: np.ndarray, rng: np.random.Generator, size: int) -> None:
    import cv2

    color = tuple(float(c) for c in rng.uniform(0, 255, 3))
    x, y = (int(v) for v in rng.integers(0, size, 2))
    if rng.random() < 0.5:
        axes = tuple(int(v) for v in rng.integers(3, size // 2, 2))
        cv2.ellipse(picture, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    else:
        points = (rng.normal(0, size / 4, (rng.integers(3, 6), 2)) + np.array([x, y])).astype(np.int32)
        cv2.fillPoly(picture, [points], color, cv2.LINE_AA)
