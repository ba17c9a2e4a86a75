"""Regions of a clip in which a control counts or the source is kept, from poses, masks or a clip of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reel.errors import UserError
from reel.pose import L_EAR, L_EYE, L_SHOULDER, NECK, NOSE, R_EAR, R_EYE, R_SHOULDER

Region = Literal["none", "person", "background", "face", "hair", "file"]
HEAD = (NOSE, R_EYE, L_EYE, R_EAR, L_EAR)
SEEN = 0.3
"""Key points of a lower score are taken as absent."""


@dataclass(frozen=True)
class MaskPlan:
    """A region and how its border is treated.

    Attributes:
        region: ``person`` and ``background`` from the detector's outline, ``face`` an ellipse from the head's key
            points, ``hair`` the head's surroundings without the face (the new hair may be longer than the old, so it
            is not cut at the person's outline), ``file`` a clip of masks (white: inside).
        dilate: px by which it grows (negative: shrinks).
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
    hard = _hard(plan.region, width, height, people, outline, picture)
    return _softened(hard, plan)


def excluded(plan: MaskPlan, *frame: object, **more: object) -> np.ndarray:
    """Where a control counts when the region is taken out of it: one minus the region."""
    return 1.0 - region_mask(plan, *frame, **more)  # type: ignore[arg-type]


def head(person: np.ndarray) -> tuple[float, float, float] | None:
    """Middle x, y and radius (px) of the head, from whatever of it is seen; None when nothing is.

    The radius is the larger of what ears and eyes tell (they shrink when the head turns) and what the shoulders tell.
    """
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
    match region:
        case "none":
            return np.zeros((height, width), np.float32)
        case "person" | "background":
            if outline is None:
                raise UserError(f"mask {region}: the detector gave no outline of the person", fix="use blazepose")
            inside = (outline >= 128).astype(np.float32)
            return inside if region == "person" else 1 - inside
        case "face" | "hair":
            heads = [found for person in people if (found := head(person)) is not None]
            face = _ellipses(width, height, [(x, y, 0.80 * r, 1.10 * r) for x, y, r in heads])
            if region == "face":
                return face
            # a hanging shape: as wide as two heads, from above the crown to below the shoulders
            around = _ellipses(width, height, [(x, y + 0.9 * r, 2.0 * r, 2.9 * r) for x, y, r in heads])
            return around * (1 - face)
        case "file":
            if picture is None:
                raise UserError("mask file: no clip of masks was given", fix="give mask_file, white where it is inside")
            return (picture.mean(axis=-1) / 255).astype(np.float32)
        case _:
            raise UserError(f"mask {region!r} is unknown; none, person, background, face, hair and file are known")


def _ellipses(width: int, height: int, shapes: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """1 inside any ellipse of middle x, y and half axes a, b (px)."""
    ys, xs = np.mgrid[:height, :width]
    inside = np.zeros((height, width), np.float32)
    for x, y, a, b in shapes:
        inside[((xs - x) / max(a, 0.5)) ** 2 + ((ys - y) / max(b, 0.5)) ** 2 <= 1] = 1
    return inside


def _softened(mask: np.ndarray, plan: MaskPlan) -> np.ndarray:
    import cv2

    radius = round(abs(plan.dilate))
    if radius:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        mask = (cv2.dilate if plan.dilate > 0 else cv2.erode)(mask, kernel)
    if plan.feather >= 0.1:  # less is no pixel at all
        # a Gaussian whose bulk spans the wanted distance
        mask = cv2.GaussianBlur(mask, (0, 0), plan.feather / 2, borderType=cv2.BORDER_REPLICATE)
    return np.clip(mask, 0, 1).astype(np.float32)
