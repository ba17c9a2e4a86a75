"""Who is who over a clip: sightings become tracks, ghosts and doubles go. Works on key points alone, in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reel import pose
from reel.pose import Sighting

if TYPE_CHECKING:
    import numpy as np

REACH = 0.5  # sizes of a person: whose points, or size, differ by more is not the same one in the next frame
_SIZE_COST = 0.5  # of a change of size by e, in sizes of the person; a ghost in a part of somebody is smaller
_DOUBT_COST = 0.25  # of a sighting without confidence: between two that fit the surer one is taken
_SPEED = 4  # frames over which a track's speed is measured
LEAST = 0.25  # seconds of certain sightings that make a person, or longer of doubtful ones: less is a ghost
_MEAN = 0.9  # of the confidence from which a frame alone tells: a person's mean is not below it
_DENSE = 0.5  # part of the frames between first and last in which a person must be seen
_COINCIDE = 0.2  # sizes: two tracks whose points are that close are one person


@dataclass
class Track:
    """One person over time.

    Attributes:
        people: frame number to `(18, 4)`.
        seen: of these the frames in which the detector saw them, and as which of its sightings; in the others they
            are carried.
    """

    people: dict[int, np.ndarray] = field(default_factory=dict)
    seen: dict[int, Sighting] = field(default_factory=dict)

    @classmethod
    def begun(cls, index: int, sighting: Sighting) -> Track:
        track = cls()
        track.add(index, sighting)
        return track

    def add(self, index: int, sighting: Sighting) -> None:
        self.people[index] = sighting.person.astype("float64")
        self.seen[index] = sighting

    @property
    def last(self) -> int:
        return max(self.people)

    def weight(self) -> float:
        """Size times duration (px x frames): what "the largest over the clip" means."""
        return sum(pose.size(person) for person in self.people.values())

    def confidence(self) -> float:
        """Sum of the confidences of all sightings."""
        return sum(one.confidence for one in self.seen.values())

    def expected(self, index: int) -> np.ndarray:
        """Where the person should be in a later frame: moved on as in the last frames, ever less as time passes."""
        import numpy as np

        known = sorted(self.people)[-_SPEED:]
        here = self.people[known[-1]]
        if len(known) < 2:
            return here
        before = self.people[known[0]]
        both = (here[:, 3] > 0.1) & (before[:, 3] > 0.1)
        if not both.any():
            return here
        speed = np.median(here[both, :2] - before[both, :2], axis=0) / (known[-1] - known[0])
        moved = here.copy()
        moved[:, :2] += speed * _SPEED * (1 - math.exp((known[-1] - index) / _SPEED))
        return moved


def people_of(frames: Sequence[Sequence[Sighting]], sure: float, fps: float, carry: float) -> list[Track]:
    """The people of a clip, without ghosts and doubles, their gaps filled, in no order.

    A sighting below `sure` is believed where it continues somebody who was seen more surely, as an edge detector
    follows a weak edge from a strong one (Canny); whoever is seen but briefly, or never surely, is dropped.

    Args:
        frames: what the detector saw in each.
        sure: confidence from which a sighting counts by itself.
        carry: seconds for which a person may be unseen and still be the same one.
    """
    least = LEAST * min(fps, len(frames))
    tracks = [part for track in follow(frames, round(carry * fps)) for part in dense(track)]
    believed = [track for track in tracks if _is_person(track, least, sure)]
    if not believed:  # the detector was sure of somebody in single frames at most: the likeliest is taken
        doubtful = [track for track in tracks if any(one.confidence >= sure for one in track.seen.values())]
        believed = sorted(doubtful, key=Track.confidence)[-1:]
    tracks = without_doubles(believed)
    for track in tracks:
        fill(track, len(frames), round(min(LEAST, carry) * fps))
    return tracks


def _is_person(track: Track, least: float, sure: float) -> bool:
    confidences = [one.confidence for one in track.seen.values()]
    total = sum(confidences)
    return total >= least and max(confidences) >= sure and total >= _MEAN * sure * len(confidences)


def dense(track: Track) -> list[Track]:
    """A track that is seen in too few of its frames is cut at its longest gap: what was linked over it were ghosts."""
    known = sorted(track.seen)
    if len(known) >= _DENSE * (known[-1] - known[0] + 1):
        return [track]
    _, cut = max((b - a, b) for a, b in itertools.pairwise(known))
    parts = Track(), Track()
    for index in known:
        parts[index >= cut].add(index, track.seen[index])
    return [piece for part in parts for piece in dense(part)]


def follow(frames: Sequence[Sequence[Sighting]], max_gap: int) -> list[Track]:
    """Links sightings over frames: in each, those pairs of track and sighting whose costs are least together.

    A pair costs the distance of the points from where the track leads, the change of size, and the doubt.

    Args:
        max_gap: frames for which a person may be unseen.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    far = REACH + _DOUBT_COST  # of no pair: dearer, and two bad pairs would be taken for one that is good
    tracks: list[Track] = []
    live: list[Track] = []
    for index, sightings in enumerate(frames):
        live = [track for track in live if index - track.last <= max_gap + 1]
        expected = [track.expected(index) for track in live]
        costs = np.array([[_cost(there, one) for one in sightings] for there in expected])
        costs = costs.reshape(len(live), len(sightings))
        pairs = linear_sum_assignment(np.minimum(costs, far))
        taken = set()
        for row, column in zip(*pairs, strict=True):
            if costs[row, column] < far:
                live[row].add(index, sightings[column])
                taken.add(int(column))
        new = [Track.begun(index, one) for number, one in enumerate(sightings) if number not in taken]
        tracks += new
        live += new
    return tracks


def _cost(there: np.ndarray, sighting: Sighting) -> float:
    """Infinite where they cannot be the same person."""
    grown = abs(math.log(max(pose.size(sighting.person), 1.0) / max(pose.size(there), 1.0)))
    apart = distance(there, sighting.person) + _SIZE_COST * grown
    return apart + _DOUBT_COST * (1 - sighting.confidence) if apart < REACH else math.inf


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Median distance of the points that both have, as a fraction of the larger one's size."""
    import numpy as np

    both = (a[:, 3] > 0.1) & (b[:, 3] > 0.1)
    if not both.any():
        return np.inf
    apart = np.linalg.norm(a[both, :2] - b[both, :2], axis=1)
    return float(np.median(apart) / max(pose.size(a), pose.size(b), 1.0))


def without_doubles(tracks: Sequence[Track]) -> list[Track]:
    """Of tracks whose points coincide in most frames that they share the surest one stays, and takes over the frames
    that it lacks."""
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda track: (-track.confidence(), min(track.people))):
        twin = next((other for other in kept if _coincide(track, other)), None)
        if twin is None:
            kept.append(track)
            continue
        for index in track.people.keys() - twin.people.keys():
            twin.add(index, track.seen[index])
    return kept


def _coincide(a: Track, b: Track) -> bool:
    shared = sorted(a.people.keys() & b.people.keys())
    near = sum(distance(a.people[index], b.people[index]) < _COINCIDE for index in shared)
    return bool(shared) and 2 * near > len(shared)


def fill(track: Track, count: int, reach: int) -> None:
    """Fills a track's gaps by moving every point evenly from one side to the other.

    Who is lost for a moment at either end of the clip stays as first or last seen.

    Args:
        count: frames of the clip.
        reach: frames that such a moment has at most.
    """
    known = sorted(track.people)
    if known[0] <= reach:
        track.people.update({index: track.people[known[0]].copy() for index in range(known[0])})
    if count - 1 - known[-1] <= reach:
        track.people.update({index: track.people[known[-1]].copy() for index in range(known[-1] + 1, count)})
    for a, b in itertools.pairwise(known):
        for index in range(a + 1, b):
            t = (index - a) / (b - a)
            track.people[index] = (1 - t) * track.people[a] + t * track.people[b]
