"""Poses drawn the way OpenPose's ControlNet was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reel.clip import ClipWriter
from reel.config import Field
from reel.op import Context, op
from reel.pose import COLOURS, LIMBS, Poses
from tasks.preprocess.steady import Steady, at, steady

if TYPE_CHECKING:
    import numpy as np

_DIM = [tuple(int(0.6 * c) for c in colour) for colour in COLOURS]  # a limb: its colour at 60 %
_BITS = 4  # sub-pixel bits of cv2's drawing: 1/16 px, so that slow movement does not jump at 128 px


def stick_width(width: int, height: int) -> float:
    """Half the thickness of a limb and the radius of a point (px): 4 at a short side of 512 as in OpenPose.

    Not below 1.25 px, where a limb would break up into dots.
    """
    return max(1.25, 4 * min(width, height) / 512)


def draw_poses(people: Sequence[np.ndarray], width: int, height: int, min_score: float = 0.3) -> np.ndarray:
    """Draws people as OpenPose does (Cao et al., arXiv 1812.08008; colours and shapes of ControlNet's annotator).

    Limbs are ellipses at 60 % of their colour, points full circles on top. Every person is drawn whole before the
    next; the people come largest first and are drawn in reverse, so that the largest stays on top.

    Args:
        people: persons `(18, 4)` of x (px), y (px), z (px), score (0..1).
        width, height: of the map, px.
        min_score: points below it are not drawn, nor are limbs that end in one. A score of 0 is never drawn.

    Returns:
        `(height, width, 3)` uint8 RGB on black.
    """
    import numpy as np

    canvas = np.zeros((height, width, 3), np.uint8)
    radius = stick_width(width, height)
    far = 4.0 * max(width, height)  # cv2 keeps 16 bits before the point: points far outside are pulled in
    for person in reversed(people):
        seen = (person[:, 3] > 0) & (person[:, 3] >= min_score)
        _draw_person(canvas, np.clip(person[:, :2], -far, far).astype(np.float64), seen, radius)
    return canvas


def _draw_person(canvas: np.ndarray, points: np.ndarray, seen: np.ndarray, radius: float) -> None:
    import cv2
    import numpy as np

    start, stop = points[[a for a, _ in LIMBS]], points[[b for _, b in LIMBS]]
    along = (stop - start) / 2  # (17, 2): half of each limb
    half = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / half * radius
    middle = (start + stop) / 2
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]  # (24, 1)
    shapes = middle[:, None] + cos * along[:, None] + sin * across[:, None]
    shapes = np.rint(shapes * (1 << _BITS)).astype(np.int32)  # (17, 24, 2)
    for limb, (a, b) in enumerate(LIMBS):
        if seen[a] and seen[b]:
            cv2.fillConvexPoly(canvas, shapes[limb], _DIM[limb], cv2.LINE_AA, _BITS)
    centres = np.rint(points * (1 << _BITS)).astype(int).tolist()
    size = round(radius * (1 << _BITS))
    for point, colour in enumerate(COLOURS):
        if seen[point]:
            cv2.circle(canvas, centres[point], size, colour, -1, cv2.LINE_AA, _BITS)


class PoseMap(Steady):
    """Settings of the drawn pose map."""

    min_score: float = Field(default=0.3, ge=0, le=1)
    """Points that the detector is less sure of than this (0..1) are not drawn, nor are limbs that end in one."""


@op(
    "preprocess",
    "pose_map",
    version=2,
    config=PoseMap,
    inputs=("poses",),
    distributions=("numpy", "opencv-python-headless", "scipy"),
)
def pose_map(cfg: PoseMap, inputs: Mapping[str, str], ctx: Context) -> str:
    """The poses of a clip, steadied over time and drawn in OpenPose's colours on black.

    Raises:
        UserError: frames without anybody, where `missing` does not allow them; they are named.
    """
    poses = Poses.open(ctx.store, inputs["poses"])
    tracks = steady(poses, cfg, ctx, "preprocess.pose_map", cfg.min_score)
    with (
        ClipWriter(
            ctx.store,
            kind="map",
            width=poses.width,
            height=poses.height,
            time_base=poses.time_base,
            color=poses.color,
        ) as writer,
        ctx.progress(total=poses.count, desc="pose_map") as bar,
    ):
        for index, pts in enumerate(poses.pts):
            writer.add(draw_poses(at(tracks, index), poses.width, poses.height, cfg.min_score), pts)
            bar.update()
    return writer.digest
