"""Skeletons in three dimensions: proportions, poses and dances -> joints in BODY18 order.

Axes are those of the picture: x right, y down, z away from the camera (BlazePose's sense: smaller = nearer, 0 at
mid-hip), all in pixels. Projection is orthographic: foreshortening comes from limbs that point along z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FRAME = 128  # px, side of a training frame
(NOSE, NECK, R_SHOULDER, R_ELBOW, R_WRIST, L_SHOULDER, L_ELBOW, L_WRIST, R_HIP, R_KNEE, R_ANKLE,
 L_HIP, L_KNEE, L_ANKLE, R_EYE, L_EYE, R_EAR, L_EAR) = range(18)  # fmt: skip
CLIP_FRAMES = 16  # frames of a dance: the motion adapter's window

# Angles of a pose in radians, one row of a (P,) vector:
ANGLES = (
    "yaw", "pitch", "lean", "head_yaw", "head_pitch", "head_tilt",
    "r_arm_raise", "r_arm_turn", "r_elbow", "r_elbow_turn", "l_arm_raise", "l_arm_turn", "l_elbow", "l_elbow_turn",
    "r_leg_raise", "r_leg_turn", "r_knee", "l_leg_raise", "l_leg_turn", "l_knee",
)  # fmt: skip


@dataclass(frozen=True)
class Proportions:
    """Bone lengths as fractions of the standing height; the ranges span cartoon figures and real people."""

    torso: float
    shoulder: float  # half width
    hip: float  # half width
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    neck_to_head: float
    head: float  # half distance of the ears


def random_proportions(rng: np.random.Generator) -> Proportions:
    """Half of them near a real adult's (as BlazePose sees one), half anywhere between child and giant legs."""
    if rng.random() < 0.5:
        scale = rng.normal(1.0, 0.05, 9).clip(0.85, 1.15)
        return Proportions(*(np.array([0.29, 0.105, 0.058, 0.165, 0.145, 0.235, 0.235, 0.115, 0.046]) * scale))
    u = rng.uniform
    return Proportions(u(0.25, 0.33), u(0.085, 0.125), u(0.045, 0.08), u(0.13, 0.18), u(0.115, 0.16),
                       u(0.18, 0.26), u(0.18, 0.26), u(0.085, 0.145), u(0.04, 0.065))  # fmt: skip


def random_angles(rng: np.random.Generator) -> np.ndarray:
    """Angles of one still pose `(20,)`: facing the camera mostly, often turned, sometimes seen from the back."""
    u, n = rng.uniform, rng.normal
    view = rng.random()
    yaw = n(0, 0.35) if view < 0.6 else (rng.choice([-1, 1]) * u(0.7, 1.7) if view < 0.92 else math.pi + n(0, 0.4))

    def arm() -> list[float]:
        kind = rng.random()
        if kind < 0.2:  # hanging
            return [abs(n(0, 0.2)), u(-0.3, 1.2), abs(n(0, 0.3)), n(1.2, 0.5)]
        return [u(0.1, 2.9), n(0.4, 0.7), abs(n(0.6, 0.8)), u(-0.8, 2.4)]

    def leg() -> list[float]:
        kind = rng.random()
        if kind < 0.55:  # standing
            return [abs(n(0, 0.18)), u(-0.4, 1.6), abs(n(0, 0.2))]
        if kind < 0.85:  # stepping, in depth
            raise_ = u(0.1, 0.9)
            return [raise_, n(1.4, 0.4), u(0, raise_ + 0.7)]
        raise_ = u(0.3, 1.3)  # kicking sideways
        return [raise_, n(0.1, 0.3), u(0, raise_)]

    trunk = [yaw, n(0.05, 0.15), n(0, 0.13), n(0, 0.3), n(0, 0.15), n(0, 0.15)]
    return np.array(trunk + arm() + arm() + leg() + leg())


def random_dance(rng: np.random.Generator, count: int = CLIP_FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """A dance on one beat: angles `(count, 20)` and root offsets `(count, 2)` in fractions of the height."""
    base = random_angles(rng)
    beats = rng.uniform(0.8, 2.4)  # cycles in the clip
    phase = 2 * math.pi * beats * np.arange(count) / count + rng.uniform(0, 2 * math.pi)
    reach = np.array([0.3, 0.08, 0.1, 0.25, 0.08, 0.12] + [0.6, 0.35, 0.5, 0.4] * 2 + [0.22, 0.3, 0.3] * 2)
    swing = reach * rng.uniform(0, 1, len(ANGLES)) * rng.uniform(0.4, 1.3)
    lag = rng.uniform(0, 2 * math.pi, len(ANGLES))
    tempo = np.where(np.arange(len(ANGLES)) < 6, 0.5, 1.0)  # the trunk moves on every second beat
    angles = base + swing * np.sin(phase[:, None] * tempo + lag)
    if rng.random() < 0.3:  # a turn
        angles[:, 0] += np.linspace(0, rng.uniform(-1.8, 1.8), count)
    for name in ("r_arm_raise", "l_arm_raise", "r_elbow", "l_elbow", "r_leg_raise", "l_leg_raise", "r_knee", "l_knee"):
        column = ANGLES.index(name)
        angles[:, column] = np.abs(angles[:, column])
    sway, bob, walk = rng.uniform(0, 0.09), rng.uniform(0, 0.03), rng.normal(0, 0.12)
    root = np.stack([sway * np.sin(phase / 2 + lag[0]) + np.linspace(-walk, walk, count),
                     bob * np.sin(2 * phase + lag[1])], axis=1)  # fmt: skip
    return angles, root


def pose_joints(angles: np.ndarray, body: Proportions) -> np.ndarray:
    """Joints `(18, 3)` in units of the standing height, origin at mid-hip."""
    a = dict(zip(ANGLES, angles, strict=True))
    side = np.array([math.cos(a["yaw"]), 0.0, math.sin(a["yaw"])])  # towards the person's left
    front = np.array([math.sin(a["yaw"]), 0.0, -math.cos(a["yaw"])])
    down = np.array([0.0, 1.0, 0.0])
    up = -down + math.tan(a["pitch"]) * front + math.tan(a["lean"]) * np.array([1.0, 0.0, 0.0])
    up /= np.linalg.norm(up)
    joints = np.zeros((18, 3))
    joints[NECK] = body.torso * up
    for sign, name, first in ((-1.0, "r", R_SHOULDER), (1.0, "l", L_SHOULDER)):
        shoulder = joints[NECK] + sign * body.shoulder * side
        upper, lower = _arm(a, name, sign * side, front, up)
        joints[first : first + 3] = shoulder + np.array(
            [np.zeros(3), body.upper_arm * upper, body.upper_arm * upper + body.forearm * lower]
        )
    for sign, name, first in ((-1.0, "r", R_HIP), (1.0, "l", L_HIP)):
        hip = sign * body.hip * side
        out = math.cos(a[f"{name}_leg_turn"]) * sign * side + math.sin(a[f"{name}_leg_turn"]) * front
        raised, bent = a[f"{name}_leg_raise"], a[f"{name}_leg_raise"] - a[f"{name}_knee"]
        thigh = math.cos(raised) * down + math.sin(raised) * out
        shin = math.cos(bent) * down + math.sin(bent) * out
        joints[first : first + 3] = hip + np.array(
            [np.zeros(3), body.thigh * thigh, body.thigh * thigh + body.shin * shin]
        )
    _place_head(joints, a, body, up)
    return joints


def _arm(
    a: dict[str, float], name: str, out_side: np.ndarray, front: np.ndarray, up: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    raised, turn = a[f"{name}_arm_raise"], a[f"{name}_arm_turn"]
    out = math.cos(turn) * out_side + math.sin(turn) * front
    upper = -math.cos(raised) * up + math.sin(raised) * out
    lift = math.sin(raised) * up + math.cos(raised) * out
    across = math.cos(turn) * front - math.sin(turn) * out_side
    bend, around = a[f"{name}_elbow"], a[f"{name}_elbow_turn"]
    lower = math.cos(bend) * upper + math.sin(bend) * (math.cos(around) * lift + math.sin(around) * across)
    return upper, lower


def _place_head(joints: np.ndarray, a: dict[str, float], body: Proportions, up: np.ndarray) -> None:
    yaw = a["yaw"] + a["head_yaw"]
    side, front = np.array([math.cos(yaw), 0, math.sin(yaw)]), np.array([math.sin(yaw), 0, -math.cos(yaw)])
    axis = up + math.tan(a["head_tilt"]) * side + math.tan(a["head_pitch"]) * front
    axis /= np.linalg.norm(axis)
    centre, r = joints[NECK] + body.neck_to_head * axis, body.head
    joints[NOSE] = centre + 1.3 * r * front - 0.35 * r * axis
    joints[R_EYE] = centre + 1.0 * r * front - 0.5 * r * side + 0.3 * r * axis
    joints[L_EYE] = centre + 1.0 * r * front + 0.5 * r * side + 0.3 * r * axis
    joints[R_EAR], joints[L_EAR] = centre - r * side, centre + r * side


def place(joints: np.ndarray, x: float, y: float, height: float) -> np.ndarray:
    """Unit joints `(18, 3)` -> a person `(18, 4)` in pixels: x, y, z, score 1; `x, y` is where mid-hip goes."""
    return np.concatenate([joints * height + np.array([x, y, 0.0]), np.ones((18, 1))], axis=1)


def random_placement(
    rng: np.random.Generator, joints: np.ndarray, close_ups: float = 0.08
) -> tuple[float, float, float]:
    """`x, y, height`: the whole figure inside the frame, but for a share of close-ups, which leave it."""
    points = joints[..., :2].reshape(-1, 2)
    # room for the big head and the shoes
    low, high = points.min(0) - [0.04, 0.18], points.max(0) + np.array([0.04, 0.05])
    close = rng.random() < close_ups
    height = FRAME * (rng.uniform(0.95, 1.4) if close else rng.uniform(0.62, 0.9))
    if not close:
        height = min(height, 0.97 * FRAME / float((high - low).max()))
    centre = FRAME / 2 - height * (low + high) / 2
    slack = np.maximum(0.0, (FRAME - height * (high - low)) / 2)
    jitter = rng.uniform(-1, 1, 2) * np.where(slack > 0, np.minimum(slack, 20), 4)
    if close:  # keep the head in the picture, lose the legs
        centre[1] = 0.02 * FRAME - height * low[1] + abs(rng.normal(0, 4))
        jitter[1] = 0.0
    return float(centre[0] + jitter[0]), float(centre[1] + jitter[1]), float(height)


def random_person(rng: np.random.Generator) -> np.ndarray:
    """One person in a still frame: `(18, 4)` px."""
    joints = pose_joints(random_angles(rng), random_proportions(rng))
    return place(joints, *random_placement(rng, joints))


def random_clip(rng: np.random.Generator, count: int = CLIP_FRAMES) -> np.ndarray:
    """One dancing person `(count, 18, 4)` px; one clip in five is a still pose under a moving camera."""
    body = random_proportions(rng)
    if rng.random() < 0.2:
        joints = np.repeat(pose_joints(random_angles(rng), body)[None], count, axis=0)
        root = np.linspace(0, 1, count)[:, None] * rng.normal(0, 0.08, 2)
        zoom = 1 + np.linspace(0, rng.uniform(-0.15, 0.15), count)
    else:
        angles, root = random_dance(rng, count)
        joints, zoom = np.stack([pose_joints(row, body) for row in angles]), np.ones(count)
    moved = joints + np.concatenate([root, np.zeros((count, 1))], axis=1)[:, None]
    x, y, height = random_placement(rng, moved)
    return np.stack([place(j, x, y, height * s) for j, s in zip(moved, zoom, strict=True)])
