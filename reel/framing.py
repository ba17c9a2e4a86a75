"""How much of a person is in the picture: the whole figure, the upper body, or the face only. Pure, from key points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from reel import pose

if TYPE_CHECKING:
    import numpy as np

Framing = Literal["whole figure", "upper body", "face only"]
FRAMINGS: tuple[Framing, ...] = get_args(Framing)
"""From the widest view of a person to the closest."""

_FACE = (pose.NOSE, pose.R_EYE, pose.L_EYE, pose.R_EAR, pose.L_EAR)
_SHOULDERS = (pose.R_SHOULDER, pose.L_SHOULDER)
_BELOW_SHOULDERS = (pose.R_ELBOW, pose.L_ELBOW, pose.R_WRIST, pose.L_WRIST, pose.R_HIP, pose.L_HIP)
_HIPS = (pose.R_HIP, pose.L_HIP)
_ANKLES = (pose.R_ANKLE, pose.L_ANKLE)


def framing(person: np.ndarray, width: int, height: int, min_score: float = 0.3) -> Framing | None:
    """How a person `(18, 4)` of x, y, z (px) and score is framed in a picture of `width` x `height` px.

    A point counts when its score is at least `min_score` and it lies inside the picture: detectors place feet below
    the lower edge, too. `whole figure` has a head or shoulders, a hip and an ankle; `upper body` has shoulders and
    something below them; `face only` has a face at most down to the shoulders, as in a portrait.

    Returns:
        None for parts of a body that are none of these (legs that walk past).
    """
    inside = (person[:, 0] >= 0) & (person[:, 0] < width) & (person[:, 1] >= 0) & (person[:, 1] < height)
    seen = inside & (person[:, 3] > 0) & (person[:, 3] >= min_score)

    def any_of(points: Sequence[int]) -> bool:
        return bool(seen[list(points)].any())

    if any_of((*_FACE, *_SHOULDERS)) and any_of(_HIPS) and any_of(_ANKLES):
        return "whole figure"
    if any_of(_SHOULDERS) and any_of(_BELOW_SHOULDERS):
        return "upper body"
    return "face only" if any_of(_FACE) else None


@dataclass(frozen=True)
class Seen:
    """What a detector or the tracking shows of the people of a clip.

    Attributes:
        people: how many there are in each frame.
        framings: of the largest person of each frame; None where nobody is, or parts of a body alone.
    """

    people: tuple[int, ...]
    framings: tuple[Framing | None, ...]

    @property
    def shares(self) -> dict[Framing, float]:
        """Share (0..1) of the frames with people in which the largest is framed so; the widest view first."""
        some = sum(map(bool, self.people))
        counts = Counter(self.framings)
        return {name: counts[name] / some for name in FRAMINGS if counts[name]}

    @property
    def found(self) -> float:
        """Share (0..1) of the frames in which anybody is."""
        return sum(map(bool, self.people)) / len(self.people) if self.people else 0.0


def seen(frames: Sequence[Sequence[np.ndarray]], width: int, height: int, min_score: float = 0.3) -> Seen:
    """People and framing of a clip from its people per frame, such as `reel.pose.Poses.frames`.

    Args:
        frames: for each frame a list of persons `(18, 4)`.
        width, height: of the picture, px.
        min_score: see `framing`.
    """
    return Seen(
        tuple(len(people) for people in frames),
        tuple(
            framing(pose.largest_first(people)[0], width, height, min_score) if len(people) else None
            for people in frames
        ),
    )
