"""Metrics: what their numbers mean, as data, and the stored form of a measurement.

Every ``tasks/measure/<name>.py`` registers an op and declares beside it, as a `Measure`, what its numbers are called,
their range, and which way is better. Pages, plots, tables and searches read that declaration; nothing heavy is
imported for it. In a render's record and in MLflow a number stands under ``<metric>.<value>``, such as
``flicker.mean``; `describe` leads from there to the declaration.

A stored object of kind "measure" holds ``measure.json``: the metric's values, one series per frame for each of the
curves it has, and, where the clip has nothing to measure, the reason instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from reel import op
from reel.errors import UserError
from reel.files import canonical_json
from reel.store import Store, Stored

SCHEMA = 1
DIGITS = 6
"""Significant digits kept of every number: what differs beyond them is the machine's rounding, not the render."""

Better = Literal["higher", "lower"]
Aspect = Literal["pose", "character", "steadiness", "motion", "structure"]
ASPECTS: dict[Aspect, str] = {
    "pose": "does the figure move as the person does",
    "character": "does it look as the prompt or the reference says",
    "steadiness": "does it stay itself from frame to frame",
    "motion": "how much moves, and how evenly",
    "structure": "how much of the source's picture is kept",
}
"""What metrics look at, in the order in which tables and plots show them."""


@dataclass(frozen=True)
class Value:
    """One number of a metric.

    Attributes:
        name: the part of its key after the dot.
        label: what stands above a table's column or beside an axis.
        better: which way is better; None where neither is by itself.
        low, high: least and greatest possible value; None: no bound.
        unit: as written behind the number; empty for shares, cosines and other pure numbers.
        tells: a difference of two renders below it is none to the eye; 0: not known.
    """

    name: str
    label: str
    better: Better | None
    low: float | None
    high: float | None
    unit: str = ""
    tells: float = 0.0


@dataclass(frozen=True)
class Measure:
    """A metric.

    Attributes:
        name: of its op, its module, its YAML, and the first part of its keys.
        about: what it measures, in a sentence.
        values: its numbers, the main one first.
        reference: paper or repository that defines it; "own" where the project does, with what it is built on.
        validated: False where it was never run with the real weights (they could not be fetched here).
        families: names of the embedded model families whose renders it can read; empty: any render.
        torch: whether it loads torch.
    """

    name: str
    about: str
    aspect: Aspect
    values: tuple[Value, ...]
    reference: str
    validated: bool = True
    families: tuple[str, ...] = ()
    torch: bool = False

    def key(self, value: Value) -> str:
        """The name of a number in records and in MLflow."""
        return f"{self.name}.{value.name}"


_DECLARED: dict[str, Measure] = {}


def declare(measure: Measure) -> Measure:
    """Make a metric known; called once beside its op."""
    _DECLARED[measure.name] = measure
    return measure


def get(name: str) -> Measure:
    """The declaration of a metric; its module is imported on demand.

    Raises:
        UserError: no such metric; the message lists what there is.
    """
    op.get("measure", name)
    return _DECLARED[name]


def measures() -> list[Measure]:
    """All metrics, by aspect in the order of `ASPECTS`, then by name."""
    order = list(ASPECTS)
    return sorted(map(get, op.names("measure")), key=lambda m: (order.index(m.aspect), m.name))


def describe(key: str) -> tuple[Measure, Value] | None:
    """The metric and the value that a record's or MLflow's key means; None for keys of anything else."""
    name, _, rest = key.partition(".")
    if name not in op.names("measure"):
        return None
    measure = get(name)
    return next(((measure, value) for value in measure.values if value.name == rest), None)


@dataclass(frozen=True)
class Result:
    """What a metric found in a clip.

    Attributes:
        values: numbers by value name, only those that this clip has.
        frames: series by name, one number per frame, None where a frame has none (the first, say, of a difference).
        missing: why there is nothing to measure; empty where there is.
        notes: further facts, such as the detector that read both clips.
    """

    measure: str
    values: Mapping[str, float] = field(default_factory=dict)
    frames: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    missing: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flat(self) -> dict[str, float]:
        """The values under their full keys, as records and MLflow have them."""
        return {f"{self.measure}.{name}": value for name, value in self.values.items()}


def save(store: Store, result: Result) -> str:
    """Store a measurement; returns its digest.

    Raises:
        ValueError: a value that the metric does not declare, or one that is not finite (the metric's own mistake).
    """
    known = {value.name for value in get(result.measure).values}
    if unknown := result.values.keys() - known:
        raise ValueError(f"metric {result.measure} declares no {', '.join(sorted(unknown))}")
    body = {
        "schema": SCHEMA,
        "measure": result.measure,
        "values": {name: rounded(value) for name, value in result.values.items()},
        "frames": {
            name: [None if value is None else rounded(value) for value in series]
            for name, series in result.frames.items()
        },
        "missing": result.missing,
        "notes": dict(result.notes),
    }
    with store.draft("measure") as draft:
        draft.add("measure.json", canonical_json(body))
        return draft.commit(measure=result.measure)


def load(stored: Stored) -> Result:
    """Read a stored measurement back.

    Raises:
        UserError: the object is something else, or was written by another version.
    """
    if stored.kind != "measure":
        raise UserError(f"object {stored.digest[:12]} is of kind {stored.kind!r}, not a measurement")
    body = json.loads(stored.read("measure.json"))
    if body["schema"] != SCHEMA:
        raise UserError(f"object {stored.digest[:12]}: written with measure schema {body['schema']}, not {SCHEMA}")
    return Result(body["measure"], body["values"], body["frames"], body["missing"], body["notes"])


def rounded(value: float) -> float:
    """To `DIGITS` significant digits, no negative zero.

    Raises:
        ValueError: NaN or infinite.
    """
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"a metric gave {value}")
    return float(f"{value:.{DIGITS}g}") + 0.0
