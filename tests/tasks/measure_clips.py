"""Clips that were made to be worse than one another in a known way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from reel.compute import Compute
from reel.measure import Result, load
from reel.op import Context, get
from reel.store import Store
from tasks.sprite.attributes import Attributes
from tasks.sprite.drawing import draw_figure
from tasks.sprite.skeleton import FRAME, place, pose_joints, random_dance, random_proportions

FRAMES = 8
PINK = Attributes("long", "pink", "red", "skirt", "blue", "green", "light")
PROMPT = "a girl with long pink hair in a red top and a blue skirt, green background, dancing"


FAMILY = Path(__file__).parents[2] / "data" / "models" / "sprite"


def dance() -> np.ndarray:
    """One dancing person `(8, 18, 4)` px, upright and whole in the frame of 128 px."""
    rng = np.random.default_rng(16)
    angles, _ = random_dance(rng, FRAMES)
    angles[:, 0] *= 0.2  # towards the camera
    body = random_proportions(rng)
    return np.stack([place(pose_joints(row, body), 64, 72, 95) for row in angles])


def drawn(people: np.ndarray, attributes: Attributes = PINK) -> list[np.ndarray]:
    """The people `(F, 18, 4)` px of 128, as the family in this checkout draws them, `(128, 128, 3)` each."""
    return [draw_figure(person, attributes, FRAME).rgb for person in people]


def panned(speed: float, frames: int = FRAMES, seed: int = 0) -> list[np.ndarray]:
    """A window that moves over a smooth texture by `speed` px a frame."""
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.uniform(0, 255, (FRAME + 64, FRAME + 64, 3)).astype(np.float32), (0, 0), 3)
    wide = (wide - wide.min()) / np.ptp(wide) * 255
    moves = [np.array([[1, 0, -8 - speed * t], [0, 1, -8.0]]) for t in range(frames)]
    return [cv2.warpAffine(wide, move, (FRAME, FRAME)).round().astype(np.uint8) for move in moves]


def made(frames: Sequence[np.ndarray], seed: int = 5) -> dict[str, list[np.ndarray]]:
    """The clip and its variants by name."""
    rng = np.random.default_rng(seed)
    count = len(frames)
    order = [*range(0, count, 2), *range(1, count, 2)]
    return {
        "true": list(frames),
        "frozen": [frames[0]] * count,
        "shuffled": [frames[i] for i in order],
        "mirrored": [np.ascontiguousarray(frame[:, ::-1]) for frame in frames],
        "jittered": [np.roll(frame, rng.integers(-3, 4, 2), (0, 1)) for frame in frames],
        "recoloured": [np.ascontiguousarray(np.roll(frame, t % 3, axis=2)) for t, frame in enumerate(frames)],
        "flickering": [np.clip(f.astype(int) + (-1) ** t * 15, 0, 255).astype(np.uint8) for t, f in enumerate(frames)],
        "blurred": [cv2.GaussianBlur(frame, (0, 0), 4) for frame in frames],
    }


def measured(store: Store, name: str, settings: dict[str, object] | None = None, **inputs: str) -> Result:
    """Run a metric's op on stored inputs, those of them that it takes."""
    op = get("measure", name)
    taken = {key: digest for key, digest in inputs.items() if op.takes(key)}
    return load(store.get(op.fn(op.config(**(settings or {})), taken, Context(store, Compute(device="cpu")))))
