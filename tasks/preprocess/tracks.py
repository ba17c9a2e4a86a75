"""Poses of a clip made steady: who is who over time, gaps, smoothing. Works on key points alone, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from reel import pose
from reel.config import Config, Field
from reel.errors import UserError
from reel.op import Context

if TYPE_CHECKING:
    import numpy as np

MAX_GAP = 0.5  # seconds that a person may be unseen and still be the same one
_MIDDLES = (
    (pose.R_SHOULDER, pose.R_ELBOW, pose.R_WRIST),
    (pose.L_SHOULDER, pose.L_ELBOW, pose.L_WRIST),
    (pose.R_HIP, pose.R_KNEE, pose.R_ANKLE),
    (pose.L_HIP, pose.L_KNEE, pose.L_ANKLE),
)


_MIRROR = [
    pose.BODY18.index(n.replace("left", "?").replace("right", "left").replace("?", "right")) for n in pose.BODY18
]
_FLIP_PENALTY = 0.8  # a second: at 24 frames/s a body that jumps by a shoulder's width may be turned for 12 frames


class Steady(Config):
    """Settings of the clip-level part of every map that is drawn from poses."""

    detector: str = "blazepose"
    """The registered pose detector whose poses are drawn (blazepose, dwpose, openpose)."""
    max_people: int = Field(default=4, ge=1, le=20)
    """People drawn at most: the largest over the whole clip."""
    missing: Literal["error", "hold", "empty"] = "hold"
    """Frames in which nobody was found: stop and name them, hold the last known pose (evenly moved to the next one
    when that comes within half a second), or leave the map empty. They are named in the run's notes in any case."""
    smoothing: float = Field(default=0.2, ge=0, le=2)
    """Window of a Savitzky-Golay filter over time (seconds; 0 = off). It takes the detector's jitter out and keeps
    quick movement: a quadratic is fitted, so evenly accelerated movement passes unchanged and without lag."""
    keep_sides: bool = True
    """Undo short exchanges of left and right (under about half a second), as detectors make them when they cannot see
    the face. A real turn is longer and stays."""


@dataclass
class Track:
    """One person over time: frame number to `(18, 4)`."""

    people: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.people)

    def weight(self) -> float:
        """Size times duration (px x frames): what "the largest over the clip" means."""
        return sum(pose.size(person) for person in self.people.values())


def steady(poses: pose.Poses, cfg: Steady, ctx: Context, where: str) -> list[Track]:
    """Tracks of a clip's people, the largest first, with gaps treated as the settings say, and smoothed.

    Args:
        where: the settings' key for messages, such as `preprocess.pose_map`.

    Raises:
        UserError: nobody was found in some frames and `missing` is `error`, or nobody in any frame and it is `hold`.
    """
    nobody = pose.missing(poses.frames)
    _refuse(nobody, poses, cfg, where)
    tracks = follow(poses.frames, max(1, round(MAX_GAP * poses.fps)))
    tracks = sorted(tracks, key=lambda track: (-round(track.weight(), 2), min(track.people)))[: cfg.max_people]
    if cfg.keep_sides:
        turned = sum(unflip(track, _FLIP_PENALTY / poses.fps) for track in tracks)
        ctx.note(frames_with_sides_exchanged=turned)
    if cfg.missing == "hold":
        for track in tracks:
            fill(track)
        hold(tracks, poses.count)
    window = round(cfg.smoothing * poses.fps)
    for track in tracks:
        smooth(track, window)
    ctx.note(people=len(tracks), frames_without_people=pose.ranges(nobody), missing=cfg.missing if nobody else "none")
    return tracks


def at(tracks: Sequence[Track], frame: int) -> list[np.ndarray]:
    """The people of a frame, in the tracks' order, hidden joints bridged."""
    return [bridge(track.people[frame]) for track in tracks if frame in track.people]


def _refuse(nobody: list[int], poses: pose.Poses, cfg: Steady, where: str) -> None:
    if not nobody or cfg.missing == "empty" or (cfg.missing == "hold" and len(nobody) < poses.count):
        return
    policies = "empty" if len(nobody) == poses.count else "hold or empty"
    harder = "preprocess.blazepose.search=tiles, a lower preprocess.blazepose.min_detection_confidence, "
    raise UserError(
        f"{poses.detector} found nobody in {len(nobody)} of {poses.count} frames: {pose.ranges(nobody)}",
        fix=f"{where}.missing={policies}, or {harder if poses.detector == 'blazepose' else ''}"
        "a clip in which the person is larger",
    )


def follow(frames: Sequence[Sequence[np.ndarray]], max_gap: int) -> list[Track]:
    """Links people over frames: the nearest pairs first, while the points are within half the person's size.

    Args:
        max_gap: frames that a person may be unseen.
    """
    import numpy as np

    tracks: list[Track] = []
    for index, people in enumerate(frames):
        live = [track for track in tracks if index - track.last <= max_gap + 1]
        pairs = sorted(
            (distance(track.people[track.last], person), t, p)
            for t, track in enumerate(live)
            for p, person in enumerate(people)
        )
        taken_tracks: set[int] = set()
        taken_people: set[int] = set()
        for apart, t, p in pairs:
            if apart < 0.5 and t not in taken_tracks and p not in taken_people:
                live[t].people[index] = people[p].astype(np.float64)
                taken_tracks.add(t)
                taken_people.add(p)
        tracks += [Track({index: q.astype(np.float64)}) for p, q in enumerate(people) if p not in taken_people]
    return tracks


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Median distance of the points that both have, as a fraction of the larger one's size."""
    import numpy as np

    both = (a[:, 3] > 0.1) & (b[:, 3] > 0.1)
    if not both.any():
        return np.inf
    apart = np.linalg.norm(a[both, :2] - b[both, :2], axis=1)
    return float(np.median(apart) / max(pose.size(a), pose.size(b), 1.0))


def unflip(track: Track, penalty: float) -> int:
    """Exchanges left and right of those frames where that makes the movement shorter by more than it costs.

    The cheapest sequence of "as it is" and "exchanged" over the track, by dynamic programming (Viterbi): a step costs
    the mean distance of the points in sizes of the person, an exchanged frame costs `penalty` more.

    Returns:
        the number of frames that were exchanged.
    """
    import numpy as np

    known = sorted(track.people)
    versions = [(track.people[index], track.people[index][_MIRROR]) for index in known]
    cost, origins = np.array([0.0, penalty]), []
    for before, after in itertools.pairwise(versions):
        steps = cost[:, None] + np.array([[step(a, b) for b in after] for a in before])  # (from, to)
        origins.append(steps.argmin(axis=0))
        cost = steps.min(axis=0) + np.array([0.0, penalty])
    state = int(cost.argmin())
    turned = 0
    for place in range(len(known) - 1, -1, -1):
        track.people[known[place]] = versions[place][state]
        turned += state
        state = int(origins[place - 1][state]) if place else 0
    return turned


def step(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of the points that both have, as a fraction of the larger one's size; 0 without any."""
    import numpy as np

    both = (a[:, 3] > 0.1) & (b[:, 3] > 0.1)
    if not both.any():
        return 0.0
    return float(np.linalg.norm(a[both, :2] - b[both, :2], axis=1).mean() / max(pose.size(a), pose.size(b), 1.0))


def fill(track: Track) -> None:
    """Fills the gaps inside a track by moving every point evenly from one side to the other."""
    known = sorted(track.people)
    for a, b in itertools.pairwise(known):
        for index in range(a + 1, b):
            t = (index - a) / (b - a)
            track.people[index] = (1 - t) * track.people[a] + t * track.people[b]


def hold(tracks: Sequence[Track], count: int) -> None:
    """In frames that are still empty, repeats the people of the nearest earlier frame, or else of the first one."""
    seen = sorted({index for track in tracks for index in track.people})
    for index in range(count):
        if index in seen:
            continue
        source = max((s for s in seen if s < index), default=seen[0])
        for track in tracks:
            if source in track.people:
                track.people[index] = track.people[source].copy()


def smooth(track: Track, window: int) -> None:
    """Savitzky-Golay of order 2 over x, y, z of every unbroken piece; scores take the median over the same window.

    Args:
        window: frames; made odd. Pieces shorter than it are fitted as a whole, those under 5 frames stay as they are.
    """
    import numpy as np
    from scipy.ndimage import median_filter
    from scipy.signal import savgol_filter

    window += 1 - window % 2
    if window < 5:
        return
    for piece in pieces(sorted(track.people)):
        length = min(window, len(piece) - 1 + len(piece) % 2)
        if length < 5:
            continue
        values = np.stack([track.people[index] for index in piece])  # (n, 18, 4)
        values[..., :3] = savgol_filter(values[..., :3], length, polyorder=2, axis=0)
        values[..., 3] = median_filter(values[..., 3], size=(length, 1), mode="nearest")
        track.people.update(zip(piece, values, strict=True))


def pieces(indices: Sequence[int]) -> list[list[int]]:
    """Sorted frame numbers cut where one is missing."""
    out: list[list[int]] = []
    for index in indices:
        if out and index == out[-1][-1] + 1:
            out[-1].append(index)
        else:
            out.append([index])
    return out


def bridge(person: np.ndarray) -> np.ndarray:
    """A hidden elbow or knee between two seen ends counts as seen, where the detector has placed it at all.

    Without this the far arm of a person seen from the side is a wrist that hangs in the air.
    """
    person = person.copy()
    for a, middle, b in _MIDDLES:
        if person[middle, 3] > 0:
            person[middle, 3] = max(person[middle, 3], min(person[a, 3], person[b, 3]))
    return person
