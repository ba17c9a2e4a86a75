"""Which motion a clip shows, read from the probe's joints by rules that a viewer could check with a ruler.

Lengths are fractions of the figure's height in the first frames. The rules know figures that face the camera at first.
How often they are right on drawn clips is measured (`accuracy`) and stands beside every figure that rests on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.sprite import probe
from tasks.sprite.ltx.motions import ACTIONS, CAMERAS, Motion
from tasks.sprite.skeleton import (
    FRAME,
    L_ANKLE,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_ANKLE,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)  # fmt: skip

if TYPE_CHECKING:
    from tasks.sprite.probe import Probe

PUSHED = 1.07  # growth of the figure from which on the camera has come closer
SHIFTED = 0.13  # way to the side that a step or a pan takes at least
OPENED = 0.09  # how much wider the feet stand within a step than at its ends
FLOWN = 0.07  # way up of hips and feet together
BOWED = 0.84  # of the head's height over the hips that is left in a bow
SWUNG = 0.04  # range of the hand about its shoulder in a wave
LATE = 0.3  # share of the clip after which an arm that waves is up


@dataclass(frozen=True)
class Track:
    """Joints `(F, 14, 2)` px of one figure over time, with what the rules ask of them."""

    joints: np.ndarray

    @property
    def height(self) -> float:
        """The standing height (px) in the first frames, from trunk and legs."""
        j = self.joints[:2].mean(0)

        def bone(a: int, b: int) -> float:
            return float(np.linalg.norm(j[a] - j[b]))

        legs = (bone(R_HIP, R_KNEE) + bone(R_KNEE, R_ANKLE) + bone(L_HIP, L_KNEE) + bone(L_KNEE, L_ANKLE)) / 2
        return max(8.0, (float(np.linalg.norm(j[NECK] - (j[R_HIP] + j[L_HIP]) / 2)) + legs) / 0.76)

    @property
    def hips(self) -> np.ndarray:
        """The middle of the hips `(F, 2)` px."""
        return (self.joints[:, R_HIP] + self.joints[:, L_HIP]) / 2

    @property
    def feet(self) -> np.ndarray:
        """The middle of the ankles `(F, 2)` px."""
        return (self.joints[:, R_ANKLE] + self.joints[:, L_ANKLE]) / 2

    @property
    def zoom(self) -> float:
        """How much larger the figure grows: the largest median over head, trunk and thighs, each three frames' mean.

        Feet do not count: a push-in sends them out of the frame, where the probe reads nothing.
        """
        shoulders = (self.joints[:, R_SHOULDER] + self.joints[:, L_SHOULDER]) / 2
        knees = (self.joints[:, R_KNEE] + self.joints[:, L_KNEE]) / 2
        nose, neck = self.joints[:, NOSE], self.joints[:, NECK]
        ends = ((shoulders, self.hips), (nose, self.hips), (nose, knees), (neck, knees))
        lengths = np.stack([np.linalg.norm(a - b, axis=-1) for a, b in ends], axis=1)
        ratios = np.median(lengths / np.maximum(lengths[:3].mean(0), 1.0), axis=1)
        return float(np.convolve(ratios, np.ones(3) / 3, "valid")[len(ratios) // 2 :].max())

    def unfilmed(self) -> Track:
        """The track without the camera's growth, taken as even over the clip and about the frame's middle."""
        zoom = np.linspace(1, self.zoom, len(self.joints))[:, None, None]
        return Track(FRAME / 2 + (self.joints - FRAME / 2) / zoom)


def smooth(joints: np.ndarray) -> np.ndarray:
    """Joints `(F, J, 2)`, each the median of three frames: the probe's single slips do not count."""
    padded = np.concatenate([joints[:1], joints, joints[-1:]])
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)


def read_motion(joints: np.ndarray) -> Motion:
    """The motion of one clip's joints `(F, 14, 2)` px."""
    filmed = Track(smooth(joints))
    pushed = filmed.zoom >= PUSHED
    track = filmed.unfilmed() if pushed else filmed
    shift = float((track.hips[-3:, 0].mean() - track.hips[:2, 0].mean()) / track.height)
    stepped = abs(shift) >= SHIFTED and _opened(track) >= OPENED
    camera = "push_in" if pushed else CAMERAS[0]
    if not pushed and not stepped and abs(shift) >= SHIFTED:
        camera = "pan_left" if shift > 0 else "pan_right"
    action = _action(track)
    if action == "stand_still" and stepped:
        action = "step_right" if shift > 0 else "step_left"
    elif stepped and camera == CAMERAS[0]:
        camera = "pan_left" if shift > 0 else "pan_right"
    return Motion(action, camera)


def _action(track: Track) -> str:
    """What the figure does, steps left out."""
    j, h = track.joints, track.height
    width = (j[:, L_SHOULDER, 0] - j[:, R_SHOULDER, 0] + j[:, L_HIP, 0] - j[:, R_HIP, 0]) / h
    if width[:3].mean() > 0.05 and width[-3:].mean() < -0.05:
        return "turn"
    if min((track.hips[:, 1] - track.hips[0, 1]).min(), 0) / h < -FLOWN and (
        (track.feet[:, 1] - track.feet[0, 1]).min() / h < -FLOWN
    ):
        return "jump"
    head = (track.hips[:, 1] - j[:, NOSE, 1]) / h
    if head.min() < BOWED * head[:2].mean():
        return "bow"
    waving = {name for name, arm in (("right", (R_SHOULDER, R_WRIST)), ("left", (L_SHOULDER, L_WRIST)))
              if _waves(track, arm)}  # fmt: skip
    return "wave_both" if len(waving) == 2 else f"wave_{waving.pop()}" if waving else "stand_still"


def _waves(track: Track, arm: tuple[int, int]) -> bool:
    """Whether the hand stays over the shoulder in the clip's later part and swings there."""
    shoulder, wrist = (track.joints[round(LATE * len(track.joints)) :, joint] for joint in arm)
    over = (shoulder[:, 1] - wrist[:, 1]) / track.height > 0.02
    swing = np.ptp((wrist - shoulder) / track.height, axis=0).max()
    return bool(over.mean() > 0.6 and swing >= SWUNG)


def _opened(track: Track) -> float:
    """How much wider the feet stand within the clip than at its ends."""
    gap = np.abs(track.joints[:, R_ANKLE, 0] - track.joints[:, L_ANKLE, 0]) / track.height
    return float(np.sort(gap)[-4:].mean() - max(gap[:2].mean(), gap[-2:].mean()))


def read_clips(reader: Probe, clips: np.ndarray) -> tuple[list[Motion], probe.Reading]:
    """Motions of clips `(N, F, 128, 128, 3)` uint8, and the probe's reading of all their frames, one clip after the
    other."""
    reading = probe.read(reader, clips.reshape(-1, *clips.shape[2:]))
    joints = reading.joints.reshape(*clips.shape[:2], -1, 2)
    return [read_motion(each) for each in joints], reading


def accuracy(found: list[Motion], wanted: list[Motion]) -> dict[str, float]:
    """Shares read right, each class counting the same: `action`, `camera`, `motion` (both)."""
    figures = {}
    for key, names in (("action", ACTIONS), ("camera", CAMERAS)):
        right = np.array([getattr(a, key) == getattr(b, key) for a, b in zip(found, wanted, strict=True)])
        kinds = np.array([names.index(getattr(b, key)) for b in wanted])
        figures[key] = float(np.mean([right[kinds == kind].mean() for kind in np.unique(kinds)]))
    both = [a == b for a, b in zip(found, wanted, strict=True)]
    return figures | {"motion": float(np.mean(both))}
