"""Lengths that a person's points tell: how long the torso is, where the floor is under the feet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reel import pose

if TYPE_CHECKING:
    import numpy as np


def torso_length(person: np.ndarray) -> float:
    """From the neck to the middle of the hips in space (px), or a guess from the shoulders where hips are absent."""
    import numpy as np

    hips = (person[pose.R_HIP, :3] + person[pose.L_HIP, :3]) / 2
    if person[[pose.R_HIP, pose.L_HIP, pose.NECK], 3].min() > 0:
        return max(1.0, float(np.linalg.norm(person[pose.NECK, :3] - hips)))
    return max(1.0, 1.4 * float(np.linalg.norm(person[pose.R_SHOULDER, :3] - person[pose.L_SHOULDER, :3])))


def ground_line(person: np.ndarray, min_score: float = 0.1) -> float:
    """The y (px) of the floor under a person: a foot's height below the lower ankle, or guessed from hips or neck."""
    unit = torso_length(person)
    for points, below in (((pose.R_ANKLE, pose.L_ANKLE), 0.2), ((pose.R_HIP, pose.L_HIP), 1.9), ((pose.NECK,), 2.9)):
        ys = [person[p, 1] for p in points if person[p, 3] > 0 and person[p, 3] >= min_score]
        if ys:
            return float(max(ys)) + below * unit
    return float(person[person[:, 3] > 0, 1].max(initial=0.0))
