"""Looking for the best settings when "best" is several numbers at once: fronts, their knee, how much they cover.

Everything here works on numbers that are to be small. `Goal` says which way is better and turns numbers that are to be
large. A point that breaks a constraint is worse than every point that breaks none, and than all that break less
(constraint domination of Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 6(2),
2002).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reel.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Goal:
    """A number that is to become large or small, under its full key, such as ``flicker.mean``.

    Attributes:
        tells: a difference below it is none to the eye (`reel.measure.Value.tells`).
    """

    key: str
    higher: bool
    label: str = ""
    tells: float = 0.0

    def loss(self, value: float) -> float:
        """The value turned so that small is better."""
        return -value if self.higher else value

    @property
    def direction(self) -> str:
        return "maximize" if self.higher else "minimize"


@dataclass(frozen=True)
class Limit:
    """A bound that a good point keeps: ``flicker.mean`` at most 5, or at most 1.5 times that of the first point.

    Attributes:
        bound: the number, or the factor of the first point's.
        relative: whether it is such a factor.
    """

    goal: Goal
    bound: float
    relative: bool

    def violation(self, value: float, first: float | None) -> float:
        """How far a value is beyond the bound; 0 or less is within.

        Args:
            first: the first point's value; None where it has none: a relative bound is kept then.
        """
        if not self.relative:
            return self.goal.loss(value) - self.goal.loss(self.bound)
        if first is None:
            return 0.0
        return self.goal.loss(value) - self.goal.loss(self.bound * first)

    def __str__(self) -> str:
        sign = ">=" if self.goal.higher else "<="
        return f"{self.goal.key} {sign} {self.bound:g}" + (" x that of the given settings" if self.relative else "")


def parse_limit(goal: Goal, text: str | float) -> Limit:
    """A bound as it is written: ``5``, or ``1.5x`` for a factor of the first point's number.

    Raises:
        UserError: it is neither.
    """
    match = re.fullmatch(r"\s*([0-9.eE+-]+)\s*(x?)\s*", str(text))
    try:
        bound = float(match[1]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound) or (match[2] and bound <= 0):
        raise UserError(
            f"search.constraints.{goal.key}: {text!r} is not a bound",
            fix="a number, or a factor of what the given settings come to, such as 1.5x",
        )
    return Limit(goal, bound, bool(match[2]))


@dataclass(frozen=True)
class Scored:
    """A point with its losses (small is better, one per goal) and how far it is beyond its limits (0: within all)."""

    name: int
    losses: tuple[float, ...]
    violation: float = 0.0


def dominates(a: Scored, b: Scored) -> bool:
    """Whether ``a`` is better than ``b`` in something and worse in nothing; limits come first."""
    if max(a.violation, 0.0) != max(b.violation, 0.0):
        return max(a.violation, 0.0) < max(b.violation, 0.0)
    pairs = list(zip(a.losses, b.losses, strict=True))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def front(points: Sequence[Scored]) -> list[Scored]:
    """The Pareto front: points within all limits that nothing dominates, the best in the first goal first.

    Of points with the same numbers the earliest stays.
    """
    kept: dict[tuple[float, ...], Scored] = {}
    for point in points:
        if point.violation <= 0 and not any(dominates(other, point) for other in points):
            kept.setdefault(point.losses, point)
    return sorted(kept.values(), key=lambda point: (point.losses, point.name))


def ranked(points: Sequence[Scored]) -> list[Scored]:
    """All points, the most promising first: front after front, within a front the lonelier one first (NSGA-II)."""
    rest, found = list(points), []
    while rest:
        best = [point for point in rest if not any(dominates(other, point) for other in rest)]
        crowding = _crowding(best)
        found += sorted(best, key=lambda point: (-crowding[point.name], point.name))
        rest = [point for point in rest if point.name not in crowding]
    return found


def _crowding(points: Sequence[Scored]) -> dict[int, float]:
    """NSGA-II's crowding distance by name: the ends of every goal are infinitely lonely."""
    distance = {point.name: 0.0 for point in points}
    for goal in range(len(points[0].losses)):
        ordered = sorted(points, key=lambda point: (point.losses[goal], point.name))
        low, high = ordered[0].losses[goal], ordered[-1].losses[goal]
        distance[ordered[0].name] = distance[ordered[-1].name] = math.inf
        if high > low:
            for before, point, after in zip(ordered, ordered[1:], ordered[2:], strict=False):
                distance[point.name] += (after.losses[goal] - before.losses[goal]) / (high - low)
    return distance


def knee(points: Sequence[Scored], tells: Sequence[float] = ()) -> Scored | None:
    """The point of a front that gives up least of everything: nearest to the utopia point.

    The utopia point has the best of every goal; goals are scaled to 0..1 over the front, the distance is Euclidean
    (compromise programming: Yu, Management Science 19(8), 1973; Zeleny, 1973). Unlike the distance from the chord
    between the ends it is defined for any number of goals and points, and on fronts that bulge the wrong way. Two
    points are equally near: then the one that is better in the first goal. None for an empty front.

    Args:
        tells: of each goal the least difference that tells anything; a front that spans less is not stretched to 0..1,
            or a hundredth of a pixel would weigh as much as a limb. None given: every difference counts.
    """
    best = front(points)
    if not best:
        return None
    columns = list(zip(*(point.losses for point in best), strict=True))
    least = tells or [0.0] * len(columns)
    spans = [(min(column), max(max(column) - min(column), told)) for column, told in zip(columns, least, strict=True)]

    def away(point: Scored) -> float:
        parts = [(x - low) / span if span else 0.0 for x, (low, span) in zip(point.losses, spans, strict=True)]
        return round(math.hypot(*parts), 12)

    return min(best, key=lambda point: (away(point), point.losses, point.name))


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Volume of losses that are dominated by the points and better than the reference (Zitzler and Thiele, 1999).

    Args:
        points: losses; those that are not better than the reference in everything add nothing.
    """
    import numpy as np
    from optuna._hypervolume import compute_hypervolume

    inside = [tuple(point) for point in points if all(x < r for x, r in zip(point, reference, strict=True))]
    return float(compute_hypervolume(np.array(inside), np.array(reference, float))) if inside else 0.0


@dataclass(frozen=True)
class Box:
    """The range of every goal's losses over a set of points: what hypervolumes are normalised by."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def around(cls, points: Sequence[Sequence[float]]) -> Box:
        columns = list(zip(*points, strict=True))
        return cls(tuple(map(min, columns)), tuple(map(max, columns)))

    def volume(self, points: Sequence[Sequence[float]], margin: float = 0.1) -> float:
        """Hypervolume of points scaled by the box, seen from the box's worst corner moved out by ``margin`` of it.

        The margin lets the ends of a front count; 1.1 is the usual reference of normalised fronts (Ishibuchi et al.,
        "How to specify a reference point in hypervolume calculation", Evolutionary Computation 26(3), 2018).
        """
        spans = [high - low or 1.0 for low, high in zip(self.low, self.high, strict=True)]
        scaled = [[(x - a) / s for x, a, s in zip(point, self.low, spans, strict=True)] for point in points]
        return hypervolume(scaled, [1 + margin] * len(self.low))


@dataclass(frozen=True)
class Rung:
    """A level of effort: which frames are rendered, in how many steps, and what that costs.

    Attributes:
        passages: runs of consecutive frame numbers, each rendered as a clip of its own.
        steps: stylize.num_inference_steps.
        cost: frame-steps, as a part of the whole clip's in all steps.
    """

    name: str
    passages: tuple[tuple[int, ...], ...]
    steps: int
    cost: float

    @property
    def frames(self) -> int:
        return sum(map(len, self.passages))


def rung(name: str, passages: Sequence[Sequence[int]], steps: int, count: int, full_steps: int) -> Rung:
    """A rung with its cost, for a clip of ``count`` frames whose render takes ``full_steps``."""
    taken = tuple(tuple(passage) for passage in passages)
    return Rung(name, taken, steps, sum(map(len, taken)) * steps / (count * full_steps))


def entrants(trials: int, rungs: int, reduction: float) -> list[int]:
    """How many points each rung sees: successive halving (Jamieson and Talwalkar, AISTATS 2016) by ``reduction``.

    The given settings go all the way beside the best.
    """
    return [trials, *(min(trials, math.ceil(trials / reduction**level) + 1) for level in range(1, rungs))]


def affordable(budget: float, costs: Sequence[float], reduction: float) -> int:
    """The largest number of trials whose halving costs at most ``budget`` full renders; 0 where none does."""

    def price(trials: int) -> float:
        counts = entrants(trials, len(costs), reduction)
        return sum(count * cost for count, cost in zip(counts, costs, strict=True))

    trials = 0
    while price(trials + 1) <= budget + 1e-9:
        trials += 1
    return trials


def passages(poses: Sequence[np.ndarray | None], frames: int, runs: int) -> list[list[int]]:
    """The most different parts of a clip: ``runs`` runs of consecutive frames, ``frames`` in all.

    Farthest-point sampling (Gonzalez, Theoretical Computer Science 38, 1985): the two runs that differ most, then
    always the one that differs most from those chosen. Two runs differ by the mean distance of their joints, frame by
    frame, in sizes of the person and wherever it stands (`normalised`). Runs do not overlap. Where nobody was found
    the choice is even over the clip.

    Args:
        poses: for every frame the largest person `(18, 4)`, or None.

    Returns:
        the runs in the order of the clip; the whole clip as one run where ``frames`` covers it.
    """
    count = len(poses)
    if frames >= count:
        return [list(range(count))]
    runs = max(1, min(runs, frames))
    length = frames // runs
    lengths = [length + (place < frames % runs) for place in range(runs)]
    starts = _farthest(_differences(poses, max(lengths)), runs, max(lengths))
    if len(starts) < runs:  # too short for that many runs without an overlap
        return [list(range((count - frames) // 2, (count - frames) // 2 + frames))]
    return [list(range(start, start + size)) for start, size in zip(sorted(starts), lengths, strict=True)]


def normalised(person: np.ndarray) -> np.ndarray:
    """Joints `(18, 2)` seen from the middle of those that were found, in sizes of the person; NaN where not found."""
    import numpy as np

    points = np.where(person[:, 3:] > 0, person[:, :2], np.nan).astype(float)
    if np.isnan(points).all():
        return points
    size = float(np.max(np.nanmax(points, axis=0) - np.nanmin(points, axis=0)))
    return (points - np.nanmean(points, axis=0)) / max(size, 1e-6)


def _differences(poses: Sequence[np.ndarray | None], length: int) -> np.ndarray:
    """How much every two runs of ``length`` frames differ, by their first frames `(S, S)`."""
    import numpy as np

    joints = np.stack([np.full((18, 2), np.nan) if one is None else normalised(one) for one in poses])  # (F, 18, 2)
    apart = np.linalg.norm(joints[:, None] - joints[None], axis=-1)  # (F, F, 18)
    seen = ~np.isnan(apart)
    each = np.where(seen, apart, 0).sum(-1) / np.maximum(seen.sum(-1), 1)  # (F, F): 0 where nothing can be compared
    starts = len(poses) - length + 1
    runs: np.ndarray = np.stack([each[k : k + starts, k : k + starts] for k in range(length)]).mean(axis=0)
    return runs.round(4)  # a difference that nobody sees decides nothing


def _farthest(apart: np.ndarray, runs: int, length: int) -> list[int]:
    """First frames of the chosen runs; fewer than ``runs`` where no more fit."""
    import numpy as np

    starts = len(apart)
    places = np.arange(starts)
    free = abs(places[:, None] - places[None]) >= length
    if not (apart > 0).any():
        even = [round(place * (starts - 1) / max(runs - 1, 1)) for place in range(runs)]
        return even if all(b - a >= length for a, b in itertools.pairwise(even)) else []
    if runs == 1:
        return [int(apart.sum(axis=1).argmax())]
    if not free.any():
        return []
    first, second = np.unravel_index(np.where(free, apart, -1).argmax(), apart.shape)
    chosen = [int(first), int(second)]
    while len(chosen) < runs:
        left = free[chosen].all(axis=0)
        if not left.any():
            return chosen
        chosen.append(int(np.where(left, apart[chosen].min(axis=0), -1).argmax()))
    return chosen
