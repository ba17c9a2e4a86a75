"""Comparisons: renders side by side, as data that the page, the film and the plots read.

A point is one render, done or not. Axes are what the points differ in: those of a sweep, or else the settings that are
not the same everywhere. Settings that change together are one axis, so that two renders of unlike models do not span
twenty.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reel.config import suggest
from reel.errors import UserError
from reel.history.record import RenderRecord
from reel.history.sweep import Manifest
from reel.measure import ASPECTS, describe
from reel.nested import flat

Better = Literal["higher", "lower"]

ABSENT = "not set"
"""Stands for a setting that a render does not have."""
_PAIRED = " & "
_TELLING = ("weight", "prompt", "model.name", "seed", "clip")
"""Endings of the keys that name an axis best, in this order."""


@dataclass(frozen=True)
class Axis:
    """Something that the points differ in.

    Attributes:
        key: the setting, dotted.
        values: all that occur, numbers in ascending order, others as they come.
        linked: further settings that change with it, always together.
    """

    key: str
    values: tuple[str, ...]
    linked: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return all(number(value) is not None for value in self.values)


@dataclass(frozen=True)
class Metric:
    """What a number of the renders means.

    Attributes:
        key: as records have it, such as ``flicker.mean``.
        better: which way is better; None where neither is, or where nobody has said.
        unit: as written behind the number.
        about: what it measures, its range and where it is defined; empty: not declared.
        aspect: what tables put it under.
    """

    key: str
    label: str
    better: Better | None = None
    unit: str = ""
    about: str = ""
    aspect: str = ""


@dataclass(frozen=True)
class Point:
    """One render of a comparison.

    Attributes:
        name: the run's id, or the point's place in its sweep where it has not run.
        status: of the run, or ``pending``.
        values: value by axis key.
        record: None where nothing has run yet.
    """

    name: str
    status: str
    values: Mapping[str, str]
    record: RenderRecord | None = None
    reason: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """The settings that can change the pictures, flat, as text."""
        return {key: text(value) for key, value in settings(self.record).items()} if self.record else {}

    @property
    def metrics(self) -> dict[str, float]:
        """The render's numbers, with its wall seconds and its peak memory."""
        if self.record is None:
            return {}
        found = {key: value for key, value in self.record.metrics.items() if math.isfinite(value)}
        if self.record.seconds is not None:
            found["seconds"] = round(self.record.seconds, 3)
        if self.record.peak_memory_mib is not None:
            found["peak_memory_mib"] = self.record.peak_memory_mib
        return found


@dataclass(frozen=True)
class Comparison:
    """Points and what they differ in.

    Attributes:
        name: as asked for: the sweep's id, the filter, or how many runs.
        reference: name of the point that the others are held against.
        sweep: id of the sweep whose points these are.
    """

    name: str
    points: tuple[Point, ...]
    axes: tuple[Axis, ...]
    reference: str
    metrics: tuple[Metric, ...] = ()
    sweep: str | None = None

    @property
    def swept(self) -> bool:
        """Whether the axes are those of a sweep."""
        return self.sweep is not None

    @property
    def front(self) -> tuple[Metric, Metric] | None:
        """The two metrics of the trade-off plot: the first two of different aspects that have a direction."""
        known = [metric for metric in self.metrics if metric.better and metric.aspect != "cost"]
        for metric in known[1:]:
            if metric.aspect != known[0].aspect:
                return known[0], metric
        return (known[0], known[1]) if len(known) > 1 else None


def of_runs(records: Sequence[RenderRecord]) -> list[Point]:
    """Points of single renders; what they differ in is worked out by `compare`."""
    return [Point(record.run, record.status, {}, record, record.reason or "") for record in records]


def of_sweep(manifest: Manifest, records: Mapping[str, RenderRecord]) -> tuple[list[Point], list[Axis]]:
    """Points and axes of a sweep, in the user's order; paired keys are one axis.

    Args:
        records: of the store, by run.
    """
    points = []
    for point in manifest.points:
        values = {axis.name: _PAIRED.join(point.values[key] for key in axis.keys) for axis in manifest.axes}
        name = point.run or f"point {point.index}"
        points.append(Point(name, point.status, values, records.get(point.run or ""), point.reason or ""))
    axes = [
        Axis(axis.name, _ordered(point.values[axis.name] for point in points), axis.keys if len(axis.keys) > 1 else ())
        for axis in manifest.axes
    ]
    return points, axes


def compare(
    name: str,
    points: Sequence[Point],
    axes: Sequence[Axis] | None = None,
    *,
    first: Sequence[str] = (),
    reference: str | None = None,
    sweep: str | None = None,
) -> Comparison:
    """Put points side by side.

    Args:
        points: in the order in which they are shown.
        axes: of a sweep; None: the settings that differ are the axes.
        first: keys of the axes that come first.
        reference: name of a point; None: the first that is done.
        sweep: its id, where ``axes`` are those of a sweep.

    Raises:
        UserError: no such axis, or no such point.
    """
    found = list(axes) if axes is not None else _differing(points)
    ordered = [_named(found, key) for key in first]
    ordered += [axis for axis in found if axis not in ordered]
    if axes is None:
        points = [_placed(point, ordered) for point in points]
    done = [point.name for point in points if point.status == "done"] or [point.name for point in points]
    if reference is not None and reference not in {point.name for point in points}:
        raise UserError(
            f"reference: run {reference} is not among those that are compared",
            fix=f"one of: {', '.join(point.name for point in points[:5])}{', ...' if len(points) > 5 else ''}",
        )
    return Comparison(name, tuple(points), tuple(ordered), reference or done[0], tuple(_metrics(points)), sweep)


@dataclass(frozen=True)
class Places:
    """A flat picture of a comparison: where each point stands.

    Attributes:
        columns: values of the first axis; empty texts where the points are only strung together.
        rows: values of all other axes.
        at: row and column by the point's number.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    at: Mapping[int, tuple[int, int]]
    is_grid: bool


def places(comparison: Comparison) -> Places:
    """The first axis across, all others down; points that span no grid are strung together, line by line.

    Of several points that share a place the last one stands there.
    """
    points, (first, *others) = comparison.points, comparison.axes or (None,)
    if first is not None:
        sides = [tuple(point.values.get(axis.key, ABSENT) for axis in others) for point in points]
        order = [{value: number for number, value in enumerate(axis.values)} for axis in others]
        rows = sorted(set(sides), key=lambda side: [known.get(v, -1) for known, v in zip(order, side, strict=True)])
        across = {value: number for number, value in enumerate(first.values)}
        at = {
            number: (rows.index(side), across[point.values[first.key]])
            for number, (point, side) in enumerate(zip(points, sides, strict=True))
            if point.values.get(first.key) in across
        }
        if comparison.swept or 2 * len(set(at.values())) > len(rows) * len(first.values):
            last = {place: number for number, place in at.items()}
            shown = {number: place for place, number in last.items()}
            return Places(first.values, tuple(rows), shown, True)
    columns = max(1, math.ceil(math.sqrt(len(points) * 1.5)))
    spread = {number: divmod(number, columns) for number in range(len(points))}
    return Places(("",) * columns, ((),) * math.ceil(len(points) / columns), spread, False)


def _named(axes: Sequence[Axis], key: str) -> Axis:
    for axis in axes:
        if key == axis.key or key in axis.linked:
            return axis
    known = [name for axis in axes for name in (axis.key, *axis.linked)]
    raise UserError(
        f"axes: the renders do not differ in {key!r}{suggest(key, known)}",
        fix=f"they differ in {', '.join(axis.key for axis in axes) or 'nothing'}",
    )


def settings(record: RenderRecord) -> dict[str, Any]:
    """A render's settings that can change its files, flat; what a model is made of stands last."""
    found = {key: value for key, value in flat(record.made_of) if value not in (None, "", [], {})}
    return dict(sorted(found.items(), key=lambda item: item[0].startswith("model.") and item[0] != "model.name"))


def text(value: Any) -> str:
    """A setting as it is shown: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number(value: str) -> float | None:
    """The finite number that a text is, or None."""
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _differing(points: Sequence[Point]) -> list[Axis]:
    """Axes from settings: keys that sort the points the same way are one."""
    flat = [point.settings for point in points]
    rows = [item for item, point in zip(flat, points, strict=True) if point.record is not None]
    keys = dict.fromkeys(key for item in rows for key in item)
    groups: dict[tuple[int, ...], list[str]] = {}
    for key in keys:
        values = [item.get(key, ABSENT) for item in rows]
        known = list(dict.fromkeys(values))
        if len(known) > 1:
            groups.setdefault(tuple(known.index(value) for value in values), []).append(key)
    axes = []
    for members in groups.values():
        first, *linked = sorted(members, key=telling)
        axes.append(Axis(first, _ordered(item.get(first, ABSENT) for item in rows), tuple(linked)))
    return sorted(axes, key=lambda axis: (not axis.numeric, len(axis.values) == len(rows) > 3))


def telling(key: str) -> tuple[int, int]:
    """Where a setting stands among others that changed: what names a difference best, first."""
    rank = next((rank for rank, end in enumerate(_TELLING) if key == end or key.endswith(f".{end}")), len(_TELLING))
    return rank, len(key)


def _ordered(values: Iterator[str] | Any) -> tuple[str, ...]:
    known = list(dict.fromkeys(values))
    numbers = {value: number(value) for value in known}
    if all(found is not None for found in numbers.values()):
        known.sort(key=lambda value: numbers[value] or 0.0)
    return tuple(known)


def _placed(point: Point, axes: Sequence[Axis]) -> Point:
    mine = point.settings
    return Point(
        point.name, point.status, {axis.key: mine.get(axis.key, ABSENT) for axis in axes}, point.record, point.reason
    )


_COST = {
    "seconds": Metric("seconds", "Render time", "lower", "s", "Wall seconds of the render, look-ups included", "cost"),
    "peak_memory_mib": Metric("peak_memory_mib", "Peak memory", "lower", "MiB", "Most resident memory", "cost"),
}


def _metrics(points: Sequence[Point]) -> list[Metric]:
    """All metrics that any point has: declared ones first, then those that nobody declared, then what it cost."""
    keys = dict.fromkeys(key for point in points for key in point.metrics)
    known = [_metric(key) for key in sorted(keys, key=place_of) if key not in _COST]
    return [*known, *(_COST[key] for key in _COST if key in keys)]


def place_of(key: str) -> tuple[int, str, int]:
    """Where a number stands among others: by the aspect that its metric looks at, a metric's main number first."""
    found = describe(key)
    if found is None:
        return len(ASPECTS), "", 0
    measure, value = found
    return list(ASPECTS).index(measure.aspect), measure.name, measure.values.index(value)


def _metric(key: str) -> Metric:
    found = describe(key)
    if found is None:
        return Metric(key, key)
    measure, value = found
    low = "" if value.low is None else f"{value.low:g}"
    high = "" if value.high is None else f"{value.high:g}"
    span = f"; {low or 'no bound'} to {high or 'no bound'}" if low or high else ""
    about = f"{measure.about}{span}. {measure.reference}" + ("" if measure.validated else " (not validated here)")
    return Metric(key, value.label, value.better, value.unit, about, measure.aspect)
