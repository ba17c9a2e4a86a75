"""People and clips that the preprocessors' tests look at."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from reel import pose
from reel.clip import ClipWriter
from reel.store import Store

# x and y of a person who stands with spread arms, in heights from the middle of the body.
_STANDING = (
    (0, -0.40), (0, -0.30), (-0.10, -0.30), (-0.22, -0.20), (-0.32, -0.10), (0.10, -0.30), (0.22, -0.20), (0.32, -0.10),
    (-0.06, 0.0), (-0.08, 0.22), (-0.09, 0.44), (0.06, 0.0), (0.08, 0.22), (0.09, 0.44),
    (-0.02, -0.43), (0.02, -0.43), (-0.05, -0.42), (0.05, -0.42),
)  # fmt: skip


def standing(x: float, y: float, height: float) -> np.ndarray:
    """A person `(18, 4)` whose middle is at x, y px."""
    person = np.ones((18, 4), np.float32)
    person[:, :2] = np.array(_STANDING) * height + [x, y]
    person[:, 2] = np.linspace(-0.05, 0.05, 18) * height
    return person


def store_clip(store: Store, frames: Sequence[np.ndarray], fps: int = 12) -> str:
    """Frames `(H, W, 3)` uint8 as a stored clip; returns its digest."""
    height, width = frames[0].shape[:2]
    with ClipWriter(store, "rgb", width=width, height=height, time_base=Fraction(1, fps)) as writer:
        for index, frame in enumerate(frames):
            writer.add(frame, index)
    return writer.digest


def store_poses(
    store: Store,
    frames: Sequence[Sequence[np.ndarray]],
    width: int,
    height: int,
    fps: int = 12,
    detector: str = "blazepose",
) -> str:
    """People per frame as a stored object of kind "poses", with empty outlines; returns its digest."""
    import cv2

    empty = cv2.imencode(".png", np.zeros((height, width), np.uint8))[1].tobytes()
    with store.draft("poses") as draft:
        for index in range(len(frames)):
            draft.add(pose.mask_name(index), empty)
        draft.add("poses.json", pose.dump(frames, width, height, detector))
        return draft.commit(
            width=width,
            height=height,
            count=len(frames),
            detector=detector,
            time_base=str(Fraction(1, fps)),
            pts=list(range(len(frames))),
            color="bt709",
        )
