"""A figure that stands and faces the camera: the pose under which the embedded family draws a key picture.

From words alone the family draws any pose that it has learned from, turned away or half out of the picture now and
then; what is to be animated begins well with a whole figure that does nothing yet, as the clips did that the animator
learned from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from tasks.sprite.skeleton import ANGLES, Proportions, place, pose_joints

FRAMINGS = {"wide": 0.62, "medium": 0.76, "close": 0.84}
"""Words for how near the camera is -> the figure's height as a share of the picture's shorter side. None cuts it off:
the family was trained on whole figures, and draws a face alone badly."""
_SIZES = {"wide": "extreme wide|extreme long|wide|long|full", "medium": "medium|mid",
          "close": "medium close|extreme close|close"}  # fmt: skip
_FRAMING = re.compile(
    r"\b(?:an? )?(?:"
    + "|".join(rf"(?P<{name}>{words})" for name, words in reversed(_SIZES.items()))
    + r")(?:[ -]?up(?:[ -]shot)?|[ -]shot)\b(?: of\b)?",
    re.IGNORECASE,
)
_BODY = Proportions(torso=0.29, shoulder=0.105, hip=0.06, upper_arm=0.155, forearm=0.14, thigh=0.225, shin=0.225,
                    neck_to_head=0.12, head=0.05)  # fmt: skip
_TURNED = {
    "r_arm_raise": 0.17, "l_arm_raise": 0.17, "r_elbow": 0.2, "l_elbow": 0.2, "r_elbow_turn": 1.2, "l_elbow_turn": 1.2,
    "r_leg_raise": 0.08, "l_leg_raise": 0.08,
}  # fmt: skip


@dataclass(frozen=True)
class Framed:
    """A prompt without its words for the camera's distance, and what they say: one of `FRAMINGS`, or nothing."""

    prompt: str
    framing: str


def framed(prompt: str) -> Framed:
    """The camera's distance out of a prompt, the first that it names.

    >>> framed("a girl waves, wide shot, green background")
    Framed(prompt='a girl waves, green background', framing='wide')
    """
    found = _FRAMING.search(prompt)
    if found is None:
        return Framed(prompt, "")
    clauses = (" ".join(one.split()) for one in _FRAMING.sub("", prompt).split(","))
    return Framed(", ".join(filter(None, clauses)), found.lastgroup or "")


def standing(width: int, height: int, framing: str = "medium") -> np.ndarray:
    """The person `(18, 4)` px in the middle of a picture of that size.

    Args:
        framing: one of `FRAMINGS`.
    """
    joints = pose_joints(np.array([_TURNED.get(name, 0.0) for name in ANGLES]), _BODY)
    tall = FRAMINGS[framing] * min(width, height)
    low, high = joints[:, 1].min() - 0.18, joints[:, 1].max() + 0.05  # room for the big head and the shoes
    return place(joints, width / 2, height / 2 - tall * (low + high) / 2, tall)
