"""One person's points made steady over time: sides, jitter, points that come and go. In float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reel import pose
from tasks.preprocess.tracks import Track

if TYPE_CHECKING:
    import numpy as np

_MIDDLES = (
    (pose.R_SHOULDER, pose.R_ELBOW, pose.R_WRIST),
    (pose.L_SHOULDER, pose.L_ELBOW, pose.L_WRIST),
    (pose.R_HIP, pose.R_KNEE, pose.R_ANKLE),
    (pose.L_HIP, pose.L_KNEE, pose.L_ANKLE),
)
_MIRROR = [
    pose.BODY18.index(n.replace("left", "?").replace("right", "left").replace("?", "right")) for n in pose.BODY18
]


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


def settle(track: Track, window: int, min_score: float) -> None:
    """Points that drop out or flash up for less than the window neither do: where a hidden one is seen again soon it
    moves evenly over the gap, and one that is seen for a moment stays hidden (the legs of somebody cut at the hips).

    Args:
        window: frames.
        min_score: score from which a point counts as seen.
    """
    import numpy as np
    from scipy.ndimage import binary_closing, binary_opening

    if window < 2:
        return
    along = np.ones(window, bool)
    for piece in pieces(sorted(track.people)):
        if len(piece) <= window:
            continue
        values = np.stack([track.people[index] for index in piece])  # (n, 18, 4)
        for point in range(values.shape[1]):
            scores = values[:, point, 3]
            was = (scores > 0) & (scores >= min_score)
            known = np.pad(was, window, mode="edge")
            now = binary_opening(binary_closing(known, along), along)[window:-window]
            if (now & ~was).any():
                there, back = np.flatnonzero(was), np.flatnonzero(now & ~was)
                for axis in range(4):
                    values[back, point, axis] = np.interp(back, there, values[there, point, axis])
            values[was & ~now, point, 3] = 0
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
