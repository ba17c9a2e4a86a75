"""Skeletons for a family's pictures: drawn at random, or seen in real clips (key points alone, `data/poses`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tasks.sprite.skeleton import (
    CLIP_FRAMES,
    FRAME,
    L_EAR,
    L_ELBOW,
    L_EYE,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    NECK,
    NOSE,
    R_EAR,
    R_ELBOW,
    R_EYE,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    place,
    random_clip,
    random_person,
    random_placement,
)  # fmt: skip
from tasks.sprite.spec import Spec

FILE = Path(__file__).parents[2] / "data" / "poses" / "real.npz"
REAL = 0.3  # share of skeletons that were seen in real clips
MIRRORED = [NOSE, NECK, L_SHOULDER, L_ELBOW, L_SHOULDER + 2, R_SHOULDER, R_ELBOW, R_SHOULDER + 2,
            L_HIP, L_KNEE, L_HIP + 2, R_HIP, R_KNEE, R_HIP + 2, L_EYE, R_EYE, L_EAR, R_EAR]  # fmt: skip


@dataclass(frozen=True)
class RealPoses:
    """Key points that BlazePose found in real clips: `joints` `(N, 18, 3)`, the origin between the hips of a clip's
    first frame and the standing height 1; `starts` `(C + 1,)`: clip c holds rows `starts[c]` to `starts[c + 1]`."""

    joints: np.ndarray
    starts: np.ndarray

    def still(self, rng: np.random.Generator) -> np.ndarray:
        """One frame's joints `(18, 3)`."""
        return _varied(self.joints[rng.integers(len(self.joints))][None], rng)[0]

    def clip(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Joints `(count, 18, 3)` of neighbouring frames; a clip that is too short runs back from its end."""
        clip = int(rng.integers(len(self.starts) - 1))
        first, end = int(self.starts[clip]), int(self.starts[clip + 1])
        step = int(rng.integers(1, 4))
        rows = int(rng.integers(end - first)) + step * np.arange(count)
        period = max(1, 2 * (end - first - 1))
        rows = rows % period
        rows = np.where(rows < end - first, rows, period - rows)
        return _varied(self.joints[first + rows], rng)


@cache
def real_poses() -> RealPoses:
    """The poses in git.

    Raises:
        FileNotFoundError: `data/poses/real.npz` is not in this checkout.
    """
    with np.load(FILE, allow_pickle=False) as data:
        return RealPoses(data["joints"].astype(np.float64), data["starts"].astype(np.int64))


def person_of(rng: np.random.Generator, spec: Spec) -> np.ndarray:
    """One person in a still frame of the family's size: `(18, 4)` px."""
    if _real(rng):
        joints = real_poses().still(rng)
        return sized(place(joints, *random_placement(rng, joints)), spec.frame)
    return sized(random_person(rng), spec.frame)


def clip_of(rng: np.random.Generator, spec: Spec, count: int = CLIP_FRAMES) -> np.ndarray:
    """One moving person `(count, 18, 4)` px of the family's size."""
    if _real(rng):
        joints = real_poses().clip(rng, count)
        where = random_placement(rng, joints)
        return sized(np.stack([place(j, *where) for j in joints]), spec.frame)
    return sized(random_clip(rng, count), spec.frame)


def sized(people: np.ndarray, frame: int) -> np.ndarray:
    """People `(..., 18, 4)` of a frame of 128 px in one of `frame` px."""
    out = np.array(people)
    out[..., :3] *= frame / FRAME
    return out


def _real(rng: np.random.Generator) -> bool:
    return rng.random() < REAL


def _varied(joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Joints `(F, 18, 3)` mirrored or not, turned a little about the vertical axis and in the picture."""
    out = joints - joints[:1, [R_HIP, L_HIP]].mean(1, keepdims=True)
    if rng.random() < 0.5:
        out = out[:, MIRRORED] * [-1, 1, 1]
    yaw, tilt = rng.normal(0, 0.25), rng.normal(0, 0.06)
    c, s = np.cos(yaw), np.sin(yaw)
    x, z = c * out[..., 0] - s * out[..., 2], s * out[..., 0] + c * out[..., 2]
    c, s = np.cos(tilt), np.sin(tilt)
    return np.asarray(np.stack([c * x - s * out[..., 1], s * x + c * out[..., 1], z], -1))
