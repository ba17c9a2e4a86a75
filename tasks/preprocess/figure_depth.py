"""Depth of people without a depth network: the z of their joints, spread over their limbs inside their outline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reel import pose as body
from reel.clip import Clip, ClipWriter
from reel.errors import UserError
from reel.op import Context, op
from tasks.preprocess.bodies import ground_line, torso_length
from tasks.preprocess.steady import Steady, at, steady
from tasks.preprocess.tracks import Track

HORIZON = 0.4  # height of the horizon in the frame, 0 = top
GROUND = 180.0  # brightness of the ground at the lower edge of the frame
Piece = tuple[float, np.ndarray, float]  # a thick line: brightness, ends (2, 2) px, radius px
RELIEF = 1.5  # how much stronger than life the depth within a person is: it must show in 8 bits
_STEPS = 4  # pieces of a limb; each has one depth
_ROUND = ((1.0, 0.4), (0.6, 0.9))  # a round limb in two layers: share of its radius, how far it bulges to the viewer
_BITS = 4  # sub-pixel bits of cv2's drawing

# Limbs as (from, to, radius), the radius as a fraction of the torso's length. Hands are drawn as the forearm's end.
_LIMBS = (
    (body.R_SHOULDER, body.R_ELBOW, 0.14),
    (body.R_ELBOW, body.R_WRIST, 0.12),
    (body.L_SHOULDER, body.L_ELBOW, 0.14),
    (body.L_ELBOW, body.L_WRIST, 0.12),
    (body.R_HIP, body.R_KNEE, 0.21),
    (body.R_KNEE, body.R_ANKLE, 0.15),
    (body.L_HIP, body.L_KNEE, 0.21),
    (body.L_KNEE, body.L_ANKLE, 0.15),
)
_TRUNK = [body.R_SHOULDER, body.L_SHOULDER, body.L_HIP, body.R_HIP]
_CHEST = 0.22  # half the trunk's thickness, as a fraction of the torso's length
_FACE = (body.NOSE, body.R_EYE, body.L_EYE, body.R_EAR, body.L_EAR)


def figure_depth_map(
    people: Sequence[np.ndarray],
    mask: np.ndarray,
    width: int,
    height: int,
    ground: Sequence[float] | None = None,
    min_score: float = 0.1,
) -> np.ndarray:
    """An inverse-depth map (near = bright, as MiDaS and ControlNet's depth model use it) of people on a floor.

    Inverse depth of a floor seen by an upright camera is linear in the picture's y: 0 at the horizon, `GROUND` at the
    lower edge. A person stands on that floor, so their feet fix their own brightness, and a joint that lies z px
    behind the hips gets `own * exp(-RELIEF * z / f)`, which for small z is perspective, with the focal length f taken
    as 1.2 x the longer side. Limbs are painted from far to near, so that a crossing arm covers what is behind it;
    what the outline holds beyond the limbs (hair, clothes) takes the depth of the nearest limb.

    Args:
        people: persons `(18, 4)` of x, y, z (px; smaller z is nearer, 0 at the hips) and score (0..1).
        mask: `(H, W)` uint8, the people's outline (> 127 inside). Where it is empty altogether the limbs themselves
            are the outline.
        width, height: of the map, px.
        ground: for each person the y (px) of the floor under their feet; by default below their lower ankle. A clip
            gives steadier ones (a jump must not move a person away).
        min_score: key points below it are left out.

    Returns:
        `(height, width, 3)` uint8, the three channels equal.
    """
    import cv2

    depth = np.zeros((height, width), np.float32)
    inside = mask > 127
    room = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, 3)  # px to the outline
    lines = [ground_line(person, min_score) for person in people] if ground is None else list(ground)
    pieces = [piece for p, y in zip(people, lines, strict=True) for piece in _pieces(p, y, room, min_score)]
    for piece in sorted(pieces, key=lambda piece: piece[0]):
        _paint(depth, piece)
    figure = _spread(depth, inside) if inside.any() else depth
    out = np.where(figure > 0, figure, floor(width, height))
    shade = np.rint(out.clip(0, 255)).astype(np.uint8)
    return cv2.merge([shade, shade, shade])


def limb_outline(people: Sequence[np.ndarray], width: int, height: int, min_score: float = 0.3) -> np.ndarray:
    """A mask `(height, width)` uint8, 255 on the people's limbs: for detectors that see no outline."""
    canvas = np.zeros((height, width), np.float32)
    for person in people:
        for piece in _pieces(person, float(height), np.zeros_like(canvas), min_score):
            _paint(canvas, piece)
    return (canvas > 0).astype(np.uint8) * 255


def floor(width: int, height: int) -> np.ndarray:
    """The brightness of the empty floor `(height, width)` float32: 0 above the horizon, then a linear ramp."""
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    ramp = GROUND * np.maximum(0, (y - HORIZON) / (1 - HORIZON))
    return np.broadcast_to(ramp[:, None], (height, width))


def _pieces(person: np.ndarray, ground: float, room: np.ndarray, min_score: float) -> list[Piece]:
    """A person as thick lines, each with one brightness.

    Args:
        room: distance `(H, W)` of every pixel inside the outline to it (px).
    """
    height, width = room.shape
    unit = torso_length(person)
    own = float(np.clip(GROUND * (ground / height - HORIZON) / (1 - HORIZON), 0.5 * GROUND, 0.9 * GROUND))
    focal, far = 1.2 * max(width, height), 4.0 * max(width, height)
    seen = (person[:, 3] > 0) & (person[:, 3] >= min_score)
    points = np.clip(person[:, :3], -far, far).astype(np.float64)
    pieces: list[Piece] = []

    def add(lines: np.ndarray, radius: float | np.ndarray) -> None:
        """Lines `(n, 2, 3)` px with their radius (px), as rounded bodies: an edge, and a nearer core."""
        radii = np.broadcast_to(radius, len(lines))
        z = lines[..., 2].mean(axis=1)
        for share, bulge in _ROUND:
            shade = own * np.exp(np.clip(-RELIEF * (z - bulge * radii) / focal, -2, 2))
            pieces.extend(zip(shade.clip(1, 255).tolist(), lines[..., :2], (share * radii).tolist(), strict=True))

    limbs = [(a, b, radius) for a, b, radius in _LIMBS if seen[a] and seen[b]]
    if limbs:
        a, b, radii = (np.array(column) for column in zip(*limbs, strict=True))
        steps = np.linspace(0, 1, _STEPS + 1)[:, None]
        marks = points[a, None] + (points[b] - points[a])[:, None] * steps  # (limbs, steps + 1, 3)
        pairs = np.stack([marks[:, :-1], marks[:, 1:]], axis=2).reshape(-1, 2, 3)
        add(pairs, np.repeat(radii * unit, _STEPS))
    if seen[_TRUNK].all():
        add(_torso(points[_TRUNK]), _CHEST * unit)
    if seen[body.NECK] and seen[body.NOSE]:
        centre, radius = _head(points, seen, unit, room)
        add(np.stack([points[body.NECK], centre])[None], 0.16 * unit)
        add(np.stack([centre, centre])[None], radius)
    return pieces


def _head(points: np.ndarray, seen: np.ndarray, unit: float, room: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre `(3,)` and radius (px) of the head: the largest circle that the outline has room for near the ears.

    Joints alone do not tell a cartoon's head from a person's.
    """
    ears = [body.R_EAR, body.L_EAR]
    face = points[ears if seen[ears].all() else [p for p in _FACE if seen[p]]].mean(axis=0)
    best, radius = face, 0.0
    for reach in (1.0, 1.2, 1.4):
        centre = points[body.NECK] + reach * (face - points[body.NECK])
        x, y = int(centre[0]), int(centre[1])
        inside = 0 <= y < room.shape[0] and 0 <= x < room.shape[1]
        if inside and room[y, x] > radius:
            best, radius = centre, float(room[y, x])
    return best, float(np.clip(radius, 0.25 * unit, 0.6 * unit))


def _torso(corners: np.ndarray) -> np.ndarray:
    """Lines `(5, 2, 3)` across the trunk from the shoulders to the hips; each has two halves with their own depth."""
    t = np.linspace(0, 1, 5)[:, None]
    right = corners[0] + (corners[3] - corners[0]) * t
    left = corners[1] + (corners[2] - corners[1]) * t
    middle = (right + left) / 2
    return np.concatenate([np.stack([right, middle], axis=1), np.stack([middle, left], axis=1)])


def _paint(depth: np.ndarray, piece: Piece) -> None:
    import cv2

    value, ends, radius = piece
    (x0, y0), (x1, y1) = np.rint(ends * (1 << _BITS)).astype(int).tolist()
    cv2.line(depth, (x0, y0), (x1, y1), value, max(1, round(2 * radius)), cv2.LINE_8, _BITS)


def _spread(depth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Cuts the painted limbs by the outline and fills the rest of the outline from the nearest painted pixel."""
    import cv2

    out = np.zeros_like(depth)
    sigma = max(0.8, 1.2 * min(depth.shape) / 128)
    x, y, w, h = cv2.boundingRect(inside.view(np.uint8))  # the outline is often a small part of the frame
    depth, inside = depth[y : y + h, x : x + w], inside[y : y + h, x : x + w]
    painted = (depth > 0) & inside
    if painted.any():
        # Each pixel is labelled with the nearest zero pixel of the input, that is the nearest painted one.
        _, labels = cv2.distanceTransformWithLabels(
            (~painted).view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        values = np.zeros(int(labels.max()) + 1, np.float32)
        values[labels[painted]] = depth[painted]
        filled = values[labels] * inside
    else:
        filled = np.float32(0.75 * GROUND) * inside
    # Soften the steps between the pieces, without letting the background bleed in over the outline.
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    soft = cv2.GaussianBlur(filled.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    out[y : y + h, x : x + w] = np.where(inside, soft / np.maximum(weight, 1e-6), 0)
    return out


class FigureDepth(Steady):
    """Settings of the figure depth map."""


@op(
    "preprocess",
    "figure_depth",
    version=2,
    config=FigureDepth,
    inputs=("frames", "poses"),
    distributions=("numpy", "opencv-python-headless", "scipy"),
)
def figure_depth(cfg: FigureDepth, inputs: Mapping[str, str], ctx: Context) -> str:
    """Depth of the people of a clip and of the floor they stand on, near = bright; see `figure_depth_map`.

    Raises:
        UserError: the detector gives no depth, the poses are not those of the frames, or frames without anybody where
            `missing` does not allow them.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    poses = body.Poses.open(ctx.store, inputs["poses"])
    if (clip.width, clip.height, clip.count) != (poses.width, poses.height, poses.count):
        raise UserError(
            f"the poses are of {poses.count} frames of {poses.width}x{poses.height}, "
            f"the clip has {clip.count} of {clip.width}x{clip.height}"
        )
    if any(poses.sightings) and not any(one.person[:, 2].any() for seen in poses.sightings for one in seen):
        raise UserError(
            f"figure_depth needs joints with depth, and {poses.detector} gives none",
            fix="preprocess.figure_depth.detector=blazepose, or another depth map: depth_anything, midas",
        )
    tracks = steady(poses, cfg, ctx, "preprocess.figure_depth")
    lines = [ground_lines(track, poses.fps) for track in tracks]
    with ClipWriter(ctx.store, kind="map", like=clip) as writer, ctx.progress(clip.count, "figure_depth") as bar:
        for index in range(clip.count):
            grounds = [y[index] for y in lines if index in y]
            mask = drawn_outline(tracks, poses, index)
            writer.add(figure_depth_map(at(tracks, index), mask, clip.width, clip.height, grounds))
            bar.update()
    return writer.digest


def drawn_outline(tracks: Sequence[Track], poses: body.Poses, index: int) -> np.ndarray:
    """Outline `(H, W)` uint8 of those who are drawn in a frame, as the detector saw it; of who is carried the limbs'.

    Who is not drawn leaves no outline: it would be filled with a stranger's depth.
    """
    seen = [track.seen[index].number for track in tracks if index in track.seen]
    carried = [track.people[index] for track in tracks if index in track.people and index not in track.seen]
    mask = poses.outline(index, seen)
    return np.maximum(mask, limb_outline(carried, poses.width, poses.height)) if carried and mask.any() else mask


def ground_lines(track: Track, fps: float) -> dict[int, float]:
    """The floor's y (px) under a person in each frame: the lowest of one second around it, so that a lifted foot or
    a jump does not move the person away from the camera; then averaged over that second."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    frames = sorted(track.people)
    window = max(1, round(fps))
    low = maximum_filter1d([ground_line(track.people[index]) for index in frames], window, mode="nearest")
    return dict(zip(frames, uniform_filter1d(low, window, mode="nearest").tolist(), strict=True))
