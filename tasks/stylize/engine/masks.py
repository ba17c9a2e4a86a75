"""Regions of a clip in which a control counts or the source is kept, from poses, masks or a clip of masks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reel.errors import UserError
from reel.pose import (
    L_EAR,
    L_ELBOW,
    L_EYE,
    L_HIP,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_EAR,
    R_ELBOW,
    R_EYE,
    R_HIP,
    R_SHOULDER,
    R_WRIST,
)

if TYPE_CHECKING:
    import numpy as np

Region = Literal["none", "person", "background", "face", "hair", "file"]
HEAD = (NOSE, R_EYE, L_EYE, R_EAR, L_EAR)
LIMBS = (
    (NECK, R_SHOULDER, R_ELBOW, R_WRIST),
    (NECK, L_SHOULDER, L_ELBOW, L_WRIST),
    (R_SHOULDER, R_HIP),
    (L_SHOULDER, L_HIP),
)
THICK = 0.45
"""Half the thickness of an arm, in radii of the head."""
SEEN = 0.3
"""Key points of a lower score are taken as absent."""


@dataclass(frozen=True)
class MaskPlan:
    """A region and how its border is treated.

    Attributes:
        region: ``person`` and ``background`` from the detector's outline, ``face`` an ellipse from the head's key
            points, ``hair`` the head's surroundings without the face, the arms and the trunk (the new hair may be
            longer than the old, so it is not cut at the person's outline), ``file`` a clip of masks (white: inside).
        dilate: px by which it grows (negative: shrinks); hair never grows over face, arms and trunk.
        feather: px over which its border fades.
    """

    region: Region = "none"
    dilate: float = 0.0
    feather: float = 0.0


def region_mask(
    plan: MaskPlan,
    width: int,
    height: int,
    people: Sequence[np.ndarray] = (),
    outline: np.ndarray | None = None,
    picture: np.ndarray | None = None,
) -> np.ndarray:
    """The region in one frame.

    Args:
        people: persons ``(18, 4)`` (see `reel.pose`).
        outline: person mask ``(H, W)`` uint8, 255 inside; for person and background.
        picture: ``(H, W, 3)`` uint8, for ``file``.

    Returns:
        ``(H, W)`` float32, 1 inside.

    Raises:
        UserError: what the region is made from was not given.
    """
    grown = _grown(_hard(plan.region, width, height, people, outline, picture), plan.dilate)
    if plan.region == "hair":
        grown = grown * (1 - _face(width, height, people)) * (1 - _body(width, height, people))
    return _faded(grown, plan.feather)


def head(person: np.ndarray) -> tuple[float, float, float] | None:
    """Middle x, y and radius (px) of the head, from whatever of it is seen; None when nothing is.

    The radius is the larger of what ears and eyes tell (they shrink when the head turns) and what the shoulders tell.
    """
    import numpy as np

    seen = person[list(HEAD)]
    seen = seen[seen[:, 3] >= SEEN]
    if not len(seen):
        return None
    x, y = seen[:, :2].mean(axis=0)
    radii = [0.0]
    for a, b, factor in ((R_EAR, L_EAR, 0.65), (R_EYE, L_EYE, 1.3), (R_SHOULDER, L_SHOULDER, 0.28), (NOSE, NECK, 0.62)):
        if min(person[a, 3], person[b, 3]) >= SEEN:
            radii.append(factor * float(np.hypot(*(person[a, :2] - person[b, :2]))))
    radius = max(radii)
    return (float(x), float(y), radius) if radius > 0 else None


def _hard(
    region: str,
    width: int,
    height: int,
    people: Sequence[np.ndarray],
    outline: np.ndarray | None,
    picture: np.ndarray | None,
) -> np.ndarray:
    import numpy as np

    match region:
        case "none":
            return np.zeros((height, width), np.float32)
        case "person" | "background":
            if outline is None:
                raise UserError(f"mask {region}: the detector gave no outline of the person", fix="use blazepose")
            inside = (outline >= 128).astype(np.float32)
            return inside if region == "person" else 1 - inside
        case "face":
            return _face(width, height, people)
        case "hair":
            return _around(width, height, people)
        case "file":
            if picture is None:
                raise UserError("mask file: no clip of masks was given", fix="give mask_file, white where it is inside")
            return (picture.mean(axis=-1) / 255).astype(np.float32)
        case _:
            raise UserError(f"mask {region!r} is unknown; none, person, background, face, hair and file are known")


def _ellipses(width: int, height: int, shapes: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """1 inside any ellipse of middle x, y and half axes a, b (px)."""
    import numpy as np

    ys, xs = np.mgrid[:height, :width]
    inside = np.zeros((height, width), np.float32)
    for x, y, a, b in shapes:
        inside[((xs - x) / max(a, 0.5)) ** 2 + ((ys - y) / max(b, 0.5)) ** 2 <= 1] = 1
    return inside


def _face(width: int, height: int, people: Sequence[np.ndarray]) -> np.ndarray:
    heads = [found for person in people if (found := head(person)) is not None]
    return _ellipses(width, height, [(x, y, 0.80 * r, 1.10 * r) for x, y, r in heads])


def _around(width: int, height: int, people: Sequence[np.ndarray]) -> np.ndarray:
    """Where hair may be: the skull behind the face, and what hangs from above the crown to below the shoulders, as wide
    as two heads."""
    shapes = []
    for person in people:
        if (found := head(person)) is None:
            continue
        x, y, r = found
        ears = person[[R_EAR, L_EAR]]
        ears = ears[ears[:, 3] >= SEEN]
        back, top = ears[:, :2].mean(axis=0) if len(ears) else (x, y)
        shapes += [(x, y + 0.9 * r, 2.0 * r, 2.9 * r), (float(back), float(top) - 0.3 * r, 1.7 * r, 1.7 * r)]
    return _ellipses(width, height, shapes)


def _body(width: int, height: int, people: Sequence[np.ndarray]) -> np.ndarray:
    """1 on the arms and the trunk, drawn about the key points as thick as they are beside a head."""
    import cv2
    import numpy as np

    inside = np.zeros((height, width), np.uint8)
    for person in people:
        if (found := head(person)) is None:
            continue
        thick = max(1, round(2 * THICK * found[2]))
        for chain in LIMBS:
            for a, b in itertools.pairwise(chain):
                if min(person[a, 3], person[b, 3]) >= SEEN:
                    ends = [tuple(int(v) for v in np.round(person[i, :2])) for i in (a, b)]
                    cv2.line(inside, ends[0], ends[1], 1, thick)
        if (corners := _trunk(person)) is not None:
            cv2.fillConvexPoly(inside, cv2.convexHull(np.round(corners).astype(np.int32)), 1)
    return inside.astype(np.float32)


def _trunk(person: np.ndarray) -> np.ndarray | None:
    """Corners ``(4, 2)`` px of shoulders and hips; below shoulders alone, straight down, by one and a half times their
    width: the hips of a close-up are not in the picture."""
    import numpy as np

    shoulders, hips = person[[R_SHOULDER, L_SHOULDER]], person[[L_HIP, R_HIP]]
    if shoulders[:, 3].min() < SEEN:
        return None
    upper = shoulders[:, :2]
    if hips[:, 3].min() >= SEEN:
        return np.concatenate([upper, hips[:, :2]])
    down = np.array([0, 1.5 * np.hypot(*(upper[0] - upper[1]))])
    return np.concatenate([upper, upper + down])


def _grown(mask: np.ndarray, px: float) -> np.ndarray:
    import cv2

    radius = round(abs(px))
    if not radius:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return (cv2.dilate if px > 0 else cv2.erode)(mask, kernel)


def _faded(mask: np.ndarray, px: float) -> np.ndarray:
    import cv2
    import numpy as np

    if px >= 0.1:  # less is no pixel at all
        # a Gaussian whose bulk spans the wanted distance
        mask = cv2.GaussianBlur(mask, (0, 0), px / 2, borderType=cv2.BORDER_REPLICATE)
    return np.clip(mask, 0, 1).astype(np.float32)
